"""Opposites in two sentences: up and down, left and right, before and after."""

from __future__ import annotations

from collections.abc import Iterator

from guardmed.claims.clashes.difference import Difference, near, same_pole
from guardmed.claims.clashes.lexicon import axis_kind, inverse, poles_agree
from guardmed.claims.clashes.reading import Unit


def differing_poles(one: Unit, other: Unit, agreeing: set[int], *, frame: bool) -> Iterator[Difference]:
    """Opposites of which one unit names one and the other unit the other, about the same concepts.

    Parameters
    ----------
    one, other : Unit
    agreeing : set of int
        Gets the places of the poles in the first unit that the other unit names too.
    frame : bool
        The units are the same but for numbers and poles.
    """
    axes = {one.tokens[index].key for index in one.poles} & {other.tokens[index].key for index in other.poles}
    for axis in sorted(axes):
        mine = [index for index in one.poles if one.tokens[index].key == axis]
        theirs = [index for index in other.poles if other.tokens[index].key == axis]
        if frame:
            pairs = list(zip(mine, theirs, strict=True))
        elif len(mine) == len(theirs) == 1:
            pairs = [(mine[0], theirs[0])] if _beside(one, other, mine[0], theirs[0]) else []
        else:
            pairs = list(_neighbours(one, other, mine, theirs))
        differing: list[Difference] = []
        for index, place in pairs:
            if _hold_together(one, other, index, place, frame=frame):
                agreeing.add(index)
            elif axis_kind(axis) and index not in one.denied and place not in other.denied:
                differing.append(Difference(axis, one.tokens[index], other.tokens[place], index))
        # "Low X raises Y" and "high X lowers Y" say the same; so do left and right, both exchanged.
        if len(differing) != 2 or any(token.kind == "break" for token in one.tokens[differing[0].place : differing[1].place]):
            yield from differing


def swapped(one: Unit, other: Unit) -> Iterator[Difference]:
    """Two concepts that have changed places where the place says which comes first."""
    mine = [token for token in one.tokens if token.kind in ("word", "pole")]
    theirs = [token for token in other.tokens if token.kind in ("word", "pole")]
    if len(mine) != len(theirs) or any(token.part is not None and token.part.relation for token in mine):
        return
    order = next((token.key for token in mine if token.key in ("seq", "late")), None)
    apart = [at for at, (token, rival) in enumerate(zip(mine, theirs, strict=True)) if token.key != rival.key]
    if order is None or len(apart) != 2:
        return
    first, second = apart
    if mine[first].key == theirs[second].key and mine[second].key == theirs[first].key and mine[first].kind == mine[second].kind == "word":
        place = next(at for at, token in enumerate(one.tokens) if token is mine[first])
        yield Difference(order, mine[first], theirs[first], place)


def _neighbours(one: Unit, other: Unit, mine: list[int], theirs: list[int]) -> Iterator[tuple[int, int]]:
    """Poles of one axis that stand beside the same concept, where they can't be told apart otherwise."""
    for index in mine:
        mine_near = near(one, index, 2)
        rivals = [(len(mine_near & near(other, place, 2)), place) for place in theirs]
        best = max(count for count, _ in rivals)
        beside = [place for count, place in rivals if count == best and best > 0]
        if not beside:
            continue
        part = one.tokens[index].part
        agreeing = [place for place in beside if part is not None and same_pole(part.axis, part.pole, other.tokens[place])]
        yield index, (agreeing or beside)[0]


def _beside(one: Unit, other: Unit, index: int, place: int) -> bool:
    """Whether two tokens stand beside a concept in common, or one of them alone; a relation has its own two sides."""
    if all(token.part is not None and token.part.relation for token in (one.tokens[index], other.tokens[place])):
        return True
    mine, theirs = near(one, index, 4), near(other, place, 4)
    return not mine or not theirs or bool(mine & theirs)


def _hold_together(one: Unit, other: Unit, index: int, place: int, *, frame: bool) -> bool:
    """Whether two poles of one axis can both be true of what they relate."""
    part, part_other = one.tokens[index].part, other.tokens[place].part
    assert part is not None and part_other is not None  # poles have a part
    agree = poles_agree(part.axis, part.pole, part_other.pole)
    if frame or not (part.relation and part_other.relation):
        return agree
    if agree and not (_object(one, index) and _object(other, place)):
        return True  # "after four weeks": what comes after isn't told in words
    left, right = _sides(one, index)
    left_other, right_other = _sides(other, place)
    straight = (len(left & left_other), len(right & right_other))
    crossed = (len(left & right_other), len(right & left_other))
    turned = inverse(part_other.pole)
    # Both sides exchanged, or most of what is shared where one side shares nothing.
    exchanged = sum(crossed) > sum(straight) if all(straight) or not all(crossed) else True
    if exchanged and turned is not None:
        return poles_agree(part.axis, part.pole, turned)
    return agree or not _object(one, index) & _object(other, place)


def _object(unit: Unit, index: int) -> set[str]:
    """What a relation is to: the concepts after "before", or before 之前."""
    part = unit.tokens[index].part
    before, after = unit.around(index)
    return set(before if part is not None and part.relation == "behind" else after)


def _sides(unit: Unit, index: int) -> tuple[set[str], set[str]]:
    """The concepts that a relation puts first and second: "X before Y", "before Y, X", X在Y之前, Y前X."""
    part = unit.tokens[index].part
    keys = [(at, token.key) for at, token in enumerate(unit.tokens) if token.kind == "word"]
    left, right = {key for at, key in keys if at < index}, {key for at, key in keys if at > index}
    if part is not None and part.relation == "behind":
        marks = [at for at, token in enumerate(unit.tokens[:index]) if token.kind == "mark" and token.key == "at"]
        if marks:
            return {key for at, key in keys if at < marks[-1] or at > index}, {key for at, key in keys if marks[-1] < at < index}
        return right, left
    if not left:
        stop = next((at for at in range(index, len(unit.tokens)) if unit.tokens[at].kind == "break"), len(unit.tokens))
        if not any(at > stop for at, _ in keys):
            # "After a meal take the tablet": only the first concept is surely what it comes after.
            stop = next((at + 1 for at, _ in keys if at > index), stop)
        return {key for at, key in keys if at >= stop}, {key for at, key in keys if index < at < stop}
    return left, right
