"""A map for each group, drawn towards what the groups have in common.

Alone, a group of 100 rows gives a slope or a temperature with an error as large as the differences between groups.
Each group's is therefore drawn towards the groups' mean, the further the less its own rows say (empirical Bayes;
the spread between groups by DerSimonian and Laird, 1986). The bias stays each group's own. A slope so drawn stays
positive, so that the order of a group's scores, and its AUROC, stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.fit import MIN_OF_EACH, fit_temperature, logistic, platt_targets, temperature_curvature
from guardmed.calibration.maps import Map, Platt, Temperature, log_odds
from guardmed.errors import CalibrationError

Float = NDArray[np.float64]

MIN_GROUP_ROWS = 100
_LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class GroupMaps:
    """Maps by group, why some have none, and what the groups have in common: a map for a group not among them."""

    maps: dict[str, Map]
    refused: dict[str, str]
    common: Map


def fit_groups(values: Float, targets: Float, names: NDArray[np.str_]) -> GroupMaps:
    """A temperature for each group of class probabilities, or a logistic for each group of scores.

    Parameters
    ----------
    values : float64 array of shape (rows, classes) or (rows,)
    targets : array of shape (rows,)
    names : array of str, shape (rows,)

    Returns
    -------
    GroupMaps
        A group with fewer than ``MIN_GROUP_ROWS`` rows, or one class only, is refused by name.

    Raises
    ------
    CalibrationError
        No group can be fitted, or over all of them scores carry no signal.
    """
    parts = {name: (values[names == name], targets[names == name]) for name in dict.fromkeys(names.tolist())}
    refused = {name: problem for name, part in parts.items() if (problem := _problem(*part))}
    kept = {name: part for name, part in parts.items() if name not in refused}
    if not kept:
        raise CalibrationError("No group can be calibrated: " + "; ".join(f"{name}: {problem}" for name, problem in refused.items()), mend="Give more rows.")
    return (_temperatures if values.ndim == 2 else _logistics)(kept, refused)


def _problem(values: Float, targets: Float) -> str | None:
    if len(targets) < MIN_GROUP_ROWS:
        return f"{len(targets)} rows to fit on; {MIN_GROUP_ROWS} are needed"
    if values.ndim == 1:
        right, wrong = int(targets.sum()), int(len(targets) - targets.sum())
        if min(right, wrong) < MIN_OF_EACH:
            return f"{right} right and {wrong} wrong rows; {MIN_OF_EACH} of each are needed"
    elif len(np.unique(targets)) < 2:
        return "every row has the same label"
    return None


def _temperatures(parts: dict[str, tuple[Float, Float]], refused: dict[str, str]) -> GroupMaps:
    found: dict[str, tuple[float, float]] = {}
    for name, (values, targets) in parts.items():
        try:
            sharpness = 1 / fit_temperature(values, targets).temperature
        except CalibrationError as error:
            refused[name] = str(error).splitlines()[0]
            continue
        # The logarithm of 1/T is about normal; its error follows from the curvature of the loss.
        curvature = temperature_curvature(values, sharpness) * len(targets)
        found[name] = float(np.log(sharpness)), float(1 / (sharpness * np.sqrt(max(curvature, 1e-12))))
    if not found:
        raise CalibrationError("No group can be calibrated: " + "; ".join(f"{name}: {problem}" for name, problem in refused.items()), mend="Give other scores.")
    mean, spread = _common(list(found.values()))
    maps: dict[str, Map] = {name: Temperature(float(np.exp(-_drawn(value, error, mean, spread)))) for name, (value, error) in found.items()}
    return GroupMaps(maps, refused, Temperature(float(np.exp(-mean))))


def _logistics(parts: dict[str, tuple[Float, Float]], refused: dict[str, str]) -> GroupMaps:
    def fitted(values: Float, targets: Float, prior: tuple[float, float] | None) -> tuple[Float, Float]:
        return logistic(log_odds(values)[:, None], platt_targets(targets), prior=prior)

    # Where all scores of a group are the same it has a bias only, and says nothing of slopes.
    telling = [fitted(values, targets, None) for values, targets in parts.values() if np.ptp(values) > 0]
    mean, spread = _common([(float(theta[0]), float(np.sqrt(covariance[0, 0]))) for theta, covariance in telling])
    if not mean > 0:
        raise CalibrationError(
            "Over the groups, higher scores are not righter: they carry no signal to calibrate.",
            mend="Check that score and correct belong together, or use another score.",
        )
    maps: dict[str, Map] = {}
    for name, (values, targets) in parts.items():
        slope, bias = fitted(values, targets, (mean, max(spread, 1e-3 * mean)))[0]
        if slope < _LEAST_SLOPE * mean:
            slope, bias = fitted(values, targets, (mean, 1e-3 * mean))[0]
        maps[name] = Platt(float(slope), float(bias))
    values, targets = (np.concatenate([part[at] for part in parts.values()]) for at in (0, 1))
    slope, bias = fitted(values, targets, (mean, 1e-3 * mean))[0]
    return GroupMaps(maps, refused, Platt(float(slope), float(bias)))


def _common(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean of some estimates with errors, and how far groups lie apart beyond them."""
    if not found:
        return 0.0, 0.0
    values, weights = np.array([value for value, _ in found]), np.array([error**-2.0 for _, error in found])
    mean = float((weights * values).sum() / weights.sum())
    excess = float((weights * (values - mean) ** 2).sum() - (len(values) - 1))
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    spread = max(0.0, excess / scale) if scale > 0 else 0.0
    weights = 1 / (1 / weights + spread)
    return float((weights * values).sum() / weights.sum()), float(np.sqrt(spread))


def _drawn(value: float, error: float, mean: float, spread: float) -> float:
    if spread == 0:
        return mean
    return (value / error**2 + mean / spread**2) / (1 / error**2 + 1 / spread**2)
