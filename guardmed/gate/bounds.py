"""Bounds of rates and of changes: what a gate may conclude from the items it has asked.

Each bound is one-sided at its own alpha. A checkpoint passes wrongly only if the bound on the side
of the limit is wrong, and fails wrongly only if the other one is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Literal

from guardmed.stats import Interval, paired_difference

RateKind = Literal["max_rate", "min_rate"]
Outcome = Literal["pass", "fail"]

# A sequential check is looked at after these parts of its items, and each look may be wrong with
# this share of alpha. Most is kept for the last look, so that stopping early costs little power.
LOOKS = (1 / 8, 1 / 4, 1 / 2, 1.0)
SHARES = (0.05, 0.05, 0.10, 0.80)
# So few items settle nothing at an early look's alpha.
FEWEST_AT_A_LOOK = 16
MOST_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rate and the two one-sided bounds of it.

    Attributes
    ----------
    events, total : int
        As counted.
    rate : float
    effective : float
        Independent items that would say as much as these; at least 1, at most ``total``.
    low, high : float
    """

    events: int
    total: int
    rate: float
    effective: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Regression:
    """A change against the baseline on the same items; positive is worse.

    Attributes
    ----------
    worse, better, total : int
        Items.
    change : float
        ``(worse - better) / total``.
    p : float
        One-sided: the chance of so many worse among those that changed, were either as likely.
    low, high : float
        One-sided bounds of the change.
    """

    worse: int
    better: int
    total: int
    change: float
    p: float
    low: float
    high: float


def looks(total: int) -> tuple[int, ...]:
    """After how many items a sequential check is looked at; the last is all of them."""
    return tuple(count for count, _ in _schedule(total))


def spent(look_index: int, total: int, alpha: float) -> float:
    """The alpha of one look; over all looks they sum to ``alpha`` exactly.

    By the union bound the chance that any look is wrong is at most their sum, in whatever way the
    looks depend on each other.

    Parameters
    ----------
    look_index : int
        Place in :func:`looks`, from 0.
    """
    _check_alpha(alpha)
    schedule = _schedule(total)
    if not 0 <= look_index < len(schedule):
        raise ValueError(f"look_index is {look_index}, but {total} items are looked at {len(schedule)} times")
    # In whole units of alpha's last digit, so that nothing is lost or gained when they are summed.
    unit = math.ulp(alpha)
    early = [math.floor(share * alpha / unit) * unit for _, share in schedule[:-1]]
    return early[look_index] if look_index < len(early) else alpha - sum(early)


def _schedule(total: int) -> list[tuple[int, float]]:
    """Looks and their shares of alpha; the share of a look that is left out goes to the last."""
    if total < 1:
        raise ValueError(f"total is {total}; a check is looked at after at least one item")
    early = [(math.ceil(total * part), share) for part, share in zip(LOOKS[:-1], SHARES[:-1], strict=True)]
    kept = [(count, share) for count, share in early if FEWEST_AT_A_LOOK <= count < total]
    return [*kept, (total, 1 - math.fsum(share for _, share in kept))]


def one_sided(events: float, total: float, *, alpha: float) -> Interval:
    """Exact lower and upper bound of a rate, each one-sided (Clopper and Pearson, Biometrika 1934).

    Parameters
    ----------
    events, total : float
        Need not be whole: effective sizes are not.
    alpha : float
        Of each bound by itself; together they are an interval of confidence ``1 - 2 * alpha``.
    """
    _check_alpha(alpha)
    if not (math.isfinite(events) and math.isfinite(total) and 0 <= events <= total):
        raise ValueError(f"{events} events of {total} items: both must be finite, and events from 0 to the total")
    if total == 0:
        return Interval(0.0, 1.0)
    from scipy.special import betaincinv

    low = 0.0 if events == 0 else float(betaincinv(events, total - events + 1, alpha))
    high = 1.0 if events == total else float(betaincinv(events + 1, total - events, 1 - alpha))
    return Interval(low, high)


def design_effect(outcomes: Sequence[int], clusters: Sequence[str]) -> float:
    """How many times more a rate varies than if its items were independent; at least 1.

    The variance between clusters, of the rate as a ratio of totals (linearised, with the factor
    c / (c - 1)), over the binomial variance (Korn and Graubard, Survey Methodology 1998).

    Parameters
    ----------
    outcomes : sequence of int
        0 or 1.
    clusters : sequence of str
        To which cluster each item belongs.

    Returns
    -------
    float
        1 where the rate is 0 or 1, as nothing then shows how alike the items of a cluster are. The
        number of items where all are of one cluster: that cluster is one observation.
    """
    sizes, events = _by_cluster(outcomes, clusters)
    total, found = len(outcomes), sum(events)
    if len(sizes) == total:
        return 1.0
    if len(sizes) == 1:
        return float(total)
    if found in (0, total):
        return 1.0
    rate = found / total
    between = math.fsum((event - rate * size) ** 2 for size, event in zip(sizes, events, strict=True))
    return max(1.0, between * len(sizes) / (len(sizes) - 1) / (total * rate * (1 - rate)))


