"""Numbers, amounts, frequencies and periods as people write them, in English and Chinese.

Places are found by RE2 in a few passes over the whole text, and read from there by steps that look
no further than a few characters, so the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

from guardmed.policy.limits import A_NUMBER, NUMBER, Quantity, number, upper
from guardmed.policy.pattern import Matcher, Occurrences
from guardmed.text import Span

_RANGE = rf"{NUMBER}(?: ?(?:-|~|to|or|至|到) ?{NUMBER})?"

_UNITS = {
    "mcg": ("micrograms", "microgram", "mcg", "μg", "µg", "ug", "微克"),
    "mg": ("milligrammes", "milligramme", "milligrams", "milligram", "mgs", "mg", "毫克"),
    "g": ("grammes", "gramme", "grams", "gram", "gms", "gm", "g", "克"),
    "mmol": ("mmol", "毫摩尔", "毫摩"),
    "mL": ("millilitres", "millilitre", "milliliters", "milliliter", "mls", "ml", "cc", "毫升"),
    "IU": ("international units", "international unit", "units", "unit", "i.u.", "iu", "u", "国际单位", "单位"),
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names}
_UNIT_NAMES = "|".join(re.escape(name).replace(r"\ ", " ") for name in sorted(_UNIT_OF, key=len, reverse=True))
_UNIT_END = re.compile(rf" ?-?(?P<wan>万)?(?P<unit>{_UNIT_NAMES})$", re.IGNORECASE)
_FORM = r"(?:tablets?|pills?|capsules?|caplets?|caps|tabs?|puffs?|bottles?|packs?|boxes|box|[片粒颗枚丸吸喷瓶盒])"
_FORM_END = re.compile(rf"(?: of (?:the|my|these|those) | [a-z]{{4,20}} |-| )?(?P<form>{_FORM})(?P<half>半?)$", re.IGNORECASE)
_CONTAINER = re.compile(r"bottle|pack|box|瓶|盒", re.IGNORECASE)

# Hours between two doses, instead of a number of times.
_HOURS = -1.0
_EACH = r"(?:a|per|each|every|/)"
_FREQUENCIES: tuple[tuple[str, float | None], ...] = (
    (r"\b(?:qds|qid|q\.i\.d\.?)(?:\b|\s|$)", 4.0),
    (r"\b(?:tds|tid|t\.i\.d\.?|t\.d\.s\.?)(?:\b|\s|$)", 3.0),
    (r"\b(?:bd|bid|b\.i\.d\.?)(?:\b|\s|$)", 2.0),
    (rf"\btwice (?:{_EACH} ?day|daily)", 2.0),
    (rf"\bthrice (?:{_EACH} ?day|daily)", 3.0),
    (r"\bonce (?:a day|daily|per day)", 1.0),
    (r"\b(?:with|after|before|at) (?:each|every) meal|\b(?:breakfast|morning), (?:lunch|noon|midday|afternoon),? and (?:dinner|supper|night|evening|bedtime)", 3.0),
    (r"\bmorning and (?:night|evening|bedtime)", 2.0),
    (r"早[、，,]?[中午][、，,]?晚|三餐|每[餐顿]", 3.0),
    (r"早[、，,]?晚(?:饭后|餐后|饭前|餐前)?(?:各|分别)", 2.0),
    (rf"{NUMBER} ?(?:times|x|×|doses) ?{_EACH}? ?(?:day|daily|24 ?h)", None),
    (rf"[每一][天日] ?(?:[吃服用]|服用|口服)? ?{NUMBER} ?[次顿剂]|\b(?:qd|QD) ?{NUMBER}次", None),
    (r"\bq ?\d{1,2} ?h(?:rs?|ourly)?\b", _HOURS),
    (rf"\bevery (?:{NUMBER} ?(?:-|to|or) ?)?{NUMBER} ?(?:hours?|hrs?|h)\b", _HOURS),
    (rf"{NUMBER}[ -]?hourly\b", _HOURS),
    (r"\b(?:every (?:single )?hour|hourly)\b", 24.0),
    (rf"每隔? ?{NUMBER} ?个? ?(?:小时|钟头)", _HOURS),
    (r"每隔?个?小时", 24.0),
)  # fmt: skip
_PERIODS = {
    "week": r"\b(?:a|per|each|every|once a) week\b|\bweekly\b|/ ?(?:wk|week)\b|每周|每星期|一周|每礼拜|一星期",
    "day": (
        r"\b(?:a|per|each|every|in a|in one|in (?:a )?single) day\b|\bdaily\b|\b(?:in|within|over) (?:a )?24 ?h|/ ?(?:d|day|24 ?h)\b|\btoday\b|\bevery night|\ba night\b"
        r"|每天|每日|一天|一日|每晚|/ ?[日天]|24 ?小时|今天|[日天][一二两三四五六七八九十\d]+次"
    ),
    "once": (
        r"\bat once\b|\bin one go\b|\bin a go\b|\ball at\b|\bat a time\b|\bsingle dose|\bin one (?:dose|sitting)|\bper dose\b|\beach time\b"
        r"|一次性|一口气|一次[吃服]|每次|单次|顿服|一下子|同时|(?:^|[^天日周月每])一次(?:[\d半]|[一二两三四五六七八九十]+[片粒颗丸克毫])"
    ),
}  # fmt: skip
_DAYS = (
    rf"\b(?:over|within|in|during|across) (?:the |a )?(?:(?:last|past|next|space of|course of) )?(?:the )?{NUMBER} ?-?(?:days?|hours?|hrs?|h|weeks?)\b"
    rf"|\b(?:over|in|during) (?:the|this|a|one) weekend\b"
    rf"|{NUMBER} ?(?:天|日|个?小时|周)(?:之?内|里|中|总?共|一共|合计|[吃服喝用][了完掉]|就?[吃服喝])"
)
_COURSE = rf"\bfor (?:the next )?{NUMBER} (?:days?|weeks?)\b|(?:[吃服用]|服用|连续|连[吃服用]) ?{NUMBER} ?[天周]"
_AT_MOST = (
    r"\b(?:up to|max(?:imum)?\.?(?: (?:of|is|dose|daily|total))*:?|no more than|not (?:to )?exceed(?:ing)?|at most|below|under)"
    r"|不(?:得|要|能|可)?超过|最多(?:不超过)?|最大(?:量|剂量)?[为是]?|上限[为是]?|不超"
)
_DIVIDED = rf"\bdivided\b|\bsplit\b|\bin {NUMBER} (?:equal )?doses\b|分{NUMBER}?次|分服"

_PATTERNS = [
    f"{_RANGE} ?-?万?(?:{_UNIT_NAMES})",
    rf"{_RANGE}(?: of (?:the|my|these|those) | [a-z]{{4,20}} |-| )?{_FORM}半?",
    _AT_MOST,
    _DAYS,
    _COURSE,
    _DIVIDED,
]
_AMOUNT, _COUNT, _LIMIT, _OVER_DAYS, _FOR_DAYS, _PARTS = range(6)
_PERIOD, _FREQUENCY = len(_PATTERNS), len(_PATTERNS) + 1
_SCANNER = Matcher([*_PATTERNS, "|".join(_PERIODS.values()), "|".join(pattern for pattern, _ in _FREQUENCIES)])
_PERIOD_OF = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PERIODS.items()]
_TIMES_OF = [(times, re.compile(pattern, re.IGNORECASE)) for pattern, times in _FREQUENCIES]

_LETTER = re.compile(r"[A-WYZa-wyz]")  # "x" may follow a unit: 500mgx12
_PER_KG = re.compile(r" ?(?:/|per) ?(?:kg|kilo(?:gram)?s?)\b| ?/ ?(?:公斤|千克)(?:体重)?|每(?:公斤|千克)(?:体重)?", re.IGNORECASE)
_PER_HOUR = re.compile(r" ?(?:/|per) ?(?:h|hr|hour)\b| ?/ ?小时|每小时", re.IGNORECASE)
_PER_DAY = re.compile(
    r" ?/ ?(?:d|day|24 ?h)\b| (?:a|per|each|every) day\b| daily\b| ?/ ?[日天]|每[日天](?! ?(?:[吃服用]|服用)?(?:分|[\d零半一二两三四五六七八九十]))",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r" ?(?:/|pe[rn]|vial|cartr|an?\b|each|every|daily|每)", re.IGNORECASE)
# A concentration, a laboratory value, a drip rate or a dose by body surface: not an amount taken.
_NOT_TAKEN = re.compile(
    r" ?/ ?(?:\d{1,3}(?:\.\d)? ?)?(?:d?l|ml|min(?:ute)?|m2|m²|毫升|升|分钟?|vials?|pens?|[瓶支笔])(?![a-z])| per (?:ml|dl|lit\w*|min\w*|vial|pen)\b| (?:pens?|vials?|cartridges?)\b|每[支瓶]|每分钟",
    re.IGNORECASE,
)
_TIMES_SIGN = re.compile(rf"(?P<count>{NUMBER}) ?[x×*] ?$", re.IGNORECASE)
_THEN_TIMES = re.compile(r" ?(?:tablets?|pills?|capsules?|片|粒)? ?[x×*] ?(?P<count>\d{1,3})(?![\d.])(?! ?(?:days?|weeks?|天|日|周))", re.IGNORECASE)
_THEN_FORM = re.compile(r" ?-?(?:tablets?|pills?|capsules?)", re.IGNORECASE)
_LEADING = re.compile(rf"(?P<count>{NUMBER}) (?:of the )?$", re.IGNORECASE)
_THEN_DOSES = re.compile(r" ?[x×*] ?(\d{1,3})(?![\d.])(?! ?(?:days?|d\b|weeks?|/|天|日|周))|,? for (\d{1,3}) doses|[，,]?共(\d{1,3})[次剂]", re.IGNORECASE)
_OF_STRENGTH = re.compile(r" ?(?:of|at|@|,|\(|（|的|, ?each|each|,? ?每片|每粒)? ?", re.IGNORECASE)
_TO_FORM = re.compile(r" ?(?:的|tablets?)? ?[\w ]{0,18}", re.IGNORECASE)
_HALF_OF_TIME = re.compile(r"个?小?[时天年夜月]|钟头")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount as stated.

    Attributes
    ----------
    span : Span
    quantity : Quantity or None
    count : float or None
        Of tablets, where no quantity is stated.
    per_kg : bool
        Of body weight.
    at_most : bool
        Named as a limit ("up to 4 g"): the frequency of single doses is not about it.
    daily : bool
        Named as a day's amount in the same breath ("4 g a day", "90 mg/kg/day"); also a release
        rate ("25 mcg/h"), which is counted up to a day.
    """

    span: Span
    quantity: Quantity | None
    count: float | None
    per_kg: bool = False
    at_most: bool = False
    daily: bool = False


