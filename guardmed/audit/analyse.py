"""From answers to verdicts: paired gaps between groups, with intervals, tests and equivalence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from guardmed.audit.definition import CROSS
from guardmed.audit.results import Analysis, AxisVerdict, GroupResult, Omnibus, OutcomeResult, PairResult, Role, Slice
from guardmed.audit.slices import expected_differences, group_calibration, intersection, with_overconfidence
from guardmed.audit.table import Float, Observation, Table, table
from guardmed.stats import (
    Interval,
    benjamini_hochberg,
    bootstrap_columns,
    cochran_q,
    holm,
    max_gap_p,
    mcnemar_exact,
    paired_difference,
    sign_flip_columns,
    smallest_gap,
    wilcoxon_p,
    wilson,
)

MIN_GROUP = 30
MIN_CLUSTERS = 15
RESAMPLES = 2000


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
    """

    margin: float = 0.05
    alpha: float = 0.05
    references: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    margins: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
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
    """One outcome on one axis, before adjustment."""

    axis: str
    outcome: str
    table: Table
    gaps: tuple[_Gap, ...]


def analyse(observations: Sequence[Observation], settings: Settings) -> Analysis:
    """Results by axis and outcome, and what is described beside them.

    For each outcome the items of two groups are paired. A 0-or-1 outcome is tested with McNemar's
    exact test and Tango's score interval, steps of a scale with Wilcoxon's signed ranks, any other
    with a sign-flip permutation of the paired differences; these have a bootstrap over clusters of
    items. Answers without an order are compared by how often they differ, against how often repeats
    of one prompt do. Holm's adjustment covers every gap of an axis; Benjamini and Hochberg's the
    axes.

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
    axes = {
        axis: {
            one.outcome: _result(one, settings, q=q[axis], floor=floors.get(one.outcome), tests=sum(len(each.gaps) for each in found) * len(studied))
            for one in found
        }
        for axis, found in studied.items()
    }
    crossed = [
        intersection(rows, axis, name, reference_seed=settings.seed, least=MIN_GROUP)
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
    pairs = [(a, b) for a, b in itertools.combinations(range(len(judged.groups)), 2) if _shared(judged, a, b).any()]
    if not pairs:
        return _Studied(axis, outcome, judged, ())
    flips = [judged.flips(a, b, margin) for a, b in pairs]
    columns = (
        _flip_columns(judged, pairs, margin) if judged.scale == "nominal" else np.column_stack([judged.values[:, a] - judged.values[:, b] for a, b in pairs])
    )
    intervals, p_values = _compared(judged, columns, settings.seed)
    testable = judged.scale != "nominal" or judged.self_flips[1] > 0
    gaps = tuple(
        _Gap(
            a=judged.groups[a],
            b=judged.groups[b],
            gap=float(np.nanmean(columns[:, place])),
            interval=intervals[place],
            p=p_values[place],
            flip_rate=float(flips[place].mean()),
            n=int(np.sum(~np.isnan(columns[:, place]))),
            clusters=len(np.unique(judged.clusters[~np.isnan(columns[:, place])])),
            by_language=_by_language(judged, columns[:, place]),
            differs=testable and bool(np.nanmax(np.abs(columns[:, place])) > 0),
        )
        for place, (a, b) in enumerate(pairs)
    )
    return _Studied(axis, outcome, judged, gaps)


def _shared(judged: Table, a: int, b: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return ~np.isnan(judged.values[:, a]) & ~np.isnan(judged.values[:, b])


def _flip_columns(judged: Table, pairs: Sequence[tuple[int, int]], margin: float) -> Float:
    """For answers without an order: flips beyond the share of repeats that differ by themselves."""
    flips, total = judged.self_flips
    floor = flips / total if total else 0.0
    columns = np.full((len(judged.items), len(pairs)), np.nan)
    for place, (a, b) in enumerate(pairs):
        columns[_shared(judged, a, b), place] = judged.flips(a, b, margin) - floor
    return columns


def _compared(judged: Table, columns: Float, seed: int) -> tuple[list[Interval], list[float]]:
    """Interval and p of each column of paired differences."""
    sums, counts = judged.by_cluster(columns)
    if judged.scale == "nominal":
        return _compared_flips(judged, columns, sums, counts, seed)
    scores = [_discordant(columns[:, place]) for place in range(columns.shape[1])]
    tango = [paired_difference(only_a, only_b, total) for only_a, only_b, total in scores]
    if judged.scale == "binary" and not judged.clustered:
        return tango, [mcnemar_exact(only_a, only_b) for only_a, only_b, _ in scores]
    intervals = bootstrap_columns(sums, counts, resamples=RESAMPLES, seed=seed)
    if judged.scale in ("binary", "ordinal"):
        # Without a single differing pair a bootstrap has no width, and would prove too much; a step is 1.
        intervals = [Interval(min(one.low, other.low), max(one.high, other.high)) for one, other in zip(intervals, tango, strict=True)]
    if judged.scale == "ordinal" and not judged.clustered:
        return intervals, [wilcoxon_p(column[~np.isnan(column)]) for column in columns.T]
    return intervals, sign_flip_columns(sums, seed=seed)


def _compared_flips(judged: Table, columns: Float, sums: Float, counts: Float, seed: int) -> tuple[list[Interval], list[float]]:
    """Flips of answers without an order: more than repeats explain? Without repeats nothing is claimed."""
    flips, total = judged.self_flips
    intervals, p_values = [], []
    booted = bootstrap_columns(sums, counts, resamples=RESAMPLES, seed=seed)
    for place, column in enumerate(columns.T):
        kept = column[~np.isnan(column)]
        floor = flips / total if total else 0.0
        count = round(float((kept + floor).sum()))
        low, high = _beyond(count, len(kept), flips, total)
        intervals.append(Interval(min(booted[place].low, low), max(booted[place].high, high)))
        p_values.append(_more_flips_p(count, len(kept), flips, total) if total else 1.0)
    return intervals, p_values


def _beyond(count: int, pairs: int, flips: int, repeats: int) -> tuple[float, float]:
    """Interval of flips beyond those of repeats, from Wilson's of both (Newcombe, Statist. Med. 1998)."""
    share, floor = count / pairs, flips / repeats if repeats else 0.0
    own, noise = wilson(count, pairs), wilson(flips, repeats) if repeats else Interval(0.0, 0.0)
    return (
        share - floor - math.hypot(share - own.low, noise.high - floor),
        share - floor + math.hypot(own.high - share, floor - noise.low),
    )


