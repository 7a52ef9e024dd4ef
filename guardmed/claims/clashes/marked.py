"""Quantities that their form marks as such: blood pressures, rates, shares, labels ("stage III"), ratios, "doubled"."""

# Patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator

from guardmed.claims.clashes.bounds import bounded
from guardmed.claims.clashes.frequencies import frequencies
from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.numerals import SHARE, ordinal, roman, share, value
from guardmed.claims.clashes.quantity import Quantity
from guardmed.claims.clashes.units import unit_at
from guardmed.text import Span

_PRESSURE = Lazy(r"(?<![\d/.])(?P<over>\d{2,3})/(?P<under>\d{2,3})(?![\d/.])(?: ?(?P<unit>mmhg|毫米汞柱|kpa))?")
_LABEL = Lazy(
    r"\b(?P<name>type|grade|stage|class|phase|level|category|trimester|chromosome|factor|group|mobitz|nyha|schedule)s? (?:(?P<value>\d{1,2}|[ivx]{1,4})(?P<letter>[a-d])?|(?P<alone>[A-D]))(?![\w/.%]| ?(?:mg|ml|%))"
    r"|(?P<nth>\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)|\b[1-9](?:st|nd|rd|th))[ -](?P<of>leading|most|commonest|largest|highest|intercostal|lobe|ventricle|nerve|digit|degree|trimester|generation|line|stage|molar|metatarsal|lumbar|finger|toe|rib|dose|heart sound|cranial|day|week|month|year)\b"
    r"|(?P<zh>\d{1,2}|[ivx]{1,4}|[A-D](?=[级型期])|[一二三四五六七八九十]{1,3})(?P<zh_name>型|级|期|度(?=[烧烫房脱营冻])|代(?=头孢)|类(?=切口|推荐|抗))|第(?P<zh_nth>\d{1,2}|[一二三四五六七八九十]{1,3})(?P<zh_of>[\u4e00-\u9fff])"
)
_RATIO = Lazy(r"(?<![\d.:])\d{1,5} ?[:：比] ?\d{1,6}(?![\d:])")
_FOLDS = (("doubles", 2.0), ("doubled", 2.0), ("double", 2.0), ("triples", 3.0), ("tripled", 3.0), ("twofold", 2.0), ("threefold", 3.0), ("fourfold", 4.0), ("fivefold", 5.0), ("tenfold", 10.0), ("翻倍", 2.0))  # fmt: skip
_FOLD = Lazy("|".join(rf"\b{word}\b" if word.isascii() else word for word, _ in _FOLDS))
_SAME_LABEL = {"型": "type", "级": "grade", "期": "stage", "度": "degree", "类": "class", "代": "generation"}
_ARTICLE_UNIT = Lazy(
    r"(?:\b(?P<for>for|within|after|lasts?|at least|about|than) )?\b(?P<article>an?)(?= (?:hour|day|week|month|year|fortnight|minute|tablet)s?\b)"
)
AND_A_HALF = Lazy(r" and (?:a|one) half\b")
"""What follows a unit: "a month and a half"."""


def pressures(text: str) -> Iterator[Quantity]:
    """Blood pressures, each as its systolic and its diastolic part."""
    for match in _PRESSURE.finditer(text):
        over, under = float(match["over"]), float(match["under"])
        factor = 7.50062 if (match["unit"] or "").lower() == "kpa" else 1.0
        if not (under < over and 40 <= over * factor <= 300):
            continue
        middle = match.start("under")
        bound, about, lead = bounded(text, match.start(), match.end())
        for role, number, span in (("systolic", over, Span(match.start(), middle - 1)), ("diastolic", under, Span(middle, match.end()))):
            yield Quantity(span, "pressure", number * factor, number * factor, (number,), "mmhg", bound, about, role=role, lead=lead)


def rates(text: str) -> Iterator[Quantity]:
    """How often, in times a day."""
    for span, low, high in frequencies(text):
        bound, about, lead = bounded(text, span.start, span.end)
        yield Quantity(span, "rate", low, high, (low, high), "", bound, about, rough=True, lead=lead)


def shares(text: str) -> Iterator[Quantity]:
    """Parts of a whole, other than in percent."""
    for match in SHARE.finditer(text):
        start = match.start()
        if match["part"] and (text[start - 1 : start] == "/" or text[max(0, start - 4) : start].lower() == "and "):
            continue
        number = share(match)
        bound, about, lead = bounded(text, start, match.end())
        yield Quantity(Span(start, match.end()), "share", number, number, (number,), "part", bound, about, lead=lead)


def labels(text: str) -> Iterator[Quantity]:
    """Types, grades, stages and ordinals."""
    for match in _LABEL.finditer(text):
        found = match.groupdict()
        start, end = match.start(), match.end()
        if found["name"]:
            name = found["name"].lower()
            figure = _label_value(found["alone"] or found["value"])
            if figure is not None and found["letter"]:
                figure += 0.01 * (ord(found["letter"].lower()) - 96)
        elif found["nth"]:
            nth = found["nth"].lower()
            figure, name = ordinal(nth) if nth.isalpha() else float(nth[0]), found["of"].lower()
        elif found["zh"]:
            if start and text[start - 1].isascii() and (text[start - 1].isalnum() or text[start - 1] == "."):
                continue
            figure, name = _label_value(found["zh"]), _SAME_LABEL.get(found["zh_name"], found["zh_name"])
        else:
            figure, name = _label_value(found["zh_nth"]), found["zh_of"]
        if figure is not None:
            yield Quantity(Span(start, end), f"label:{name}", figure, figure, (figure,))


def _label_value(word: str) -> float | None:
    if word.isascii() and word.isalpha():
        return 0.01 * (ord(word.lower()) - 96) if word.lower() in ("a", "b", "c", "d") else roman(word)
    return value(word)


def articles(text: str) -> Iterator[Quantity]:
    """One and a half, and one, in words: "a month and a half", "for a week"."""
    for match in _ARTICLE_UNIT.finditer(text):
        found = unit_at(text, match.end())
        if found is None or found[0].measure not in ("time", "piece"):
            continue
        half = AND_A_HALF.match(text, found[1])
        if half is None and not match["for"]:
            continue
        number, end = (1.5, half.end()) if half is not None else (1.0, found[1])
        start = match.start("article")
        bound, about, lead = bounded(text, start, end)
        size = found[0].base(number)
        yield Quantity(Span(start, end), found[0].measure, size, size, (number,), found[0].name, bound, about, found[0].rough, taken=found[0].taken, lead=lead)


def folds(text: str) -> Iterator[Quantity]:
    """How many times as much: "doubled", "tenfold"."""
    for match in _FOLD.finditer(text):
        number = dict(_FOLDS)[match.group().lower()]
        yield Quantity(Span(match.start(), match.end()), "fold", number, number, (number,))


def ratios(text: str) -> Iterator[Quantity]:
    """Ratios: 1:1000, 30比2."""
    for match in _RATIO.finditer(text):
        over, under = (float(part) for part in re.split(r" ?[:：比] ?", match.group()))
        if under:
            yield Quantity(Span(match.start(), match.end()), "ratio", over / under, over / under, (over, under))
