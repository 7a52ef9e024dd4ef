"""Fuses the scores of one claim into one support value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import Field, model_validator

from guardmed.files import read_json
from guardmed.records import Frozen
from guardmed.resources import data_folder

Verdict = Literal["supported", "uncertain", "unsupported"]

# Equal say for each score that no fusion was learnt for.
DEFAULT_WEIGHTS: Mapping[str, float] = {"token": 1.0, "p_true": 1.0, "consistency": 1.0}
SUPPORTED_FROM = 0.6
UNSUPPORTED_BELOW = 0.4


class Fusion(Frozen):
    """A logistic regression on the log-odds of some scores.

    Attributes
    ----------
    scores : tuple of str
        Their names.
    weights : tuple of float
        One for each.
    bias : float
    learnt_on : str
        Which claims, labelled by whom.
    """

    scores: tuple[str, ...] = Field(min_length=1)
    weights: tuple[float, ...]
    bias: float
    learnt_on: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Fusion:
        if len(self.weights) != len(self.scores) or not all(map(math.isfinite, (*self.weights, self.bias))):
            raise ValueError("a fusion needs one finite weight for each of its scores, and a finite bias")
        return self

    def apply(self, scores: Mapping[str, float]) -> float:
        """Support, in 0 to 1."""
        return _expit(self.bias + sum(weight * logit(scores[name]) for name, weight in zip(self.scores, self.weights, strict=True)))


class _Fusions(Frozen):
    schema_version: Literal[1]
    kind: Literal["claim-fusions"]
    fusions: tuple[Fusion, ...]


@lru_cache(maxsize=1)
def shipped() -> tuple[Fusion, ...]:
    """The fusions that come with GuardMed, of most scores first."""
    found = _Fusions.model_validate(read_json(data_folder("calibration") / "claims.json"))
    return tuple(sorted(found.fusions, key=lambda one: -len(one.scores)))


def fuse(scores: Mapping[str, float | None], *, fusions: Sequence[Fusion] | None = None) -> float | None:
    """One support value, in 0 to 1; ``None`` when there is no score.

    The learnt fusion of the most scores that are there; what it was not taught to weigh then has no
    say. Where none fits, the mean of the scores' log-odds. Either ranks claims; it is a probability
    of being right only where a calibration says so.

    Parameters
    ----------
    scores : mapping of str to float or None
    fusions : sequence of Fusion, optional
        Of most scores first; those that come with GuardMed if not given.
    """
    present = {name: value for name, value in scores.items() if value is not None}
    for fusion in shipped() if fusions is None else fusions:
        if present.keys() >= set(fusion.scores):
            return fusion.apply(present)
    known = {name: value for name, value in present.items() if DEFAULT_WEIGHTS.get(name, 0.0) > 0}
    if not known:
        return None
    total = sum(DEFAULT_WEIGHTS[name] for name in known)
    return _expit(sum(DEFAULT_WEIGHTS[name] * logit(value) for name, value in known.items()) / total)


def verdict(support: float | None) -> Verdict:
    """Three-way reading of a support value; no evidence is ``uncertain``."""
    if support is None:
        return "uncertain"
    if support >= SUPPORTED_FROM:
        return "supported"
    return "unsupported" if support < UNSUPPORTED_BELOW else "uncertain"


def logit(value: float) -> float:
    """Log-odds, clipped so that 0 and 1 stay finite."""
    clipped = min(max(value, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
