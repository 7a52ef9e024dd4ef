"""A report read again: as far as it can be read, and held against itself."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from guardmed.errors import GuardMedError
from guardmed.files import digest_value
from guardmed.gate.checks import CheckResult, verdict
from guardmed.gate.config import METRICS, PROMPTED, StageName, bank_kind
from guardmed.gate.evidence import Evidence
from guardmed.gate.judging import judge_gate, newest_day
from guardmed.gate.report import GateReport, load_report
from guardmed.gate.waivers import Applied, Waivers
from guardmed.records import describe

# Stages whose value counts items, and those whose value is a figure without items.
_COUNTS: Final = frozenset({"artifact_scan", "policy_tests", "audit"})
_FIGURES: Final = frozenset({"calibration", "latency"})
# What other code may word or compute in another way.
_EXACT: Final = frozenset({"told", "items", "examples", "low", "high"})
# The clocks of two machines may differ by so much without anybody's doing.
_SKEW: Final = timedelta(minutes=5)
_ONLY_FOR: Final = re.compile(r"is only for the checkpoint ([0-9a-f]{12}),")


def read_parts(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Every field of a report that can be read, and all that is wrong with the file, in words.

    Raises
    ------
    OSError, ValueError, RecursionError
        It can't be read, or is no JSON at all.
    """
    told: list[str] = []
    odd: list[str] = []

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Readers don't agree on which of two fields of one name counts.
        if len(found := dict(pairs)) < len(pairs):
            odd.append(f"the field {Counter(name for name, _ in pairs).most_common(1)[0][0]} stands twice")
        return found

    def number(text: str) -> float:
        odd.append(f"{text} is no number")
        return float(text)

    try:
        load_report(path)
    except GuardMedError as error:
        told.append(error.problem)
    try:
        raw = json.loads(path.read_bytes().decode(), object_pairs_hook=fields, parse_constant=number)
    except (OSError, ValueError, RecursionError):
        if told:
            return {}, told
        raise
    parts: dict[str, Any] = {}
    if isinstance(raw, dict) and (raw.get("schema_version"), raw.get("kind")) == (2, "gate"):
        for name, field in GateReport.model_fields.items():
            try:
                kind: Any = field.annotation
                parts[name] = TypeAdapter(kind).validate_python(raw[name])
            except KeyError:
                odd.append(f"it lacks {name}")
            except ValidationError as error:
                odd.append(f"{name}: {describe(error)}")
        if not told and not odd and digest_value({name: value for name, value in raw.items() if name != "seal"}) != raw["seal"]:
            odd.append("a value is written in another way than the gate's, such as 1.0 for 1")
    return parts, told + [f"{path} is not as a gate writes it: {one}." for one in odd]


def evidence_faults(report: GateReport) -> Iterator[str]:
    """What evidence says of itself that the report, its items or the configuration deny."""
    for stage, found in report.evidence.items():
        for told in (*_origin(stage, found, report), *_counts(stage, found, report), *_details(stage, found, report), *_asked(stage, found, report)):
            yield f"{stage}: {told}."


def _origin(stage: StageName, found: Evidence, report: GateReport) -> Iterator[str]:
    about = found.about
    named = {"seed": str(report.config.suites.seed), "files": digest_value(report.manifest), "policies": report.policy_digest}
    if (found.stage, found.metric) != (stage, METRICS[stage]):
        yield f"it holds {found.metric} of the stage {found.stage}, not {METRICS[stage]}"
    if stage not in report.config.stages():
        yield "no check of the configuration needs it"
    if about.get("fingerprint") != (report.fingerprint or ""):
        yield f"it is about the checkpoint {about.get('fingerprint', '')[:16] or 'without a name'}, not the one that the report names"
    for name, value in named.items():
        if about.get(name, value) != value:
            yield f"it was gathered with the {name} {about[name][:16]}, but the report names {value[:16]}"
    if not about.get("sources"):
        yield "it does not say which code gathered it"


def _counts(stage: StageName, found: Evidence, report: GateReport) -> Iterator[str]:
    count = len(found.items)
    if stage in _FIGURES:
        after = found.detail.get("after")
        value = found.value
        if stage == "calibration":
            value = 1.0 if "reason" in found.detail else after.get("ece15", math.nan) if isinstance(after, dict) else math.nan
        if count or not found.value >= 0 or found.value != value:
            yield f"{found.metric} is {found.value:.6g}, which is not what it is said to follow from"
        return
    total = max(len(report.manifest), count) if stage == "artifact_scan" else count
    if found.total != total:
        yield f"{found.total} items are counted, but {total} are there"
    value = float(found.events) if stage in _COUNTS else found.events / count if count else 0.0
    if found.value != value:
        yield f"{found.metric} is {found.value:.6g}, but its items give {value:.6g}"


def _details(stage: StageName, found: Evidence, report: GateReport) -> Iterator[str]:
    """What the judging reads beside the items."""
    doubtful = [f"{item.id}: {item.shown}" for item in found.items if stage == "audit" and item.shown.startswith("inconclusive")]
    if found.detail.get("inconclusive", []) != doubtful:
        yield "the items told as inconclusive are not those that are"
    if "quarantined" in found.detail or ("reason" in found.detail and stage != "calibration"):
        yield "it holds details that no gate writes"
    if stage == "artifact_scan" and (found.detail.get("manifest") != report.manifest or found.events < len(found.items)):
        yield "the files that it tells of are not those of the report"


