"""Quantities in a text: a number or range with its unit, its bound ("at least"), a date, an hour, a rate, a label.

Each is read into an interval in the base of what it measures, so that 500 mg and 0.5 g, two hours and 120 minutes,
"twice a day" and "q12h" are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from guardmed.claims.clashes.bounds import after_bound, bounded
from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.marked import AND_A_HALF, articles, folds, labels, pressures, rates, ratios, shares
from guardmed.claims.clashes.moments import clocks, dates
from guardmed.claims.clashes.numerals import NUMBER, value
from guardmed.claims.clashes.quantity import Quantity
from guardmed.claims.clashes.units import Unit, per, unit_at
from guardmed.text import Span

# What a quantity is named by more than its number comes first: the year of a date is no number of its own.
_READERS = (dates, pressures, rates, clocks, articles, shares, labels, folds, ratios)
_NUMBER = Lazy(NUMBER)
_TO = Lazy(r" ?(?:-|~|/(?= )|to|or|and|至|到|或|和|与|、)+ ?")
_BETWEEN = Lazy(r"(?:\bbetween|\bfrom|介于|在)[ ]?$")
# "Over two hours" is how long something takes, "for over two hours" is a limit.
_SPREAD = Lazy(r"(?<!for )(?<!last )(?<!lasts )(?<!is )\bover (?:the )?$")
_PER_KG_BEFORE = Lazy(r"每(?:公斤|千克| ?kg ?)(?:体重)?(?:给予|给|用|约|为|服|注射)?$")
_LASTING = Lazy(
    r"\b(?:for|lasts?|lasted|lasting|takes?|took|course of)(?: the (?:first|next|last))? ?$"
    r"|(?:持续|维持|疗程|连服|连用|连续|历时|共)(?:服用|使用|用药|治疗)?(?:为|约|达|可达|时间为)?$"
)
_APART = Lazy(r" (?:after|before|later|earlier|following|prior)\b|(?:之?[后前])(?![壁叶])")
_APART_BEFORE = Lazy(r"(?:\b(?:after|within|in)|[后前]) ?$")
_AGED = Lazy(r"\b(?:age|aged|ages)\b[^.,;]{0,30}$|年龄[^，。；]{0,8}$")
_HALF_AFTER = Lazy(r"半(?![夜年月日天小边数片衰])")
_HALF_BETWEEN = Lazy(r"个半(?=月|小时|钟头|星期|礼拜)")
# Chinese one, English "one" and "a": as often an article as a number.
_ARTICLE = Lazy(r"一|one")
_ARTICLE_OF = Lazy(
    r"个|种|些|名|位|般|定|旦|起|直|样|次性|同|系列|致|切|方面|线|侧|边|过性|氧化|步|组|例| of\b| (?:should|may|can|must|another|or|who|to|is|has|needs)\b|'s|-"
)
_MEASURE_WORD = Lazy(r"(?:对|块|根|节|条|只|个|种|叶|腔|层|项|例|名|位|人|处|瓣|支|枚|段|部分|类|胎|胞|株|瓶|肢|尖瓣|胱|针|组|步|代|室|房|大|小|分(?![之钟]))")


def quantities(text: str) -> list[Quantity]:
    """Every quantity in a normalised text, in order; none overlaps another.

    Doses are not put together yet; see :mod:`guardmed.claims.clashes.doses`.
    """
    taken = _Places(len(text))
    found: list[Quantity] = []
    for reader in _READERS:
        for quantity in reader(text):
            if taken.free(quantity.span):
                taken.take(quantity.span)
                found.append(quantity)
    for quantity in _numbers(text, taken):
        if taken.free(quantity.span):
            taken.take(quantity.span)
            found.append(quantity)
    return sorted(found, key=lambda quantity: quantity.span)


class _Places:
    """Which characters belong to a quantity already."""

    def __init__(self, length: int) -> None:
        self._used = bytearray(length)

    def free(self, span: Span) -> bool:
        return span.end > span.start and not any(self._used[span.start : span.end])

    def take(self, span: Span) -> None:
        self._used[span.start : span.end] = b"\x01" * (span.end - span.start)


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a range: a number and its unit."""

    number: float
    unit: Unit | None
    end: int

    def base(self, unit: Unit | None) -> float:
        """In the base of what its unit, or else the other end's, measures."""
        own = self.unit or unit
        return own.base(self.number) if own is not None else self.number


def _numbers(text: str, taken: _Places) -> Iterator[Quantity]:
    at = 0
    while (match := _NUMBER.search(text, at)) is not None:
        at = match.end()
        if taken.free(Span(match.start(), match.end())) and not _inside_word(text, match):
            first = _end(text, match)
            quantity = _quantity(text, match, first, _second(text, match, first, taken))
            if quantity is not None:
                at = max(at, quantity.span.end)
                yield quantity


def _end(text: str, match: re.Match[str]) -> _End:
    """A number with its unit: "1.5 g", "one and a half", 两个半小时, 一年半."""
    number, at = value(match.group()), match.end()
    middle = _HALF_BETWEEN.match(text, at)
    if middle is not None:
        number, at = number + 0.5, middle.end()
    found = unit_at(text, at) or per(text, at)
    if found is None:
        return _End(number, None, at)
    unit, at = found
    half = AND_A_HALF.match(text, at) or _HALF_AFTER.match(text, at)
    return _End(number, unit, at) if half is None else _End(number + 0.5, unit, half.end())