def rate_bounds(outcomes: Sequence[int], clusters: Sequence[str], *, alpha: float) -> Bounds:
    """Bounds of a rate whose items lie in clusters (Korn and Graubard, Survey Methodology 1998).

    The items count as fewer: by the design effect, and by how much wider Student's t is for so few
    clusters than for so many items, as the design effect is itself estimated from the clusters.

    Parameters
    ----------
    outcomes, clusters : sequences
        As of :func:`design_effect`. At least one item: no evidence is not a rate.
    alpha : float
        Of each bound by itself.

    Notes
    -----
    Few events hardly show how alike the items of a cluster are. By simulation, with a limit of 2 %
    and 300 items in clusters of 5 to 20 that are looked at four times, a checkpoint at the limit
    passes 5 %, 8 % or 15 % of the time where the items of a cluster correlate by 0.05, 0.1 or 0.2;
    in clusters of 2 or 3, 2 % to 3 %. So for rare events ask about many topics, not much about each.
    """
    _check_alpha(alpha)
    if not len(outcomes):
        raise ValueError("there are no items, so there is no rate; treat the evidence as missing")
    events, total = sum(outcomes), len(outcomes)
    effective = max(1.0, total / design_effect(outcomes, clusters) * _for_few_clusters(len(set(clusters)), total, alpha))
    bounds = one_sided(min(effective, events / total * effective), effective, alpha=alpha)
    return Bounds(events=int(events), total=total, rate=events / total, effective=effective, low=bounds.low, high=bounds.high)


def settled(bounds: Bounds | Interval, *, kind: RateKind, limit: float) -> Outcome | None:
    """What the bounds of a rate say about its limit; None while they lie on both sides of it."""
    _check_kind(kind)
    if kind == "max_rate":
        return "pass" if bounds.high <= limit else "fail" if bounds.low > limit else None
    return "pass" if bounds.low >= limit else "fail" if bounds.high < limit else None


def items_for(events: float, total: float, limit: float, *, kind: RateKind, alpha: float) -> int | None:
    """The fewest independent items that would settle a rate check, were the rate just as it is seen.

    Parameters
    ----------
    events, total : float
        What was seen, counted or effective. For clustered items multiply the answer by the design effect.

    Returns
    -------
    int or None
        None where the rate is so close to the limit that more than 1,000,000 would be needed.
    """
    _check_kind(kind)
    one_sided(events, total, alpha=alpha)  # what it refuses is refused here
    if total == 0:
        raise ValueError("nothing was seen, so there is no rate that could persist")
    rate = events / total

    def enough(items: int) -> bool:
        return settled(one_sided(min(items, rate * items), items, alpha=alpha), kind=kind, limit=limit) is not None

    high = 1
    while not enough(high):
        if high == MOST_ITEMS:
            return None
        high = min(2 * high, MOST_ITEMS)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def regression(worse: int, better: int, total: int, *, alpha: float) -> Regression:
    """Whether the same items come out worse than in the baseline, and by how much.

    The p is McNemar's, exact and one-sided (Psychometrika 1947); the bounds are Tango's score
    interval (Statist. Med. 1998). Both take items as independent.

    Parameters
    ----------
    worse, better : int
        Items that were good and are bad, and the other way round.
    total : int
        All items.
    alpha : float
        Of each bound by itself.
    """
    _check_alpha(alpha)
    if worse < 0 or better < 0 or worse + better > total or total < 1:
        raise ValueError(f"{worse} worse and {better} better of {total} items: counts can't be negative, nor exceed the items, of which there is at least one")
    from scipy.special import bdtrc

    p = float(bdtrc(worse - 1, worse + better, 0.5)) if worse else 1.0
    bounds = paired_difference(worse, better, total, confidence=1 - 2 * alpha)
    return Regression(worse=worse, better=better, total=total, change=(worse - better) / total, p=p, low=bounds.low, high=bounds.high)


def _by_cluster(outcomes: Sequence[int], clusters: Sequence[str]) -> tuple[list[int], list[int]]:
    """Items and events of each cluster."""
    if len(outcomes) != len(clusters):
        raise ValueError(f"{len(outcomes)} outcomes but {len(clusters)} clusters: each item has one of both")
    if not set(outcomes) <= {0, 1}:
        raise ValueError("an outcome is neither 0 nor 1")
    sizes = Counter(clusters)
    events = Counter(compress(clusters, outcomes))
    return list(sizes.values()), [events[cluster] for cluster in sizes]


def _for_few_clusters(clusters: int, total: int, alpha: float) -> float:
    """By what an effective size shrinks because its design effect is an estimate; at most 1."""
    if clusters == total or clusters < 2:
        return 1.0
    from scipy.special import stdtrit

    return float((stdtrit(total - 1, 1 - alpha) / stdtrit(clusters - 1, 1 - alpha)) ** 2)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}; it lies between 0 and 0.5")


def _check_kind(kind: str) -> None:
    if kind not in ("max_rate", "min_rate"):
        raise ValueError(f"{kind} is not a check of a rate; these are max_rate and min_rate")
