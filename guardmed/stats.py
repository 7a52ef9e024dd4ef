"""Statistics for paired and clustered evidence, in one place.

Everything is vectorised over resamples, takes a seed where it draws, and returns plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval."""

    low: float
    high: float

    def inside(self, margin: float) -> bool:
        """Whether it lies wholly within ``-margin`` to ``margin``."""
        return -margin < self.low and self.high < margin

    def as_list(self) -> list[float]:
        """``[low, high]``, as reports write it."""
        return [self.low, self.high]


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)


def wilson(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion (Wilson, JASA 1927); [0, 1] for no trials."""
    if total == 0:
        return Interval(0.0, 1.0)
    z = normal_quantile(0.5 + confidence / 2)
    p = successes / total
    centre = p + z * z / (2 * total)
    spread = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return Interval(max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def clopper_pearson(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson, Biometrika 1934)."""
    if total == 0:
        return Interval(0.0, 1.0)
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, total - successes + 1, tail))
    high = 1.0 if successes == total else float(betaincinv(successes + 1, total - successes, 1 - tail))
    return Interval(low, high)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p of McNemar's test: a binomial test on the discordant pairs.

    Parameters
    ----------
    only_a, only_b : int
        Pairs in which only the first, or only the second, has the outcome.
    """
    discordant = only_a + only_b
    if discordant == 0:
        return 1.0
    from scipy.special import bdtr

    return float(min(1.0, 2 * bdtr(min(only_a, only_b), discordant, 0.5)))


def paired_difference(only_a: int, only_b: int, total: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a difference of paired proportions (Tango, Statist. Med. 1998).

    Unlike a bootstrap or Wald interval it keeps its width when no pair differs: thirty identical
    answers don't prove equivalence.

    Parameters
    ----------
    only_a, only_b : int
        Pairs in which only the first, or only the second, has the outcome.
    total : int
        All pairs.
    """
    if total == 0:
        return Interval(-1.0, 1.0)
    z = normal_quantile(0.5 + confidence / 2)

    def statistic(difference: float) -> float:
        a, b = 2 * total, (2 * total - only_a + only_b) * difference - only_a - only_b
        c = -only_b * difference * (1 - difference)
        q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        spread = total * (2 * q + difference * (1 - difference))
        gap = only_a - only_b - total * difference
        return gap / math.sqrt(spread) if spread > 1e-15 else math.copysign(math.inf, gap) if gap else 0.0

    point = (only_a - only_b) / total
    return Interval(_bisect(statistic, -1.0, point, z), _bisect(statistic, point, 1.0, -z))


def _bisect(statistic: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where a falling function crosses a target, or the end it does not cross before."""
    for _ in range(80):
        middle = (low + high) / 2
        if statistic(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: family-wise error (Holm, Scand. J. Statist. 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjustment: false discovery rate (JRSS B 1995)."""
    order = sorted(range(len(p_values)), key=lambda index: -p_values[index])
    adjusted = [0.0] * len(p_values)
    best = 1.0
    for rank, index in enumerate(order):
        best = min(best, p_values[index] * len(p_values) / (len(p_values) - rank))
        adjusted[index] = best
    return adjusted


def bootstrap_mean(values: ArrayLike, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of a mean.

    For paired differences resample the pairs' differences: one value an item. Resampling is done
    with multinomial weights, so no resample is ever copied.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0:
        return Interval(float("nan"), float("nan"))
    return bootstrap_statistic(lambda weights: weights @ array / len(array), len(array), resamples=resamples, confidence=confidence, seed=seed)


def bootstrap_statistic(statistic: Callable[[Float], Float], clusters: int, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of any statistic of cluster weights.

    Parameters
    ----------
    statistic : callable
        From an array of shape (resamples, clusters), how often each cluster was drawn, to one
        value a resample.
    clusters : int
        Items, each drawn with all of its rows.
    """
    generator = np.random.default_rng(seed)
    values: list[Float] = []
    # Batches of resamples keep the weights under about 32 MB.
    batch = max(1, min(resamples, 4_000_000 // max(1, clusters)))
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        weights = generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=size).astype(np.float64)
        values.append(np.asarray(statistic(weights), dtype=np.float64))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(values), [tail, 1 - tail])
    return Interval(float(low), float(high))


def sign_flip_p(differences: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> float:
    """Two-sided permutation p for a mean paired difference of zero: signs are exchangeable.

    Exact in distribution up to the number of permutations; the observed one counts as one.
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if len(values) == 0:
        return 1.0
    generator = np.random.default_rng(seed)
    observed = abs(values.sum())
    at_least = 0
    for start in range(0, permutations, 512):
        size = min(512, permutations - start)
        signs = generator.integers(0, 2, size=(size, len(values))) * 2.0 - 1.0
        at_least += int(np.sum(np.abs(signs @ values) >= observed - 1e-12))
    return (at_least + 1) / (permutations + 1)


def detectable_gap(interval: Interval, *, alpha: float = 0.05, power: float = 0.8, confidence: float = 0.95) -> float:
    """Smallest true gap that data of this spread would have found with the given power.

    By normal approximation from the half width of an interval: ``(z_alpha + z_power) / z`` of it.
    """
    half = (interval.high - interval.low) / 2
    z = normal_quantile(1 - alpha / 2) + normal_quantile(power)
    return half * z / normal_quantile(0.5 + confidence / 2)


def items_needed(low: float, high: float, limit: float, total: int) -> int:
    """How many items it would take for an interval of this centre to clear a limit.

    Widths shrink with the root of the number of items; used to say what *inconclusive* costs.
    """
    centre = (low + high) / 2
    distance = abs(limit - centre)
    half = (high - low) / 2
    if distance <= 0:
        return 100 * max(total, 1)
    return max(total + 1, math.ceil(total * (half / distance) ** 2))