def _second(text: str, match: re.Match[str], first: _End, taken: _Places) -> _End | None:
    """The other end of a range that a number starts, if it does."""
    to = _TO.match(text, first.end, first.end + 6)
    other = _NUMBER.match(text, to.end()) if to is not None else None
    if to is None or other is None or not taken.free(Span(first.end, other.end())) or _inside_word(text, other):
        return None
    joined = to.group().strip().lower()
    if joined in ("and", "和", "与", "、") and not _BETWEEN.search(text, max(0, match.start() - 10), match.start()):
        return None
    if joined in ("or", "或") and first.unit is not None:
        return None
    second = _end(text, other)
    return second if first.unit is None or second.unit is None or first.unit.measure == second.unit.measure else None


def _quantity(text: str, match: re.Match[str], first: _End, second: _End | None) -> Quantity | None:
    unit = first.unit or (second.unit if second is not None else None)
    ends = [first] if second is None else [first, second]
    start, at = match.start(), ends[-1].end
    if unit is None:
        if not _worth_reading(text, match, at, second is not None):
            return None
    elif _article(text, match) and not unit.taken and unit.measure not in ("time", "age"):
        return None
    bases = sorted(end.base(unit) for end in ends)
    bound, about, lead = bounded(text, start, at, ranged=second is not None)
    measure = _measure(text, start, unit)
    if measure == "time" and _SPREAD.search(text, max(0, start - 12), start):
        bound, lead = "", -1
    return Quantity(
        Span(start, after_bound(text, at)),
        measure,
        bases[0],
        bases[-1],
        tuple(end.number for end in ends),
        unit.name if unit is not None else "",
        bound,
        about,
        rough=any(end.unit is not None and end.unit.rough for end in ends),
        role=_role(text, lead if lead >= 0 else start, at, unit, measure),
        taken=unit is not None and unit.taken,
        lead=lead,
        metric=unit is None or unit.metric,
    )


def _role(text: str, start: int, end: int, unit: Unit | None, measure: str) -> str:
    """A day's amount; how long something lasts ("for 5 days") or when it comes ("5 days after"), which are no rivals."""
    if unit is not None and unit.per_time and unit.measure != "times":
        return "total"
    if measure != "time":
        return ""
    if _LASTING.search(text, max(0, start - 16), start):
        return "lasting"
    return "apart" if _APART.match(text, end, end + 12) or _APART_BEFORE.search(text, max(0, start - 8), start) else ""


def _measure(text: str, start: int, unit: Unit | None) -> str:
    """What a number measures, by its unit and what stands before it: an age, an amount for each kilogram."""
    if unit is None or unit.measure == "point":
        return "number"
    if unit.measure == "times" and unit.per_time:
        return "rate"
    if unit.measure == "time" and _AGED.search(text, max(0, start - 36), start):
        return "age"
    if unit.measure == "mass" and _PER_KG_BEFORE.search(text, max(0, start - 12), start):
        return "mass/kg"
    return unit.measure


def _inside_word(text: str, match: re.Match[str]) -> bool:
    """Whether a number is part of a name: B12, COVID-19, omega-3, 二甲双胍, 三尖瓣."""
    start, end = match.start(), match.end()
    before, after = text[max(0, start - 2) : start], text[end : end + 1]
    if match.group()[0].isascii() and match.group()[0].isdigit():
        if before[-1:].isascii() and (before[-1:].isalpha() or before.endswith(("_", "."))):
            return True
        if before[-1:] == "-" and before[:1].isascii() and before[:1].isalpha():
            return True
        return after.isascii() and after.isalpha() and unit_at(text, end) is None
    if match.group()[0].isascii():
        return before[-1:] == "-" and before[:1].isalpha()
    return _han_word(text[start : start + 4], before[-1:])


_HAN_WORDS = (
    "二甲双胍|二尖瓣|三尖瓣|三叉|三酰|三环|三甲|三碘|四肢|四环素|五官|五味|十二指肠|百日咳|千万(?=[不别要注])|万一|万古霉素|一般|一定|一旦|一起|一直|一样|一次性|一系列|一致|一切|一氧化|一过性|一侧|一线|一些|一并|一律|一同"
    "|一旁|一边|一点|二氧化|二级|二线|三级(?=预)|双|七叶|八角|九价|百合|半衰期|半球|半月板|半身|半规管|半胱|半乳|半卧|半流|半夜"
)
_HAN_WORD = Lazy(_HAN_WORDS)


@lru_cache(maxsize=4096)
def _han_word(ahead: str, before: str) -> bool:
    return _HAN_WORD.match(ahead) is not None or (ahead[0] == "一" and before != "" and before in "统单唯同另之进")


def _article(text: str, match: re.Match[str]) -> bool:
    """Whether "one" or 一 is no more than an article."""
    return _ARTICLE.fullmatch(match.group()) is not None and _ARTICLE_OF.match(text, match.end()) is not None


def _worth_reading(text: str, match: re.Match[str], at: int, ranged: bool) -> bool:
    """Whether a number without a unit counts or measures something, and is no article or part of a word."""
    words = match.group()
    if words[0].isascii():
        if _ARTICLE.fullmatch(words) or words.lower().startswith("half"):
            return _ARTICLE_OF.match(text, match.end()) is None and text[at : at + 1] == " " and not words.lower().startswith("half")
        return True
    if _ARTICLE_OF.match(text, match.end()) is not None and words == "一":
        return False
    return ranged or len(words) > 1 or _MEASURE_WORD.match(text, at) is not None
