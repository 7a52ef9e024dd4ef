"""Figures with 95 % intervals: rates, means and F1."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from guardmed.evaluate.results import Figure
from guardmed.gate.bounds import rate_bounds
from guardmed.stats import Interval, bootstrap_columns, bootstrap_statistic, wilson

Float = NDArray[np.float64]
_TAIL = 0.025
_NONE: Mapping[str, float] = MappingProxyType({})


def rate(outcomes: Sequence[bool], *, clusters: Sequence[str] | None = None, controls: Mapping[str, float] = _NONE, detail: str = "") -> Figure:
    """Share of items with an outcome: Wilson's interval, or an exact one at the effective size where items lie in clusters."""
    n, events = len(outcomes), sum(outcomes)
    if clusters is None:
        interval = wilson(events, n)
    else:
        found = rate_bounds([int(outcome) for outcome in outcomes], clusters, alpha=_TAIL)
        interval = Interval(found.low, found.high)
    return Figure(value=events / n, interval=(interval.low, interval.high), n=n, controls=dict(controls), detail=detail)


def pooled(sums: Sequence[float], counts: Sequence[int], *, seed: int, shares: bool = False, controls: Mapping[str, float] = _NONE, detail: str = "") -> Figure:
    """A mean of values that lie in items, items resampled; its ``n`` counts the items that hold any.

    Parameters
    ----------
    sums, counts : sequences
        Of each item's values, and how many there are.
    shares : bool
        Values are 0 or 1: the interval is never narrower than Wilson's of as many independent values, as
        a bootstrap has no width where all are alike.
    """
    totals, rows = np.array(sums, dtype=np.float64).reshape(-1, 1), np.array(counts, dtype=np.float64).reshape(-1, 1)
    found = bootstrap_columns(totals, rows, seed=seed)[0]
    if shares:
        floor = wilson(round(float(totals.sum())), int(rows.sum()))
        found = Interval(min(found.low, floor.low), max(found.high, floor.high))
    return Figure(value=float(totals.sum() / rows.sum()), interval=(found.low, found.high), n=int((rows > 0).sum()), controls=dict(controls), detail=detail)


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives of each item (row) and label (column)."""

    labels: tuple[str, ...]
    hits: Float
    extra: Float
    missed: Float

    @classmethod
    def of(cls, gold: Sequence[Mapping[str, Collection[Hashable]]], found: Sequence[Mapping[str, Collection[Hashable]]]) -> Counts:
        """Of the right and the found members of each label, item by item; labels are those of either."""
        labels = tuple(sorted({label for rows in (gold, found) for row in rows for label, members in row.items() if members}))
        hits, extra, missed = (np.zeros((len(gold), len(labels))) for _ in range(3))
        for place, (right, said) in enumerate(zip(gold, found, strict=True)):
            for column, label in enumerate(labels):
                a, b = set(right.get(label, ())), set(said.get(label, ()))
                hits[place, column], extra[place, column], missed[place, column] = len(a & b), len(b - a), len(a - b)
        return cls(labels, hits, extra, missed)

    def micro(self, *, seed: int, controls: Mapping[str, float] = _NONE, detail: str = "") -> Figure:
        """F1 over all members of all labels; its bootstrap over items never narrower than Wilson's interval.

        F1 is 2J / (1 + J) of the share J of hits among all that is right or said, a proportion.
        """
        columns = np.column_stack([part.sum(axis=1) for part in (self.hits, self.extra, self.missed)])
        own = bootstrap_statistic(lambda weights: _f1(*(weights @ columns).T), len(columns), seed=seed)
        hits, extra, missed = (int(total) for total in columns.sum(axis=0))
        floor = wilson(hits, hits + extra + missed)
        low, high = min(own.low, _from_share(floor.low)), max(own.high, _from_share(floor.high))
        return Figure(value=float(_f1(hits, extra, missed)), interval=(low, high), n=len(columns), controls=dict(controls), detail=detail)

    def macro(self, *, seed: int, controls: Mapping[str, float] = _NONE, detail: str = "") -> Figure:
        """Mean over labels of their F1, as seqeval and scikit-learn have it."""

        def mean(weights: Float) -> Float:
            hits, extra, missed = weights @ self.hits, weights @ self.extra, weights @ self.missed
            drawn = (hits + extra + missed) > 0
            below = np.maximum(drawn.sum(axis=1), 1)
            found: Float = (_f1(hits, extra, missed) * drawn).sum(axis=1) / below
            return found

        n = len(self.hits)
        if not self.labels:
            return Figure(value=0.0, interval=(0.0, 1.0), n=n, controls=dict(controls), detail=detail)
        value = float(mean(np.ones((1, n)))[0])
        interval = bootstrap_statistic(mean, n, seed=seed)
        if interval.low == interval.high:  # nothing varies, which shows little where little was asked
            low, high = self.micro(seed=seed).interval
            interval = Interval(min(low, value), max(high, value))
        return Figure(value=value, interval=(interval.low, interval.high), n=n, controls=dict(controls), detail=detail)

    def by_label(self, *, seed: int) -> dict[str, Figure]:
        """F1 of each label."""
        return {
            label: Counts((label,), self.hits[:, [at]], self.extra[:, [at]], self.missed[:, [at]]).micro(
                seed=seed, detail=f"{int(self.hits[:, at].sum() + self.missed[:, at].sum())} right ones"
            )
            for at, label in enumerate(self.labels)
        }

    @property
    def precision(self) -> float:
        """Share of what was said that is right; 0 where nothing was."""
        said = self.hits.sum() + self.extra.sum()
        return float(self.hits.sum() / said) if said else 0.0

    @property
    def recall(self) -> float:
        """Share of what is right that was said; 0 where nothing is."""
        right = self.hits.sum() + self.missed.sum()
        return float(self.hits.sum() / right) if right else 0.0


def _f1(hits: object, extra: object, missed: object) -> Float:
    """F1 of counts; 0 where there is nothing."""
    tp, fp, fn = (np.asarray(part, dtype=np.float64) for part in (hits, extra, missed))
    below = 2 * tp + fp + fn
    return np.divide(2 * tp, below, out=np.zeros_like(below), where=below > 0)


def _from_share(share: float) -> float:
    return 2 * share / (1 + share)
