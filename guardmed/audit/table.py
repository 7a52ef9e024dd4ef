"""Answers as a table of items and groups, which every statistic of an audit reads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.results import Scale

Float = NDArray[np.float64]
Value = float | str
# More levels than this, and whole numbers are numbers, not steps of a scale.
_MOST_STEPS = 11


@dataclass(frozen=True, slots=True)
class Observation:
    """Outcomes of one item for one group of one axis.

    Attributes
    ----------
    item : str
        What is compared within: the same case, told for another group.
    outcomes : dict of str to float or str
        0 or 1, any number, or an answer without an order such as ``"B"``.
    expected : bool
        Whether a difference on this item is clinically right; such items are not judged.
    repeat : int
        Which asking of the very same prompt this is, for the noise floor.
    cluster : str
        What items belong together, such as one case in two languages; the item itself when empty.
    prompt, answer : str
        What was asked and answered, for people to read; empty where unknown.
    """

    item: str
    axis: str
    group: str
    outcomes: dict[str, Value]
    language: str = ""
    expected: bool = False
    repeat: int = 0
    cluster: str = ""
    prompt: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Table:
    """One outcome on one axis.

    Attributes
    ----------
    items, groups : tuple of str
    values : array of shape (items, groups)
        Means over repeats; NaN where an item lacks a group. For nominal outcomes, codes.
    first : array of shape (items, groups)
        The first asking alone, which flips are counted on.
    clusters : int array of shape (items,)
    languages : tuple of str
    self_flips : tuple of (int, int)
        Repeats that decided otherwise than the asking before, and all repeats.
    """

    items: tuple[str, ...]
    groups: tuple[str, ...]
    values: Float
    first: Float
    clusters: NDArray[np.int64]
    languages: tuple[str, ...]
    scale: Scale
    self_flips: tuple[int, int]

    @property
    def step(self) -> float:
        """The least by which two single askings can differ where values are steps; 0 where they are not."""
        distinct = np.unique(self.first[~np.isnan(self.first)])
        if np.isin(distinct, (0.0, 1.0)).all():
            return 1.0
        return float(np.diff(distinct).min()) if self.scale == "ordinal" and len(distinct) > 1 else 0.0

    @property
    def clustered(self) -> bool:
        """Whether any cluster holds more than one item."""
        return int(self.clusters.max(initial=-1)) + 1 < len(self.items)

    def flips(self, a: int, b: int, margin: float) -> Float:
        """Whether the items that groups ``a`` and ``b`` both have are decided differently, 0 or 1."""
        one, other = self.first[:, a], self.first[:, b]
        both = ~np.isnan(one) & ~np.isnan(other)
        return differ(one[both], other[both], self.scale, margin)

    def by_cluster(self, columns: Float) -> tuple[Float, Float]:
        """:func:`cluster_sums` of columns over this table's items."""
        return cluster_sums(columns, self.clusters)


def cluster_sums(columns: Float, clusters: NDArray[np.int64]) -> tuple[Float, Float]:
    """Sums and counts of columns (items, n) over clusters, NaN left out; both of shape (clusters, n)."""
    present = ~np.isnan(columns)
    shape = (int(clusters.max(initial=-1)) + 1, columns.shape[1])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, clusters, np.where(present, columns, 0.0))
    np.add.at(counts, clusters, present.astype(np.float64))
    return sums, counts


def cluster_index(names: Sequence[str]) -> NDArray[np.int64]:
    """Which cluster each row belongs to, by name."""
    _, index = np.unique(list(names), return_inverse=True)
    return np.asarray(index, dtype=np.int64)


def table(rows: Sequence[Observation], outcome: str, *, reference: str | None = None, margin: float = 0.0) -> Table:
    """Rows of one axis as a table of one outcome, items sorted, groups as they come, the reference last."""
    rows = [row for row in rows if outcome in row.outcomes]
    groups = list(dict.fromkeys(row.group for row in rows))
    if reference in groups:
        groups = [*(group for group in groups if group != reference), reference]
    items = sorted({row.item for row in rows})
    scale, codes = _scale([row.outcomes[outcome] for row in rows])
    place_of_item = {item: place for place, item in enumerate(items)}
    place_of_group = {group: place for place, group in enumerate(groups)}
    asked: dict[tuple[int, int], list[tuple[int, float]]] = {}
    about: dict[int, Observation] = {}
    for row in rows:
        value = row.outcomes[outcome]
        number = float(codes[str(value)]) if codes else float(value)
        key = (place_of_item[row.item], place_of_group[row.group])
        asked.setdefault(key, []).append((row.repeat, number))
        about.setdefault(key[0], row)
    values = np.full((len(items), len(groups)), np.nan)
    first = values.copy()
    for key, found in asked.items():
        found.sort(key=lambda pair: pair[0])
        first[key] = found[0][1]
        values[key] = found[0][1] if scale == "nominal" else sum(value for _, value in found) / len(found)
    names = [about[place].cluster or item for place, item in enumerate(items)]
    if scale == "binary" and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
        scale = "probability"
    return Table(
        items=tuple(items),
        groups=tuple(groups),
        values=values,
        first=first,
        clusters=cluster_index(names),
        languages=tuple(about[place].language for place in range(len(items))),
        scale=scale,
        self_flips=_self_flips(list(asked.values()), scale, margin),
    )


def _scale(values: Sequence[Value]) -> tuple[Scale, dict[str, int]]:
    """What kind of values these are, and codes where they are answers."""
    if any(isinstance(value, str) for value in values):
        return "nominal", {value: code for code, value in enumerate(sorted({str(value) for value in values}))}
    distinct = {float(value) for value in values}
    if distinct <= {0.0, 1.0}:
        return "binary", {}
    whole = all(value.is_integer() for value in distinct)
    if whole and len(distinct) <= _MOST_STEPS:
        return "ordinal", {}
    return ("probability" if min(distinct) >= 0 and max(distinct) <= 1 else "number"), {}


def differ(one: Float, other: Float, scale: Scale, margin: float) -> Float:
    """Whether two answers are two decisions, 0 or 1 for each.

    Probabilities decide at one half; other numbers differ by more than the margin; all else differs
    when it is not the same.
    """
    if scale == "probability":
        return np.asarray((one > 0.5) != (other > 0.5), dtype=np.float64)
    return np.asarray(np.abs(one - other) > (margin if scale == "number" else 0.0), dtype=np.float64)


def _self_flips(asked: Sequence[Sequence[tuple[int, float]]], scale: Scale, margin: float) -> tuple[int, int]:
    pairs = [(one, other) for found in asked for (_, one), (_, other) in itertools.pairwise(found)]
    if not pairs:
        return 0, 0
    before, after = np.array(pairs).T
    return int(differ(before, after, scale, margin).sum()), len(pairs)
