"""Fits calibration maps in float64: temperature for class probabilities, Platt for scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.errors import CalibrationError

Float = NDArray[np.float64]
Method = Literal["temperature", "platt"]

MIN_ROWS = 30
MIN_OF_EACH = 5
_TEMPERATURES = (0.02, 50.0)
# Smallest probability whose logarithm is taken; float32 softmax gives exact zeros.
_TINY = float(np.finfo(np.float64).tiny)
# A right answer of probability zero counts as this, or one such row would decide the whole fit.
_LEAST_LIKELY = float(np.log(np.finfo(np.float64).eps))


@dataclass(frozen=True)
class Temperature:
    """Class probabilities to the power 1/T, renormalised (Guo et al., ICML 2017)."""

    temperature: float

    def apply(self, probs: ArrayLike) -> Float:
        """Calibrated probabilities, shape (rows, classes); T=1 gives them back."""
        scaled = log_probs(probs) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        out: Float = np.exp(scaled)
        out /= out.sum(axis=1, keepdims=True)
        return out


@dataclass(frozen=True)
class Platt:
    """A logistic on the score's log-odds (Platt, 1999): sigmoid(slope * logit(score) + bias)."""

    slope: float
    bias: float

    def apply(self, scores: ArrayLike) -> Float:
        """Calibrated probabilities of the same shape."""
        from scipy.special import expit

        out: Float = expit(self.slope * log_odds(scores) + self.bias)
        return out


def log_probs(probs: ArrayLike) -> Float:
    """Logarithms in float64; exact zeros become the smallest positive number's."""
    return np.log(np.maximum(np.asarray(probs, dtype=np.float64), _TINY))


def log_odds(scores: ArrayLike) -> Float:
    """Log-odds in float64, scores of exactly 0 and 1 moved in by a millionth."""
    clipped = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped) - np.log1p(-clipped)


def fit_temperature(probs: ArrayLike, labels: ArrayLike) -> Temperature:
    """The temperature of least negative log-likelihood.

    The loss is convex in 1/T; Newton's steps use the analytic gradient and curvature (mean and
    variance of the logits under the model), inside a bracket that always shrinks.

    Parameters
    ----------
    probs : array of shape (rows, classes)
        Probabilities or anything proportional; cast to float64.
    labels : int array of shape (rows,)

    Raises
    ------
    CalibrationError
        Too few rows, one class only, or scores that carry no signal.
    """
    logits = log_probs(probs)
    targets = np.asarray(labels, dtype=np.int64)
    _check_rows(len(logits))
    _check_finite(np.asarray(probs, dtype=np.float64))
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise CalibrationError(
            f"Labels run from {targets.min()} to {targets.max()}, but there are {logits.shape[1]} classes (counted from 0).", mend="Mend the labels."
        )
    rows = np.arange(len(logits))
    logits[rows, targets] = np.maximum(logits[rows, targets], _LEAST_LIKELY)
    chosen = logits[rows, targets]
    if np.unique(targets).size < 2 and logits.shape[1] > 1:
        raise CalibrationError("Every row has the same label: nothing can be calibrated.", mend="Give rows of all classes.")
    low, high = 1 / _TEMPERATURES[1], 1 / _TEMPERATURES[0]
    beta = 1.0
    for _ in range(100):
        gradient, curvature = _slope(logits, chosen, beta)
        if gradient > 0:
            high = beta
        else:
            low = beta
        step = beta - gradient / curvature if curvature > 0 else 0.0
        following = step if low < step < high else (low + high) / 2
        if abs(following - beta) <= 1e-12 * beta:
            break
        beta = following
    temperature = 1 / beta
    if not _TEMPERATURES[0] * 1.01 < temperature < _TEMPERATURES[1] * 0.99:
        reason = "the scores carry no signal about the label" if temperature > 1 else "every row is predicted right"
        raise CalibrationError(
            f"The temperature runs off to {temperature:.3g}: {reason}.", mend="Check that labels and probabilities belong together, or give harder rows."
        )
    return Temperature(float(temperature))


def fit_platt(scores: ArrayLike, correct: ArrayLike) -> Platt:
    """Logistic regression on the log-odds, with Platt's smoothed targets against overfitting.

    Parameters
    ----------
    scores : array of shape (rows,)
        In 0 to 1.
    correct : 0 or 1 array of shape (rows,)

    Raises
    ------
    CalibrationError
        Too few rows, too few of one class, or scores that rank no better than chance.
    """
    x = log_odds(scores)
    y = np.asarray(correct, dtype=np.float64)
    _check_rows(len(x))
    _check_finite(x)
    positives, negatives = float(y.sum()), float(len(y) - y.sum())
    if min(positives, negatives) < MIN_OF_EACH:
        raise CalibrationError(f"{int(positives)} right and {int(negatives)} wrong rows: at least {MIN_OF_EACH} of each are needed.", mend="Give more rows.")
    if np.ptp(x) == 0:
        raise CalibrationError("Every score is the same: they carry no signal.", mend="Give scores that differ.")
    targets = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([x, np.ones_like(x)], axis=1)
    theta = np.zeros(2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ theta))
        gradient = design.T @ (p - targets)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 10.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-12:
            break
    if theta[0] <= 0:
        raise CalibrationError(
            f"The fitted slope is {theta[0]:.3g}: higher scores are not righter, so they carry no signal to calibrate.",
            mend="Check that score and correct belong together, or use another score.",
        )
    return Platt(float(theta[0]), float(theta[1]))


def _slope(logits: Float, chosen: Float, beta: float) -> tuple[float, float]:
    """First and second derivative of the mean NLL in beta = 1/T."""
    scaled = logits * beta
    scaled -= scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled)
    weights /= weights.sum(axis=1, keepdims=True)
    # Classes without any weight would bring their huge negative logarithms into the variance.
    finite = np.where(weights > 0, logits, 0.0)
    mean = (weights * finite).sum(axis=1)
    variance = (weights * finite**2).sum(axis=1) - mean**2
    return float((mean - chosen).mean()), float(variance.mean())


def _check_finite(values: Float) -> None:
    if not np.isfinite(values).all():
        raise CalibrationError("Some scores are not finite numbers.", mend="Remove those rows, or find out why the model gave them.")


def _check_rows(rows: int) -> None:
    if rows < MIN_ROWS:
        raise CalibrationError(f"{rows} rows are too few to calibrate on; at least {MIN_ROWS} are needed.", mend="Give more rows, or a smaller --holdout.")
