"""How often: "twice daily", "b.i.d.", "q12h", "every other day", 每日两次, 隔日一次, in times a day."""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.numerals import NUMBER, value
from guardmed.text import Span

_DAYS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "night": 1.0, "morning": 1.0, "evening": 1.0, "week": 7.0, "fortnight": 14.0, "month": 30.4375, "year": 365.25, "meal": 1 / 3}  # fmt: skip
_ADVERBS = {"hourly": 1 / 24, "daily": 1.0, "nightly": 1.0, "weekly": 7.0, "fortnightly": 14.0, "monthly": 30.4375, "quarterly": 91.3125, "yearly": 365.25, "annually": 365.25}  # fmt: skip
_HAN_DAYS = {"日": 1.0, "天": 1.0, "晚": 1.0, "夜": 1.0, "早": 1.0, "周": 7.0, "星期": 7.0, "礼拜": 7.0, "个月": 30.4375, "月": 30.4375, "年": 365.25, "小时": 1 / 24, "个小时": 1 / 24, "分钟": 1 / 1440, "个星期": 7.0}  # fmt: skip
_SHORT = {"h": 1 / 24, "hr": 1 / 24, "hrs": 1 / 24, "d": 1.0, "w": 7.0, "wk": 7.0, "wks": 7.0, "mo": 30.4375}
_LATIN = {"qd": 1.0, "od": 1.0, "qds": 4.0, "qid": 4.0, "tds": 3.0, "tid": 3.0, "bd": 2.0, "bid": 2.0, "qod": 0.5, "qn": 1.0, "qhs": 1.0, "qam": 1.0, "qpm": 1.0, "qw": 1 / 7, "biw": 2 / 7, "tiw": 3 / 7}  # fmt: skip

_RANGE = rf"(?P<low>{NUMBER})(?: ?(?:-|~|to|or|至|到|或) ?(?P<high>{NUMBER}))?"
_PER = rf"(?P<per>{'|'.join(_DAYS)})"
_HAN_PER = rf"(?P<per>{'|'.join(sorted(_HAN_DAYS, key=len, reverse=True))})"
# What stands between "a day" and how many times: 服用, 吸入, 餐后服.
_VERBS = r"(?:(?![早晚各分至到每第一])[\u4e00-\u9fff]){0,4}?"
_PATTERNS: tuple[tuple[str, Lazy], ...] = tuple(
    (name, Lazy(pattern))
    for name, pattern in (
        ("dotted", r"(?<![\w.])(?:q\.d|o\.d|b\.i\.d|b\.d|t\.i\.d|t\.d\.s|q\.i\.d|q\.d\.s|q\.o\.d)\.?(?!\w)"),
        ("latin", rf"(?<![A-Za-z0-9.])(?P<latin>{'|'.join(sorted(_LATIN, key=len, reverse=True))})(?![A-Za-z0-9])"),
        ("hours", r"(?<![A-Za-z0-9])q ?(?P<low>\d{1,3})(?:-(?P<high>\d{1,3}))? ?(?P<per>h|d|w)(?:rs?|ourly|r)?(?![A-Za-z])"),
        ("times", rf"(?<![\w.])(?:(?P<word>once|twice|thrice)|{_RANGE} ?(?:times|x|×|doses?|occasions)) ?(?:(?:a|an|per|each|every|in an?|/|in any) ?{_PER}|(?P<adverb>{'|'.join(_ADVERBS)})|(?P<per24>(?:in|per|every) 24 ?h(?:ours?)?))(?![a-z])"),
        ("every", rf"\b(?:every|each) (?:(?P<other>other|second|alternate) |{_RANGE}[ -])?{_PER}s?\b"),
        ("every_h", rf"\b(?:every|each) {_RANGE} ?(?P<unit>h|hrs?|wks?|mo|d)\b"),
        ("ly", rf"(?<![\w.]){_RANGE}[ -](?:hourly|hrly)\b"),
        ("alternate", r"\bon alternate days\b|\bq\.?o\.?d\b|隔[日天](?:一次|1 ?次)?"),
        ("adverb", rf"\b(?P<adverb>{'|'.join(_ADVERBS)})\b(?! (?:dose|doses|dosage|maximum|max|limit|amount|intake|requirement|total|need|activit|life|living|routine|practice))"),
        ("han_every", rf"每隔? ?{_RANGE} ?{_HAN_PER} ?{_VERBS} ?(?:(?P<count>{NUMBER}) ?(?:次|顿|回))?"),
        ("han_times", rf"(?:每隔?|一(?=[日天晚周星年小个月分])|(?<!\d)1 ?(?=[日天晚周星年小个月分])|(?<![\d一二两三四五六七八九十半])[日天])(?P<one>)?{_HAN_PER}? ?{_VERBS} ?{_RANGE} ?(?:次|顿|回)"),
        ("both", r"早、?晚(?:饭[前后]|餐[前后])?(?:各|分别)|早、?晚(?:饭[前后]|餐[前后])?(?:一次|各一次|服)|\bmorning and (?:evening|night)\b"),
        ("thrice", r"早、?中、?晚(?:饭[前后]|餐[前后])?(?:各|分别|三次)?|一日三餐|\bwith each meal\b"),
    )
)  # fmt: skip


def frequencies(text: str) -> Iterator[tuple[Span, float, float]]:
    """Places that say how often, and how many times a day at least and at most.

    Places of different patterns may overlap; the earlier pattern is the better one.
    """
    for name, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            found = _times(name, match, text)
            if found is not None and found[1] < 1e6:
                yield Span(match.start(), match.end()), found[0], found[1]


def _times(name: str, match: re.Match[str], text: str) -> tuple[float, float] | None:
    found = match.groupdict()
    if name in ("dotted", "latin"):
        times = _LATIN[match.group().replace(".", "").lower()]
        return times, times
    if name == "alternate":
        return 0.5, 0.5
    if name in ("both", "thrice"):
        times = 2.0 if name == "both" else 3.0
        return times, times
    if name == "adverb":
        # "500 mg daily" says how much a day, and is put together elsewhere.
        times = 1 / _ADVERBS[found["adverb"].lower()]
        return times, times
    low, high = _range(found)
    if name == "times":
        if found["word"]:
            low = high = {"once": 1.0, "twice": 2.0, "thrice": 3.0}[found["word"].lower()]
        days = 1.0 if found["per24"] else _ADVERBS[found["adverb"].lower()] if found["adverb"] else _DAYS[found["per"].lower()]
        return low / days, high / days
    if name == "han_times":
        if not found["per"] and match.group()[0] not in "日天":
            return None
        days = _HAN_DAYS.get(found["per"] or "日", 1.0)
        return low / days, high / days
    if name == "han_every":
        count = value(found["count"]) if found["count"] else 1.0
        days = _HAN_DAYS[found["per"]]
        return (count / (high * days), count / (low * days)) if low and high else None
    if name == "every" and (found["other"] or not found["low"]):
        times = (0.5 if found["other"] else 1.0) / _DAYS[found["per"].lower()]
        return times, times
    name_of_time = (found.get("unit") or found.get("per") or "h").lower()
    days = _SHORT[name_of_time] if name_of_time in _SHORT else _DAYS[name_of_time]
    return (1 / (high * days), 1 / (low * days)) if low and high else None


def _range(found: dict[str, str | None]) -> tuple[float, float]:
    low = value(found.get("low") or "0")
    high = value(found.get("high") or found.get("low") or "0")
    return min(low, high), max(low, high)
