"""From evidence to a verdict: what each check makes of it, and what the gate makes of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from guardmed.errors import EXIT_BLOCKED, EXIT_INCONCLUSIVE, EXIT_NOTHING_EVALUATED, EXIT_OK
from guardmed.gate.config import GOOD_EVENTS, Check, StageName
from guardmed.gate.evidence import Evidence
from guardmed.records import Frozen
from guardmed.stats import items_needed, mcnemar_exact, wilson

CheckVerdict = Literal["pass", "fail", "inconclusive", "missing", "skipped"]
GateVerdict = Literal["pass", "blocked", "inconclusive", "nothing_evaluated"]

EXIT_CODES: dict[GateVerdict, int] = {
    "pass": EXIT_OK,
    "blocked": EXIT_BLOCKED,
    "inconclusive": EXIT_INCONCLUSIVE,
    "nothing_evaluated": EXIT_NOTHING_EVALUATED,
}


class CheckResult(Frozen):
    """What one check says, in words."""

    id: str
    stage: StageName
    kind: str
    verdict: CheckVerdict
    critical: bool
    why: str
    told: str
    examples: tuple[str, ...] = ()


def judge(check: Check, evidence: Evidence | None, baseline: Evidence | None) -> CheckResult:
    """Apply one check; evidence that is missing never passes."""
    if evidence is None:
        return _result(check, "missing", "There is no evidence for this.")
    if evidence.total == 0:
        return _result(check, "missing", "Nothing was evaluated.")
    if check.kind == "no_regression":
        return _regression(check, evidence, baseline)
    if check.kind == "zero_tolerance":
        events = int(evidence.value)
        doubtful = evidence.detail.get("inconclusive", [])
        if events == 0 and doubtful:
            return _result(check, "inconclusive", f"0 found, but {len(doubtful)} of {evidence.total} are inconclusive. {doubtful[0]}.")
        return _result(check, "pass" if events == 0 else "fail", f"{events} found, none allowed ({evidence.total} looked at).", evidence)
    if check.kind == "budget":
        good = evidence.value <= check.limit
        reason = f" {evidence.detail['reason']}" if "reason" in evidence.detail else ""
        return _result(check, "pass" if good else "fail", f"{evidence.metric} {evidence.value:.3g}, at most {check.limit:g}.{reason}")
    return _rate(check, evidence)


def verdict(results: Sequence[CheckResult]) -> GateVerdict:
    """The gate's verdict: blocked by any failure or missing evidence, then by doubt where it matters."""
    told = [result for result in results if result.verdict != "skipped"]
    if not told or all(result.verdict == "missing" for result in told):
        return "nothing_evaluated"
    if any(result.verdict in ("fail", "missing") for result in told):
        return "blocked"
    return "inconclusive" if any(result.verdict == "inconclusive" and result.critical for result in told) else "pass"


def judge_all(checks: Sequence[Check], evidence: Mapping[str, Evidence], baseline: Mapping[str, Evidence]) -> list[CheckResult]:
    """Apply every check."""
    return [judge(check, evidence.get(check.stage), baseline.get(check.stage)) for check in checks]


def _rate(check: Check, evidence: Evidence) -> CheckResult:
    interval = wilson(evidence.events, evidence.total, confidence=check.confidence)
    told = (
        f"{evidence.events} of {evidence.total} ({evidence.value:.0%}; {check.confidence:.0%} interval {interval.low:.0%} to {interval.high:.0%}), "
        f"{'at most' if check.kind == 'max_rate' else 'at least'} {check.limit:.0%}."
    )
    if check.kind == "max_rate":
        outcome: CheckVerdict = "pass" if interval.high <= check.limit else "fail" if interval.low > check.limit else "inconclusive"
    else:
        outcome = "pass" if interval.low >= check.limit else "fail" if interval.high < check.limit else "inconclusive"
    if outcome == "inconclusive":
        told += f" About {items_needed(interval.low, interval.high, check.limit, evidence.total)} items would settle it."
    return _result(check, outcome, told, evidence if check.kind == "max_rate" else None)


def _regression(check: Check, evidence: Evidence, baseline: Evidence | None) -> CheckResult:
    if baseline is None:
        return _result(check, "skipped", "No baseline was given.")
    if baseline.digest != evidence.digest:
        return _result(check, "missing", "The baseline was asked other items; run it again with this configuration.")
    before = {item.id: item.outcome for item in baseline.items}
    now = {item.id: item.outcome for item in evidence.items}
    if set(before) != set(now) or not now:
        return _result(check, "missing", "The baseline holds other items; run it again with this configuration.")
    more = sum(now[item] > before[item] for item in now)
    fewer = sum(now[item] < before[item] for item in now)
    worse, better = (fewer, more) if check.stage in GOOD_EVENTS else (more, fewer)
    change = (worse - better) / len(now)
    p = mcnemar_exact(worse, better)
    regressed = change > check.margin and p < 1 - check.confidence
    told = f"{worse} items worse, {better} better of {len(now)} (change {change:+.1%}, p={p:.3g}); more than {check.margin:+.1%} blocks."
    return _result(check, "fail" if regressed else "pass", told)


def _result(check: Check, outcome: CheckVerdict, told: str, evidence: Evidence | None = None) -> CheckResult:
    examples = [item.shown for item in evidence.items if item.outcome and item.shown][:3] if evidence is not None and outcome != "pass" else []
    return CheckResult(
        id=check.id, stage=check.stage, kind=check.kind, verdict=outcome, critical=check.critical, why=check.why, told=told, examples=tuple(examples)
    )
