"""What two sentences (or clauses) say differently, and how far they speak of the same thing."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import NamedTuple

from guardmed.claims.clashes.amounts import derived, differing_quantities, loose, opposed
from guardmed.claims.clashes.denials import denials
from guardmed.claims.clashes.difference import Difference
from guardmed.claims.clashes.lexicon import SCOPES, axis_kind, poles_agree
from guardmed.claims.clashes.opposites import differing_poles, swapped
from guardmed.claims.clashes.reading import Unit
from guardmed.claims.clashes.tokens import Token


@dataclass
class Comparison:
    """Two units, compared.

    Attributes
    ----------
    same : bool
        They speak of the same thing.
    likeness : float
        Share of what either says that both do, 0 to 1.
    differences : list of Difference
    agreeing : set of int
        Places in the first unit that the other unit says too.
    """

    same: bool = False
    likeness: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    agreeing: set[int] = field(default_factory=set)


FAINT = 0.3
"""Units less alike than this neither clash nor agree."""
_ALIKE = 0.5
# Where one says nothing that the other doesn't.
_ALIKE_WITHIN = 0.34
# Where what is denied stands in one only.
_ALIKE_WEAK = 0.7


def compare_units(one: Unit, other: Unit, around_one: Unit, around_other: Unit, *, alone: bool = False, alike: float = _ALIKE) -> Comparison:
    """Compare two units.

    Parameters
    ----------
    one, other : Unit
    around_one, around_other : Unit
        The sentences that they are part of; the subject of a clause may stand elsewhere in its sentence.
    alone : bool
        Both are all there is of their texts: they may say nothing but a number and still be about the same thing.
    alike : float
        How alike they have to be at least.
    """
    out = Comparison()
    if _hopeless(one, other, around_one, around_other):
        return out
    frame = _frame(one) == _frame(other)
    quantities = list(differing_quantities(one, other, out.agreeing, frame=frame))
    poles = [*differing_poles(one, other, out.agreeing, frame=frame), *swapped(one, other)]
    denied = list(denials(one, other))
    if len(denied) == 2 and not any(token.kind == "break" for token in one.tokens[:-1] + other.tokens[:-1]):
        denied = []  # "not eating is not healthy" and "eating is healthy"
    if (poles or denied) and loose(one, other):
        return out  # another number may be why another thing is said
    out.differences = [*quantities, *poles, *denied]
    if _about_others(one, other) or ((poles or denied) and not frame and _turned(one, other)):
        return out
    weak = [difference for difference in denied if not difference.firm]
    shares = _shared(one, other, around_one, around_other, out, weak)
    out.likeness = shares.likeness
    if (shares.only_one or shares.only_other) and any(one.conditional(difference.place) for difference in quantities):
        return out  # two cases, and what to do in each
    if quantities and not frame and shares.both_more:
        return out  # "the fasting glucose", "the two-hour glucose"
    if shares.extra and any(opposed(difference) for difference in quantities):
        return out  # "below 30 means deficiency", "above 300 means overload"
    if (poles or denied) and not frame and not (_starts_alike(one, around_other) and _starts_alike(other, around_one)):
        return out  # "low-molecular-weight heparin" is not "heparin"
    whole = one is around_one and other is around_other
    if weak and not whole:
        return out
    if not one.words | other.words:
        out.same = alone
    elif one.words & other.words and (shares.said >= 2 or (whole and shares.within and shares.only_one + shares.only_other <= 1)):
        enough = _ALIKE_WEAK if weak else alike
        out.same = (shares.likeness >= enough or (shares.within and not denied and shares.likeness >= _ALIKE_WITHIN)) and not _exchanged(
            one, other, one.words - other.words, other.words - one.words
        )
    return out


def _hopeless(one: Unit, other: Unit, around_one: Unit, around_other: Unit) -> bool:
    """Whether the concepts alone say that two units are about different things, whatever else they share."""
    if not one.words & other.words:
        return bool(one.words | other.words)
    shared = len((one.words & around_other.words) | (other.words & around_one.words)) + min(one.others, other.others)
    return shared < FAINT * (shared + len(one.words - around_other.words) + len(other.words - around_one.words))


class _Shares(NamedTuple):
    """What two units share, in concepts, quantities and poles; ``both_more``: each has a quantity or a pole of its own besides."""

    said: int
    only_one: int
    only_other: int
    extra: float
    likeness: float
    both_more: bool

    @property
    def within(self) -> bool:
        """One has no concept that the other lacks."""
        return not self.only_one or not self.only_other


def _shared(one: Unit, other: Unit, around_one: Unit, around_other: Unit, out: Comparison, weak: list[Difference]) -> _Shares:
    shared = (one.words & around_other.words) | (other.words & around_one.words)
    lacking, lacking_other = one.words - around_other.words, other.words - around_one.words
    differing = {id(token) for difference in out.differences for token in (difference.one, difference.other)}
    agreeing = len(out.agreeing)
    more = sum(_weight(token) for index, token in enumerate(one.tokens) if index not in out.agreeing and id(token) not in differing)
    more_other = max(0.0, sum(_weight(token) for token in other.tokens if id(token) not in differing) - sum(_weight(one.tokens[at]) for at in out.agreeing))
    extra = more + more_other
    # The word that is denied may well be missing where nothing is.
    only_one = len(lacking) - sum(difference.one.key in lacking for difference in weak)
    only_other = len(lacking_other) - sum(difference.other.key in lacking_other for difference in weak)
    said = len(shared) + agreeing
    extra += only_one + only_other
    return _Shares(said, only_one, only_other, extra, said / (said + extra) if said + extra else 0.0, bool(more and more_other))


def _turned(one: Unit, other: Unit) -> bool:
    """Whether one of the units is turned round by more than what differs: "smoking", "giving up smoking"; "some patients", "most"; "rarely"."""
    mine, theirs = _named(one, "quant"), _named(other, "quant")
    if mine != theirs and ("some" in mine | theirs or (mine and theirs)):
        return True
    if ("-" in _named(one, "often")) != ("-" in _named(other, "often")) and not (_named(one, "often") and _named(other, "often")):
        return True
    return _turns(one, other) != _turns(other, one)


def _turns(one: Unit, other: Unit) -> int:
    """How many opposites of more and less, on and off stand beside a concept that both units have."""
    count = 0
    for index in one.poles:
        part = one.tokens[index].part
        if part is None or part.light or axis_kind(part.axis) != "negation":
            continue
        before, after = one.around(index, 1)
        count += bool(set(after or before) & other.words)
    return count


def _about_others(one: Unit, other: Unit) -> bool:
    """Whether the units are about other people, other forms of a disease or other steps of a treatment."""
    for axis in SCOPES:
        mine, theirs = _named(one, axis), _named(other, axis)
        if axis == "group" and mine != theirs:
            return True
        if mine and theirs and not (_covered(axis, mine, theirs) and _covered(axis, theirs, mine)):
            return True
    return False


def _named(unit: Unit, axis: str) -> set[str]:
    return {token.part.pole for token in unit.tokens if token.kind == "pole" and token.key == axis and token.part is not None}


def _covered(axis: str, poles: set[str], others: set[str]) -> bool:
    return all(any(poles_agree(axis, pole, other) for other in others) for pole in poles)


def _starts_alike(one: Unit, other: Unit) -> bool:
    """Whether the first concept of a unit is one of the other."""
    first = next((token.key for token in one.tokens if token.kind == "word" and not (token.part and token.part.light)), None)
    return first is None or first in other.words


def _weight(token: Token) -> float:
    if token.kind == "quantity":
        return 0.0 if token.quantity is None or token.quantity.derived else 0.5
    return 0.5 if token.kind == "pole" and token.part is not None and not token.part.light else 0.0


def _frame(unit: Unit) -> tuple[str, ...]:
    """What a unit says, without its numbers and without which of two opposites it names."""
    return tuple(
        "0" if token.kind == "quantity" else _place(token) for token in unit.tokens if token.kind in ("word", "pole", "quantity") and not derived(token)
    )


def _place(token: Token) -> str:
    # Whom a number is for belongs to the frame.
    return f"{token.key}:{token.part.pole}" if token.part is not None and token.kind == "pole" and token.key in SCOPES else token.key


def _exchanged(one: Unit, other: Unit, only_one: frozenset[str], only_other: frozenset[str]) -> bool:
    """Whether a concept of one stands exactly where another concept of the other does: then they are about different things."""
    if not only_one or not only_other:
        return False
    keys, keys_other = _frame(one)[:200], _frame(other)[:200]
    for tag, start, end, start_other, end_other in SequenceMatcher(None, keys, keys_other, autojunk=False).get_opcodes():
        if tag == "replace" and any(key in only_one for key in keys[start:end]) and any(key in only_other for key in keys_other[start_other:end_other]):
            return True
    return False