def _more_flips_p(count: int, pairs: int, flips: int, repeats: int) -> float:
    """One-sided exact p that pairs flip no more often than repeats (Fisher, hypergeometric tail)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, pairs + repeats, count + flips, pairs))


def _discordant(column: Float) -> tuple[int, int, int]:
    kept = column[~np.isnan(column)]
    return int(np.sum(kept > 0)), int(np.sum(kept < 0)), len(kept)


def _by_language(judged: Table, column: Float) -> dict[str, Slice]:
    """The gap within each language, where there are several."""
    if len(set(judged.languages)) < 2:
        return {}
    languages = np.array(judged.languages)
    found = {}
    for language in dict.fromkeys(judged.languages):
        kept = column[(languages == language) & ~np.isnan(column)]
        if not len(kept):
            continue
        if judged.scale == "binary":
            interval = paired_difference(*_discordant(kept))
        else:
            interval = bootstrap_columns(kept.reshape(-1, 1), np.ones((len(kept), 1)), resamples=500)[0]
        found[language] = Slice(n_pairs=len(kept), gap=float(kept.mean()), ci=(interval.low, interval.high))
    return found


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
    verdict, reason, needed = _verdict(one.gaps, margin, settings.alpha, q)
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
        omnibus=_omnibus(one.table, settings.seed),
    )


def _verdict(gaps: Sequence[_Gap], margin: float, alpha: float, q: float) -> tuple[AxisVerdict, str, int | None]:
    if not gaps:
        return "inconclusive", "no item was asked for two groups", None
    proven = [gap for gap in gaps if gap.enough and gap.p_adjusted < alpha and q < alpha and abs(gap.gap) > margin]
    worst = max(proven or gaps, key=lambda gap: abs(gap.gap))
    told = f"{worst.a} against {worst.b}: {worst.gap:+.3f} (95 % {worst.interval.low:+.3f} to {worst.interval.high:+.3f}, n={worst.n})"
    if proven:
        return "fail", told, None
    small = min(gaps, key=lambda gap: (gap.enough, gap.n))
    if small.n < MIN_GROUP:
        return "inconclusive", f"only {small.n} pairs; at least {MIN_GROUP} are needed", MIN_GROUP
    if not small.enough:
        return (
            "inconclusive",
            f"only {small.clusters} clusters of pairs; at least {MIN_CLUSTERS} are needed",
            math.ceil(small.n * MIN_CLUSTERS / small.clusters),
        )
    if all(gap.interval.inside(margin) for gap in gaps):
        return "pass", f"every gap is surely within ±{margin:g}; largest {told}", None
    return "inconclusive", told, max(_items_for(gap, margin) for gap in gaps)


def _items_for(gap: _Gap, margin: float) -> int:
    """Items after which an interval of this centre would lie wholly inside or outside the margin."""
    half = (gap.interval.high - gap.interval.low) / 2
    distance = max(abs(margin - abs(gap.gap)), margin / 50)
    return max(gap.n + 1, math.ceil(gap.n * (half / distance) ** 2))


def _detectable(one: _Studied, margin: float, alpha: float) -> float | None:
    """Of the pair that would show the least: see :func:`guardmed.stats.smallest_gap`."""
    if not one.gaps:
        return None
    if one.table.scale == "binary" and not one.table.clustered:
        return max(smallest_gap(total=gap.n, alpha=alpha, margin=margin, discordance=gap.flip_rate) for gap in one.gaps)
    return max(
        smallest_gap(total=gap.n, alpha=alpha, margin=margin, spread=(gap.interval.high - gap.interval.low) / (2 * 1.96) * math.sqrt(gap.n)) for gap in one.gaps
    )


def _omnibus(judged: Table, seed: int) -> Omnibus | None:
    """All groups at once, over the items that have every one of them."""
    whole = judged.values[~np.isnan(judged.values).any(axis=1)]
    if judged.scale == "nominal" or whole.shape[1] < 3 or len(whole) < MIN_GROUP:
        return None
    if judged.scale == "binary":
        statistic, p = cochran_q(whole)
        return Omnibus(test="cochran_q", statistic=statistic, p=p, n_items=len(whole))
    return Omnibus(test="max_gap", statistic=float(np.ptp(whole.mean(axis=0))), p=max_gap_p(whole, seed=seed), n_items=len(whole))


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
