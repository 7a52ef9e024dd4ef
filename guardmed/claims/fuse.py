"""Fuses the scores of one claim into one support value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Verdict = Literal["supported", "uncertain", "unsupported"]

# Equal say for each score, until a calibration says otherwise.
DEFAULT_WEIGHTS: Mapping[str, float] = {"token": 1.0, "p_true": 1.0, "consistency": 1.0}
SUPPORTED_FROM = 0.6
UNSUPPORTED_BELOW = 0.4


def fuse(scores: Mapping[str, float | None], *, weights: Mapping[str, float] = DEFAULT_WEIGHTS) -> float | None:
    """Weighted mean of the scores' logits, back to 0 to 1; ``None`` when there is no score.

    A logistic combination without bias. It ranks claims; it is a probability only after
    calibration.
    """
    present = {name: value for name, value in scores.items() if value is not None and weights.get(name, 0.0) > 0}
    if not present:
        return None
    total = sum(weights[name] for name in present)
    mean = sum(weights[name] * logit(value) for name, value in present.items()) / total
    return 1 / (1 + math.exp(-mean))


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
