"""A text as the search for clashes reads it: sentences of tokens, each a concept, a pole, a denial or a quantity."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from guardmed.claims.clashes.doses import doses
from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.quantities import quantities
from guardmed.claims.clashes.tokens import Token, tokens
from guardmed.text import Normalised, Span, normalise, sentences

# Longer sentences are read in pieces: nobody compares them whole.
_LONGEST = 800


# What asks, or says what somebody wants to find out.
_OPEN = Lazy(
    r"[?？]|\b(?:whether|hypothesi[sz]e[ds]?|hypothesis|(?:aim|purpose|objective|goal)s? (?:of|was|is|were)|aimed to|sought to|unclear|uncertain"
    r"|controversial|unknown|remains? to be|to (?:test|investigate|determine|examine|evaluate|assess|compare|explore|clarify|study|analy[sz]e))\b"
    r"|是否|能否|可否|旨在|探讨|假设|尚不清楚|尚不明确|有争议|目的是|吗[。！]?$"
)


@dataclass(frozen=True)
class Unit:
    """A sentence, or a clause of one.

    Attributes
    ----------
    tokens : tuple of Token
    asserts : bool
        It says that something is so: it's no question, and no aim or hypothesis ("we examined whether ...").
    """

    tokens: tuple[Token, ...]
    asserts: bool = True

    @cached_property
    def words(self) -> frozenset[str]:
        """Concepts with weight of their own."""
        return frozenset(token.key for token in self.tokens if token.kind == "word" and not (token.part and token.part.light))

    @cached_property
    def keys(self) -> frozenset[str]:
        """Concepts and axes."""
        return frozenset(token.key for token in self.tokens if token.kind in ("word", "pole"))

    @cached_property
    def poles(self) -> tuple[int, ...]:
        """Places of the poles."""
        return tuple(index for index, token in enumerate(self.tokens) if token.kind == "pole")

    @cached_property
    def others(self) -> int:
        """How many quantities and poles there are."""
        return len(self.poles) + len(self.quantities)

    @cached_property
    def quantities(self) -> tuple[Token, ...]:
        """The quantities."""
        return tuple(token for token in self.tokens if token.kind == "quantity")

    @cached_property
    def denied(self) -> dict[int, int]:
        """For each token that is denied once (or an odd number of times), the place of the first denial."""
        heads: dict[int, list[int]] = {}
        for index, token in enumerate(self.tokens):
            if token.kind == "denial":
                head = self._head(index)
                if head is not None:
                    heads.setdefault(head, []).append(index)
        return {head: places[0] for head, places in heads.items() if len(places) % 2}

    def _head(self, index: int) -> int | None:
        """What a denial is about: the next thing of weight in its clause, else what stands before it."""
        light = None
        for at in range(index + 1, len(self.tokens)):
            token = self.tokens[at]
            if token.kind == "break":
                break
            if token.kind in ("word", "pole"):
                if token.part is None or not token.part.light:
                    return at
                light = at if light is None else light
        if light is not None:
            return light
        for at in range(index - 1, -1, -1):
            token = self.tokens[at]
            if token.kind == "break":
                break
            if token.kind in ("word", "pole"):
                return at
        return None

    def scope(self, denial: int) -> frozenset[str]:
        """The concepts and poles that follow a denial in its clause."""
        keys: list[str] = []
        for token in self.tokens[denial + 1 :]:
            if token.kind == "break":
                break
            if token.kind in ("word", "pole"):
                keys.append(token.key)
        return frozenset(keys)

    def around(self, index: int, reach: int = 3) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Up to ``reach`` concepts before and after a token, in its clause."""
        return tuple(self._keys(range(index - 1, -1, -1), reach)), tuple(self._keys(range(index + 1, len(self.tokens)), reach))

    def _keys(self, places: range, reach: int) -> Iterator[str]:
        for at in places:
            token = self.tokens[at]
            if token.kind in ("break", "quantity") or reach == 0:
                return
            if token.kind == "word" and not (token.part and token.part.light):
                reach -= 1
                yield token.key

    def part_of(self, index: int) -> frozenset[str]:
        """The concepts of the part of the clause, between commas and "and", that a token stands in."""
        start = max((at + 1 for at in range(index) if _parts_clause(self.tokens[at])), default=0)
        end = next((at for at in range(index + 1, len(self.tokens)) if _parts_clause(self.tokens[at])), len(self.tokens))
        return frozenset(token.key for token in self.tokens[start:end] if token.kind == "word" and not (token.part and token.part.light))

    def conditional(self, index: int) -> bool:
        """Whether a token stands in a condition: "if potassium is above 6", 血钾高于6时."""
        start = max((at + 1 for at in range(index) if self.tokens[at].kind == "break"), default=0)
        end = next((at for at in range(index + 1, len(self.tokens)) if self.tokens[at].kind == "break"), len(self.tokens))
        before, after = ({token.key for token in part if token.kind == "mark"} for part in (self.tokens[start:index], self.tokens[index:end]))
        return "if" in before or "case" in after

    def predicates(self, index: int) -> bool:
        """Whether a token stands behind "is", "has", "means", so that it says something of what stands before."""
        return any(token.kind == "mark" and token.key == "is" for token in self.tokens[:index])

    @cached_property
    def clauses(self) -> tuple[Unit, ...]:
        """The clauses, or itself where there is only one."""
        runs: list[list[Token]] = [[]]
        for token in self.tokens:
            if token.kind == "break":
                runs.append([])
            else:
                runs[-1].append(token)
        full = [tuple(run) for run in runs if run]
        return tuple(Unit(run, self.asserts) for run in full) if len(full) > 1 else (self,)


def _parts_clause(token: Token) -> bool:
    return token.kind == "break" or token.key == "and"


@dataclass(frozen=True)
class Reading:
    """A text, read.

    Attributes
    ----------
    text : Normalised
    sentences : tuple of Unit
        Those that say anything.
    index : dict of str to list of int
        For each concept the sentences that hold it.
    """

    text: Normalised
    sentences: tuple[Unit, ...]
    index: dict[str, list[int]] = field(repr=False)

    def back(self, span: Span) -> Span:
        """A span of the text as it was given."""
        return self.text.back(span)


def read(text: str) -> Reading:
    """Read a text; see :class:`Reading`."""
    normalised = normalise(text)
    plain = normalised.text
    found = quantities(plain)
    starts = [quantity.span.start for quantity in found]
    units: list[Unit] = []
    for span in _pieces(plain):
        inside = found[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        found_here = tokens(plain, span, doses(plain, inside, span))
        if any(token.kind != "break" for token in found_here):
            units.append(Unit(found_here, _OPEN.search(plain, span.start, span.end) is None))
    index: dict[str, list[int]] = {}
    for place, unit in enumerate(units):
        for word in unit.words:
            index.setdefault(word, []).append(place)
    return Reading(normalised, tuple(units), index)


def _pieces(text: str) -> Iterator[Span]:
    for span in sentences(text):
        start = span.start
        while span.end - start > _LONGEST:
            space = text.rfind(" ", start + _LONGEST // 2, start + _LONGEST)
            cut = space if space > 0 else start + _LONGEST
            yield Span(start, cut)
            start = cut
        yield Span(start, span.end)
