"""Semantic entropy: over how many meanings do several answers to one question spread?

Kuhn, Gal and Farquhar, "Semantic Uncertainty" (ICLR 2023); Farquhar, Kossen, Kuhn and Gal, "Detecting
hallucinations in large language models using semantic entropy" (Nature 630, 2024). Answers that mean the same
are one outcome, however they are worded. Whether two mean the same is asked of an NLI model
(:func:`mutual_entailment`), or without one of their words (:func:`same_key`, :func:`similar`).

Such a relation is rarely transitive, and the published way, each answer against the first of each cluster,
gives other clusters in another order. Here clusters are a partition that no order changes, see :func:`meanings`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.claims.nli import ENTAILMENT, Nli
from guardmed.claims.words import EMPTY_WORDS, denies
from guardmed.errors import UsageError
from guardmed.models.base import Generation
from guardmed.text import normalise

Relation = Callable[[Sequence[tuple[str, str]]], Sequence[bool]]
"""Whether the two texts of each pair mean the same; asked once for all pairs."""


@dataclass(frozen=True)
class SemanticEntropy:
    """How answers spread over meanings.

    Attributes
    ----------
    clusters : tuple of tuple of int
        Indices of the answers of each meaning; the largest first.
    discrete : float
        Entropy of the shares of answers, in nats: 0 for one meaning, at most log n for n answers.
    weighted : float or None
        Entropy of the shares of probability, in nats; ``None`` without log-probabilities.
    """

    clusters: tuple[tuple[int, ...], ...]
    discrete: float
    weighted: float | None

    @property
    def certainty(self) -> float | None:
        """1 less the discrete entropy over its maximum, in 0 to 1; ``None`` for a single answer, which tells nothing."""
        count = sum(map(len, self.clusters))
        return 1 - self.discrete / math.log(count) if count > 1 else None

    def agreeing(self, index: int) -> float | None:
        """Share of the other answers that mean what one means, in 0 to 1; ``None`` where there is no other."""
        count = sum(map(len, self.clusters))
        mine = next((cluster for cluster in self.clusters if index in cluster), None)
        if mine is None:
            raise UsageError(f"There is no answer {index} among {count}.", mend=f"Use 0 to {count - 1}.")
        return (len(mine) - 1) / (count - 1) if count > 1 else None


def semantic_entropy(answers: Sequence[str], same: Relation, *, logprobs: Sequence[float | None] | None = None) -> SemanticEntropy | None:
    """Semantic entropy of answers to one question; ``None`` without any.

    The discrete one is that of Farquhar et al. (2024) for models without probabilities. In the
    weighted one, a meaning's share is the sum of its answers' probabilities, each to the power of
    1 / length, over that of all answers. Every draw counts, also of an answer drawn before, as in
    the published code.

    Parameters
    ----------
    answers : sequence of str
    same : Relation
    logprobs : sequence of float or None, optional
        Mean natural log-probability of a token for each answer, see :func:`sequence_logprob`.

    Raises
    ------
    UsageError
        Not as many log-probabilities as answers.
    """
    if logprobs is not None and len(logprobs) != len(answers):
        raise UsageError(f"{len(answers)} answers but {len(logprobs)} log-probabilities.", mend="Give one for each.")
    if not answers:
        return None
    clusters = meanings(answers, same)
    discrete = _entropy([len(cluster) / len(answers) for cluster in clusters])
    given = np.array([math.nan if value is None else value for value in logprobs or ()], dtype=np.float64)
    # What is certain for one answer has log-probability 0; none is above. A model may also give none at all.
    if logprobs is None or np.isnan(given).any() or not np.isfinite(given.max()):
        return SemanticEntropy(clusters, discrete, None)
    whole = np.logaddexp.reduce(given)
    return SemanticEntropy(clusters, discrete, _entropy([float(np.exp(np.logaddexp.reduce(given[list(cluster)]) - whole)) for cluster in clusters]))


def meanings(answers: Sequence[str], same: Relation) -> tuple[tuple[int, ...], ...]:
    """Partition answers into meanings.

    Identical answers, blanks around them aside, are always one. Then, beginning with every distinct
    answer by itself, the two clusters are joined of whose pairs of answers, one from each, the largest
    share means the same, as long as that is more than half (average linkage: one link that an NLI
    model got wrong neither joins nor parts two meanings). Of equal shares, the pair that makes the larger
    cluster goes first, then the one with the smallest text in order of code points. An equivalence
    relation gives exactly its classes.

    Every answer is in one cluster, and the result depends on which answers there are, never on
    their order. Takes a question of ``same`` for each pair of distinct answers.

    Parameters
    ----------
    answers : sequence of str
    same : Relation
        Given each pair once, the smaller text first; must be the same in both directions.

    Returns
    -------
    tuple of tuple of int
        Indices of the answers of each cluster, ascending; the largest cluster first, then the one with
        the smallest text.
    """
    told = [answer.strip() for answer in answers]
    texts = sorted(set(told))
    counts = Counter(told)
    weights = np.array([counts[text] for text in texts], dtype=np.float64)
    members = [[at] for at in range(len(texts))]
    links = _links(texts, same) * np.outer(weights, weights)
    while len(members) > 1:
        sizes = np.outer(weights, weights)
        shares = np.triu(links / sizes, 1)
        best = shares.max()
        if best <= 0.5:
            break
        union = np.where(shares == best, np.add.outer(weights, weights), -1.0)
        one, other = (int(place) for place in np.unravel_index(int(union.argmax()), union.shape))
        members[one] += members.pop(other)
        links[one] += links[other]
        links[:, one] += links[:, other]
        links = np.delete(np.delete(links, other, 0), other, 1)
        weights[one] += weights[other]
        weights = np.delete(weights, other)
    where = {texts[at]: cluster for cluster, found in enumerate(members) for at in found}
    out: list[list[int]] = [[] for _ in members]
    for index, text in enumerate(told):
        out[where[text]].append(index)
    return tuple(tuple(cluster) for cluster in sorted(out, key=lambda cluster: -len(cluster)))


def pairwise(same: Callable[[str, str], bool]) -> Relation:
    """A relation from a function of two texts; they mean the same where it says so in both directions."""
    return lambda pairs: [bool(same(one, other)) and bool(same(other, one)) for one, other in pairs]


def mutual_entailment(nli: Nli, question: str = "") -> Relation:
    """Two answers mean the same where each entails the other (Kuhn et al. 2023).

    A text entails another where entailment is the likeliest of the model's classes; answers of equal
    :func:`key` do without the model. An answer too long to be read means what no other does.

    Parameters
    ----------
    nli : Nli
    question : str
        Put before both answers: short ones say nothing without it.
    """

    def same(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        keys = [key(one) == key(other) for one, other in pairs]
        asked = [pair for pair, equal in zip(pairs, keys, strict=True) if not equal]
        there = [(f"{question} {one}".strip(), f"{question} {other}".strip()) for one, other in asked]
        both = [*there, *((other, one) for one, other in there)]
        found = nli.pairs([premise for premise, _ in both], [hypothesis for _, hypothesis in both])
        entails = np.nan_to_num(found, nan=-1.0).argmax(axis=1) == ENTAILMENT if len(found) else np.zeros(0, dtype=bool)
        entails &= np.isfinite(found).all(axis=1)
        mutual = iter(entails[: len(asked)] & entails[len(asked) :])
        return [equal or bool(next(mutual)) for equal in keys]

    return same


def sequence_logprob(generation: Generation) -> float | None:
    """Mean log-probability of an answer's tokens: that of the sequence by its length (Malinin and Gales, ICLR 2021).

    From the model's raw distribution, before temperature and top-p. ``None`` where the model gives
    none, or the answer has no token.
    """
    scores = generation.scores
    if scores is None or not len(scores.logprobs) or np.isnan(scores.logprobs).any():
        return None
    return float(scores.logprobs.mean())


def _links(texts: Sequence[str], same: Relation) -> NDArray[np.float64]:
    pairs = [(one, other) for at, one in enumerate(texts) for other in texts[at + 1 :]]
    found = np.zeros((len(texts), len(texts)))
    if pairs:
        found[np.triu_indices(len(texts), 1)] = np.asarray(same(pairs), dtype=np.float64)
    return found + found.T


def _entropy(shares: ArrayLike) -> float:
    """In nats, kept within 0 and the log of the number of shares, whatever rounding does."""
    given = np.asarray(shares, dtype=np.float64)
    told = given[given > 0]
    return float(min(max(0.0, -(told * np.log(told)).sum()), math.log(len(given))))


# ---- Without a model: the words of short answers ----

# With a decimal comma, where it can't part thousands; and with nothing before the point.
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+|,[0-9]{1,2}(?![0-9]))?|(?<![\w.])\.[0-9]+)"
# Signs that change what is said: comparisons, minus before a number, plus, and minus at the end of a word or of all.
_SIGN = r"(?:[<>=≥≤±+]|(?<!\w)-(?=[0-9])|(?<=\w)-(?!\w)|(?<=\s)-(?=\s*\Z))"
_HAN = "[\u3400-\u9fff\uf900-\ufaff]"
_KEY_PART = re.compile(rf"{_NUMBER}|[^\W\d_]+|\d+|[%/]|{_SIGN}")
_LEADS = re.compile(
    r"^\W*(?:(?:the )?(?:correct |right |final )?answer(?: is\b|(?=\s*:))\s*:?|(?:正确|最终)?答案(?:是|为|(?=\s*[:：]))\s*[:：]?|答[:：])\s*", re.IGNORECASE
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.|\Z)")
_DIGITS = frozenset("0123456789.")
# A capital A may be an option, a blood group or a kind of hepatitis.
_ARTICLES = frozenset({"a", "an", "An", "the", "The"})


def key(answer: str) -> str:
    """What a short answer says, without case, marks, articles, the way its numbers are written, and "the answer is".

    Signs that change a meaning are kept: ``%``, comparisons, plus, minus before a number or after a
    word. An answer of other marks alone is its own key.
    """
    text = normalise(answer).text
    parts = _KEY_PART.findall(_LEADS.sub("", text))
    told = " ".join(_plain(part) for part in parts if part not in _ARTICLES) or " ".join(parts)
    return re.sub(rf"(?<={_HAN}) | (?={_HAN})", "", told.casefold()) or text.strip()


def same_key(one: str, other: str) -> bool:
    """Whether two short answers have one :func:`key`: options, names, doses, yes and no. An equivalence."""
    return key(one) == key(other)


_SIGNS = re.compile(_SIGN)
_WORD = re.compile(rf"{_NUMBER}|%|{_HAN}|[^\W\d_\u3400-\u9fff\uf900-\ufaff]+(?:'[^\W\d_]+)?")
# One letter that tells kinds apart: hepatitis B, vitamin K. A at the beginning is an article, and I a person.
_KIND = re.compile(r"(?<=\w[ -])[A-HJ-Z]\b")
_ROMAN = re.compile(
    r"\b((?:type|stage|grade|class|phase|factor|group|level|degree)[ -])(I{1,3}|IV|V)\b|(?<![A-Za-z])(I{1,3}|IV|V)(?=[型期级度类相])", re.IGNORECASE
)
_NUMERALS = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}
_COUNTS = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "twelve": "12", "twice": "2"}
_UNITS = {
    "mcg": "μg", "ug": "μg", "microgram": "μg", "milligram": "mg", "gram": "g", "kilogram": "kg", "millilitre": "ml", "milliliter": "ml",
    "litre": "l", "liter": "l", "percent": "%", "hour": "h", "hr": "h", "minute": "min", "iu": "unit",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Said:
    """What an answer says, as far as words tell: what must be equal, and what may be left out."""

    denies: bool
    exact: frozenset[str]
    words: frozenset[str]


def similar(*, at_least: float = 0.6, clash: Callable[[str, str], bool] | None = None) -> Relation:
    """Whether two answers of a phrase or a sentence say the same, by their words, in English and Chinese.

    They do where both or neither deny; where they have the same numbers, the same signs (Rh+) and the
    same letters that tell kinds apart (hepatitis B); and where the content words of one are all in the other and at
    least ``at_least`` of its. A word on each side that the other lacks parts them, since that is how
    another drug, side or direction looks, and also how a paraphrase looks: it sees too many meanings
    rather than too few. It does not see order ("A before B"); give a ``clash`` that does.

    Parameters
    ----------
    at_least : float
        In 0 to 1; 1 asks for the same content words.
    clash : callable, optional
        Whether two texts contradict each other; parts what words alone would join.
    """
    if not 0.0 <= at_least <= 1.0:
        raise UsageError(f"at_least={at_least} is no share.", mend="Use 0 to 1.")

    def same(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        said = {text: (key(text), _said(text)) for text in dict.fromkeys(text for pair in pairs for text in pair)}
        return [
            (said[one][0] == said[other][0] or _alike(said[one][1], said[other][1], at_least))
            and not (clash is not None and (clash(one, other) or clash(other, one)))
            for one, other in pairs
        ]

    return same


def _alike(one: _Said, other: _Said, at_least: float) -> bool:
    if one.denies != other.denies or one.exact != other.exact or not (one.words and other.words):
        return False
    small, large = sorted((one.words, other.words), key=len)
    return small <= large and len(small) >= at_least * len(large)


def _said(answer: str) -> _Said:
    text = _ROMAN.sub(lambda found: (found[1] or "") + _NUMERALS[(found[2] or found[3]).casefold()], normalise(answer).text)
    kinds = {kind.casefold() for kind in _KIND.findall(text)}
    words = [_COUNTS.get(word, word) for word in _WORD.findall(_LEADS.sub("", text).casefold())]
    numbers = {_plain(word) for word in words if word[0] in _DIGITS}
    told = {_plain(word) if word[0] in _DIGITS else _stem(word) for word in words if word not in EMPTY_WORDS}
    return _Said(denies(text), frozenset({*numbers, *kinds, *_SIGNS.findall(text)}), frozenset(told | kinds))


def _stem(word: str) -> str:
    """A word without the s of a plural or of he, she, it; a unit in its usual form."""
    bare = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    return _UNITS.get(bare, bare)


def _plain(part: str) -> str:
    """A number as it is written most simply; anything else as it is."""
    if part[0] not in _DIGITS:
        return part
    plain = part.replace(",", "") if _THOUSANDS.match(part) else part.replace(",", ".")
    whole, _, rest = plain.partition(".")
    rest = rest.rstrip("0")
    return f"{whole or '0'}.{rest}" if rest else whole or "0"
