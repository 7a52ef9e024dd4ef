"""Two audits of the same questions side by side, paired by item: did the gaps change?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from guardmed.audit.definition import CROSS
from guardmed.audit.table import Observation, cluster_index, cluster_sums
from guardmed.errors import DataError
from guardmed.records import Frozen
from guardmed.stats import bootstrap_columns, holm, sign_flip_columns


class Change(Frozen):
    """How one gap differs between two audits.

    Attributes
    ----------
    before, after : float
        Gap (mean of group ``a`` minus ``b``) in the first and the second audit, on the items both have.
    change : float
        ``after`` minus ``before``.
    """

    axis: str
    outcome: str
    a: str
    b: str
    before: float
    after: float
    change: float
    ci: tuple[float, float]
    p: float
    p_adjusted: float
    n_items: int


class Level(Frozen):
    """The mean of one outcome in two audits, over the same answers."""

    outcome: str
    before: float
    after: float
    ci: tuple[float, float]
    n_items: int


class Comparison(Frozen):
    """Two audits, by name, and what changed from the first to the second."""

    before: str
    after: str
    levels: tuple[Level, ...]
    changes: tuple[Change, ...]


def compare(before: Sequence[Observation], after: Sequence[Observation], *, names: tuple[str, str], seed: int = 0) -> Comparison:
    """Changes of every gap and level, over the items that both audits asked of the same groups.

    Items are paired across audits as well, so what is hard about an item cancels out. Intervals are
    bootstraps over clusters of items, p permutes the signs of clusters, Holm's adjustment covers
    every gap of an axis.

    Raises
    ------
    DataError
        The two have no answer in common.
    """
    one, other = _cells(before), _cells(after)
    shared = [key for key in one if key in other]
    if not shared:
        raise DataError("The two audits have no item in common.", mend="Compare audits of the same definition, or records with the same items.")
    by_outcome: dict[tuple[str, str], list[tuple[str, str, str, str]]] = {}
    for key in shared:
        by_outcome.setdefault((key[0], key[1]), []).append(key)
    clusters = {row.item: row.cluster or row.item for row in before}
    changes: dict[str, list[Change]] = {}
    for (axis, outcome), keys in by_outcome.items():
        if CROSS not in axis:
            changes.setdefault(axis, []).extend(_changes(axis, outcome, keys, one, other, clusters, seed))
    adjusted = [
        change.model_copy(update={"p_adjusted": p}) for found in changes.values() for change, p in zip(found, holm([one.p for one in found]), strict=True)
    ]
    outcomes = list(dict.fromkeys(outcome for _, outcome in by_outcome))
    levels = [_level(outcome, [key for key in shared if key[1] == outcome and CROSS not in key[0]], one, other, clusters, seed) for outcome in outcomes]
    return Comparison(before=names[0], after=names[1], levels=tuple(level for level in levels if level is not None), changes=tuple(adjusted))


_Key = tuple[str, str, str, str]
_Cells = dict[_Key, float]


def _cells(rows: Sequence[Observation]) -> _Cells:
    """First answers by axis, outcome, item and group; answers without an order can't be subtracted."""
    cells: _Cells = {}
    for row in rows:
        if row.repeat == 0 and not row.expected:
            for outcome, value in row.outcomes.items():
                if not isinstance(value, str):
                    cells[row.axis, outcome, row.item, row.group] = float(value)
    return cells


def _changes(axis: str, outcome: str, keys: Sequence[_Key], one: _Cells, other: _Cells, clusters: dict[str, str], seed: int) -> list[Change]:
    groups = list(dict.fromkeys(key[3] for key in keys))
    items = sorted({key[2] for key in keys})
    pairs = list(itertools.combinations(groups, 2))
    if not pairs:
        return []
    gaps = np.full((2, len(items), len(pairs)), np.nan)
    for which, cells in enumerate((one, other)):
        for row, item in enumerate(items):
            for column, (a, b) in enumerate(pairs):
                if (
                    (axis, outcome, item, a) in one
                    and (axis, outcome, item, b) in one
                    and (axis, outcome, item, a) in other
                    and (axis, outcome, item, b) in other
                ):
                    gaps[which, row, column] = cells[axis, outcome, item, a] - cells[axis, outcome, item, b]
    sums, counts = cluster_sums(gaps[1] - gaps[0], cluster_index([clusters.get(item, item) for item in items]))
    intervals, p_values = bootstrap_columns(sums, counts, seed=seed), sign_flip_columns(sums, seed=seed)
    found = []
    for column, (a, b) in enumerate(pairs):
        n = int(counts[:, column].sum())
        if not n:
            continue
        first, second = (float(np.nanmean(gaps[which, :, column])) for which in (0, 1))
        interval, p = intervals[column], p_values[column]
        found.append(
            Change(
                axis=axis,
                outcome=outcome,
                a=a,
                b=b,
                before=first,
                after=second,
                change=second - first,
                ci=(interval.low, interval.high),
                p=p,
                p_adjusted=p,
                n_items=n,
            )
        )
    return found


def _level(outcome: str, keys: Sequence[_Key], one: _Cells, other: _Cells, clusters: dict[str, str], seed: int) -> Level | None:
    if not keys:
        return None
    differences = np.array([[other[key] - one[key]] for key in keys])
    sums, counts = cluster_sums(differences, cluster_index([clusters.get(key[2], key[2]) for key in keys]))
    interval = bootstrap_columns(sums, counts, seed=seed)[0]
    before, after = (float(np.mean([cells[key] for key in keys])) for cells in (one, other))
    return Level(outcome=outcome, before=before, after=after, ci=(interval.low, interval.high), n_items=len({key[2] for key in keys}))
