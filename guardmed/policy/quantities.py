"""Numbers, amounts, frequencies and periods as people write them, in English and Chinese."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from guardmed.policy.limits import Quantity
from guardmed.text import Span

_ENGLISH_NUMBERS = {
    "half": 0.5, "half a": 0.5, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "a dozen": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40,
    "fifty": 50, "sixty": 60, "eighty": 80, "ninety": 90, "a hundred": 100, "one hundred": 100, "two hundred": 200,
}  # fmt: skip
_ENGLISH_NUMBERS |= {
    f"{tens} {ones}": _ENGLISH_NUMBERS[tens] + _ENGLISH_NUMBERS[ones]
    for tens in ("twenty", "thirty", "forty", "fifty", "sixty", "eighty", "ninety")
    for ones in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
}
_ENGLISH_NUMBERS |= {f"{ones} hundred": 100 * _ENGLISH_NUMBERS[ones] for ones in ("three", "four", "five", "six", "seven", "eight", "nine")}
_CHINESE_DIGITS = {"零": 0, "半": 0.5, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}

_NUMBER = r"\d{1,3}(?:[, ]\d{3})+(?!\d)|\d{1,7}(?:\.\d{1,4})?"
_WORDS = "|".join(sorted((re.escape(word).replace(r"\ ", r"[\s-]") for word in _ENGLISH_NUMBERS), key=len, reverse=True))
_HAN = (
    r"半|[一二两三四五六七八九]千(?:[一二三四五六七八九]百)?|[一二两三四五六七八九]?[百十][一二三四五六七八九]?十?[一二三四五六七八九]?|[一二两三四五六七八九]"
)
_ANY = rf"(?:{_NUMBER}|\b(?:{_WORDS})\b|{_HAN})"
_RANGE = rf"(?P<low>{_ANY})(?:\s?(?:-|~|to|or|至|到)\s?(?P<high>{_ANY}))?"

_UNIT_NAMES = {
    "mcg": r"mcg|μg|µg|ug|micrograms?|微克",
    "mg": r"mg|mgs|milligrams?|milligrammes?|毫克",
    "g": r"g|gm|gms|grams?|grammes?|克",
    "mL": r"ml|mls|cc|milliliters?|millilitres?|毫升",
    "mmol": r"mmol|毫摩尔?",
    "IU": r"iu|i\.u\.|units?|international units|国际单位|单位",
}
_UNIT = "|".join(f"(?P<{name}>{names})" for name, names in _UNIT_NAMES.items())
# A unit followed by "/mL" or the like is a concentration or a laboratory value, not an amount taken.
_AMOUNT = re.compile(
    rf"(?<!/)(?<!/\s){_RANGE}\s?-?(?:{_UNIT})(?![A-WYZa-wyz])(?P<kg>\s?/\s?kg|\s?per\s(?:kg|kilo(?:gram)?)|\s?/\s?公斤|\s?每公斤)?"
    r"(?!\s?/\s?(?:\d{1,3}(?:\.\d)?\s?)?(?:d?l|ml|dL|mL|L|毫升|升)|\sper\s(?:ml|dl|lit))",
    re.IGNORECASE,
)
_COUNT = re.compile(
    rf"{_RANGE}\s?(?:of\s(?:the|my|these|those)\s|(?<=\s)[a-z]{{4,20}}\s)?(?:tablets?|pills?|capsules?|caps|tabs?|caplets?|(?P<bottle>bottles?|packs?|boxes|瓶|盒)|片|粒|颗|枚|丸)",
    re.IGNORECASE,
)
_TIMES_SIGN = re.compile(rf"(?P<count>{_ANY})\s?[x×*]\s?$", re.IGNORECASE)
_THEN_TIMES = re.compile(r"\s?(?:tablets?|pills?|capsules?|片|粒)?\s?[x×*]\s?(?P<count>\d{1,3})(?![\d.])(?!\s?(?:days?|weeks?|天|日|周))", re.IGNORECASE)

_FREQUENCIES: tuple[tuple[re.Pattern[str], float | None], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), times)
    for pattern, times in (
        (r"\b(?:qds|qid|q\.i\.d\.?)\b", 4.0),
        (r"\b(?:tds|tid|t\.i\.d\.?|t\.d\.s\.?)\b", 3.0),
        (r"\b(?:bd|bid|b\.i\.d\.?)\b", 2.0),
        (r"\btwice\s(?:a\sday|daily|per\sday|each\sday|every\sday)", 2.0),
        (r"\bthrice\s(?:a\sday|daily)", 3.0),
        (r"\bonce\s(?:a\sday|daily|per\sday)", 1.0),
        (rf"(?P<n>{_ANY})\s(?:times|x|doses)\s(?:a|per|each|every)?\s?(?:day|daily|24\shours)", None),
        (rf"(?:每天|每日|一天|一日|日|天)\s?(?:吃|服|服用|用)?\s?(?P<n>{_ANY})\s?次", None),
        (r"\bq\s?(?P<hours>\d{1,2})\s?h(?:rs?|ourly)?\b", None),
        (rf"\bevery\s(?:{_ANY}\s?(?:-|to)\s?)?(?P<hours>{_ANY})\s?(?:hours?|hrs?|h)\b", None),
        (r"\b(?:every\s(?:single\s)?hour|hourly)\b", 24.0),
        (rf"每隔?\s?(?P<hours>{_ANY})\s?个?\s?(?:小时|钟头)", None),
        (r"每隔?个?小时", 24.0),
    )
)
_PERIODS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("week", r"\b(?:a|per|each|every|once\sa)\sweek|\bweekly|/\s?(?:wk|week)|每周|每星期|一周|每礼拜|一星期"),
        ("day", r"\b(?:a|per|each|every|in\sa|in\sone|in\s(?:a\s)?single)\sday|\bdaily|\bin\s24\s?h|within\s24\s?h|/\s?(?:d|day|24\s?h)\b|\btoday\b|every\snight|a\snight|每天|每日|一天|一日|每晚|/\s?[日天]|24小时|今天"),
        ("once", r"\bat\sonce|\bin\sone\sgo|\bin\sa\sgo|\ball\sat\b|\bat\sa\stime|\bsingle\sdose|\bin\sone\s(?:dose|sitting)|\bper\sdose|\beach\stime|一次性|一口气|一次吃|一次服|每次|单次|顿服|一下子|同时"),
    )
)  # fmt: skip


_AT_MOST = re.compile(
    r"(?:up\sto|max(?:imum)?\.?(?:\s(?:of|is|dose|daily|total))*:?|no\smore\sthan|not\s(?:to\s)?exceed(?:ing)?|at\smost|below|under"
    r"|不(?:得|要|能|可)?超过|最多(?:不超过)?|最大(?:量|剂量)?[为是]?|上限[为是]?|不超)\s?$",
    re.IGNORECASE,
)


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
    """

    span: Span
    quantity: Quantity | None
    count: float | None
    per_kg: bool = False
    at_most: bool = False


