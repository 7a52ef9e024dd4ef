"""Tokens of a sentence: concepts, poles of opposites, denials, quantities, and what says how the sentence is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.lexicon import Part, english, table
from guardmed.claims.clashes.lexicon_en import LEVELS
from guardmed.claims.clashes.quantity import Quantity
from guardmed.text import Span

TokenKind = Literal["word", "pole", "denial", "quantity", "break", "mark"]
_LATIN = Lazy(r"[A-Za-zÀ-ɏα-ωΑ-Ω][A-Za-zÀ-ɏα-ωΑ-Ω0-9]*(?:[-'.+/](?=[A-Za-zÀ-ɏ0-9])[A-Za-zÀ-ɏ0-9]+)*")
_HAN = Lazy(r"[㐀-䶿一-鿿豈-﫿]+")
_BREAK = Lazy(r"[,，;；:：()（）、。.!?！？]")
_BREAKING = frozenset(["but", "however", "although", "though", "whereas", "because", "unless", "except", "whilst", "while", "which"])
_BREAKING_HAN = ("但是", "但", "然而", "而", "却", "虽然", "因为", "除非")
# Words that say nothing themselves but how their clause is built: what starts a condition ("if") or ends one ("case"), what
# says something of what stands before ("is"), what stands between the two sides of a relation ("at": X在Y之前).
_MARKS = """
and=and if=if when=if whenever=if where=if provided=if once=if is=is are=is was=is were=is means=is has=is have=is by=is
若=if 如=if 如果=if 当=if 时=case 者=case 的时候=case 在=at 位于=at 于=at 居于=at 是=is 为=is 即=is 即为=is 属于=is 有=is 由=is 被=is 分为=is
"""
_MARKING = dict(pair.split("=") for pair in _MARKS.split())
_IN_PLACE = Lazy(r"\b(?:the|its|their|his|her|left|right|both|of|in|an?) $")
# "Most lumps", not "the most important".
_PLURAL = Lazy(r"[^su]s$")
_MOST = Part(axis="quant", pole="most", light=True)
_BELOW = Part(axis="vert", pole="-")
_BEHIND_AFTER = Part(axis="order", pole="after", relation="behind")


@dataclass(frozen=True, slots=True)
class Token:
    """One thing a sentence says, with its place in the normalised text."""

    kind: TokenKind
    key: str
    span: Span
    part: Part | None = None
    quantity: Quantity | None = None


def tokens(text: str, span: Span, found: Sequence[Quantity]) -> tuple[Token, ...]:
    """Tokens of one sentence; the words that bound a quantity deny nothing and are no poles."""
    return _ordered(_tokens(text, span, found))


def _tokens(text: str, span: Span, found: Sequence[Quantity]) -> Iterator[Token]:
    at = span.start
    for start, quantity_set in _places(found):
        yield from _words(text, at, start, [(quantity.lead, quantity.span.start) for quantity in quantity_set if quantity.lead >= 0])
        for quantity in quantity_set:
            yield Token("quantity", quantity.measure, quantity.span, quantity=quantity)
        at = max(at, *(quantity.span.end for quantity in quantity_set))
    yield from _words(text, at, span.end, [])


def _places(found: Sequence[Quantity]) -> Iterator[tuple[int, list[Quantity]]]:
    groups: dict[int, list[Quantity]] = {}
    for quantity in found:
        groups.setdefault(quantity.span.start, []).append(quantity)
    yield from sorted(groups.items())


def _words(text: str, start: int, end: int, bounding: Sequence[tuple[int, int]]) -> Iterator[Token]:
    at = start
    while at < end:
        char = text[at]
        match = _LATIN.match(text, at, end)
        if match is not None:
            stop, parts = _english(text, match, end)
        elif (match := _HAN.match(text, at, end)) is not None:
            yield from _chinese(text, match, bounding)
            at = match.end()
            continue
        else:
            # A decimal comma or a full stop inside an abbreviation belongs to what it stands in.
            if _BREAK.match(char) and not (char in ".:" and text[at + 1 : at + 2].strip()):
                yield Token("break", char, Span(at, at + 1))
            at += 1
            continue
        if match.group().lower() in _BREAKING:
            yield Token("break", match.group(), Span(at, stop))
        elif match.group().lower() in _MARKING:
            yield Token("mark", _MARKING[match.group().lower()], Span(at, stop))
        yield from _parts(parts, Span(at, stop), bounding)
        at = stop


def _english(text: str, match: re.Match[str], end: int) -> tuple[int, tuple[Part, ...]]:
    """The longest form of the table that starts here, or the word itself."""
    forms, longest, _ = table()
    stops = [match.end()]
    while len(stops) < longest and (further := _LATIN.match(text, stops[-1] + 1, end)) is not None and text[stops[-1]] == " ":
        stops.append(further.end())
    for stop in reversed(stops[1:]):
        parts = forms.get(text[match.start() : stop].lower())
        if parts is not None:
            return stop, parts
    word = match.group().lower()
    following = _LATIN.match(text, match.end() + 1, end) if word in ("lower", "most") else None
    if (
        following is not None
        and word == "lower"
        and following.group().lower() not in LEVELS
        and _IN_PLACE.search(text, max(0, match.start() - 8), match.start())
    ):
        return match.end(), (_BELOW,)
    if following is not None and word == "most" and _PLURAL.search(following.group()):
        return match.end(), (_MOST,)
    return match.end(), english(word)


def _chinese(text: str, match: re.Match[str], bounding: Sequence[tuple[int, int]]) -> Iterator[Token]:
    """Words of the table, the longest first; what lies between them in pairs of characters."""
    forms, _, longest = table()
    at, loose = match.start(), match.start()
    while at < match.end():
        for length in range(min(longest, match.end() - at), 0, -1):
            parts = forms.get(text[at : at + length])
            if parts is None:
                continue
            yield from _pairs(text, loose, at)
            if text[at : at + length] in _BREAKING_HAN:
                yield Token("break", text[at : at + length], Span(at, at + length))
            elif text[at : at + length] in _MARKING:
                yield Token("mark", _MARKING[text[at : at + length]], Span(at, at + length))
            if not any(start <= at < end for start, end in bounding):
                yield from _parts(parts, Span(at, at + length), bounding)
            at += length
            loose = at
            break
        else:
            at += 1
    yield from _pairs(text, loose, match.end())


def _pairs(text: str, start: int, end: int) -> Iterator[Token]:
    if end - start == 1:
        yield Token("word", text[start], Span(start, end))
    for at in range(start, end - 1):
        yield Token("word", text[at : at + 2], Span(at, at + 2))


def _parts(parts: tuple[Part, ...], span: Span, bounding: Sequence[tuple[int, int]]) -> Iterator[Token]:
    bounds = any(start <= span.start and span.end <= end for start, end in bounding)
    for part in parts:
        if part.word:
            yield Token("word", part.word, span, part)
        elif not bounds:
            yield Token("denial", "!", span, part) if part.denies else Token("pole", part.axis, span, part)


def _ordered(found: Iterable[Token]) -> tuple[Token, ...]:
    """先 ... 后 (or 再) ... says that what stands between the two comes before what follows."""
    first = False
    out: list[Token] = []
    for token in found:
        part = token.part
        if part is not None and part.axis == "order":
            if part.pole == "first":
                first = True
                continue
            if first and (part.pole == "then" or token.part == _BEHIND_AFTER):
                first = False
                out.append(Token("pole", "order", token.span, Part(axis="order", pole="before", relation="between")))
                continue
            if part.pole == "then":
                continue
        out.append(token)
    return tuple(out)
