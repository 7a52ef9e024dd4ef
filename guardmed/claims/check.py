"""Checks the claims of an answer against what the model itself believes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guardmed.claims.consistency import consistency
from guardmed.claims.fuse import Verdict, fuse, verdict
from guardmed.claims.p_true import p_true
from guardmed.claims.split import Claim, split_claims
from guardmed.claims.token import token_score
from guardmed.models.base import LanguageModel, Prompt, TokenScores
from guardmed.models.prompting import last_question
from guardmed.text import Span

CHECKS = ("token", "p_true", "consistency")


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim with what speaks for it.

    Attributes
    ----------
    text : str
    start, end : int
        Characters of the answer.
    support : float
        0 to 1; 0.5 where nothing could be measured.
    verdict : {"supported", "uncertain", "unsupported"}
    scores : dict of str to float
        Each score that could be had.
    """

    text: str
    start: int
    end: int
    support: float
    verdict: Verdict
    scores: dict[str, float]


def check_claims(
    claims: Sequence[Claim],
    *,
    model: LanguageModel | None = None,
    prompt: Prompt | None = None,
    answer: str | None = None,
    tokens: TokenScores | None = None,
    samples: Sequence[str] = (),
    state: object | None = None,
    checks: Sequence[str] = CHECKS,
    calibrate: Callable[[float], float] | None = None,
) -> list[CheckedClaim]:
    """Score, fuse and judge claims.

    Parameters
    ----------
    claims : sequence of Claim
    model : LanguageModel, optional
        Without one, only the samples speak.
    prompt, answer : Prompt, str, optional
        Where the claims come from.
    tokens : TokenScores, optional
        Of the answer.
    samples : sequence of str
        Other answers to the same prompt.
    state : object, optional
        Of the generation that gave the answer.
    checks : sequence of str
        Which of :data:`CHECKS` to use.
    calibrate : callable, optional
        From fused support to a probability.
    """
    believed: Sequence[float | None] = [None] * len(claims)
    if model is not None and "p_true" in checks and model.capabilities.logprobs:
        believed = p_true(model, prompt, answer, [claim.text for claim in claims], state=state)
    question = last_question(prompt) if prompt is not None else ""
    out = []
    for claim, belief in zip(claims, believed, strict=True):
        scores = {
            "token": token_score(tokens, claim.span) if tokens is not None and "token" in checks else None,
            "p_true": belief,
            "consistency": consistency(claim.text, samples, context=question) if "consistency" in checks else None,
        }
        support = fuse(scores)
        if support is not None and calibrate is not None:
            support = calibrate(support)
        found = {name: value for name, value in scores.items() if value is not None}
        out.append(CheckedClaim(claim.text, claim.span.start, claim.span.end, 0.5 if support is None else support, verdict(support), found))
    return out


def locate_claims(texts: Sequence[str], answer: str | None) -> list[Claim]:
    """Claims given as texts, found again in the answer; alone, each spans itself."""
    claims = []
    at = 0
    for text in texts:
        start = answer.find(text, at) if answer else -1
        if start < 0:
            claims.append(Claim(text, Span(0, len(text))))
        else:
            claims.append(Claim(text, Span(start, start + len(text))))
            at = start
    return claims


__all__ = ["CHECKS", "CheckedClaim", "check_claims", "locate_claims", "split_claims"]
