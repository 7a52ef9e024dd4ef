"""Statistics for paired and clustered evidence, in one place.

Everything is vectorised over resamples, takes a seed where it draws, and returns plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
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
    values = [np.asarray(statistic(weights), dtype=np.float64) for weights in _cluster_weights(clusters, resamples, seed)]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(values), [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_columns(sums: ArrayLike, counts: ArrayLike, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> list[Interval]:
    """Percentile bootstrap intervals of several means over the same clusters.

    All columns are resampled together, so one draw of weights serves every pair of groups. The
    percentiles are widened for few clusters (the expanded percentile bootstrap of Hesterberg, The
    American Statistician 2015).

    Parameters
    ----------
    sums, counts : arrays of shape (clusters, columns)
        Of each cluster's values, and how many there were; a mean is the ratio of the totals. A column
        that no cluster has gets an interval of NaN.
    """
    totals, rows = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)

    def means(weights: Float) -> Float:
        below = weights @ rows
        return np.divide(weights @ totals, below, out=np.full_like(below, np.nan), where=below > 0)

    if len(totals) == 0:
        return [Interval(float("nan"), float("nan"))] * totals.shape[1]
    drawn = np.concatenate([means(weights) for weights in _cluster_weights(len(totals), resamples, seed)])
    limits = np.full((2, totals.shape[1]), np.nan)
    for place, clusters in enumerate((rows > 0).sum(axis=0)):
        if clusters:
            tail = _expanded_tail(int(clusters), confidence)
            limits[:, place] = np.nanquantile(drawn[:, place], [tail, 1 - tail])
    return [Interval(float(low), float(high)) for low, high in limits.T]


def _expanded_tail(clusters: int, confidence: float) -> float:
    """The tail to cut so that a percentile interval is as wide as Student's t would have it."""
    if clusters < 2:
        return 0.0
    from scipy.special import ndtr, stdtrit

    t = float(stdtrit(clusters - 1, 0.5 + confidence / 2))
    return float(ndtr(-math.sqrt(clusters / (clusters - 1)) * t))


