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


def split_claims(answer: str) -> list[Claim]:
    """Sentences, then their clauses where each is long enough to stand alone.

    Questions are left out: they assert nothing. List marks are not part of a claim. A sentence
    that repeats an earlier one word for word is checked once.
    """
    claims: list[Claim] = []
    seen: set[str] = set()
    for sentence in sentences(answer):
        if _QUESTION.search(sentence.of(answer)):
            continue
        for span in _merged(answer, clauses(answer, sentence)):
            mark = _LIST_MARK.match(span.of(answer))
            if mark:
                span = Span(span.start + mark.end(), span.end)
            text = span.of(answer).strip()
            key = re.sub(r"\W+", "", text.lower())
            if key and key not in seen:
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


def _words(text: str) -> float:
    """Words; one Chinese character is about two thirds of one."""
    return sum(1.0 if found[0].isascii() else 2 / 3 for found in _WORD.findall(text))
