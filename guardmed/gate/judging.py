"""From evidence to results: the steps that a run and whoever verifies its report have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from guardmed.gate.cache import newest
from guardmed.gate.checks import CheckResult, judge_all
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Evidence
from guardmed.gate.waivers import Applied, Waivers, judge_waivers, quarantined, too_many


def judge_gate(
    config: GateConfig,
    evidence: Mapping[StageName, Evidence],
    waivers: Waivers,
    *,
    baseline: Mapping[StageName, Evidence] | None,
    today: date,
    known: date | None,
    fingerprint: str | None,
    failures: Mapping[StageName, str],
) -> tuple[list[CheckResult], tuple[Applied, ...]]:
    """Every check and every waiver, judged.

    Parameters
    ----------
    baseline : mapping or None
        The baseline's items, of :func:`compared`.
    today : date
        In UTC.
    known : date or None
        The newest day that is known to have come, of :func:`newest_day`.
    fingerprint : str or None
        Of the checkpoint.
    failures : mapping
        Why stages have no evidence.
    """
    without = {stage: quarantined(waivers, stage, today=today, now_known=known) for stage in evidence}
    results = judge_all(config, evidence, baseline, quarantined=without)
    results = [
        result.model_copy(update={"told": failures[result.stage]}) if result.verdict == "missing" and result.stage in failures else result for result in results
    ]
    results = [_hollow(result, without, evidence) for result in results]
    stages = {check.id: check.stage for check in config.checks}
    applied = judge_waivers(waivers, results, stages=stages, today=today, now_known=known, fingerprint=fingerprint)
    waived = {one.target: one for one in applied if one.kind == "waiver" and one.state == "applied"}
    return [_waived(result, waived.get(result.id)) for result in results] + [_blocking(one, stages) for one in applied if one.blocks], applied


def compared(baseline: Mapping[StageName, Evidence], config: GateConfig) -> dict[StageName, Evidence]:
    """The items of a baseline's evidence that regressions are measured on, without their texts."""
    wanted = {check.stage for check in config.checks if check.kind == "no_regression"}
    return {
        stage: found.model_copy(update={"items": tuple(item.model_copy(update={"shown": ""}) for item in found.items), "canaries": (), "detail": {}})
        for stage, found in baseline.items()
        if stage in wanted
    }


def newest_day(evidence: Mapping[StageName, Evidence], baseline: date | None) -> date | None:
    """The newest day that the evidence and the baseline prove to have come."""
    return max((day for day in (baseline, newest(list(evidence.values()))) if day is not None), default=None)


def _hollow(result: CheckResult, without: Mapping[StageName, frozenset[str]], evidence: Mapping[StageName, Evidence]) -> CheckResult:
    """A check whose suite has too much of it in quarantine."""
    found = evidence.get(result.stage)
    if found is None:
        return result
    count = sum(item.id in without[result.stage] for item in found.items)
    if not too_many(count, len(found.items)):
        return result
    return result.model_copy(
        update={"verdict": "fail", "told": f"{count} of {len(found.items)} items are in quarantine, too many for the rest to stand for the suite."}
    )


def _waived(result: CheckResult, applied: Applied | None) -> CheckResult:
    if applied is None:
        return result
    return result.model_copy(update={"verdict": "waived", "told": f"{result.told} Waived by {applied.owner} until {applied.expires}: {applied.reason}"})


def _blocking(applied: Applied, stages: Mapping[str, StageName]) -> CheckResult:
    """A waiver or quarantine that is out of order, as what it is: a check that failed."""
    stage = stages.get(applied.target) or next((one for one in stages.values() if applied.target.startswith(f"{one}/")), "artifact_scan")
    why = "Whatever is set aside has an owner, a reason, and a last day that has not passed."
    return CheckResult(id=f"{applied.kind} {applied.id}", stage=stage, kind="zero_tolerance", verdict="fail", critical=True, why=why, told=applied.told)
