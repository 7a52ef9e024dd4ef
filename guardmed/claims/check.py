"""Checks the claims of an answer against what the model itself believes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardmed.claims.clashes import against_question, clashes, clashes_within, read
from guardmed.claims.consistency import consistency, standing
from guardmed.claims.fuse import DEFAULT_WEIGHTS, Verdict, fuse, shipped, verdict
from guardmed.claims.kinds import ClaimKind, claim_kind
from guardmed.claims.likelihood import likelihood
from guardmed.claims.p_true import p_true
from guardmed.claims.split import Claim, split_claims
from guardmed.claims.token import token_score
from guardmed.models.base import LanguageModel, Prompt, TokenScores
from guardmed.models.prompting import last_question
from guardmed.text import Span

if TYPE_CHECKING:
    from guardmed.claims.nli import Nli

CHECKS = ("token", "p_true", "consistency", "clash", "likelihood", "nli")
# What samples alone say, whoever reads them.
_OF_SAMPLES = ("consistency", "standing")
# Support of a claim that contradicts the question or another claim: whatever else speaks for it, one of two is wrong.
_EVEN = 0.5


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
        Each score that could be had, 0 to 1, higher for better supported: ``token``, ``p_true``,
        ``consistency``, ``standing``, ``clash``, ``likelihood``, ``nli``; and ``coherent``, 0, where it
        contradicts the question or another claim of the answer: then its support is at most 0.5, and it is never called supported.
    kind : {"fact", "hedged", "question", "advice", "other"}
    """

    text: str
    start: int
    end: int
    support: float
    verdict: Verdict
    scores: dict[str, float]
    kind: ClaimKind = "fact"


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
    nli: Nli | None = None,
    calibrate: Callable[[float], float] | None = None,
    judge: Callable[[float | None], Verdict] | None = None,
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
    nli : Nli, optional
        Tells whether a claim follows from a sample.
    calibrate : callable, optional
        From fused support to a probability.
    judge : callable, optional
        From fused support, before ``calibrate`` and ``None`` where nothing could be measured, to a verdict; the
        usual bands of what is calibrated if not given.
    """
    texts = [claim.statement for claim in claims]
    question = last_question(prompt) if prompt is not None else ""
    found: dict[str, Sequence[float | None]] = {}
    if tokens is not None and "token" in checks:
        found["token"] = [token_score(tokens, claim.span) for claim in claims]
    if model is not None and "p_true" in checks and model.capabilities.logprobs:
        found["p_true"] = p_true(model, prompt, answer, texts, state=state)
    if samples and "consistency" in checks:
        found["consistency"] = consistency(texts, samples, context=question)
        found["standing"] = [standing(found["consistency"])] * len(claims)
    if "clash" in checks:
        if samples:
            found["clash"] = unclashing(texts, samples)
        found["coherent"] = coherent(texts, question)
    if samples and model is not None and "likelihood" in checks:
        found["likelihood"] = likelihood(model, texts, samples, question=question)
    if samples and nli is not None and "nli" in checks:
        from guardmed.claims.nli import nli_score

        found["nli"] = nli_score(texts, samples, nli, question)
    return [_checked(claim, {name: values[place] for name, values in found.items()}, calibrate, judge) for place, claim in enumerate(claims)]


def unclashing(claims: Sequence[str], samples: Sequence[str]) -> list[float]:
    """Share of samples that hold no other number, dose, unit, denial, side or order in time against each claim."""
    said = [read(sample) for sample in samples]
    return [sum(not clashes(claim, sample) for sample in said) / len(said) for claim in map(read, claims)]


def coherent(claims: Sequence[str], question: str) -> list[float | None]:
    """0 for each claim that contradicts what the question states, or another of the claims; ``None`` for any other."""
    at_odds = {place for first, second, _ in clashes_within(claims) for place in (first, second)}
    return [0.0 if place in at_odds or (question and against_question(claim, question)) else None for place, claim in enumerate(claims)]


def _checked(
    claim: Claim, scores: Mapping[str, float | None], calibrate: Callable[[float], float] | None, judge: Callable[[float | None], Verdict] | None
) -> CheckedClaim:
    fused = fuse(scores)
    support = calibrate(fused) if fused is not None and calibrate is not None else fused
    if support is not None and scores.get("coherent") == 0.0:
        support = min(support, _EVEN)
    said = judge(fused) if judge is not None else verdict(support)
    if scores.get("coherent") == 0.0 and said == "supported":
        said = "uncertain"
    present = {name: value for name, value in scores.items() if value is not None}
    return CheckedClaim(claim.text, claim.span.start, claim.span.end, 0.5 if support is None else support, said, present, claim.kind)


def support_source(checks: Sequence[str], *, samples: int, model: str = "", nli: str = "") -> str:
    """What the fused support of these checks is made of, and of whose scores: thresholds for another mean nothing.

    Parameters
    ----------
    checks : sequence of str
        Of :data:`CHECKS`.
    samples : int
        How many are compared with: more of them give other supports.
    model, nli : str
        Fingerprints. What samples alone say is the same whoever reads them.
    """
    scores = {name for check in checks for name in (_OF_SAMPLES if check == "consistency" else (check,))}
    fused = next((one.scores for one in shipped() if scores >= set(one.scores)), tuple(sorted(scores & set(DEFAULT_WEIGHTS))))
    readers = [*([model] if set(fused) - {*_OF_SAMPLES, "nli"} else []), *([nli] if "nli" in fused else [])]
    compared = f" with {samples} samples" if {*_OF_SAMPLES, "likelihood", "nli"} & set(fused) else ""
    return f"claim support by {', '.join(fused)}{compared}" + (f" of {' and '.join(readers)}" if readers else "")


def locate_claims(texts: Sequence[str], answer: str | None) -> list[Claim]:
    """Claims given as texts, found again in the answer; alone, each spans itself."""
    claims = []
    at = 0
    for text in texts:
        start = answer.find(text, at) if answer else -1
        if start < 0:
            claims.append(Claim(text, Span(0, len(text)), claim_kind(text)))
        else:
            claims.append(Claim(text, Span(start, start + len(text)), claim_kind(text)))
            at = start
    return claims


__all__ = ["CHECKS", "CheckedClaim", "check_claims", "locate_claims", "split_claims"]
