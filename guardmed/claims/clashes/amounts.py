"""Quantities in two sentences that can't both hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from guardmed.claims.clashes.difference import Difference, near
from guardmed.claims.clashes.match import Relation, equal, relation
from guardmed.claims.clashes.quantity import Quantity
from guardmed.claims.clashes.reading import Unit
from guardmed.claims.clashes.tokens import Token


def differing_quantities(one: Unit, other: Unit, agreeing: set[int], *, frame: bool) -> Iterator[Difference]:
    """Quantities of the same measure and about the same concepts that can't both hold, each named by one unit only.

    Parameters
    ----------
    one, other : Unit
    agreeing : set of int
        Gets the places of the quantities in the first unit that the other unit states too.
    frame : bool
        The units are the same but for numbers and poles.
    """
    mine = [(index, token) for index, token in enumerate(one.tokens) if token.quantity is not None]
    theirs = [(index, token) for index, token in enumerate(other.tokens) if token.quantity is not None]
    words = one.words | other.words
    if frame:
        plain = [pair for pair in mine if not derived(pair[1])], [pair for pair in theirs if not derived(pair[1])]
        if len(plain[0]) == len(plain[1]):
            yield from _in_order(one, other, plain, agreeing)
            return
    relations = {(index, index_other): _between(one, other, index, index_other, words) for index, _ in mine for index_other, _ in theirs}
    met = {index for index, index_other in relations if relations[index, index_other] in (Relation.AGREE, Relation.OVERLAP)}
    met_other = {index_other for index, index_other in relations if relations[index, index_other] in (Relation.AGREE, Relation.OVERLAP)}
    agreeing |= {index for index in met if not derived(one.tokens[index])}
    left = [index for index, _ in mine if index not in met]
    left_other = [index for index, _ in theirs if index not in met_other]
    found = list(_paired(one, other, [(a, b) for a in left for b in left_other if relations[a, b] is Relation.DIFFER]))
    written = [difference for difference in found if not derived(difference.one) and not derived(difference.other)]
    yield from written or found


def _paired(one: Unit, other: Unit, rivals: list[tuple[int, int]]) -> Iterator[Difference]:
    """Each quantity against one at most: the one with the most around it that both sentences say."""
    ranked = []
    for index, place in rivals:
        if not (_belongs(one, index, other) and _belongs(other, place, one)):
            continue
        mine, theirs = near(one, index), near(other, place)
        if mine and theirs and not mine & theirs:
            continue
        ranked.append((-len(mine & theirs), abs(index - place), index, place))
    choices = Counter(index for _, _, index, _ in ranked), Counter(place for _, _, _, place in ranked)
    used: set[int] = set()
    used_other: set[int] = set()
    for apart, _, index, place in sorted(ranked):
        several = choices[0][index] > 1 or choices[1][place] > 1
        doubtful = several and not apart and not (derived(one.tokens[index]) or derived(other.tokens[place]))
        if index not in used and place not in used_other and not doubtful:
            used.add(index)
            used_other.add(place)
            yield Difference(_sort(one.tokens[index]), one.tokens[index], other.tokens[place], index)


def _belongs(unit: Unit, index: int, other: Unit) -> bool:
    """Whether a quantity stands with words that both units have, or with none of its own."""
    beside = unit.part_of(index)
    return not beside or bool(beside & other.words)


def _in_order(one: Unit, other: Unit, plain: tuple[list[tuple[int, Token]], list[tuple[int, Token]]], agreeing: set[int]) -> Iterator[Difference]:
    """Of sentences that are otherwise the same, the first number stands against the first."""
    words = one.words | other.words
    for (index, token), (_, rival) in zip(*plain, strict=True):
        assert token.quantity is not None and rival.quantity is not None  # only quantities are given
        found = relation(token.quantity, rival.quantity, words)
        if found is Relation.AGREE:
            agreeing.add(index)
        elif found is not Relation.APART and not _strength(one, other, token.quantity, rival.quantity):
            yield Difference(_sort(token), token, rival, index)


def _strength(one: Unit, other: Unit, mine: Quantity, theirs: Quantity) -> bool:
    """Whether one is a volume of a known strength and the other what is in it."""
    if mine.measure == theirs.measure or not {mine.measure, theirs.measure} & {"volume", "volume/kg"}:
        return False
    return any(token.quantity is not None and token.quantity.measure in ("ratio", "mass/volume", "share") for token in one.quantities + other.quantities)


def _sort(token: Token) -> str:
    return "label" if token.quantity is not None and token.quantity.measure.startswith("label") else "quantity"


def _between(one: Unit, other: Unit, index: int, index_other: int, words: frozenset[str]) -> Relation:
    mine, theirs = one.tokens[index].quantity, other.tokens[index_other].quantity
    assert mine is not None and theirs is not None  # only quantities are given
    found = relation(mine, theirs, words)
    if found is not Relation.DIFFER:
        return found
    if _strength(one, other, mine, theirs):
        return Relation.APART
    if mine.measure == "number":
        before, after = one.around(index)
        before_other, after_other = other.around(index_other)
        if after and after_other:
            return found if set(after) & set(after_other) else Relation.APART
        return found if set(before + after) & set(before_other + after_other) else Relation.APART
    return found


def derived(token: Token) -> bool:
    """Whether a token is a quantity that was worked out of others."""
    return token.quantity is not None and token.quantity.derived


def opposed(difference: Difference) -> bool:
    """Whether it is between an upper and a lower limit."""
    one, other = difference.one.quantity, difference.other.quantity
    return one is not None and other is not None and {one.bound, other.bound} == {"<", ">"}


def loose(one: Unit, other: Unit) -> bool:
    """Whether both state a quantity of some measure and neither states all of the other's."""
    mine = [token.quantity for token in one.quantities if token.quantity is not None and not token.quantity.derived]
    theirs = [token.quantity for token in other.quantities if token.quantity is not None and not token.quantity.derived]
    for measure in {quantity.measure for quantity in mine} & {quantity.measure for quantity in theirs}:
        ours = [quantity for quantity in mine if quantity.measure == measure]
        others = [quantity for quantity in theirs if quantity.measure == measure]
        if not all(any(equal(a, b) for b in others) for a in ours) and not all(any(equal(a, b) for a in ours) for b in others):
            return True
    return False
