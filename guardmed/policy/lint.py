"""Finds what is wrong with a pack before it is used."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from guardmed.policy.match import Policy
from guardmed.policy.schema import Condition, Language, Rule, Severity
from guardmed.text import language

MIN_TESTS = 3
REVIEW_DAYS = 365


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one rule; an ``error`` fails the lint, a ``warning`` does not."""

    rule: str
    level: str
    problem: str


def lint(policy: Policy, *, today: datetime.date) -> list[Finding]:
    """Findings over every rule: languages without enough tests, rules that can never fire or never do in
    a language they claim, rules past their review date, severe rules that only caution, and the same
    test claimed twice.
    """
    findings: list[Finding] = []
    seen: dict[str, str] = {}
    for rule in policy.rules:
        for kind, texts in (("violating", rule.tests.violating), ("near_miss", rule.tests.near_miss)):
            for lang in rule.template:
                count = sum(language(text) == lang for text in texts)
                if count < MIN_TESTS:
                    findings.append(Finding(rule.id, "error", f"{count} {kind} tests in {lang}; {MIN_TESTS} are needed"))
            for text in texts:
                if text in seen:
                    findings.append(Finding(rule.id, "error", f"the test {text!r} stands in {seen[text]} too"))
                seen[text] = rule.id
        findings += [Finding(rule.id, "error", problem) for problem in _unreachable(rule)]
        for lang in {lang for pack in policy.packs for lang in pack.manifest.languages} - set(rule.template):
            findings.append(Finding(rule.id, "warning", f"no template in {lang}"))
        if (today - rule.reviewed).days > REVIEW_DAYS:
            findings.append(Finding(rule.id, "warning", f"last reviewed {rule.reviewed}, over {REVIEW_DAYS} days ago"))
        if rule.severity is Severity.CRITICAL and not rule.action.stops:
            findings.append(Finding(rule.id, "error", f"critical, yet its action is only {rule.action}"))
    return findings


def _unreachable(rule: Rule) -> Iterator[str]:
    """Why a rule, or one of its languages, can never fire."""
    if rule.exempt == rule.when:
        yield "can never fire: its exempt is its when"
    if any(_contradicts(condition) for condition in _all(rule.when)):
        yield "can never fire: a condition asks for what its none_of forbids"
    for lang in rule.template:
        if not _reads(rule.when, lang):
            yield f"can never fire in {lang}: nothing in its when is written in {lang}"


def _contradicts(condition: Condition) -> bool:
    own = condition.model_copy(update={"any_of": (), "all_of": (), "none_of": ()})
    return any(forbidden in (own, *condition.all_of) for forbidden in condition.none_of)


def _reads(condition: Condition, lang: Language) -> bool:
    """Whether a condition can hold in a text of a language: each part must be able to."""
    if any(words is not None and not words.get(lang) for words in (condition.phrase, condition.regex)):
        return False
    return all(_reads(child, lang) for child in condition.all_of) and (not condition.any_of or any(_reads(child, lang) for child in condition.any_of))


def _all(condition: Condition) -> Iterator[Condition]:
    yield condition
    for child in (*condition.any_of, *condition.all_of, *condition.none_of):
        yield from _all(child)
