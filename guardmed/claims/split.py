"""From an answer to the claims in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from guardmed.text import Span, clauses, sentences

# A clause shorter than this says nothing that can be checked without its neighbour.
_MIN_CLAUSE_WORDS = 4
_WORD = re.compile(r"[A-Za-z0-9%.]+|[一-鿿]")
_QUESTION = re.compile(r"[?？]\s*[\"'”’)）]*$")
_LIST_MARK = re.compile(r"^(?:[-*•·]|\(?\d{1,2}[.)、]|[一二三四五六七八九十]、)\s*")


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer that says one thing.

    Attributes
    ----------
    text : str
    span : Span
        In the answer.
    """

    text: str
    span: Span


def split_claims(answer: str, *, question: str = "") -> list[Claim]:
    """Sentences, then their clauses where each is long enough to stand alone.

    Questions are left out: they assert nothing. So are echoes of the question, and what repeats
    earlier words of the answer. List marks are not part of a claim.
    """
    claims: list[Claim] = []
    seen: set[str] = set()
    asked = _key(question)
    for sentence in sentences(answer):
        if _QUESTION.search(sentence.of(answer)):
            continue
        for clause in _merged(answer, clauses(answer, sentence)):
            mark = _LIST_MARK.match(clause.of(answer))
            span = Span(clause.start + mark.end(), clause.end) if mark else clause
            text = span.of(answer).strip()
            key = _key(text)
            if key and key not in asked and key not in seen:
                seen.add(key)
                claims.append(Claim(text, span))
    return claims


def _merged(answer: str, parts: list[Span]) -> list[Span]:
    """Join clauses that are too short to their neighbour."""
    out: list[Span] = []
    for part in parts:
        if out and (_words(out[-1].of(answer)) < _MIN_CLAUSE_WORDS or _words(part.of(answer)) < _MIN_CLAUSE_WORDS):
            out[-1] = Span(out[-1].start, part.end)
        else:
            out.append(part)
    return out


def _key(text: str) -> str:
    return re.sub(r"\W+", "", text.lower())


def _words(text: str) -> float:
    """Words; one Chinese character is about two thirds of one."""
    return sum(1.0 if found[0].isascii() else 2 / 3 for found in _WORD.findall(text))
