"""Consistency of a claim with other answers to the same question, without any model.

What a model knows it says again; what it makes up changes from sample to sample (Manakul et al.,
"SelfCheckGPT", EMNLP 2023). This module sees words and numbers, not meaning: a paraphrase without
a shared word looks unsupported, and a denial in other words is not seen.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardmed.claims.words import EMPTY_WORDS, denies
from guardmed.text import normalise, sentences

_WORD = re.compile(r"[a-z][a-z'-]+|\d+(?:[.,]\d+)*|[一-鿿]")


@dataclass(frozen=True)
class _Sample:
    """The words of a sample, and of each of its sentences."""

    words: frozenset[str]
    sentences: tuple[tuple[str, frozenset[str]], ...]


def consistency(claims: Sequence[str], samples: Sequence[str], *, context: str = "") -> list[float | None]:
    """How far samples say the same as each claim, in 0 to 1; ``None`` without samples.

    The mean over samples of the weighted share of a claim's content words that the best matching
    part of a sample holds. Rare words and numbers weigh more, words of the question nothing; a
    number or a negation that the sample contradicts halves its vote.

    Parameters
    ----------
    claims : sequence of str
    samples : sequence of str
    context : str
        The question, whose words every answer repeats.
    """
    if not samples:
        return [None] * len(claims)
    read = [_read(sample) for sample in samples]
    seen: Counter[str] = Counter(word for sample in read for word in sample.words)
    given = set(_words(context))
    return [_consistency(claim, read, seen, given) for claim in claims]


def standing(consistencies: Sequence[float | None]) -> float | None:
    """How far samples agree with an answer as a whole: the mean over its claims, ``None`` where there are not two.

    Who makes up one thing about a person or a drug mostly makes up the next, so that an answer's
    other claims say something of each of them.
    """
    found = [value for value in consistencies if value is not None]
    return sum(found) / len(found) if len(found) > 1 else None


def _consistency(claim: str, samples: Sequence[_Sample], seen: Mapping[str, int], given: set[str]) -> float | None:
    words = [word for word in _words(claim) if word not in given] or _words(claim)
    if not words:
        return None
    weights = {word: (2.0 if word[0].isdigit() else 1.0) * math.log(1 + (len(samples) + 1) / (seen.get(word, 0) + 0.5)) for word in set(words)}
    total = sum(weights.values())
    denied = denies(claim)
    return sum(_vote(denied, weights, total, sample) for sample in samples) / len(samples)


def _vote(denied: bool, weights: Mapping[str, float], total: float, sample: _Sample) -> float:
    shared = sum(weight for word, weight in weights.items() if word in sample.words) / total
    best, best_text = 0.0, ""
    for text, here in sample.sentences:
        overlap = sum(weight for word, weight in weights.items() if word in here) / total
        if overlap > best:
            best, best_text = overlap, text
    vote = (shared + best) / 2
    if best > 0.5 and denied != denies(best_text):
        vote /= 2
    return vote


def _read(sample: str) -> _Sample:
    parts = tuple((text, frozenset(_words(text))) for span in sentences(sample) if (text := span.of(sample)))
    return _Sample(frozenset(word for _, words in parts for word in words), parts)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(normalise(text).text.lower()) if word not in EMPTY_WORDS]
