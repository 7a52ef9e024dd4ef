"""From answers to verdicts: paired gaps between groups, with intervals, tests and equivalence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guardmed.records import Frozen
from guardmed.stats import Interval, bootstrap_mean, detectable_gap, holm, mcnemar_exact, paired_difference, sign_flip_p, wilson

Float = NDArray[np.float64]
AxisVerdict = Literal["pass", "fail", "inconclusive"]

MIN_GROUP = 30
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Observation:
    """Outcomes of one item for one group of one axis.

    Attributes
    ----------
    item : str
        What is compared within: the same case, told for another group.
    outcomes : dict of str to float
        0 or 1, or any number.
    expected : bool
        Whether a difference on this item is clinically right; such items are not judged.
    repeat : int
        Which asking of the very same prompt this is, for the noise floor.
    """

    item: str
    axis: str
    group: str
    outcomes: dict[str, float]
    language: str = ""
    expected: bool = False
    repeat: int = 0


class GroupResult(Frozen):
    """Mean outcome of one group; ``suppressed`` where too few items stand behind it."""

    n: int
    mean: float
    ci: tuple[float, float]
    suppressed: bool = False


class PairResult(Frozen):
    """One group against another, within items.

    ``gap`` is the mean of ``a`` minus ``b`` over the items that both have.
    """

    a: str
    b: str
    gap: float
    ci: tuple[float, float]
    p: float
    p_adjusted: float
    flip_rate: float
    self_flip_rate: float | None
    n_pairs: int


class OutcomeResult(Frozen):
    """What was found for one outcome on one axis."""

    groups: dict[str, GroupResult]
    pairs: tuple[PairResult, ...]
    verdict: AxisVerdict
    reason: str
    detectable_gap: float | None
    items_needed: int | None = None


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
    """

    margin: float = 0.05
    alpha: float = 0.05
    references: dict[str, str] = field(default_factory=dict)
    seed: int = 0


def analyse(observations: Sequence[Observation], settings: Settings) -> dict[str, dict[str, OutcomeResult]]:
    """Results by axis and outcome.

    For each outcome the items of two groups are paired. A 0-or-1 outcome is tested with McNemar's
    exact test and Tango's score interval, any other with a sign-flip permutation of the paired
    differences and a bootstrap over items; Holm's adjustment keeps the family-wise error within an
    axis.

    ``fail`` needs an adjusted p under alpha *and* a gap beyond the margin; ``pass`` needs every
    interval inside the margin; all else is ``inconclusive``, with the items it would take.
    """
    axes: dict[str, list[Observation]] = {}
    for row in observations:
        axes.setdefault(row.axis, []).append(row)
    return {axis: {name: _outcome(rows, axis, name, settings) for name in _names(rows)} for axis, rows in axes.items()}


def _outcome(rows: list[Observation], axis: str, name: str, settings: Settings) -> OutcomeResult:
    judged = [row for row in rows if not row.expected and name in row.outcomes]
    names = list(dict.fromkeys(row.group for row in judged))
    reference = settings.references.get(axis)
    if reference in names:
        names = [*[group for group in names if group != reference], reference]
    cells = _cells(judged, name)
    binary = all(value in (0.0, 1.0) for value in cells.values())
    floor = _self_flips(judged, name)
    pairs: list[tuple[str, str, Float, float, Interval]] = []
    for a, b in itertools.combinations(names, 2):
        shared = sorted({item for item, group in cells if group == a} & {item for item, group in cells if group == b})
        left = np.array([cells[item, a] for item in shared])
        right = np.array([cells[item, b] for item in shared])
        if shared:
            pairs.append((a, b, left - right, *_compare(left, right, binary, settings.seed)))
    adjusted = holm([p for *_, p, _ in pairs])
    results = tuple(
        PairResult(
            a=a,
            b=b,
            gap=float(differences.mean()),
            ci=_pair(interval),
            p=p,
            p_adjusted=p_adjusted,
            flip_rate=_flips(cells, a, b, binary),
            self_flip_rate=floor,
            n_pairs=len(differences),
        )
        for (a, b, differences, p, interval), p_adjusted in zip(pairs, adjusted, strict=True)
    )
    widest = max((detectable_gap(interval, alpha=settings.alpha / len(pairs)) for *_, interval in pairs), default=None)
    verdict, reason, needed = _verdict(results, settings)
    return OutcomeResult(
        groups=_groups(judged, name, names, binary, settings.seed),
        pairs=results,
        verdict=verdict,
        reason=reason,
        detectable_gap=widest,
        items_needed=needed,
    )