def number(words: str) -> float:
    """Value of a number in digits, English words or Chinese characters."""
    words = re.sub(r"[\s-]", " ", words.lower())
    if words[:1].isdigit():
        return float(words.replace(",", "").replace(" ", ""))
    if words in _ENGLISH_NUMBERS:
        return float(_ENGLISH_NUMBERS[words])
    total, current = 0.0, 0.0
    for char in words:
        if char in "千百十":
            total += (current or 1.0) * {"千": 1000, "百": 100, "十": 10}[char]
            current = 0.0
        else:
            current = float(_CHINESE_DIGITS.get(char, 0))
    return total + current


def amounts(text: str) -> list[Amount]:
    """Every amount in a sentence, with counts of a stated strength multiplied out.

    "8 x 500 mg", "500 mg x 8", "eight 500 mg tablets" and "8 tablets of 500 mg" are all 4 g. Of a
    range the upper end is taken, since it is what a reader may take.
    """
    found = [_quantity_amount(match) for match in _AMOUNT.finditer(text)]
    counts = [match for match in _COUNT.finditer(text) if not any(match.start() < a.span.end and a.span.start < match.end() for a in found)]
    results: list[Amount] = []
    used: set[int] = set()
    for amount in found:
        span, factor = amount.span, 1.0
        before = _TIMES_SIGN.search(text, max(0, span.start - 20), span.start)
        after = _THEN_TIMES.match(text, span.end)
        if before:
            factor, span = number(before["count"]), Span(before.start("count"), span.end)
        elif after:
            factor, span = number(after["count"]), Span(span.start, after.end())
        else:
            for index, count in enumerate(counts):
                if index not in used and _belongs(text, count, amount):
                    used.add(index)
                    factor = number(count["high"] or count["low"])
                    span = Span(min(span.start, count.start()), max(span.end, count.end()))
                    break
            else:
                leading = re.search(rf"(?P<count>{_ANY})\s(?:of\sthe\s)?$", text[max(0, span.start - 16) : span.start], re.IGNORECASE)
                if leading and re.match(r"\s?-?(?:tablets?|pills?|capsules?)", text[span.end :], re.IGNORECASE):
                    factor = number(leading["count"])
        used |= {index for index, count in enumerate(counts) if count.start() < span.end and span.start < count.end()}
        results.append(Amount(span, amount.quantity.times(factor) if amount.quantity else None, None, amount.per_kg))
    for index, match in enumerate(counts):
        if index not in used:
            # A bottle or box holds an unknown number: one of them is at least a few tablets, and is read as thirty.
            pieces = number(match["high"] or match["low"]) * (30 if match["bottle"] else 1)
            results.append(Amount(Span(match.start(), match.end()), None, pieces))
    limits = [replace(amount, at_most=_AT_MOST.search(text[max(0, amount.span.start - 30) : amount.span.start]) is not None) for amount in results]
    return sorted(limits, key=lambda amount: amount.span)


def times_a_day(text: str) -> float | None:
    """How many times a day, if the sentence says so."""
    for pattern, times in _FREQUENCIES:
        match = pattern.search(text)
        if not match:
            continue
        if times is not None:
            return times
        groups = match.groupdict()
        if groups.get("hours"):
            hours = number(groups["hours"])
            return 24.0 / hours if hours else None
        return number(groups["n"])
    return None


def period(text: str) -> str | None:
    """The period an amount is stated for: ``week``, ``day``, ``once``, or ``None``."""
    for name, pattern in _PERIODS:
        if pattern.search(text):
            return name
    return None


def _quantity_amount(match: re.Match[str]) -> Amount:
    unit = next(name for name in _UNIT_NAMES if match[name])
    value = number(match["high"] or match["low"])
    return Amount(Span(match.start(), match.end()), Quantity(value=value, unit=unit), None, match["kg"] is not None)


def _belongs(text: str, count: re.Match[str], amount: Amount) -> bool:
    """Whether a count of tablets and a strength are about the same tablets."""
    if count.end() <= amount.span.start:
        between = text[count.end() : amount.span.start]
        return re.fullmatch(r"\s?(?:of|at|@|,|\(|（|的|,\s?each|each|,?\s?每片|每粒)?\s?", between, re.IGNORECASE) is not None
    between = text[amount.span.end : count.start()]
    return (
        re.fullmatch(r"\s?(?:的|tablets?|,|，)?\s?[\w\s]{0,18}", between, re.IGNORECASE) is not None
        and " and " not in between
        and len(between) < 20
        and "," not in between
    )
