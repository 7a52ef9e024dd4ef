"""Contradictions between two texts that can be seen without a model.

Two sentences are compared where they speak of the same thing: where they share most of their concepts, in the same
order, about the same people. What they then say differently is a clash: numbers (after units are converted and ranges
opened), doses (one dose, how often, a day's amount), units, denials and opposites, sides, order in time. Wherever that
is doubtful there is none: a text that differs in two ways speaks of two things, a number may differ because a condition
does, and an aim or a hypothesis claims nothing. So a clash is strong evidence, and the lack of one is no evidence at all.

Deterministic contradictions of this kind were first listed by de Marneffe, Rafferty and Manning, "Finding
Contradictions in Text" (ACL 2008): numeric mismatch, negation, antonyms, structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from guardmed.claims.clashes.question import search_question
from guardmed.claims.clashes.reading import Reading, read
from guardmed.claims.clashes.search import Clash, search

# Claims of one answer are about different things more often than two answers to one question are.
_ALIKE_WITHIN = 0.6
# A claim is compared with no more of the others than this: those that share the most words.
_NEIGHBOURS = 40


def clashes(claim: str | Reading, other: str | Reading) -> tuple[Clash, ...]:
    """Where a claim and another text about the same thing contradict each other.

    Parameters
    ----------
    claim : str or Reading
        A sentence or a few.
    other : str or Reading
        A text of any length: another answer, a source. Read it once with :func:`read` where many claims are
        compared with it.

    Returns
    -------
    tuple of Clash
        In the order of the claim; empty where nothing contradicts, or nothing can be told.
    """
    return search(_read(claim), _read(other))


def clashes_within(answer_claims: Sequence[str]) -> tuple[tuple[int, int, Clash], ...]:
    """Where two claims of one answer contradict each other.

    Returns
    -------
    tuple of (int, int, Clash)
        The numbers of both claims, the earlier one first, and their clash; in order.
    """
    readings = [read(claim) for claim in answer_claims]
    found: list[tuple[int, int, Clash]] = []
    for first, second in _pairs(readings):
        found += [(first, second, clash) for clash in search(readings[first], readings[second], alike=_ALIKE_WITHIN)]
    return tuple(found)


def against_question(claim: str | Reading, question: str | Reading) -> tuple[Clash, ...]:
    """Where a claim contradicts what the question itself states of the person it is about.

    Age, sex, pregnancy, allergy and side of the body, and drugs and doses that the claim says are taken now. What a
    claim says of people in general ("women over 65 ...") contradicts nothing.
    """
    return search_question(_read(claim), _read(question))


def _read(text: str | Reading) -> Reading:
    return read(text) if isinstance(text, str) else text


def _pairs(readings: Sequence[Reading]) -> Iterator[tuple[int, int]]:
    """Pairs of claims that share a word, the earlier first; of very many claims each with its nearest only."""
    places: dict[str, list[int]] = {}
    for place, reading in enumerate(readings):
        for word in reading.index:
            places.setdefault(word, []).append(place)
    for place, reading in enumerate(readings):
        shared: dict[int, int] = {}
        for word in reading.index:
            for rival in places[word][: 4 * _NEIGHBOURS]:
                if rival > place:
                    shared[rival] = shared.get(rival, 0) + 1
        nearest = sorted(shared, key=lambda rival: (-shared[rival], rival))[:_NEIGHBOURS]
        yield from ((place, rival) for rival in sorted(nearest))


__all__ = ["Clash", "Reading", "against_question", "clashes", "clashes_within", "read"]