def amounts(text: str) -> list[Amount]:
    """Every amount in a text, with counts of a stated strength multiplied out.

    "8 x 500 mg", "500 mg x 8", "eight 500 mg tablets" and "8 tablets of 500 mg" are all 4 g. Of a
    range the upper end is taken, since it is what a reader may take.
    """
    return Statements(text).amounts()


def times_a_day(text: str) -> float | None:
    """How many times a day, if the sentence says so; of several, the fewest."""
    return min((times for _, times in Statements(text).frequencies()), default=None)


def period(text: str) -> str | None:
    """The period an amount is stated for: ``week``, ``day``, ``once``, or ``None``."""
    found = {name for _, name in Statements(text).periods()}
    return next((name for name in _PERIODS if name in found), None)


class Statements:
    """What a text says of amounts, and how often and for how long they are taken.

    Parameters
    ----------
    text : str
        Normalised text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: Occurrences = _SCANNER.read(text)

    def periods(self) -> list[tuple[Span, str]]:
        """Every place that names ``week``, ``day`` or ``once``, in order."""
        named = (
            (span, _named_period(span.of(self._text)))
            for span in self._found.at(_PERIOD)
            if not (self._text[span.start] == "一" and _part_of_number(self._text, span.start))
        )
        return [(span, name) for span, name in named if name]

    def divided(self) -> list[Span]:
        """Every place that says that an amount is split into doses."""
        return self._found.at(_PARTS)

    def days(self) -> list[tuple[Span, float]]:
        """Every stretch of days that an amount is spread over ("within 3 days"), in order."""
        return sorted((span, _in_days(span.of(self._text))) for span in self._found.at(_OVER_DAYS) if not _part_of_number(self._text, span.start))

    def courses(self) -> list[tuple[Span, float]]:
        """How long a treatment lasts ("for 5 days"), in order."""
        return sorted((span, _in_days(span.of(self._text))) for span in self._found.at(_FOR_DAYS))

    def frequencies(self) -> list[tuple[Span, float]]:
        """Every place that says how many times a day, in order; "q4h x 3" is three."""
        return list(self._frequencies())

    def _frequencies(self) -> Iterator[tuple[Span, float]]:
        for span in self._found.at(_FREQUENCY):
            words = span.of(self._text)
            times = _rate(words)
            if not times or (words.lower() == "hourly" and _part_of_number(self._text, span.start)):
                continue
            doses = _THEN_DOSES.match(self._text, span.end)
            yield span, min(times, float(next(group for group in doses.groups() if group))) if doses else times

    def amounts(self) -> list[Amount]:
        """Every amount, in order; see :func:`amounts`."""
        text = self._text
        stated = [amount for span in self._found.at(_AMOUNT) if (amount := _stated(text, span))]
        starts = [amount.span.start for amount in stated]
        counts = [count for span in self._found.at(_COUNT) if (count := _count(text, span)) and not _overlapped(count.span, stated, starts)]
        limits = {span.end for span in self._found.at(_LIMIT)}
        places = [count.span.start for count in counts]
        used: set[int] = set()
        results = [_multiplied(text, amount, counts, places, used) for amount in stated]
        rest = (count for index, count in enumerate(counts) if index not in used)
        return sorted((_limited(amount, text, limits) for amount in chain(results, rest)), key=lambda amount: amount.span)


def _limited(amount: Amount, text: str, limits: set[int]) -> Amount:
    start = amount.span.start
    named = start in limits or (start - 1 in limits and text[start - 1] == " ")
    return replace(amount, at_most=True) if named else amount


def _stated(text: str, span: Span) -> Amount | None:
    """A number with a unit, or nothing where it turns out to be no amount taken."""
    start, end = span.start, span.end
    before, following = text[max(0, start - 2) : start], text[end : end + 1]
    goes_on = _GOES_ON.match(text, end) is not None
    if before.rstrip().endswith("/") or (before[-1:] == "," and before[:1].isdecimal()) or (goes_on and _NOT_TAKEN.match(text, end)):
        return None
    read = _quantity(span.of(text))
    if read is None or (read.ascii and _LETTER.match(following)):
        return None
    value = read.value
    daily = per_kg = False
    if not goes_on:
        return Amount(span, Quantity(value=value, unit=read.unit), None)
    if match := _PER_KG.match(text, end):
        per_kg, end = True, match.end()
        if _PER_HOUR.match(text, end) or _NOT_TAKEN.match(text, end):
            return None
    elif match := _PER_HOUR.match(text, end):
        value, daily, end = value * 24, True, match.end()
    daily = daily or _PER_DAY.match(text, end) is not None
    return Amount(Span(start, end), Quantity(value=value, unit=read.unit), None, per_kg, False, daily)


@dataclass(frozen=True, slots=True)
class _Read:
    """A number of units or of pieces; ``ascii`` where it ends in a Latin letter, which could go on."""

    value: float
    unit: str
    ascii: bool
    half: bool = False


@lru_cache(maxsize=4096)
def _quantity(words: str) -> _Read | None:
    unit = _UNIT_END.search(words, max(0, len(words) - 24))
    if unit is None:
        return None
    return _Read(upper(words[: unit.start()]) * (10_000 if unit["wan"] else 1), _UNIT_OF[unit["unit"].lower()], unit["unit"][-1].isascii())


@lru_cache(maxsize=4096)
def _pieces(words: str) -> _Read | None:
    form = _FORM_END.search(words, max(0, len(words) - 48))
    if form is None:
        return None
    # A bottle or box holds an unknown number: one of them is at least a few tablets, and is read as thirty.
    value = upper(words[: form.start()]) * (30 if _CONTAINER.match(form["form"]) else 1)
    return _Read(value, form["form"], form["form"][-1].isascii(), bool(form["half"]))


def _count(text: str, span: Span) -> Amount | None:
    """A number of tablets; of a range the upper end."""
    read = _pieces(span.of(text))
    if read is None or text[span.start - 1 : span.start] in ("/", "⁄") or (read.ascii and text[span.end : span.end + 1].isalpha()):
        return None
    half = read.half and not _HALF_OF_TIME.match(text, span.end)
    place = span if half or not read.half else Span(span.start, span.end - 1)
    return Amount(place, None, read.value + 0.5 * half, daily=_PER_DAY.match(text, span.end) is not None)


def _multiplied(text: str, amount: Amount, counts: list[Amount], places: list[int], used: set[int]) -> Amount:
    """An amount times the number of tablets it is the strength of."""
    span, factor = amount.span, 1.0
    after = _THEN_TIMES.match(text, span.end)
    before = (
        _TIMES_SIGN.search(text, max(0, span.start - 20), span.start)
        if text[max(0, span.start - 2) : span.start].rstrip()[-1:] in ("x", "X", "×", "*")
        else None
    )
    if before:
        factor, span = number(before["count"]), Span(before.start("count"), span.end)
    elif after:
        factor, span = number(after["count"]), Span(span.start, after.end())
    else:
        index = bisect_left(places, span.start)
        for near in (index - 1, index):
            if 0 <= near < len(counts) and near not in used and _belongs(text, counts[near].span, span):
                used.add(near)
                factor = counts[near].count or 1.0
                span = Span(min(span.start, counts[near].span.start), max(span.end, counts[near].span.end))
                break
        else:
            leading = _LEADING.search(text, max(0, span.start - 24), span.start) if _THEN_FORM.match(text, span.end) else None
            factor = number(leading["count"]) if leading else 1.0
    index = bisect_left(places, span.start)
    while index < len(counts) and counts[index].span.start < span.end:
        used.add(index)
        index += 1
    return replace(amount, span=span, quantity=amount.quantity.times(factor)) if amount.quantity and factor != 1.0 else replace(amount, span=span)


def _belongs(text: str, count: Span, amount: Span) -> bool:
    """Whether a count of tablets and a strength are about the same tablets."""
    if count.end <= amount.start:
        return amount.start - count.end < 12 and _OF_STRENGTH.fullmatch(text, count.end, amount.start) is not None
    return count.start - amount.end < 20 and _TO_FORM.fullmatch(text, amount.end, count.start) is not None and " and " not in text[amount.end : count.start]


def _overlapped(span: Span, stated: list[Amount], starts: list[int]) -> bool:
    index = bisect_left(starts, span.end)
    return index > 0 and stated[index - 1].span.end > span.start


def _part_of_number(text: str, start: int) -> bool:
    """Whether a number goes on to the left: "二十一天" is not "一天"."""
    return text[start - 1 : start] in tuple("零一二两三四五六七八九十百千0123456789-") and start > 0


def _numbered(words: str) -> tuple[float, ...]:
    """The numbers in a few words; the "one" of "one day" (一天) is none."""
    start = 1 if words[1:2] in ("天", "日") else 0
    return tuple(number(match.group()) for match in A_NUMBER.finditer(words, start))


@lru_cache(maxsize=4096)
def _named_period(words: str) -> str | None:
    return next((name for name, pattern in _PERIOD_OF if pattern.fullmatch(words)), None)


@lru_cache(maxsize=4096)
def _rate(words: str) -> float | None:
    """Doses a day that a few words name."""
    for times, pattern in _TIMES_OF:
        if pattern.fullmatch(words):
            if times is None:
                return next(iter(_numbered(words)), None)
            if times != _HOURS:
                return times
            hours = _numbered(words)[-1:]
            return 24.0 / hours[0] if hours and hours[0] else None
    return None


@lru_cache(maxsize=4096)
def _in_days(words: str) -> float:
    if "weekend" in words.lower():
        return 2.0
    match = A_NUMBER.search(re.sub(r"\b(?:a|the) (?=\d|[a-z]{3})", "", words, flags=re.IGNORECASE))
    value = number(match.group()) if match else 1.0
    if re.search(r"h|小时", words[match.end() if match else 0 :], re.IGNORECASE):
        value /= 24
    elif re.search(r"week|周", words, re.IGNORECASE):
        value *= 7
    return max(value, 1.0)