def _verdict(pairs: Sequence[PairResult], settings: Settings) -> tuple[AxisVerdict, str, int | None]:
    if not pairs:
        return "inconclusive", "no item was asked for two groups", None
    proven = [p for p in pairs if p.n_pairs >= MIN_GROUP and p.p_adjusted < settings.alpha and abs(p.gap) > settings.margin]
    worst = max(proven or pairs, key=lambda pair: abs(pair.gap))
    told = f"{worst.a} against {worst.b}: {worst.gap:+.3f} (95 % {worst.ci[0]:+.3f} to {worst.ci[1]:+.3f}, n={worst.n_pairs})"
    if proven:
        return "fail", told, None
    small = min(pair.n_pairs for pair in pairs)
    if small < MIN_GROUP:
        return "inconclusive", f"only {small} pairs; at least {MIN_GROUP} are needed", MIN_GROUP
    if all(Interval(*pair.ci).inside(settings.margin) for pair in pairs):
        return "pass", f"every gap is surely within ±{settings.margin:g}; largest {told}", None
    return "inconclusive", told, max(_items_for(pair, settings.margin) for pair in pairs)


def _items_for(pair: PairResult, margin: float) -> int:
    """Items after which an interval of this centre would lie wholly inside or outside the margin."""
    half = (pair.ci[1] - pair.ci[0]) / 2
    distance = abs(margin - abs(pair.gap))
    distance = max(distance, 1e-3)
    return max(pair.n_pairs + 1, math.ceil(pair.n_pairs * (half / distance) ** 2)) if half > 0 else pair.n_pairs + 1


def _cells(rows: Sequence[Observation], name: str) -> dict[tuple[str, str], float]:
    """Mean outcome of each item and group, over repeats."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.item, row.group), []).append(row.outcomes[name])
    return {key: sum(found) / len(found) for key, found in values.items()}


def _compare(left: Float, right: Float, binary: bool, seed: int) -> tuple[float, Interval]:
    """Test and interval of a paired difference."""
    if binary:
        only_left, only_right = int(np.sum(left > right)), int(np.sum(left < right))
        return mcnemar_exact(only_left, only_right), paired_difference(only_left, only_right, len(left))
    return sign_flip_p(left - right, seed=seed), bootstrap_mean(left - right, resamples=RESAMPLES, seed=seed)


def _flips(cells: dict[tuple[str, str], float], a: str, b: str, binary: bool) -> float:
    """Share of pairs whose decision differs; probabilities decide at one half."""
    shared = [item for item, group in cells if group == a and (item, b) in cells]
    flips = sum((cells[item, a] != cells[item, b]) if binary else ((cells[item, a] > 0.5) != (cells[item, b] > 0.5)) for item in shared)
    return flips / len(shared) if shared else 0.0


def _self_flips(rows: Sequence[Observation], name: str) -> float | None:
    """The noise floor: how often the very same prompt, asked again, decides otherwise."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((row.item, row.group), []).append(row.outcomes[name])
    again = [found for found in values.values() if len(found) > 1]
    if not again:
        return None
    return sum(abs((a > 0.5) != (b > 0.5)) for found in again for a, b in itertools.pairwise(found)) / sum(len(found) - 1 for found in again)


def _groups(rows: Sequence[Observation], name: str, names: Sequence[str], binary: bool, seed: int) -> dict[str, GroupResult]:
    """Mean outcome by group, through fairlearn's MetricFrame."""
    from fairlearn.metrics import MetricFrame, count

    kept = [row for row in rows if row.group in names]
    if not kept:
        return {}
    values = np.array([row.outcomes[name] for row in kept])
    frame = MetricFrame(
        metrics={"n": count, "mean": lambda y_true, y_pred: float(np.mean(y_pred))},
        y_true=values,
        y_pred=values,
        sensitive_features=[row.group for row in kept],
    ).by_group
    out = {}
    for group in names:
        n, mean = int(frame.loc[group, "n"]), float(frame.loc[group, "mean"])
        own = values[[row.group == group for row in kept]]
        interval = wilson(round(mean * n), n) if binary else bootstrap_mean(own, resamples=RESAMPLES, seed=seed)
        out[group] = GroupResult(n=n, mean=mean, ci=_pair(interval), suppressed=n < MIN_GROUP)
    return out


def _names(rows: Sequence[Observation]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.outcomes))


def _pair(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high
