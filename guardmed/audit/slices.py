"""What an audit describes without judging: intersections, expected differences, calibration by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from guardmed.audit.definition import CROSS
from guardmed.audit.results import Cell, ExpectedResult, GroupCalibration, Intersection, Role
from guardmed.audit.table import Float, Observation, cluster_sums, table
from guardmed.stats import bootstrap_columns, max_gap_p

CONFIDENCE, CORRECT, OVERCONFIDENCE = "confidence", "correct", "overconfidence"


def intersection(rows: Sequence[Observation], axis: str, outcome: str, *, seed: int, least: int) -> Intersection | None:
    """Each cell's mean difference from all cells of the same item, shrunk by empirical Bayes.

    The spread that cells would show by chance is taken off their observed spread (method of
    moments); what is left says how far each is drawn towards 0 (Efron and Morris, JASA 1975).
    """
    found = table([row for row in rows if not row.expected], outcome)
    names = [tuple(group.split(CROSS)) for group in found.groups]
    if found.scale == "nominal" or any(len(name) != 2 for name in names):
        return None
    deviations = found.values - np.nanmean(found.values, axis=1, keepdims=True)
    intervals = bootstrap_columns(*found.by_cluster(deviations), seed=seed)
    means = np.nanmean(deviations, axis=0)
    errors = np.array([(interval.high - interval.low) / (2 * 1.96) for interval in intervals])
    spread = max(0.0, float((means**2).mean() - (errors**2).mean()))
    shrunk = means * np.divide(spread, spread + errors**2, out=np.zeros_like(errors), where=spread + errors**2 > 0)
    counts = np.sum(~np.isnan(found.values), axis=0)
    complete = ~np.isnan(found.values).any(axis=1)
    whole = found.values[complete]
    # Copies of a case in another language are no further evidence.
    sums, counts_of = cluster_sums(whole, np.unique(found.clusters[complete], return_inverse=True)[1])
    one, other = axis.split(CROSS)
    return Intersection(
        axes=(one, other),
        outcome=outcome,
        cells=tuple(
            Cell(
                groups=(name[0], name[1]),
                n=int(counts[place]),
                mean=float(np.nanmean(found.values[:, place])),
                deviation=float(means[place]),
                ci=(intervals[place].low, intervals[place].high),
                shrunk=float(shrunk[place]),
                suppressed=bool(counts[place] < least),
            )
            for place, name in enumerate(names)
        ),
        p=max_gap_p(sums / counts_of, seed=seed) if len(whole) >= least else None,
    )


def expected_differences(rows: Sequence[Observation], *, roles: Mapping[str, Role]) -> tuple[ExpectedResult, ...]:
    """Means by group on items where a difference is declared clinically right."""
    values: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in rows:
        if not row.expected or CROSS in row.axis:
            continue
        for name, value in row.outcomes.items():
            if not isinstance(value, str) and roles.get(name, "primary") == "primary":
                values.setdefault((row.cluster or row.item, row.axis, name), {}).setdefault(row.group, []).append(value)
    return tuple(
        ExpectedResult(vignette=vignette, axis=axis, outcome=outcome, groups={group: float(np.mean(found)) for group, found in groups.items()})
        for (vignette, axis, outcome), groups in values.items()
    )


def with_overconfidence(rows: Sequence[Observation]) -> list[Observation]:
    """Rows that say both how sure and whether right also say the difference, which pairs like any outcome."""
    return [
        replace(row, outcomes={**row.outcomes, OVERCONFIDENCE: row.outcomes[CONFIDENCE] - row.outcomes[CORRECT]}) if _has_both(row) else row  # type: ignore[operator]
        for row in rows
    ]


def group_calibration(rows: Sequence[Observation], *, least: int) -> dict[str, dict[str, GroupCalibration]]:
    """Expected calibration error of each group, plain and with what chance alone adds taken off."""
    from guardmed.calibration.metrics import debiased_ece, ece

    gathered: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if _has_both(row) and CROSS not in row.axis and row.repeat == 0:
            pair = (float(row.outcomes[CONFIDENCE]), float(row.outcomes[CORRECT]))
            gathered.setdefault(row.axis, {}).setdefault(row.group, []).append(pair)
    out: dict[str, dict[str, GroupCalibration]] = {}
    for axis, groups in gathered.items():
        for group, pairs in groups.items():
            confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
            if not _probabilities(confidence):
                continue
            out.setdefault(axis, {})[group] = GroupCalibration(
                n=len(pairs),
                confidence=float(confidence.mean()),
                accuracy=float(correct.mean()),
                ece=ece(confidence, correct),
                debiased_ece=debiased_ece(confidence, correct),
                suppressed=len(pairs) < least,
            )
    return out


def _has_both(row: Observation) -> bool:
    return isinstance(row.outcomes.get(CONFIDENCE), (int, float)) and row.outcomes.get(CORRECT) in (0, 1)


def _probabilities(values: Float) -> bool:
    return bool(np.all((values >= 0) & (values <= 1)))