def _asked(stage: StageName, found: Evidence, report: GateReport) -> Iterator[str]:
    suites, again = report.config.suites, found.canaries
    if stage not in PROMPTED:
        if found.planned != found.total or again:
            yield f"{found.planned} items are said to be planned and {len(again)} asked again, of {found.total}"
        return
    most = getattr(suites, bank_kind(stage))
    if not found.total <= found.planned <= most:
        yield f"{found.total} of {found.planned} items are said to be asked, but the configuration has at most {most}"
    # In the order of the items, without those that can't be said in other words.
    order = {(item.id, item.cluster): place for place, item in enumerate(found.items)}
    places = [order.get((item.id, item.cluster), -1) for item in again]
    if len(again) > suites.canaries or -1 in places or places != sorted(set(places)):
        yield "what was asked again in other words is not what the configuration says"


def result_faults(report: GateReport, *, exact: bool) -> Iterator[str]:
    """Results, waivers and a verdict that don't follow from the evidence, the configuration and the baseline.

    Parameters
    ----------
    exact : bool
        Whether words and bounds must be the same too: only the same code gives the same.
    """
    before = report.baseline
    try:
        waivers = _written(report.waivers)
    except ValidationError as error:
        yield f"No file of waivers can have given those of the report: {describe(error)}."
        return
    failed = set(report.config.stages()) - set(report.evidence)
    try:
        results, applied = judge_gate(
            report.config,
            report.evidence,
            waivers,
            baseline=before.evidence if before is not None else None,
            today=_day(report.created),
            known=newest_day(report.evidence, _day(before.created) if before is not None else None),
            fingerprint=report.fingerprint,
            # Why a stage broke off stands nowhere but in its results.
            failures={one.stage: one.told for one in reversed(report.checks) if one.verdict == "missing" and one.stage in failed},
        )
    except Exception as error:  # noqa: BLE001 - a report may hold anything
        yield f"It can't be judged: {type(error).__name__}, {error}."
        return
    yield from _results(report.checks, results, exact=exact)
    yield from _applied(report.waivers, applied, exact=exact)
    if (reached := verdict(results)) != report.verdict:
        yield f"The report's verdict is {report.verdict.replace('_', ' ')}; by its evidence it is {reached.replace('_', ' ')}."


def _results(then: Sequence[CheckResult], now: Sequence[CheckResult], *, exact: bool) -> Iterator[str]:
    said, found = {one.id: one for one in then}, {one.id: one for one in now}
    for name in {**said, **found}:
        if name not in found:
            yield f"The check {name} is none of this gate's."
        elif name not in said:
            yield f"The check {name} is left out; by its evidence it is {found[name].verdict}: {found[name].told}"
        elif said[name].verdict != found[name].verdict:
            yield f"The check {name} is {said[name].verdict} in the report; by its evidence it is {found[name].verdict}: {found[name].told}"
        elif wrong := [field for field in CheckResult.model_fields if not _alike(said[name], found[name], field, exact=exact)]:
            yield f"The check {name} does not follow from its evidence in {', '.join(wrong)}. Its evidence says: {found[name].told}"
    if said.keys() == found.keys() and [one.id for one in then] != [one.id for one in now]:
        yield "The checks stand in another order than the gate's, or one stands twice."


def _alike(one: CheckResult, other: CheckResult, field: str, *, exact: bool) -> bool:
    first, second = getattr(one, field), getattr(other, field)
    if field in _EXACT and not exact:
        return True
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)  # another machine may round the last digit
    return bool(first == second)


def _applied(then: Sequence[Applied], now: Sequence[Applied], *, exact: bool) -> Iterator[str]:
    found = {(one.kind, one.id): one for one in now}
    for one in then:
        other = found.get((one.kind, one.id))
        if other is None:
            yield f"The {one.kind} {one.id} is not called after what it is for, {one.target}."
        elif one.state != other.state or (exact and one != other):
            yield f"The {one.kind} {one.id} is told as {one.state}: {one.told} By its days and what it is for it is {other.state}: {other.told}"


def _written(applied: Sequence[Applied]) -> Waivers:
    """The file of waivers that these came from."""
    waivers, quarantine = [], []
    for one in applied:
        shared = one.model_dump(include={"owner", "reason", "granted", "expires"})
        if one.kind == "waiver":
            # The one checkpoint that it is for is told only where it is another, and then by its first letters.
            other = _ONLY_FOR.search(one.told) if one.state == "other checkpoint" else None
            waivers.append(shared | {"id": one.id, "check": one.target, "fingerprint": other[1].ljust(64, "0") if other else None})
        else:
            stage, _, item = one.target.partition("/")
            quarantine.append(shared | {"stage": stage, "item": item})
    return Waivers.model_validate({"schema_version": 1, "waivers": waivers, "quarantine": quarantine})


def date_faults(report: GateReport, *, now: datetime) -> Iterator[str]:
    """Dates that can't be read, or that say that a clock is wrong."""
    before = report.baseline
    stamps = {"The report": report.created, **{f"The evidence of {stage}": found.measured for stage, found in report.evidence.items()}}
    if before is not None:
        stamps["The baseline"] = before.created
    made = _time(report.created)
    for name, text in stamps.items():
        when = _time(text)
        if when is None:
            yield f"{name} bears no date, but {text!r}."
        elif when > now + _SKEW:
            yield f"{name} is dated {text}, in the future: the clock here says {now.isoformat(timespec='seconds')}."
        elif made is not None and when > made + _SKEW:
            yield f"{name} is dated {text}, after the report itself ({report.created}): the gate's clock was behind."


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])
