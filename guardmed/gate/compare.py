"""Two gate reports side by side: verdicts, the same items paired, and what else was not the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from guardmed.gate.checks import CheckResult, CheckVerdict, GateVerdict
from guardmed.gate.config import GOOD_EVENTS, METRICS, PROMPTED, StageName
from guardmed.gate.differences import KINDS, Difference, Kind, differences_of
from guardmed.gate.emit.words import plain
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.explain import quarantined, said, turned_items
from guardmed.gate.report import GateReport
from guardmed.records import Frozen
from guardmed.stats import holm, mcnemar_exact, paired_difference

Turn = Literal["worse", "better", "other", "same"]
# A p under this is beyond chance.
ALPHA = 0.05
CONFIDENCE = 0.95

# Stages whose figure is a rate over items that each checkpoint is asked.
RATES: tuple[StageName, ...] = tuple(stage for stage in METRICS if stage in PROMPTED | GOOD_EVENTS)
# A check that is set aside or skipped says neither more nor less than one that fails.
_RANK: Mapping[CheckVerdict, int] = MappingProxyType({"fail": 0, "missing": 0, "inconclusive": 1, "pass": 2})
_ORDER: tuple[Turn, ...] = ("worse", "better", "other", "same")
SAID: Mapping[GateVerdict, str] = MappingProxyType(
    {"pass": "passes", "blocked": "is blocked", "inconclusive": "is inconclusive", "nothing_evaluated": "was not evaluated"}
)
# Where these differ, the two were not held to the same.
_JUDGED: tuple[Kind, ...] = ("configuration", "policy", "waiver", "baseline")


class Side(Frozen):
    """One of the two reports.

    Attributes
    ----------
    source : str
        Where it was read from.
    """

    source: str
    checkpoint: str
    fingerprint: str | None
    configuration: str
    verdict: GateVerdict
    created: str
    seal: str


class CheckPair(Frozen):
    """A check in both reports; a verdict is None where a report does not have it.

    Attributes
    ----------
    turned : str
        ``worse`` or ``better`` in the second report; ``other`` where that can't be said, as of a check that was skipped.
    """

    id: str
    before: CheckVerdict | None
    after: CheckVerdict | None
    told_before: str
    told_after: str
    turned: Turn

    @property
    def word(self) -> str:
        """The verdict, or both."""
        return f"{self.before or 'none'} → {self.after or 'none'}" if self.before != self.after else str(self.after)


class RatePair(Frozen):
    """A rate on the items that both reports have.

    Attributes
    ----------
    before, after : float
        The stage's metric.
    worse, better : int
        Items that came out badly only in the second report, and only in the first.
    change : float
        ``(worse - better) / total``: positive is worse, whatever the metric.
    low, high : float
        Tango's interval of the change.
    p, p_adjusted : float
        Two-sided, of McNemar's exact test, and after Holm's adjustment over all stages.
    early : bool
        Whether a report stopped asking where its rate was settled; what was seen then decided how many items there are, and p is no test.
    """

    stage: StageName
    metric: str
    total: int
    before: float
    after: float
    worse: int
    better: int
    change: float
    low: float
    high: float
    p: float
    p_adjusted: float
    early: bool

    @property
    def turned(self) -> Turn:
        """What it shows beyond chance."""
        if self.p_adjusted >= ALPHA:
            return "same"
        return "worse" if self.change > 0 else "better"


class ItemPair(Frozen):
    """An item that came out otherwise in the second report."""

    stage: StageName
    id: str
    turned: Literal["worse", "better"]
    before: str
    after: str


class GateComparison(Frozen):
    """Two gate reports and how they differ; ``closing`` is a sentence to quote."""

    schema_version: Literal[1] = 1
    kind: Literal["gate_comparison"] = "gate_comparison"
    before: Side
    after: Side
    checks: tuple[CheckPair, ...]
    rates: tuple[RatePair, ...]
    items: tuple[ItemPair, ...]
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]
    closing: str


def compare(before: GateReport, after: GateReport, *, names: tuple[str, str]) -> GateComparison:
    """Set two reports side by side; whatever both asked is paired by item.

    A change of a rate is held against chance by McNemar's exact test, two-sided, adjusted by Holm
    over the stages, and has Tango's score interval (Statist. Med. 1998). Both take items as
    independent. Items in quarantine in either report are left out.

    Parameters
    ----------
    before, after : GateReport
        Called A and B.
    names : pair of str
        Where they were read from.
    """
    sides = tuple(_side(report, name) for report, name in zip((before, after), names, strict=True))
    rates = _rates(before, after)
    checks = tuple(sorted(_checks(before, after), key=lambda pair: _ORDER.index(pair.turned)))
    differences = tuple(differences_of(before, after))
    return GateComparison(
        before=sides[0],
        after=sides[1],
        checks=checks,
        rates=rates,
        items=tuple(_items(before, after)),
        notes=tuple(map(plain, _notes(before, after))),
        differences=differences,
        closing=plain(_closing(sides[0], sides[1], checks, rates, differences)),
    )


def _side(report: GateReport, source: str) -> Side:
    return Side(
        source=plain(source),
        checkpoint=plain(report.checkpoint),
        fingerprint=report.fingerprint,
        configuration=plain(report.name),
        verdict=report.verdict,
        created=report.created,
        seal=report.seal,
    )


def _checks(before: GateReport, after: GateReport) -> Iterator[CheckPair]:
    ours, theirs = ({result.id: result for result in report.checks} for report in (before, after))
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        told = [plain(result.told) if result is not None else "There is no such check." for result in (one, other)]
        verdicts = [result.verdict if result is not None else None for result in (one, other)]
        yield CheckPair(id=plain(name), before=verdicts[0], after=verdicts[1], told_before=told[0], told_after=told[1], turned=_turn(one, other))


def _turn(one: CheckResult | None, other: CheckResult | None) -> Turn:
    if one is None or other is None:
        return "other"
    if one.verdict == other.verdict:
        return "same"
    # What is waived did not hold.
    ends = {one.verdict, other.verdict}
    if ends == {"pass", "waived"}:
        return "worse" if one.verdict == "pass" else "better"
    first, then = _RANK.get(one.verdict), _RANK.get(other.verdict)
    if first is None or then is None or first == then:
        return "other"
    return "worse" if then < first else "better"


def _common(before: GateReport, after: GateReport) -> Iterator[tuple[StageName, Evidence, Evidence, frozenset[str]]]:
    """Stages that were asked the same, with the items that either report left out."""
    for stage in METRICS:
        one, other = before.evidence.get(stage), after.evidence.get(stage)
        if one is not None and other is not None and one.digest == other.digest:
            yield stage, one, other, quarantined(before, stage) | quarantined(after, stage)


def _rates(before: GateReport, after: GateReport) -> tuple[RatePair, ...]:
    found: list[RatePair] = []
    for stage, one, other, without in _common(before, after):
        theirs = {item.id: item.outcome for item in other.items}
        both = [(item.outcome, theirs[item.id]) for item in one.items if item.id in theirs and item.id not in without]
        if stage not in RATES or not both:
            continue
        turned = [turn for turn, _, _ in turned_items(one, other, without)]
        worse, better, total = turned.count("worse"), turned.count("better"), len(both)
        interval, p = paired_difference(worse, better, total, confidence=CONFIDENCE), mcnemar_exact(worse, better)
        found.append(
            RatePair(
                stage=stage,
                metric=one.metric,
                total=total,
                before=sum(first for first, _ in both) / total,
                after=sum(then for _, then in both) / total,
                worse=worse,
                better=better,
                change=(worse - better) / total,
                low=interval.low,
                high=interval.high,
                p=p,
                p_adjusted=p,
                early=any(0 < side.total < side.planned for side in (one, other)),
            )
        )
    return tuple(pair.model_copy(update={"p_adjusted": p}) for pair, p in zip(found, holm([pair.p for pair in found]), strict=True))


def _items(before: GateReport, after: GateReport) -> Iterator[ItemPair]:
    for stage, one, other, without in _common(before, after):
        if stage == "artifact_scan":
            yield from _findings(one, other)
            continue
        for turned, then, now in turned_items(one, other, without):
            yield ItemPair(stage=stage, id=plain(now.id), turned="worse" if turned == "worse" else "better", before=_told(stage, then), after=_told(stage, now))


def _findings(one: Evidence, other: Evidence) -> Iterator[ItemPair]:
    """Findings of a scan have no outcome: they are there or not."""
    first, then = ({(item.id, item.shown): item for item in side.items} for side in (one, other))
    for key, item in then.items():
        if key not in first:
            yield ItemPair(stage="artifact_scan", id=plain(item.id), turned="worse", before="", after=plain(item.shown))
    for key, item in first.items():
        if key not in then:
            yield ItemPair(stage="artifact_scan", id=plain(item.id), turned="better", before=plain(item.shown), after="")


def _told(stage: StageName, item: ItemOutcome) -> str:
    return plain(item.shown) or said(stage, item.outcome)


def _notes(before: GateReport, after: GateReport) -> Iterator[str]:
    """What could not be paired, and what to bear in mind of what was."""
    for stage in METRICS:
        one, other = before.evidence.get(stage), after.evidence.get(stage)
        name = name_of(stage)
        if one is None and other is None:
            continue
        if one is None or other is None:
            yield f"{name}: only {'A' if other is None else 'B'} has evidence."
        elif one.digest != other.digest:
            yield f"{name}: they asked different items, so nothing is paired and the figures are not of the same thing."
        elif stage in RATES and any(0 < side.total < side.planned for side in (one, other)):
            yield (
                f"{name}: A asked {one.total} and B {other.total} of {one.planned} items; those that both asked are paired. Asking stops where a rate is "
                "settled, so what was seen decided how many there are: its p, marked with *, describes and does not test."
            )
        out = quarantined(before, stage) | quarantined(after, stage)
        if one is not None and other is not None and out:
            yield f"{name}: left out, as in quarantine in one of them: {', '.join(sorted(out))}."


def _closing(before: Side, after: Side, checks: Sequence[CheckPair], rates: Sequence[RatePair], differences: Sequence[Difference]) -> str:
    """What a release manager can say of both."""
    one, other = f"{before.checkpoint} (A)", f"{after.checkpoint} (B)"
    verb = SAID[after.verdict]
    if before.verdict == after.verdict:
        first, _, rest = verb.partition(" ")
        verb = f"{first} also {rest}" if rest else f"also {verb}"
    parts = [f"Against {one}, which {SAID[before.verdict]}, {other} {verb}", _turned(checks), _measured(rates), _alike(differences)]
    return "; ".join(parts) + "."


def _turned(checks: Sequence[CheckPair]) -> str:
    hows: Mapping[Turn, str] = {"worse": "turned for the worse", "better": "turned for the better", "other": "turned neither way"}
    told = []
    for turn, how in hows.items():
        names = [f"{pair.id}: {pair.word}" for pair in checks if pair.turned == turn]
        if names:
            told.append(f"{len(names)} of {len(checks)} checks {how} ({', '.join(names)})")
    return listed(told) if told else "no check turned"


def _measured(rates: Sequence[RatePair]) -> str:
    if not rates:
        return "no rate was measured on the same items"
    told = []
    for pair in rates:
        if pair.turned != "same":
            # Where asking stopped early, p is no test.
            says, but = (f"looks {pair.turned}", ", no test as asking stopped early") if pair.early else (f"is {pair.turned} beyond chance", "")
            told.append(f"{name_of(pair.stage)} {says} ({pair.worse} items worse, {pair.better} better of {pair.total}, p{equal(pair.p_adjusted)}{but})")
    others = [name_of(pair.stage) for pair in rates if pair.turned == "same"]
    if others:
        told.append(f"no change beyond chance was found in {listed(others)}")
    return "on the same items " + " and ".join(told)


def _alike(differences: Sequence[Difference]) -> str:
    kinds = {one.kind for one in differences}
    judged, versions = [KINDS[kind] for kind in _JUDGED if kind in kinds], "version" in kinds
    if judged:
        names = [*judged, *([KINDS["version"]] if versions else [])]
        return f"they were not held to the same: {listed(names)} {'differs' if names == [KINDS['configuration']] else 'differ'}"
    return "configuration and policies are the same, versions differ" if versions else "configuration, policies and versions are the same"


def name_of(stage: StageName) -> str:
    """What a stage measures, or is."""
    return stage.replace("_", " ") if stage not in RATES else "over-refusal" if stage == "over_refusal" else METRICS[stage].replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def equal(p: float) -> str:
    """What stands behind a p: an equals sign and its value, or that it is very small."""
    return "<0.0001" if p < 0.0001 else f"={p:.2g}"
