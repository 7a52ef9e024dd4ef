"""Token likelihood of a claim: how surprised the model was by its own words."""

from __future__ import annotations

import numpy as np

from guardmed.models.base import TokenScores
from guardmed.text import Span


def token_score(scores: TokenScores, span: Span) -> float | None:
    """Geometric mean of the token probabilities over a claim, in 0 to 1.

    The length-normalised sequence probability of Malinin and Gales, "Uncertainty Estimation in
    Autoregressive Structured Prediction" (ICLR 2021). ``None`` where no token covers the claim.
    """
    inside = scores.within(span.start, span.end)
    if not len(inside):
        return None
    return float(np.exp(np.mean(scores.logprobs[inside])))
