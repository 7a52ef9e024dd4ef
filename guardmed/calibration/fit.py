"""Fits calibration maps in float64, and refuses what can't be calibrated.

Every fit refuses too few rows, one class only, numbers that are not finite, and scores that carry no signal: a map of
scores must explain the outcomes better than no score at all, by a likelihood-ratio test (Wilks, 1938) at 5 %. Class
probabilities without signal have an answer that holds, all classes alike, which a temperature runs towards; only one
that runs off is refused, and :func:`likelihood_ratio` tells the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.calibration.maps import Beta, Histogram, Isotonic, Map, Method, Platt, Temperature, Vector, clip_scores, log_odds, log_probs, softmax
from guardmed.errors import CalibrationError

Float = NDArray[np.float64]

MIN_ROWS = 30
MIN_OF_EACH = 5
# Step functions follow single rows where there are few.
MIN_FLEXIBLE = 1000
HISTOGRAM_BINS = 15
_TEMPERATURES = (0.02, 50.0)
# A right answer of probability zero counts as this, or one such row would decide the whole fit.
_LEAST_LIKELY = float(np.log(np.finfo(np.float64).eps))
# 95 % point of chi-squared with one degree of freedom, and of a number that can't be negative.
_SIGNAL, ENOUGH_SIGNAL = 3.841, 2.706
# Standard deviation of a vector map's parameters around those of a temperature, for each row of the fit.
_RIDGE = 1.0


def fit(method: Method, values: ArrayLike, targets: ArrayLike) -> Map:
    """Fit one method; see the ``fit_`` functions for what each takes and refuses."""
    return _FITS[method](values, targets)


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


def fit_vector(probs: ArrayLike, labels: ArrayLike) -> Vector:
    """Vector scaling by penalised maximum likelihood (L-BFGS, analytic gradient).

    Weights and biases are drawn towards the one temperature that fits best, so that a class that is seldom right
    does not run off.

    Parameters
    ----------
    probs : array of shape (rows, classes)
    labels : int array of shape (rows,)

    Raises
    ------
    CalibrationError
        As for :func:`fit_temperature`.
    """
    from scipy.optimize import minimize

    raw = np.asarray(probs, dtype=np.float64)
    start = 1 / fit_temperature(raw, labels).temperature
    targets = np.asarray(labels, dtype=np.int64)
    rows, classes = np.arange(len(raw)), raw.shape[1]
    logits = np.maximum(log_probs(raw), _LEAST_LIKELY)
    present = raw > 0
    present[rows, targets] = True
    onehot = np.zeros_like(raw)
    onehot[rows, targets] = 1.0

    def loss(theta: Float) -> tuple[float, Float]:
        weights, biases = theta[:classes], theta[classes:]
        found = softmax(np.where(present, logits * weights + biases, -np.inf))
        gap = found - onehot
        away = np.concatenate([weights - start, biases])
        value = -np.log(np.maximum(found[rows, targets], np.finfo(np.float64).tiny)).sum() + 0.5 * _RIDGE * (away @ away)
        return float(value), np.concatenate([(gap * logits).sum(axis=0), gap.sum(axis=0)]) + _RIDGE * away

    theta = minimize(loss, np.concatenate([np.full(classes, start), np.zeros(classes)]), jac=True, method="L-BFGS-B").x
    return Vector(tuple(theta[:classes].tolist()), tuple(theta[classes:].tolist()))


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
    x, y = log_odds(scores), _outcomes(scores, correct)
    slope, bias = logistic(x[:, None], platt_targets(y))[0].tolist()
    if slope <= 0:
        raise CalibrationError(
            f"The fitted slope is {slope:.3g}: higher scores are not righter, so they carry no signal to calibrate.",
            mend="Check that score and correct belong together, or use another score.",
        )
    _check_signal(_gain(Platt(slope, bias).apply(scores), y), ENOUGH_SIGNAL)
    return Platt(slope, bias)


def fit_beta(scores: ArrayLike, correct: ArrayLike) -> Beta:
    """Beta calibration: a logistic on log(score) and -log(1 - score), whose weights may not be negative.

    Parameters
    ----------
    scores : array of shape (rows,)
        In 0 to 1.
    correct : 0 or 1 array of shape (rows,)

    Raises
    ------
    CalibrationError
        As for :func:`fit_platt`.
    """
    y = _outcomes(scores, correct)
    clipped = clip_scores(scores)
    both = np.stack([np.log(clipped), -np.log1p(-clipped)], axis=1)
    a, b, c = logistic(both, platt_targets(y))[0].tolist()
    if a < 0 or b < 0:
        # Of a negative weight nothing is kept and the other is fitted alone (Kull et al., section 4).
        kept = 1 if a < 0 else 0
        alone, c = logistic(both[:, kept : kept + 1], platt_targets(y))[0].tolist()
        a, b = (0.0, alone) if kept else (alone, 0.0)
    if a < 0 or b < 0 or a + b == 0:
        raise CalibrationError("Higher scores are not righter: they carry no signal to calibrate.", mend="Use another score.")
    _check_signal(_gain(Beta(a, b, c).apply(scores), y), _SIGNAL)
    return Beta(a, b, c)


def fit_isotonic(scores: ArrayLike, correct: ArrayLike) -> Isotonic:
    """Isotonic regression, its steps joined by straight lines.

    Raises
    ------
    CalibrationError
        Fewer rows than ``MIN_FLEXIBLE``, or as for :func:`fit_platt`.
    """
    from scipy.optimize import isotonic_regression

    y = _outcomes(scores, correct)
    _check_flexible(len(y))
    x, inverse, counts = np.unique(np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=y) / counts
    heights = isotonic_regression(means, weights=counts).x
    if heights[0] == heights[-1]:
        raise CalibrationError("Higher scores are not righter: they carry no signal to calibrate.", mend="Use another score.")
    # Of a level stretch only its ends count. Outcomes never seen are not impossible: half a row stands for them.
    ends = np.flatnonzero((np.diff(heights, prepend=-1) != 0) | (np.diff(heights, append=2) != 0))
    least = 0.5 / (len(y) + 1)
    return Isotonic(tuple(x[ends].tolist()), tuple(np.clip(heights[ends], least, 1 - least).tolist()))


def fit_histogram(scores: ArrayLike, correct: ArrayLike) -> Histogram:
    """Histogram binning with bins of like mass; equal scores stay in one bin.

    Raises
    ------
    CalibrationError
        Fewer rows than ``MIN_FLEXIBLE``, or as for :func:`fit_platt`.
    """
    y = _outcomes(scores, correct)
    _check_flexible(len(y))
    x = np.asarray(scores, dtype=np.float64)
    edges = np.unique(np.quantile(x, np.arange(1, HISTOGRAM_BINS) / HISTOGRAM_BINS))
    edges = edges[edges > x.min()]
    index = np.searchsorted(edges, x, side="right")
    right, rows = np.bincount(index, weights=y, minlength=len(edges) + 1), np.bincount(index, minlength=len(edges) + 1)
    return Histogram(tuple(edges.tolist()), tuple(((right + 0.5) / (rows + 1)).tolist()))


_FITS: dict[Method, Callable[[ArrayLike, ArrayLike], Map]] = {
    "temperature": fit_temperature,
    "vector": fit_vector,
    "platt": fit_platt,
    "beta": fit_beta,
    "isotonic": fit_isotonic,
    "histogram": fit_histogram,
}


def _outcomes(scores: ArrayLike, correct: ArrayLike) -> Float:
    """The outcomes, once rows and scores are seen to be fit to learn from."""
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    _check_rows(len(x))
    _check_finite(x)
    positives, negatives = float(y.sum()), float(len(y) - y.sum())
    if min(positives, negatives) < MIN_OF_EACH:
        raise CalibrationError(f"{int(positives)} right and {int(negatives)} wrong rows: at least {MIN_OF_EACH} of each are needed.", mend="Give more rows.")
    if np.ptp(log_odds(x)) == 0:
        raise CalibrationError("Every score is the same: they carry no signal.", mend="Give scores that differ.")
    return y


def platt_targets(y: Float) -> Float:
    """Platt's targets: a little off 0 and 1, against overfitting."""
    positives, negatives = y.sum(), len(y) - y.sum()
    out: Float = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    return out


