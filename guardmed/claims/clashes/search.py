"""Searches two readings for clashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from guardmed.claims.clashes.differ import FAINT, Comparison, compare_units
from guardmed.claims.clashes.difference import Difference
from guardmed.claims.clashes.lexicon import axis_kind
from guardmed.claims.clashes.match import same_figures
from guardmed.claims.clashes.quantity import Quantity
from guardmed.claims.clashes.reading import Reading, Unit
from guardmed.text import Span

Kind = Literal["number", "dose", "unit", "negation", "side", "time"]

# How many sentences of the other text a sentence is compared with: those that share the most words.
_CANDIDATES = 8
# A word in more sentences than this says little about which one is meant.
_COMMON = 64


@dataclass(frozen=True, slots=True)
class Clash:
    """Two texts that contradict each other.

    Attributes
    ----------
    kind : {"number", "dose", "unit", "negation", "side", "time"}
        ``negation`` is a denial or an opposite ("raises" against "lowers").
    claim_span, other_span : Span
        Where, in characters of the claim and of the other text as they were given.
    told : str
        The clash in one sentence.
    """

    kind: Kind
    claim_span: Span
    other_span: Span
    told: str


def search(claim: Reading, other: Reading, *, alike: float = 0.5) -> tuple[Clash, ...]:
    """Clashes of a claim with another text, in the claim's order; see :func:`guardmed.claims.clashes.clashes`."""
    found: dict[tuple[Span, Span], Clash] = {}
    alone = len(claim.sentences) == len(other.sentences) == 1
    for sentence in claim.sentences:
        if not sentence.asserts:
            continue
        compared = list(_compared(sentence, other, alone=alone, alike=alike))
        for place, (unit, comparison) in enumerate(compared):
            if not comparison.same:
                continue
            for difference in _telling(unit, comparison):
                # Another sentence of the other text says the same as the claim.
                silenced = any(
                    rival.likeness >= FAINT and any(unit.tokens[difference.place] is mine.tokens[at] for at in rival.agreeing)
                    for at_place, (mine, rival) in enumerate(compared)
                    if at_place != place
                )
                if not silenced:
                    clash = _clash(claim, other, difference)
                    found.setdefault((clash.claim_span, clash.other_span), clash)
    return tuple(sorted(found.values(), key=lambda clash: clash.claim_span))


def _compared(sentence: Unit, other: Reading, *, alone: bool, alike: float) -> Iterator[tuple[Unit, Comparison]]:
    """A sentence against the sentences of the other text; where a whole one is about something else, clause by clause."""
    for rival in _candidates(sentence, other):
        whole = compare_units(sentence, rival, sentence, rival, alone=alone, alike=alike)
        yield sentence, whole
        if whole.same or (len(sentence.clauses) == 1 and len(rival.clauses) == 1):
            continue
        for clause in sentence.clauses:
            for other_clause in rival.clauses:
                yield clause, compare_units(clause, other_clause, sentence, rival, alike=alike)


def _candidates(sentence: Unit, other: Reading) -> list[Unit]:
    shared: Counter[int] = Counter()
    for word in sentence.words:
        places = other.index.get(word, [])
        if len(places) <= _COMMON or len(sentence.words) < 3:
            shared.update(places[:_COMMON])
    best = sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:_CANDIDATES]
    if not best and len(other.sentences) == 1 and other.sentences[0].asserts:
        return list(other.sentences)
    return [other.sentences[place] for place, _ in best if other.sentences[place].asserts]


def _telling(unit: Unit, comparison: Comparison) -> list[Difference]:
    """The differences of a comparison, or none where they may cancel out or are about what the unit speaks of.

    Two sentences that differ in two ways ("the left lung has two lobes", "the right lung has three") are about two
    things more often than they contradict each other.
    """
    differences = comparison.differences
    sorts = {difference.sort for difference in differences}
    if len(sorts) != 1:
        return []
    if sorts == {"label"} and any(_is_subject(unit, difference) for difference in differences):
        return []
    return differences


def _is_subject(unit: Unit, difference: Difference) -> bool:
    """Whether a label says what the sentence is about: before what it labels ("type 2 diabetes"), or at the head."""
    name = difference.one.key.removeprefix("label:")
    labels = name in _KINDS and bool(unit.around(difference.place, 1)[1])
    return labels or (difference.place < len(unit.tokens) * 0.45 and not unit.predicates(difference.place))


_KINDS = frozenset(("type", "stage", "grade", "class", "phase", "level", "group", "category", "degree", "generation"))


def _clash(claim: Reading, other: Reading, difference: Difference) -> Clash:
    one, rival = difference.one, difference.other
    kind = _kind(difference)
    claim_span, other_span = claim.back(one.span), other.back(rival.span)
    said, said_other = claim_span.of(claim.text.original), other_span.of(other.text.original)
    if difference.sort == "denial":
        denies = one.kind == "denial"
        told = f"The claim denies with {said!r} what the other text says." if denies else f"The other text denies with {said_other!r} what the claim says."
    else:
        told = f"The claim says {said!r}, the other text {said_other!r}."
    return Clash(kind, claim_span, other_span, told)


def _kind(difference: Difference) -> Kind:
    if difference.sort == "denial":
        return "negation"
    one, other = difference.one.quantity, difference.other.quantity
    if one is None or other is None:
        return axis_kind(difference.sort) or "negation"
    return quantity_kind(one, other)


# Bodies, organs and what is drunk are weighed in these more often than drugs are.
_WEIGHED_LIST = """
kg kilogram kilograms 千克 公斤 斤 l litre litres liter liters 升 lb lbs pound pounds oz ml 毫升
"""
_WEIGHED = frozenset(_WEIGHED_LIST.split())
_LABELS_OF_TIME = frozenset(f"label:{name}" for name in ["trimester", "day", "week", "month", "year", "天", "日", "周", "月", "年"])


def quantity_kind(one: Quantity, other: Quantity) -> Kind:
    """What a clash of two quantities is called."""
    if same_figures(one, other) and one.unit and other.unit and one.unit != other.unit:
        return "unit"
    if one.measure in ("date", "day", "clock") or one.measure in _LABELS_OF_TIME:
        return "time"
    if one.measure == "rate":
        # How often something is taken, and not a pulse or the time between two examinations.
        return "dose" if all(1 / 31 <= quantity.low <= 24 for quantity in (one, other)) else "number"
    return "dose" if one.role in ("single", "total") or (one.taken and one.unit not in _WEIGHED) else "number"
