"""Paired gaps of one outcome: each pair of groups with its test and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.results import Omnibus, Slice, Test
from guardmed.audit.table import Float, Table, cluster_sums
from guardmed.stats import (
    Interval,
    bootstrap_columns,
    cochran_q,
    max_gap_p,
    mcnemar_exact,
    paired_difference,
    sign_flip_columns,
    signed_rank_p,
    wilson,
)

RESAMPLES = 2000


@dataclass(frozen=True)
class Compared:
    """Columns of paired differences (one a pair of groups), and what they come to."""

    columns: Float
    intervals: list[Interval]
    p_values: list[float]
    test: Test


def shared(judged: Table, a: int, b: int) -> NDArray[np.bool_]:
    """Items that both groups have."""
    return ~np.isnan(judged.values[:, a]) & ~np.isnan(judged.values[:, b])


def compared(judged: Table, pairs: Sequence[tuple[int, int]], margin: float, seed: int) -> Compared:
    """Every pair of groups, by the test that its outcome's scale and clusters ask for."""
    if judged.scale == "nominal":
        return _flips(judged, pairs, margin, seed)
    columns = np.column_stack([judged.values[:, a] - judged.values[:, b] for a, b in pairs])
    scores = [discordant(column) for column in columns.T]
    tango = [paired_difference(*score) for score in scores]
    if judged.scale == "binary" and not judged.clustered:
        return Compared(columns, tango, [mcnemar_exact(only_a, only_b) for only_a, only_b, _ in scores], "mcnemar")
    sums, counts = judged.by_cluster(columns)
    booted = bootstrap_columns(sums, counts, resamples=RESAMPLES, seed=seed)
    intervals = [_floored(own, floor, total, judged.step) for own, floor, (_, _, total) in zip(booted, tango, scores, strict=True)]
    if judged.scale == "ordinal" and not judged.clustered:
        return Compared(columns, intervals, [signed_rank_p(column[~np.isnan(column)], seed=seed) for column in columns.T], "signed_ranks")
    return Compared(columns, intervals, sign_flip_columns(sums, seed=seed), "sign_flips")


def _floored(own: Interval, floor: Interval, total: int, step: float) -> Interval:
    """A bootstrap has no width where every pair differs by the same, and would prove too much.

    Tango's interval says what share of pairs may do otherwise all the same; each by a step at least.
    Where values are not steps it widens only what has no width at all.
    """
    if step > 0:
        return Interval(min(own.low, step * floor.low), max(own.high, step * floor.high))
    if own.low == own.high:
        unseen = paired_difference(0, 0, total)
        return Interval(own.low + unseen.low, own.high + unseen.high)
    return own


def _flips(judged: Table, pairs: Sequence[tuple[int, int]], margin: float, seed: int) -> Compared:
    """Answers without an order: how often they differ beyond what repeats of one prompt do.

    Newcombe's interval and Fisher's exact p (one-sided), both on clusters: copies of a case are no
    evidence. Without repeats nothing is claimed.
    """
    flips, total = judged.self_flips
    floor = flips / total if total else 0.0
    columns = np.full((len(judged.items), len(pairs)), np.nan)
    for place, (a, b) in enumerate(pairs):
        columns[shared(judged, a, b), place] = judged.flips(a, b, margin) - floor
    booted = bootstrap_columns(*judged.by_cluster(columns), resamples=RESAMPLES, seed=seed)
    intervals, p_values = [], []
    for own, column in zip(booted, columns.T, strict=True):
        present = ~np.isnan(column)
        clusters = len(np.unique(judged.clusters[present]))
        count = round(float((column[present] + floor).mean()) * clusters)
        low, high = _beyond(count, clusters, flips, total)
        intervals.append(Interval(min(own.low, low), max(own.high, high)))
        p_values.append(_more_flips_p(count, clusters, flips, total) if total else 1.0)
    return Compared(columns, intervals, p_values, "flips")


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


def discordant(column: Float) -> tuple[int, int, int]:
    """Pairs above 0, below 0, and all."""
    kept = column[~np.isnan(column)]
    return int(np.sum(kept > 0)), int(np.sum(kept < 0)), len(kept)


def by_language(judged: Table, column: Float) -> dict[str, Slice]:
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
            interval = paired_difference(*discordant(kept))
        else:
            interval = bootstrap_columns(kept.reshape(-1, 1), np.ones((len(kept), 1)), resamples=500)[0]
        found[language] = Slice(n_pairs=len(kept), gap=float(kept.mean()), ci=(interval.low, interval.high))
    return found


def omnibus(judged: Table, seed: int, *, least: int) -> Omnibus | None:
    """All groups at once, over the items that have every one of them; clusters count once."""
    whole = ~np.isnan(judged.values).any(axis=1)
    rows = judged.values[whole]
    if judged.scale == "nominal" or rows.shape[1] < 3 or len(rows) < least:
        return None
    if judged.scale == "binary" and not judged.clustered:
        statistic, p = cochran_q(rows)
        return Omnibus(test="cochran_q", statistic=statistic, p=p, n_items=len(rows))
    _, clusters = np.unique(judged.clusters[whole], return_inverse=True)
    sums, counts = cluster_sums(rows, clusters)
    return Omnibus(test="max_gap", statistic=float(np.ptp(rows.mean(axis=0))), p=max_gap_p(sums / counts, seed=seed), n_items=len(rows))