def logistic(features: Float, targets: Float, *, prior: tuple[float, float] | None = None) -> tuple[Float, Float]:
    """Logistic regression by damped Newton steps.

    Parameters
    ----------
    features : float64 array of shape (rows, features)
    targets : float64 array of shape (rows,)
        In 0 to 1.
    prior : tuple of float, optional
        Mean and standard deviation of a normal prior on each weight; none on the bias.

    Returns
    -------
    theta : float64 array
        The weights, then the bias.
    covariance : float64 array
        Of theta, from the curvature at the optimum.
    """
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    centre, precision = np.zeros(design.shape[1]), np.full(design.shape[1], 1e-9)
    if prior is not None:
        centre[:-1], precision[:-1] = prior[0], prior[1] ** -2
    theta, hessian = centre.copy(), np.diag(precision)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -700, 700)))
        gradient = design.T @ (p - targets) + precision * (theta - centre)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step * min(1.0, 10.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-12:
            break
    return theta, np.linalg.inv(hessian)


def _gain(found: Float, y: Float) -> float:
    """Log-likelihood of the outcomes over that of their share alone, in nats."""
    share = y.mean()
    clipped = np.clip(found, 1e-12, 1 - 1e-12)
    return float((y * np.log(clipped / share) + (1 - y) * np.log((1 - clipped) / (1 - share))).sum())


def _check_signal(gain: float, enough: float) -> None:
    if not 2 * gain >= enough:
        raise CalibrationError(
            f"The scores carry no signal: they explain the outcomes no better than chance (likelihood ratio {2 * gain:.2f}, {enough:.2f} is needed).",
            mend="Check that scores and labels belong together, use another score, or give more rows.",
        )


def _check_flexible(rows: int) -> None:
    if rows < MIN_FLEXIBLE:
        raise CalibrationError(f"{rows} rows are too few for a step function; {MIN_FLEXIBLE} are needed.", mend="Use platt or beta, or give more rows.")


def likelihood_ratio(mapping: Map, probs: ArrayLike, labels: ArrayLike) -> float:
    """Twice the log-likelihood of the labels over that of all classes alike; under ``ENOUGH_SIGNAL`` it may be chance."""
    raw = np.asarray(probs, dtype=np.float64)
    found = mapping.apply(raw)[np.arange(len(raw)), np.asarray(labels, dtype=np.int64)]
    return float(2 * (np.log((raw > 0).sum(axis=1)) + np.log(np.maximum(found, np.finfo(np.float64).tiny))).sum())


def temperature_curvature(probs: ArrayLike, sharpness: float) -> float:
    """Second derivative of the mean negative log-likelihood in 1/T."""
    logits = log_probs(probs)
    return _slope(logits, logits[:, 0], sharpness)[1]


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
