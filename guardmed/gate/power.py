"""What a gate of a given size can tell apart, before a single item is asked.

All chances are exact for independent items: no simulation, no normal approximation. Items that lie
in clusters say less, so a gate needs about as many times more of them as its design effect.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from guardmed.gate.bounds import RateKind, looks, one_sided, settled, spent

# SciPy's binomial overflows at rates near the smallest number there is.
_NEVER = 1e-15


@dataclass(frozen=True, slots=True)
class _Look:
    """After how many items, and at which counts of events it ends: under ``below``, or from ``above`` on."""

    items: int
    below: int
    above: int


def pass_chance(rate: float, *, limit: float, total: int, kind: RateKind, alpha: float, sequential: bool) -> float:
    """Chance that a rate check passes a checkpoint whose true rate this is.

    Parameters
    ----------
    rate, limit : float
    total : int
        Items, all of which are asked unless an earlier look settles the check.
    kind : str
        ``max_rate`` or ``min_rate``.
    alpha : float
        One less the check's confidence.
    sequential : bool
        Whether it is looked at before all items are asked, see :func:`guardmed.gate.bounds.looks`.
    """
    below, above = _ends(rate, _plan(limit=limit, total=total, kind=kind, alpha=alpha, sequential=sequential))
    return below if kind == "max_rate" else above


def fail_chance(rate: float, *, limit: float, total: int, kind: RateKind, alpha: float, sequential: bool) -> float:
    """Chance that a rate check fails it; what is left over is inconclusive. As :func:`pass_chance`."""
    below, above = _ends(rate, _plan(limit=limit, total=total, kind=kind, alpha=alpha, sequential=sequential))
    return above if kind == "max_rate" else below


def spare(*, limit: float, total: int, kind: RateKind, alpha: float, sequential: bool, chance: float = 0.9) -> float | None:
    """How far from the limit, on its good side, a checkpoint has to be to pass with this chance.

    Returns
    -------
    float or None
        Below the limit for ``max_rate``, above it for ``min_rate``; 0.04 is four points. None where
        even a perfect checkpoint would not pass so often.
    """
    plan = _plan(limit=limit, total=total, kind=kind, alpha=alpha, sequential=sequential)
    _check_chance(chance)

    def passes(distance: float) -> bool:
        below, above = _ends(max(0.0, limit - distance) if kind == "max_rate" else min(1.0, limit + distance), plan)
        return (below if kind == "max_rate" else above) >= chance

    return _smallest(passes, limit if kind == "max_rate" else 1 - limit)


def regression_chance(change: float, *, total: int, margin: float, alpha: float, base_rate: float, churn: float = 0.01) -> float:
    """Chance that a true change for the worse is found: p under alpha, and a change seen that exceeds the margin.

    Parameters
    ----------
    change : float
        By how much the rate of bad outcomes rises.
    total : int
        Items, each paired with the baseline's answer to it.
    margin : float
    alpha : float
        Of this comparison: with several, what Holm's adjustment leaves the smallest p.
    base_rate : float
        The baseline's rate of bad outcomes.
    churn : float
        Share of items that turn bad, and share that turn good, though nothing is gained or lost;
        no more can turn good than were bad.
    """
    _check_share(margin=margin, base_rate=base_rate, churn=churn)
    if not 0 <= change <= 1 - base_rate:
        raise ValueError(f"a change of {change} from a rate of {base_rate}: it is at least 0 and can't lead beyond 1")
    if total < 1 or not 0 < alpha < 1:
        raise ValueError(f"{total} items at alpha {alpha}: there is at least one item, and alpha lies between 0 and 1")
    import numpy as np
    from scipy.stats import binom

    better = min(churn, base_rate, 1 - base_rate - change)
    changed = change + 2 * better
    if changed < _NEVER:
        return 0.0
    # Over every number of items that changed; among them each turned bad with one chance.
    counts = np.arange(1, total + 1)
    weight = binom.pmf(counts, total, min(1.0, changed))
    counts, weight = counts[weight > 1e-15], weight[weight > 1e-15]
    # As many have to be worse: P(as many or more, of halves) < alpha, and worse - better > margin * total.
    least = binom.isf(alpha, counts, 0.5).astype(np.int64) + 1
    least += binom.sf(least - 1, counts, 0.5) >= alpha
    least = np.maximum(least, np.floor((counts + margin * total) / 2 + 1e-9).astype(np.int64) + 1)
    return float(min(1.0, (weight * binom.sf(least - 1, counts, (change + better) / changed)).sum()))


def smallest_regression(total: int, *, margin: float, alpha: float, base_rate: float, chance: float = 0.8, churn: float = 0.01) -> float | None:
    """The smallest true change for the worse that is found with this chance; see :func:`regression_chance`.

    Returns
    -------
    float or None
        None where no change would be found so often.
    """
    _check_share(base_rate=base_rate)
    _check_chance(chance)

    def found(change: float) -> bool:
        return regression_chance(change, total=total, margin=margin, alpha=alpha, base_rate=base_rate, churn=churn) >= chance

    return _smallest(found, 1 - base_rate)


def _plan(*, limit: float, total: int, kind: RateKind, alpha: float, sequential: bool) -> list[_Look]:
    """The counts of events at which each look would settle the check."""
    _check_share(limit=limit)
    if total < 1:
        raise ValueError(f"total is {total}; a check needs at least one item")
    schedule = [(items, spent(index, total, alpha)) for index, items in enumerate(looks(total))] if sequential else [(total, alpha)]
    few, many = ("pass", "fail") if kind == "max_rate" else ("fail", "pass")

    def look(items: int, level: float) -> _Look:
        def says(events: int) -> str | None:
            return settled(one_sided(events, items, alpha=level), kind=kind, limit=limit)

        # Both bounds rise with the events, so each verdict has one end.
        every = range(items + 1)
        return _Look(items, bisect_left(every, True, key=lambda events: says(events) != few), bisect_left(every, True, key=lambda events: says(events) == many))

    return [look(items, level) for items, level in schedule]


def _ends(rate: float, plan: list[_Look]) -> tuple[float, float]:
    """Chances to end with few events and with many, look by look."""
    _check_share(rate=rate)
    import numpy as np
    from scipy.stats import binom

    if rate < _NEVER:
        rate = 0.0
    # How likely each count of events is, with the check still open.
    is_open, asked = np.ones(1), 0
    below, above = 0.0, 0.0
    for look in plan:
        more = look.items - asked
        is_open = np.convolve(is_open, binom.pmf(np.arange(more + 1), more, rate))
        below += float(is_open[: look.below].sum())
        above += float(is_open[look.above :].sum())
        is_open[: look.below] = 0
        is_open[look.above :] = 0
        asked = look.items
    return min(1.0, below), min(1.0, above)


def _smallest(enough: Callable[[float], bool], most: float) -> float | None:
    """The smallest distance up to ``most`` that is enough, to within a thousandth of a point; never one that is not."""
    if not enough(most):
        return None
    if enough(0.0):
        return 0.0
    low, high = 0.0, most
    for _ in range(math.ceil(math.log2(max(2.0, most * 1e5)))):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check_chance(chance: float) -> None:
    if not 0 < chance < 1:
        raise ValueError(f"chance is {chance}; it lies between 0 and 1")


def _check_share(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; it is a share from 0 to 1")