def _cluster_weights(clusters: int, resamples: int, seed: int) -> Iterator[Float]:
    """How often each cluster is drawn, in batches that keep the weights under about 32 MB."""
    generator = np.random.default_rng(seed)
    batch = max(1, min(resamples, 4_000_000 // max(1, clusters)))
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        yield generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=size).astype(np.float64)


def sign_flip_p(differences: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> float:
    """Two-sided permutation p for a mean paired difference of zero: signs are exchangeable."""
    return sign_flip_columns(np.asarray(differences, dtype=np.float64).reshape(-1, 1), permutations=permutations, seed=seed)[0]


def sign_flip_columns(differences: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> list[float]:
    """:func:`sign_flip_p` of several columns at once, under the same flips.

    Valid at any number of permutations, as the observed one counts as one. Where not one of them
    reaches what was observed, a bound on the tail of such sums stands in, if it is smaller, so that
    a strict adjustment can still be passed: P(sum >= z) is at most 3.1787 times the normal tail
    (Bentkus and Dzindzalieta, Bernoulli 2015; their constant, 1 / (4 P(Z > √2)), rounded up).

    Parameters
    ----------
    differences : array of shape (clusters, columns)
        Sums of each cluster's differences; 0 where it has none.
    """
    values = np.asarray(differences, dtype=np.float64)
    observed = np.abs(values.sum(axis=0))
    # Sums of the same size differ by rounding, in their own unit.
    reached = observed - 1e-12 * np.abs(values).sum(axis=0)
    at_least = np.zeros(values.shape[1], dtype=np.int64)
    generator = np.random.default_rng(seed)
    batch = max(1, min(permutations, 4_000_000 // max(1, len(values))))
    for start in range(0, permutations, batch):
        signs = generator.integers(0, 2, size=(min(batch, permutations - start), len(values))).astype(np.float64) * 2 - 1
        at_least += np.sum(np.abs(signs @ values) >= reached, axis=0)
    sampled = (at_least + 1) / (permutations + 1)
    spread = np.sqrt((values**2).sum(axis=0))
    z = np.divide(observed, spread, out=np.zeros_like(observed), where=spread > 0)
    bound = 2 * 3.1787 * _normal_tail(z)
    return [float(p) for p in np.where(at_least == 0, np.minimum(sampled, bound), sampled)]


def _normal_tail(z: Float) -> Float:
    """P(Z > z)."""
    from scipy.special import ndtr

    return np.asarray(ndtr(-z), dtype=np.float64)


def signed_rank_p(differences: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, zeros ranked with the rest (Pratt, JASA 1959).

    By flipping the signs of the ranks, which ties and few differences can't mislead.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not np.any(values):
        return 1.0
    from scipy.stats import rankdata

    return sign_flip_p(np.sign(values) * rankdata(np.abs(values)), permutations=permutations, seed=seed)


def cochran_q(table: ArrayLike) -> tuple[float, float]:
    """Cochran's Q and its p: do several paired groups share one rate (Biometrika 1950)?

    Parameters
    ----------
    table : array of 0 and 1, shape (items, groups)
    """
    values = np.asarray(table, dtype=np.float64)
    groups = values.shape[1]
    by_item, by_group = values.sum(axis=1), values.sum(axis=0)
    below = float((by_item * (groups - by_item)).sum())
    if below == 0:
        return 0.0, 1.0
    from scipy.special import chdtrc

    q = (groups - 1) * groups * float(((by_group - by_group.mean()) ** 2).sum()) / below
    return q, float(chdtrc(groups - 1, q))


def max_gap_p(table: ArrayLike, *, permutations: int = 2000, seed: int = 0) -> float:
    """Permutation p of the largest gap between any two groups' means.

    A maximum over pairs is never zero, so it is held against its own null: groups trade places
    within each item.

    Parameters
    ----------
    table : array of shape (items, groups)
    """
    values = np.asarray(table, dtype=np.float64)
    if values.size == 0 or values.shape[1] < 2:
        return 1.0
    observed = np.ptp(values.sum(axis=0))
    reached = observed - 1e-12 * np.abs(values).sum()
    generator = np.random.default_rng(seed)
    at_least = 0
    batch = max(1, min(permutations, 4_000_000 // values.size))
    for start in range(0, permutations, batch):
        size = min(batch, permutations - start)
        shuffled = generator.permuted(np.broadcast_to(values, (size, *values.shape)), axis=2)
        at_least += int(np.sum(np.ptp(shuffled.sum(axis=1), axis=1) >= reached))
    return (at_least + 1) / (permutations + 1)


def mcnemar_power(gap: float, *, total: int, discordance: float, alpha: float, margin: float = 0.0) -> float:
    """Chance that McNemar's exact test finds a gap, and finds it larger than a margin.

    Exact, over every count of discordant pairs and of their split.

    Parameters
    ----------
    gap : float
        True difference of the two rates.
    total : int
        Pairs.
    discordance : float
        Share of pairs that differ; at least ``gap``.
    """
    from scipy.stats import binom

    share = min(1.0, max(discordance, gap))
    counts = np.arange(1, total + 1)
    weight = binom.pmf(counts, total, share)
    counts, weight = counts[weight > 1e-12], weight[weight > 1e-12]
    # The smaller side of the split may be at most this many: for the test, and for the margin.
    least = binom.ppf(alpha / 2, counts, 0.5)
    least = np.where(2 * binom.cdf(least, counts, 0.5) < alpha, least, least - 1)
    least = np.minimum(least, np.ceil((counts - margin * total) / 2 - 1e-9) - 1)
    up = (1 + gap / share) / 2 if share > 0 else 0.5
    return float((weight * (binom.cdf(least, counts, 1 - up) + binom.cdf(least, counts, up))).sum())


def smallest_gap(*, total: int, alpha: float, margin: float, discordance: float | None = None, spread: float | None = None, power: float = 0.8) -> float | None:
    """Smallest true gap that would be found, and found to exceed the margin, with the given power.

    Parameters
    ----------
    total : int
        Pairs.
    alpha : float
        Level of one comparison, after adjustment.
    discordance : float, optional
        For outcomes of 0 and 1: share of pairs that differ. Exact, see :func:`mcnemar_power`.
    spread : float, optional
        For other outcomes: standard deviation of paired differences. By normal approximation.

    Returns
    -------
    float or None
        None where no gap would be found so often: with ``discordance`` none is larger than 1.
    """
    if spread is not None:
        error = spread / math.sqrt(max(1, total))
        return max(margin, normal_quantile(1 - alpha / 2) * error) + normal_quantile(power) * error

    def found(gap: float) -> bool:
        return mcnemar_power(gap, total=total, discordance=discordance or 0.0, alpha=alpha, margin=margin) >= power

    low, high = margin, 1.0
    if not found(high):
        return None
    for _ in range(12):
        middle = (low + high) / 2
        if found(middle):
            high = middle
        else:
            low = middle
    return high


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
