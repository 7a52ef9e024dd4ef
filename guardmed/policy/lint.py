"""Finds what is wrong with a pack before it is used."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from guardmed.policy.match import Policy
from guardmed.policy.schema import Severity
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
    """Findings over every rule: languages without enough tests, rules past their review date,
    severe rules that only caution, and the same test claimed twice.
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
        for lang in {lang for pack in policy.packs for lang in pack.manifest.languages} - set(rule.template):
            findings.append(Finding(rule.id, "warning", f"no template in {lang}"))
        if (today - rule.reviewed).days > REVIEW_DAYS:
            findings.append(Finding(rule.id, "warning", f"last reviewed {rule.reviewed}, over {REVIEW_DAYS} days ago"))
        if rule.severity is Severity.CRITICAL and not rule.action.stops:
            findings.append(Finding(rule.id, "error", f"critical, yet its action is only {rule.action}"))
    return findings
