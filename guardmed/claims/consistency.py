"""Consistency of a claim with other answers to the same question, without any model.

What a model knows it says again; what it makes up changes from sample to sample (Manakul et al.,
"SelfCheckGPT", EMNLP 2023). This module sees words and numbers, not meaning: a paraphrase without
a shared word looks unsupported, and a denial in other words is not seen.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from guardmed.text import normalise, sentences

_WORD = re.compile(r"[a-z][a-z'-]+|\d+(?:[.,]\d+)*|[一-鿿]")
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|can't|isn't|aren't|doesn't|don't|without)\b|不|没|无|非|未", re.IGNORECASE)
_WITHOUT_CONTENT = (
    "a an the of in on at to for and or but by with from as is are was were be been being it its he she his her him they them their this that these "
    "those which who whom what when where has have had do does did can could will would may might also not no than then there into about over"
)
_STOP = frozenset(_WITHOUT_CONTENT.split())


def consistency(claim: str, samples: Sequence[str], *, context: str = "") -> float | None:
    """How far samples say the same as a claim, in 0 to 1; ``None`` without samples.

    The mean over samples of the weighted share of the claim's content words that the best matching
    part of a sample holds. Rare words and numbers weigh more, words of the question nothing; a
    number or a negation that the sample contradicts halves its vote.

    Parameters
    ----------
    claim : str
    samples : sequence of str
    context : str
        The question, whose words every answer repeats.
    """
    if not samples:
        return None
    given = set(_words(context))
    words = [word for word in _words(claim) if word not in given] or _words(claim)
    if not words:
        return None
    bags = [set(_words(sample)) for sample in samples]
    seen: Counter[str] = Counter(word for bag in bags for word in bag)
    weights = {word: (2.0 if word[0].isdigit() else 1.0) * math.log(1 + (len(samples) + 1) / (seen[word] + 0.5)) for word in set(words)}
    total = sum(weights.values())
    votes = [_vote(claim, weights, total, sample, bag) for sample, bag in zip(samples, bags, strict=True)]
    return sum(votes) / len(votes)


def _vote(claim: str, weights: dict[str, float], total: float, sample: str, bag: set[str]) -> float:
    shared = sum(weight for word, weight in weights.items() if word in bag) / total
    best, best_text = 0.0, ""
    for span in sentences(sample):
        text = span.of(sample)
        here = set(_words(text))
        overlap = sum(weight for word, weight in weights.items() if word in here) / total
        if overlap > best:
            best, best_text = overlap, text
    vote = (shared + best) / 2
    if best > 0.5 and (_NEGATION.search(claim) is None) != (_NEGATION.search(best_text) is None):
        vote /= 2
    return vote


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(normalise(text).text.lower()) if word not in _STOP]
