"""Calibration maps: what turns raw scores into probabilities, each a few numbers that go into an artifact.

Maps of class probabilities take shape (rows, classes), maps of scores shape (rows,); all compute in float64.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.errors import CalibrationError

Float = NDArray[np.float64]
Method = Literal["temperature", "vector", "platt", "beta", "isotonic", "histogram"]
# Smallest probability whose logarithm is taken; float32 softmax gives exact zeros.
_TINY = float(np.finfo(np.float64).tiny)


class Map(Protocol):
    """A fitted calibration.

    Attributes
    ----------
    method : str
        Its name in artifacts and on the command line.
    by_class : bool
        Whether it takes class probabilities; scores otherwise.
    """

    method: ClassVar[Method]
    by_class: ClassVar[bool]

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated values of the same shape."""
        ...


@dataclass(frozen=True)
class Temperature:
    """Class probabilities to the power 1/T, renormalised (Guo et al., ICML 2017)."""

    method: ClassVar[Method] = "temperature"
    by_class: ClassVar[bool] = True
    temperature: float

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities, shape (rows, classes); T=1 gives them back."""
        return softmax(log_probs(values) / self.temperature)


@dataclass(frozen=True)
class Vector:
    """A weight and a bias for the log-probability of each class (Guo et al., ICML 2017).

    A class without any probability in a row, as where a question has fewer options, keeps none.
    """

    method: ClassVar[Method] = "vector"
    by_class: ClassVar[bool] = True
    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities, shape (rows, classes)."""
        raw = np.asarray(values, dtype=np.float64)
        if raw.shape[1] > len(self.weights):
            raise CalibrationError(f"The map was fitted on {len(self.weights)} classes; there are {raw.shape[1]}.", mend="Fit it on rows of this kind.")
        classes = raw.shape[1]
        logits = log_probs(raw) * np.array(self.weights[:classes]) + np.array(self.biases[:classes])
        return softmax(np.where(raw > 0, logits, -np.inf))


@dataclass(frozen=True)
class Platt:
    """A logistic on the score's log-odds (Platt, 1999): sigmoid(slope * logit(score) + bias)."""

    method: ClassVar[Method] = "platt"
    by_class: ClassVar[bool] = False
    slope: float
    bias: float

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities of the same shape."""
        return _expit(self.slope * log_odds(values) + self.bias)


@dataclass(frozen=True)
class Beta:
    """sigmoid(a log(score) - b log(1 - score) + c), with a and b not negative (Kull et al., AISTATS 2017)."""

    method: ClassVar[Method] = "beta"
    by_class: ClassVar[bool] = False
    a: float
    b: float
    c: float

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities of the same shape."""
        clipped = clip_scores(values)
        return _expit(self.a * np.log(clipped) - self.b * np.log1p(-clipped) + self.c)


@dataclass(frozen=True)
class Isotonic:
    """The non-decreasing function nearest to the outcomes, straight between its knots (Zadrozny and Elkan, KDD 2002)."""

    method: ClassVar[Method] = "isotonic"
    by_class: ClassVar[bool] = False
    knots: tuple[float, ...]
    heights: tuple[float, ...]

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities of the same shape; beyond the outer knots their heights hold."""
        return np.interp(np.asarray(values, dtype=np.float64), self.knots, self.heights)


@dataclass(frozen=True)
class Histogram:
    """The share that was right in each bin of scores, the bins of like mass (Zadrozny and Elkan, ICML 2001)."""

    method: ClassVar[Method] = "histogram"
    by_class: ClassVar[bool] = False
    edges: tuple[float, ...]
    heights: tuple[float, ...]

    def apply(self, values: ArrayLike) -> Float:
        """Calibrated probabilities of the same shape."""
        index = np.searchsorted(np.array(self.edges), np.asarray(values, dtype=np.float64), side="right")
        return np.array(self.heights, dtype=np.float64)[index]


MAPS: tuple[type[Any], ...] = (Temperature, Vector, Platt, Beta, Isotonic, Histogram)
METHODS: dict[str, type[Any]] = {kind.method: kind for kind in MAPS}


def parameters(mapping: Map) -> dict[str, float | list[float]]:
    """A map's numbers by name, as artifacts hold them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(mapping).items()}  # type: ignore[call-overload]


def map_of(method: str, numbers: dict[str, Any]) -> Map:
    """The map that some numbers describe.

    Raises
    ------
    ValueError
        A number is missing, not finite, or out of its range.
    """
    kind = METHODS[method]
    names = [field.name for field in fields(kind)]
    missing = [name for name in names if numbers.get(name) is None]
    if missing:
        raise ValueError(f"a {method} artifact needs {', '.join(missing)}")
    values: dict[str, Any] = {name: tuple(numbers[name]) if isinstance(numbers[name], (list, tuple)) else float(numbers[name]) for name in names}
    if not all(np.isfinite(np.atleast_1d(value)).all() for value in values.values()):
        raise ValueError(f"a {method} artifact holds a number that is not finite")
    for name in ("temperature", "slope"):
        if name in values and values[name] <= 0:
            raise ValueError(f"{name} must be over 0")
    for name in ("knots", "edges"):
        if name in values and (len(values["heights"]) != len(values[name]) + (name == "edges") or list(values[name]) != sorted(values[name])):
            raise ValueError(f"{name} must rise and fit the heights")
    if "weights" in values and len(values["weights"]) != len(values["biases"]):
        raise ValueError("weights and biases differ in length")
    mapping: Map = kind(**values)
    return mapping


def log_probs(probs: ArrayLike) -> Float:
    """Logarithms in float64; exact zeros become the smallest positive number's."""
    return np.log(np.maximum(np.asarray(probs, dtype=np.float64), _TINY))


def clip_scores(scores: ArrayLike) -> Float:
    """Scores in float64, those of exactly 0 and 1 moved in by a millionth."""
    return np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)


def log_odds(scores: ArrayLike) -> Float:
    """Log-odds in float64, scores of exactly 0 and 1 moved in by a millionth."""
    clipped = clip_scores(scores)
    return np.log(clipped) - np.log1p(-clipped)


def softmax(logits: Float) -> Float:
    """Probabilities of each row of logits."""
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: Float = scaled / scaled.sum(axis=1, keepdims=True)
    return out


def _expit(values: Float) -> Float:
    from scipy.special import expit

    out: Float = expit(values)
    return out
