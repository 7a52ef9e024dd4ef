"""Likelihood of a claim after another answer: does reading a sample make the model expect the claim?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from guardmed.models.base import LanguageModel, Message, Prompt, TokenScores


def likelihood(model: LanguageModel, claims: Sequence[str], samples: Sequence[str], *, question: str) -> list[float | None]:
    """How much likelier each claim becomes once the model has given another answer, in 0 to 1.

    The mean over samples of the claim's log-probability a token, read after the question and the
    sample, less what it is after the question alone: their pointwise mutual information, by length
    (Church and Hanks, Computational Linguistics 1990). 0.5 says that samples make no difference.
    It sees paraphrases that words alone don't; a claim that denies a sample may profit from its
    words all the same. Each sample is read once, for all claims.

    Parameters
    ----------
    model : LanguageModel
        One that scores given text; ``None`` for every claim otherwise.
    claims, samples : sequence of str
    question : str
        What the samples answer.
    """
    if not (claims and samples and question.strip() and model.capabilities.scoring):
        return [None] * len(claims)
    contexts: list[Prompt] = [question, *(_after(question, sample) for sample in samples)]
    scored = model.score([context for context in contexts for _ in claims], [claim for _ in contexts for claim in claims])
    means = [_mean(one) for one in scored]
    bare, given = means[: len(claims)], means[len(claims) :]
    found: list[float | None] = []
    for place, alone in enumerate(bare):
        after = [mean for mean in given[place :: len(claims)] if mean is not None]
        found.append(_share(sum(after) / len(after) - alone) if after and alone is not None else None)
    return found


def _after(question: str, sample: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": sample}, {"role": "user", "content": question}]


def _mean(scores: TokenScores) -> float | None:
    return float(scores.logprobs.mean()) if len(scores.logprobs) else None


def _share(lift: float) -> float:
    return 1 / (1 + math.exp(-lift))
