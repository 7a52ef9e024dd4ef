"""From answers to verdicts: paired gaps between groups, with intervals, tests and equivalence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from guardmed.audit.definition import CROSS
from guardmed.audit.gaps import RESAMPLES, by_language, compared, omnibus, shared
from guardmed.audit.results import Analysis, AxisVerdict, GroupResult, OutcomeResult, PairResult, Role, Slice, Test
from guardmed.audit.slices import expected_differences, group_calibration, intersection, with_overconfidence
from guardmed.audit.table import Observation, Table, table
from guardmed.stats import Interval, benjamini_hochberg, bootstrap_columns, holm, smallest_gap, wilson

MIN_GROUP = 30
MIN_CLUSTERS = 15


@dataclass(frozen=True)
class Settings:
    """How verdicts are reached.

    Attributes
    ----------
    margin : float
        Gap below which groups count as equivalent.
    alpha : float
        Family-wise error within an axis.
    references : dict of str to str
        For each axis the group that is named second in a pair.
    margins : mapping of str to float
        Margins of single outcomes, in their own units.
    roles : mapping of str to {"primary", "secondary"}
        A secondary outcome may fail an audit but is not needed to pass it; primary when not named.
    floors : mapping of str to float
        Outcomes of which every group's mean must reach so much for anything on the axis to pass.
    """

    margin: float = 0.05
    alpha: float = 0.05
    references: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    margins: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    floors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    seed: int = 0

    def margin_of(self, outcome: str) -> float:
        """The margin of one outcome."""
        return self.margins.get(outcome, self.margin)


@dataclass(frozen=True)
class _Gap:
    """One pair of groups on one outcome, before adjustment."""

    a: str
    b: str
    gap: float
    interval: Interval
    p: float
    flip_rate: float
    n: int
    clusters: int
    by_language: dict[str, Slice]
    differs: bool
    p_adjusted: float = 1.0

    @property
    def enough(self) -> bool:
        """Whether there are pairs and clusters enough for any verdict."""
        return self.n >= MIN_GROUP and self.clusters >= MIN_CLUSTERS


@dataclass(frozen=True)
class _Studied:
    """One outcome on one axis, before adjustment; strangers are pairs of groups without a common item."""

    axis: str
    outcome: str
    table: Table
    gaps: tuple[_Gap, ...]
    strangers: tuple[str, ...] = ()
    test: Test | None = None


def analyse(observations: Sequence[Observation], settings: Settings) -> Analysis:
    """Results by axis and outcome, and what is described beside them.

    For each outcome the items of two groups are paired, and each pair of groups gets the test and the
    interval that its scale and its clusters ask for (see :func:`guardmed.audit.gaps.compared`).
    Holm's adjustment covers every gap of an axis; Benjamini and Hochberg's the axes.

    ``fail`` needs an adjusted p under alpha, its axis' q under alpha, *and* a gap beyond the margin;
    ``pass`` needs every interval inside the margin; all else is ``inconclusive``, with the items it
    would take. Under 30 pairs, or 15 clusters of them, nothing is judged.

    Rows of an axis named ``one×other`` are cells of an intersection (groups named the same way):
    described with shrinkage, never judged.
    """
    observations = with_overconfidence(observations)
    by_axis: dict[str, list[Observation]] = {}
    for row in observations:
        by_axis.setdefault(row.axis, []).append(row)
    single = {axis: rows for axis, rows in by_axis.items() if CROSS not in axis}
    studied = {axis: [_study(axis, name, rows, settings) for name in _outcomes(rows)] for axis, rows in single.items()}
    studied = {axis: _adjusted(found) for axis, found in studied.items()}
    least = {axis: min((gap.p_adjusted for one in found for gap in one.gaps), default=1.0) for axis, found in studied.items()}
    q = dict(zip(least, benjamini_hochberg(list(least.values())), strict=True))
    floors = _noise_floors([one for found in studied.values() for one in found])
    axes = {}
    for axis, found in studied.items():
        tests = sum(len(each.gaps) for each in found) * len(studied)
        results = {one.outcome: _result(one, settings, q=q[axis], floor=floors.get(one.outcome), tests=tests) for one in found}
        axes[axis] = _held_to_floors(results, settings.floors)
    crossed = [
        intersection(rows, axis, name, seed=settings.seed, least=MIN_GROUP)
        for axis, rows in by_axis.items()
        if CROSS in axis
        for name in _outcomes(rows)
        if settings.roles.get(name, "primary") == "primary"
    ]
    return Analysis(
        axes=axes,
        intersections=tuple(found for found in crossed if found is not None),
        expected=expected_differences(observations, roles=settings.roles),
        calibration=group_calibration(observations, least=MIN_GROUP),
    )


def _outcomes(rows: Sequence[Observation]) -> list[str]:
    return list(dict.fromkeys(name for row in rows if not row.expected for name in row.outcomes))


def _study(axis: str, outcome: str, rows: Sequence[Observation], settings: Settings) -> _Studied:
    margin = settings.margin_of(outcome)
    judged = table([row for row in rows if not row.expected], outcome, reference=settings.references.get(axis), margin=margin)
    every = list(itertools.combinations(range(len(judged.groups)), 2))
    pairs = [(a, b) for a, b in every if shared(judged, a, b).any()]
    strangers = tuple(f"{judged.groups[a]} and {judged.groups[b]}" for a, b in every if (a, b) not in pairs)
    if not pairs:
        return _Studied(axis, outcome, judged, (), strangers)
    found = compared(judged, pairs, margin, settings.seed)
    columns = found.columns
    testable = judged.scale != "nominal" or judged.self_flips[1] > 0
    gaps = tuple(
        _Gap(
            a=judged.groups[a],
            b=judged.groups[b],
            gap=float(np.nanmean(columns[:, place])),
            interval=found.intervals[place],
            p=found.p_values[place],
            flip_rate=float(judged.flips(a, b, margin).mean()),
            n=int(np.sum(~np.isnan(columns[:, place]))),
            clusters=len(np.unique(judged.clusters[~np.isnan(columns[:, place])])),
            by_language=by_language(judged, columns[:, place]),
            differs=testable and bool(np.nanmax(np.abs(columns[:, place])) > 0),
        )
        for place, (a, b) in enumerate(pairs)
    )
    return _Studied(axis, outcome, judged, gaps, strangers, found.test)


def _adjusted(found: Sequence[_Studied]) -> list[_Studied]:
    """Holm's adjustment over every gap of one axis that could have been found.

    Where no item differs no test can reject, nor where answers without an order have no repeats, so
    such gaps don't count (Tarone, Biometrics 1990).
    """
    adjusted = iter(holm([gap.p for one in found for gap in one.gaps if gap.differs]))
    return [replace(one, gaps=tuple(replace(gap, p_adjusted=next(adjusted) if gap.differs else 1.0) for gap in one.gaps)) for one in found]


def _noise_floors(studied: Sequence[_Studied]) -> dict[str, float]:
    """For each outcome the share of repeats that differ, over all axes together."""
    counted: dict[str, tuple[int, int]] = {}
    for one in studied:
        flips, total = counted.get(one.outcome, (0, 0))
        counted[one.outcome] = flips + one.table.self_flips[0], total + one.table.self_flips[1]
    return {outcome: flips / total for outcome, (flips, total) in counted.items() if total}


def _result(one: _Studied, settings: Settings, *, q: float, floor: float | None, tests: int) -> OutcomeResult:
    margin = settings.margin_of(one.outcome)
    verdict, reason, needed = _verdict(one, margin, settings.alpha, q)
    return OutcomeResult(
        groups=_groups(one.table, settings.seed),
        pairs=tuple(
            PairResult(
                a=gap.a,
                b=gap.b,
                gap=gap.gap,
                ci=(gap.interval.low, gap.interval.high),
                p=gap.p,
                p_adjusted=gap.p_adjusted,
                flip_rate=gap.flip_rate,
                self_flip_rate=floor,
                n_pairs=gap.n,
                clusters=gap.clusters,
                verdict=_shows(gap, margin, settings.alpha, q),
                by_language=gap.by_language,
            )
            for gap in one.gaps
        ),
        verdict=verdict,
        reason=reason,
        detectable_gap=_detectable(one, margin, settings.alpha / max(1, tests)),
        items_needed=needed,
        role=settings.roles.get(one.outcome, "primary"),
        scale=one.table.scale,
        margin=margin,
        axis_q=q,
        omnibus=omnibus(one.table, settings.seed, least=MIN_GROUP),
        test=one.test,
    )


def _shows(gap: _Gap, margin: float, alpha: float, q: float) -> AxisVerdict:
    """What one pair of groups shows."""
    if gap.enough and gap.p_adjusted < alpha and q < alpha and abs(gap.gap) > margin:
        return "fail"
    return "pass" if gap.enough and gap.interval.inside(margin) else "inconclusive"


def _verdict(one: _Studied, margin: float, alpha: float, q: float) -> tuple[AxisVerdict, str, int | None]:
    gaps = one.gaps
    if not gaps:
        return "inconclusive", "no item was asked for two groups", None
    shown = [_shows(gap, margin, alpha, q) for gap in gaps]
    proven = [gap for gap, verdict in zip(gaps, shown, strict=True) if verdict == "fail"]
    worst = max(proven or gaps, key=lambda gap: abs(gap.gap))
    told = f"{worst.a} against {worst.b}: {worst.gap:+.3f} (95 % {worst.interval.low:+.3f} to {worst.interval.high:+.3f}, n={worst.n})"
    if proven:
        return "fail", told, None
    if one.table.scale == "nominal" and not one.table.self_flips[1] and set(shown) != {"pass"}:
        return "inconclusive", f"{told}; without repeats of the same prompt, flips can't be told from noise", None
    if one.strangers:
        return "inconclusive", f"{one.strangers[0]} have no item in common", None
    small = min(gaps, key=lambda gap: (gap.enough, gap.n))
    if small.n < MIN_GROUP:
        return "inconclusive", f"only {small.n} pairs; at least {MIN_GROUP} are needed", MIN_GROUP
    if not small.enough:
        needed = math.ceil(small.n * MIN_CLUSTERS / small.clusters)
        return "inconclusive", f"only {small.clusters} clusters of pairs; at least {MIN_CLUSTERS} are needed", needed
    if set(shown) == {"pass"}:
        return "pass", f"every gap is surely within ±{margin:g}; largest {told}", None
    return "inconclusive", told, max(_items_for(gap, margin) for gap in gaps)


def _held_to_floors(results: dict[str, OutcomeResult], floors: Mapping[str, float]) -> dict[str, OutcomeResult]:
    """Nothing passes on an axis where a group hardly gives any of the answers that were compared."""
    low = [
        f"{name} is {group.mean:.3g} for {key}, under {floor:g}"
        for name, floor in floors.items()
        if name in results
        for key, group in results[name].groups.items()
        if group.mean < floor
    ]
    if not low:
        return results
    doubt = {"verdict": "inconclusive", "reason": low[0], "items_needed": None}
    return {name: result.model_copy(update=doubt) if result.verdict == "pass" else result for name, result in results.items()}


def _items_for(gap: _Gap, margin: float) -> int:
    """Items after which an interval of this centre would lie wholly inside or outside the margin."""
    half = (gap.interval.high - gap.interval.low) / 2
    distance = max(abs(margin - abs(gap.gap)), margin / 50)
    return max(gap.n + 1, math.ceil(gap.n * (half / distance) ** 2))


def _detectable(one: _Studied, margin: float, alpha: float) -> float | None:
    """Of the pair that would show the least: see :func:`guardmed.stats.smallest_gap`."""
    if one.table.scale == "binary" and not one.table.clustered:
        found = [smallest_gap(total=gap.n, alpha=alpha, margin=margin, discordance=gap.flip_rate) for gap in one.gaps]
    else:
        spreads = [(gap.interval.high - gap.interval.low) / (2 * 1.96) * math.sqrt(gap.n) for gap in one.gaps]
        found = [smallest_gap(total=gap.n, alpha=alpha, margin=margin, spread=spread) for gap, spread in zip(one.gaps, spreads, strict=True)]
    known = [gap for gap in found if gap is not None]
    return max(known) if known and len(known) == len(found) else None


def _groups(judged: Table, seed: int) -> dict[str, GroupResult]:
    """Mean outcome by group, through fairlearn's MetricFrame."""
    from fairlearn.metrics import MetricFrame, count

    if judged.scale == "nominal" or not judged.groups:
        return {}
    items, groups = np.nonzero(~np.isnan(judged.values))
    values = judged.values[items, groups]
    frame = MetricFrame(
        metrics={"n": count, "mean": lambda y_true, y_pred: float(np.mean(y_pred))},
        y_true=values,
        y_pred=values,
        sensitive_features=[judged.groups[group] for group in groups],
    ).by_group
    booted = bootstrap_columns(*judged.by_cluster(judged.values), resamples=RESAMPLES, seed=seed)
    out = {}
    for place, group in enumerate(judged.groups):
        n, mean = int(frame.loc[group, "n"]), float(frame.loc[group, "mean"])
        interval = wilson(round(mean * n), n) if judged.scale == "binary" else booted[place]
        out[group] = GroupResult(n=n, mean=mean, ci=(interval.low, interval.high), suppressed=n < MIN_GROUP)
    return out
