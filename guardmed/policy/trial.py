"""Runs a pack's own tests: every rule must catch its violating texts and leave its near misses."""

from __future__ import annotations

from dataclasses import dataclass

from guardmed.policy.match import Policy
from guardmed.policy.schema import Rule, Stage
from guardmed.text import language


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One test of one rule."""

    rule: str
    kind: str
    text: str
    language: str
    passed: bool


def run_trials(policy: Policy) -> list[TrialResult]:
    """Run the tests of every rule.

    A violating text must trigger its own rule; a near miss must not trigger it, and must not be
    stopped by any other rule of the policy either.
    """
    return [result for rule in policy.rules for result in _trial(policy, rule)]


def _trial(policy: Policy, rule: Rule) -> list[TrialResult]:
    stage = Stage.INPUT if rule.stage is Stage.BOTH else rule.stage
    results = []
    for text in rule.tests.violating:
        caught = any(hit.id == rule.id for hit in policy.check(text, stage=stage).hits)
        results.append(TrialResult(rule.id, "violating", text, language(text), caught))
    for text in rule.tests.near_miss:
        verdict = policy.check(text, stage=stage)
        left_alone = all(hit.id != rule.id for hit in verdict.hits) and not verdict.decision.stops
        results.append(TrialResult(rule.id, "near_miss", text, language(text), left_alone))
    return results
