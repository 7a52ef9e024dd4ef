"""Token likelihood of a claim: how surprised the model was by its own words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardmed.models.base import TokenScores
from guardmed.text import Span

# The share of a claim's least likely tokens that ``token_low`` looks at.
_LOWEST = 0.1

TOKEN_SCORES = ("token_mean", "token_min", "token_low", "token_entropy", "token_margin", "token_rank")
"""What :func:`token_scores` may give."""


def token_score(scores: TokenScores, span: Span) -> float | None:
    """Geometric mean of the token probabilities over a claim, in 0 to 1.

    The length-normalised sequence probability of Malinin and Gales, "Uncertainty Estimation in
    Autoregressive Structured Prediction" (ICLR 2021). ``None`` where no token covers the claim.
    """
    return token_scores(scores, span).get("token_mean")


def token_scores(scores: TokenScores, span: Span) -> dict[str, float]:
    """Token scores pooled over a claim, each in 0 to 1, higher where the model was surer.

    All but ``token_min`` are means, so that long claims are not punished for their length.

    Parameters
    ----------
    scores : TokenScores
        Of the answer.
    span : Span
        The claim, in characters of the answer.

    Returns
    -------
    dict of str to float
        Those that could be had: servers tell no entropies and no ranks, and not all margins.

        ``token_mean``
            Geometric mean of the tokens' probabilities (Malinin and Gales, "Uncertainty Estimation in
            Autoregressive Structured Prediction", ICLR 2021; Guerreiro et al., "Looking for a Needle
            in a Haystack", EACL 2023, find it the best of the simple detectors of hallucination).
        ``token_min``
            The lowest probability: one wrong word makes a claim wrong (Manakul et al., "SelfCheckGPT",
            EMNLP 2023; Varshney et al., "A Stitch in Time Saves Nine", 2023). It falls with length.
        ``token_low``
            Geometric mean of the least likely tenth of the tokens, at least one: the same for claims
            of any length.
        ``token_entropy``
            exp(-H) of the mean entropy H: one over the number of equally likely words that would leave
            as much open (Fomicheva et al., "Unsupervised Quality Estimation for Neural Machine
            Translation", TACL 2020, take the mean entropy).
        ``token_margin``
            Mean of 1 - p2/p1, how far the second best word lies behind the best (Scheffer et al.,
            "Active Hidden Markov Models for Information Extraction", IDA 2001, compare the two).
        ``token_rank``
            Mean of 1/(1 + rank): how near the words were to the top of the model's list (the mean
            reciprocal rank of Voorhees, TREC-8, 1999, on the ranks of Gehrmann et al., "GLTR", ACL 2019).
    """
    inside = scores.within(span.start, span.end)
    found: dict[str, float] = {}
    logprobs = _known(scores.logprobs[inside])
    if len(logprobs):
        lowest = np.sort(logprobs)[: max(1, round(_LOWEST * len(logprobs)))]
        found |= {"token_mean": _share(np.mean(logprobs)), "token_min": _share(np.min(logprobs)), "token_low": _share(np.mean(lowest))}
    entropies = _known(scores.entropies[inside])
    if len(entropies):
        found["token_entropy"] = _share(-np.mean(entropies))
    margins = _known(scores.margins[inside])
    if len(margins):
        found["token_margin"] = float(np.mean(-np.expm1(-np.maximum(margins, 0.0))))
    ranks = scores.ranks[inside]
    if (ranks >= 0).any():
        found["token_rank"] = float(np.mean(1 / (1 + ranks[ranks >= 0])))
    return found


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _share(logarithm: np.floating) -> float:
    """A probability from its logarithm; rounding must not lead beyond 1."""
    return float(np.exp(min(float(logarithm), 0.0)))
