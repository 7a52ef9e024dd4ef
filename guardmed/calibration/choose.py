"""Chooses a calibration method by cross-validation, the simplest of those that do about as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.fit import fit
from guardmed.calibration.maps import Map, Method
from guardmed.errors import CalibrationError

Float = NDArray[np.float64]

FOLDS = 5
# Simplest first: by the count of numbers that each fits.
BY_CLASS: tuple[Method, ...] = ("temperature", "vector")
BY_SCORE: tuple[Method, ...] = ("platt", "beta", "histogram", "isotonic")


@dataclass(frozen=True)
class Candidate:
    """How a method did on rows that its fit did not see.

    Attributes
    ----------
    method : str
    nll : float or None
        Mean negative log-likelihood over the folds, in nats; ``None`` where it could not be fitted.
    error : float or None
        Standard error of the difference from the best method's, by row.
    reason : str or None
        Why it could not be fitted.
    """

    method: Method
    nll: float | None = None
    error: float | None = None
    reason: str | None = None


def choose(values: Float, targets: Float, *, seed: int = 0) -> tuple[Method, tuple[Candidate, ...]]:
    """The simplest method whose cross-validated loss is within one standard error of the best one's.

    The rule is Breiman's (Classification and Regression Trees, 1984, section 3.4.3); the error is that of the
    paired difference, row by row. The rows given must be the fit's own: with those held out besides, the choice
    is nested, and what is measured there owes nothing to it.

    Parameters
    ----------
    values : float64 array of shape (rows, classes) or (rows,)
    targets : array of shape (rows,)
    seed : int
        Of the folds.

    Returns
    -------
    method : str
    candidates : tuple of Candidate
        All that were tried, simplest first.

    Raises
    ------
    CalibrationError
        No method can be fitted; the reason is the simplest one's.
    """
    fold = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    losses: dict[Method, Float] = {}
    reasons: dict[Method, str] = {}
    methods = BY_CLASS if values.ndim == 2 else BY_SCORE
    for method in methods:
        try:
            # One fit of all first: what can't be fitted at all says why, without a word on folds.
            fit(method, values, targets)
            losses[method] = _losses(method, values, targets, fold)
        except CalibrationError as error:
            reasons[method] = str(error).splitlines()[0]
            if method == methods[0]:
                raise
    best = min(losses, key=lambda method: losses[method].mean())
    gaps = {method: loss - losses[best] for method, loss in losses.items()}
    errors = {method: float(gap.std(ddof=1) / np.sqrt(len(gap))) for method, gap in gaps.items()}
    chosen = next(method for method in methods if method in losses and gaps[method].mean() <= errors[method])
    return chosen, tuple(
        Candidate(method, float(losses[method].mean()), errors[method]) if method in losses else Candidate(method, None, reason=reasons[method])
        for method in methods
    )


def log_losses(mapping: Map, values: Float, targets: Float) -> Float:
    """Negative log-likelihood of each row under a map, in nats."""
    found = mapping.apply(values)
    right = found[np.arange(len(found)), targets.astype(np.int64)] if found.ndim == 2 else np.where(targets > 0, found, 1 - found)
    return -np.log(np.maximum(right, 1e-12))


def _losses(method: Method, values: Float, targets: Float, fold: NDArray[np.int64]) -> Float:
    out = np.empty(len(targets))
    for number in range(FOLDS):
        held = fold == number
        out[held] = log_losses(fit(method, values[~held], targets[~held]), values[held], targets[held])
    return out
