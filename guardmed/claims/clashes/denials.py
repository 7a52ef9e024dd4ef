"""Denials: what one of two sentences denies and the other says."""

from __future__ import annotations

from collections.abc import Iterator

from guardmed.claims.clashes.difference import Difference, same_pole
from guardmed.claims.clashes.reading import Unit
from guardmed.claims.clashes.tokens import Token
from guardmed.text import Span


def denials(one: Unit, other: Unit) -> Iterator[Difference]:
    """What one unit denies and the other does not; denials of the same in other words cancel out."""
    mine, theirs = dict(one.denied), dict(other.denied)
    for head in list(mine):
        match = next((place for place in theirs if other.tokens[place].key == one.tokens[head].key), None)
        if match is not None:
            del mine[head], theirs[match]
    # Denied in other words: "shows no X" and "negative for X".
    for head in list(mine):
        if theirs:
            scope = one.scope(mine[head]) | {one.tokens[head].key}
            match = next((place for place in theirs if scope & (other.scope(theirs[place]) | {other.tokens[place].key})), next(iter(theirs)))
            del mine[head], theirs[match]
    yield from _undenied(one, mine, other, flipped=False)
    yield from _undenied(other, theirs, one, flipped=True)


def _undenied(one: Unit, denied: dict[int, int], other: Unit, *, flipped: bool) -> Iterator[Difference]:
    for head, denial in denied.items():
        token = one.tokens[head]
        rivals = [rival for rival in other.tokens if rival.kind == token.kind and rival.key == token.key]
        firm = bool(rivals)
        if token.kind == "pole" and rivals and not any(token.part is not None and same_pole(token.key, token.part.pole, rival) for rival in rivals):
            continue  # "doesn't raise" and "lowers" may both hold
        scope = one.scope(denial) or one.part_of(head)
        if firm and len(scope & other.keys) * 2 <= len(scope):
            continue
        if one.conditional(denial) and one.words != other.words:
            continue  # what holds "where no tumour was seen" is another case
        denying = one.tokens[denial].part
        if not firm and denying is not None and denying.light:
            continue  # "irregular bleeding" is a thing, and "bleeding" does not deny it
        here = Token("denial", token.key, one.tokens[denial].span)
        there = rivals[0] if rivals else Token("word", "", Span(other.tokens[0].span.start, other.tokens[-1].span.end)) if other.tokens else None
        if there is not None:
            yield Difference("denial", there, here, 0, firm) if flipped else Difference("denial", here, there, denial, firm)
