"""Dates and hours: "5 May 2020", 2020年5月, the 1990s, "8 pm", 晚上8点半."""

# Patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterator

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.numerals import value
from guardmed.claims.clashes.quantity import Quantity
from guardmed.text import Span

_MONTHS = {name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_MONTH = r"(?P<m>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DATES = [
    Lazy(pattern)
    for pattern in (
        r"(?<!\d)(?P<y>1[0-9]\d\d|20\d\d)[-/.](?P<mn>0?[1-9]|1[0-2])[-/.](?P<d>0?[1-9]|[12]\d|3[01])(?!\d)",
        r"(?<!\d)(?P<y>1[0-9]\d\d|20\d\d) ?年(?: ?(?P<mn>\d{1,2}) ?月(?:份)?(?: ?(?P<d>\d{1,2}) ?[日号])?)?",
        rf"(?<![\w.])(?P<d>[0-3]?\d)(?:st|nd|rd|th)?(?: of)? {_MONTH},?(?: (?P<y>1[0-9]\d\d|20\d\d)(?!\d))?",
        rf"\b{_MONTH} (?P<d>[0-3]?\d)(?:st|nd|rd|th)?(?!\d)(?:,? (?P<y>1[0-9]\d\d|20\d\d)(?!\d))?",
        rf"\b{_MONTH},? (?P<y>1[0-9]\d\d|20\d\d)(?!\d)",
        r"(?<![\d.])(?P<decade>1[0-9]\d|20\d)0'?s\b",
        r"(?<!\d)(?P<century>1[0-9]|2[01])(?:th|st)?[ -]?(?:century|世纪)",
        r"(?:\b(?:in|since|until|by|of|during|from|year|and|to|before|after)|[(\-,]) ?(?P<y>1[5-9]\d\d|20\d\d)(?![\d.,]\d|\d|[ -]?[%a-z]*(?:mg|ml|mcg|g|kcal|iu|units|patients|people|µ|μ))",
    )
]
# The last pattern of a date: a year alone.
_YEAR = 7
_CLOCK = Lazy(
    r"(?<![\d.:])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?!\d)(?: ?(?P<half>[ap])\.?m\b\.?)?|(?<![\d.:])(?P<h2>1[0-2]|0?\d) ?(?P<half2>[ap])\.?m\b\.?|(?<![\d.:])(?P<h3>1[0-2]|\d) o'clock"
    r"|(?P<zh>早上|早晨|上午|清晨|凌晨|中午|下午|傍晚|晚上|夜里|晚|早)(?P<h4>[01]?\d|2[0-4]|[一二两三四五六七八九十]{1,3})(?:点|时)(?!片)(?P<zh_half>半)?|(?<![\d.])(?P<h5>[01]?\d|2[0-4])点(?![\d一二三四五六七八九])(?P<zh_half2>半)?"
)


def dates(text: str) -> Iterator[Quantity]:
    """Dates, years, decades and centuries, in years; a day without a year in days."""
    for place, pattern in enumerate(_DATES):
        for match in pattern.finditer(text):
            found = match.groupdict()
            month = int(found["mn"]) if found.get("mn") else _MONTHS.get((found.get("m") or "")[:3].lower(), 0)
            day = int(found["d"]) if found.get("d") else 0
            if found.get("m") in ("may", "march"):
                continue  # "patients over 18 may"
            if (
                month > 12
                or day > 31
                or (place == _YEAR and found.get("y") and match.group()[0] == "," and not text[match.start() - 1 : match.start()].isspace())
            ):
                continue
            if found.get("decade"):
                low, length = float(found["decade"]) * 10, 10.0
            elif found.get("century"):
                low, length = (float(found["century"]) - 1) * 100, 100.0
            elif found.get("y"):
                low = float(found["y"]) + (month - 1 if month else 0) / 12 + (day - 1 if day else 0) / 372
                length = 1 / 372 if day else 1 / 12 if month else 1.0
            elif day:
                yield Quantity(Span(match.start(), match.end()), "day", month * 31.0 + day, month * 31.0 + day, (float(day),))
                continue
            else:
                continue
            start = match.start("y") if place == _YEAR else match.start()
            yield Quantity(Span(start, match.end()), "date", low, low + length - 1e-6, (low,))


def clocks(text: str) -> Iterator[Quantity]:
    """Hours of the day; ``about`` where it may be morning or afternoon."""
    for match in _CLOCK.finditer(text):
        found = match.groupdict()
        hour = value(next(found[name] for name in ("h", "h2", "h3", "h4", "h5") if found[name]))
        half = (found["half"] or found["half2"] or "").lower()
        part = found["zh"] or ""
        afternoon = half == "p" or part in ("下午", "傍晚", "晚上", "夜里", "晚")
        if hour > 24:
            continue
        vague = not half and not part and not found["h"]
        hour += int(found["min"] or 0) / 60 + (0.5 if found["zh_half"] or found["zh_half2"] else 0.0)
        if afternoon and hour < 12:
            hour += 12
        elif half == "a" and hour >= 12:
            hour -= 12
        yield Quantity(Span(match.start(), match.end()), "clock", hour, hour, (hour,), about=vague)
