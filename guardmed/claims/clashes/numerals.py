"""Numbers as people write them: digits, fractions, powers of ten, English words, Chinese characters, Roman numerals.

Every pattern looks no further than a few characters, so reading takes time linear in the length of the text. Longer
rows of digits are no quantities.
"""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

import re

from guardmed.claims.clashes.lazy import Lazy

_ONES = {word: float(value) for value, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])}
_TEENS = {
    word: float(value)
    for value, word in enumerate(["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"], 10)
}
_TENS = {word: 10.0 * value for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)}
_ENGLISH = {**_ONES, **_TEENS, **_TENS}
_SCALES = {"dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "百": 1e2, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8}
_HAN = {"零": 0.0, "〇": 0.0, "一": 1.0, "二": 2.0, "两": 2.0, "三": 3.0, "四": 4.0, "五": 5.0, "六": 6.0, "七": 7.0, "八": 8.0, "九": 9.0}
_HAN_SCALES = {"十": 10.0, "百": 1e2, "千": 1e3}
_HAN_LARGE = {"万": 1e4, "亿": 1e8}
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10, "xi": 11, "xii": 12}
_ORDINALS = {
    word: float(value)
    for value, word in enumerate(["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"], 1)
}
_PARTS = {"half": 0.5, "halves": 0.5, "third": 1 / 3, "quarter": 0.25, "fourth": 0.25, "fifth": 0.2, "sixth": 1 / 6, "eighth": 0.125, "tenth": 0.1}

_LARGEST = 1e18

_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)})"
_WORDS = (
    rf"\b(?:(?:an?|{_SMALL}) (?:hundred|thousand|million|dozen)(?: (?:and )?{_SMALL}(?: hundred)?(?: (?:and )?{_SMALL})?)?"
    rf"|{_SMALL} and a half|{_SMALL}|half(?: an?\b)?)\b"
)
# "1½" is folded to "11⁄2"; the slash of a fraction in plain digits has small numbers on both sides, unlike a blood pressure.
_DIGITS = (
    r"(?<!\d)(?:\d{1,4} [1-9]/[2-9](?![\d/])|(?<!/)[1-9]/(?:[2-9]|10)(?![\d/])|\d{0,4}[1-9]⁄[1-9]\d?"
    r"|(?:\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,9})?(?!\d)|\d{1,15}(?:\.\d{1,9})?(?!\d)|\.\d{1,9}(?!\d))(?: ?[x×*] ?10\^?\d{1,2}| (?:thousand|million|billion)\b| ?(?:百万|千万|万|亿|百(?!分)|千(?![克卡帕焦米瓦伏])))?)"
)
_CHINESE = r"[一二两三四五六七八九十百千零〇]{1,12}(?:点[零〇一二三四五六七八九]{1,6})?(?:[万亿](?:[一二两三四五六七八九十百千零〇]{1,10})?)?|半"

NUMBER = rf"(?:{_DIGITS}|{_WORDS}|{_CHINESE})"
"""A number in any of these forms; match without case."""
SHARE = Lazy(
    rf"百分之(?P<zh_percent>{NUMBER})|(?P<zh_below>[一二两三四五六七八九十百千万]{{1,6}}|(?<!\d)\d{{1,6}})分之(?P<zh_above>{NUMBER})"
    rf"|\b(?P<above>{_SMALL}|an?|\d{{1,3}})[ -](?P<part>half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|eighths?|tenths?)\b"
    rf"|\b(?P<of>{_SMALL}|\d{{1,6}}) (?:in|out of) (?:every )?(?P<in>{_SMALL}|\d{{1,6}}(?:,\d{{3}})?|a hundred|a thousand)\b"
    r"|(?P<half>\bhalf (?:of|the)\b|一半|半数)|(?P<tenths>[一二两三四五六七八九])成(?![人年为分功立形熟瘾])"
)
"""A part of a whole, other than in percent."""


def value(words: str) -> float:
    """Value of a number that :data:`NUMBER` matched; a trick of digits is no more than 1e18."""
    return min(_value(" ".join(words.lower().split())), _LARGEST)


def _value(words: str) -> float:
    if words[:1].isdecimal() or words[:1] == ".":
        return _digits(words)
    if words[:1].isascii():
        return _english(words)
    return _chinese(words)


def roman(word: str) -> float | None:
    """Value of a Roman numeral up to XII."""
    found = _ROMAN.get(word.lower())
    return None if found is None else float(found)


def ordinal(word: str) -> float | None:
    """Value of an English ordinal in words, up to the twelfth."""
    return _ORDINALS.get(word.lower())


def share(match: re.Match[str]) -> float:
    """Value of what :data:`SHARE` matched."""
    found = match.groupdict()
    if found["zh_percent"]:
        return value(found["zh_percent"]) / 100
    if found["zh_below"]:
        return value(found["zh_above"]) / (value(found["zh_below"]) or 1.0)
    if found["part"]:
        above = found["above"].lower()
        part = found["part"].lower()
        return (1.0 if above in ("a", "an") else value(above)) * _PARTS.get(part, _PARTS.get(part.removesuffix("s"), 1.0))
    if found["in"]:
        return value(found["of"]) / (value(found["in"]) or 1.0)
    return 0.5 if found["half"] else value(found["tenths"]) / 10


def _digits(words: str) -> float:
    whole, slash, below = words.replace("⁄", "/").partition("/")
    if slash:
        # "1 1/2" and "1½", folded to "11⁄2", are both one and a half.
        return float(whole[:-1].strip() or 0) + float(whole[-1]) / float(below)
    match = re.match(r"[\d,]*\.?\d*", words)
    assert match is not None  # the text starts with a digit or a point
    number, rest = float(match.group().replace(",", "")), words[match.end() :].strip()
    if not rest:
        return number
    if rest in _SCALES:
        return number * _SCALES[rest]
    # "×10⁹" is folded to "×109".
    return number * float(10.0 ** float(re.sub(r"^[x×*] ?10\^?", "", rest)))


def _english(words: str) -> float:
    half = words.endswith(" and a half")
    total, current = 0.0, 0.0
    for word in words.removesuffix(" and a half").replace("-", " ").split():
        if word == "half":
            return 0.5
        if word in _SCALES:
            current = (current or 1.0) * _SCALES[word]
            if _SCALES[word] >= 1e3:
                total, current = total + current, 0.0
        else:
            current += _ENGLISH.get(word, 0.0)
    return total + current + 0.5 * half


def _chinese(words: str) -> float:
    if words == "半":
        return 0.5
    whole, _, decimals = words.partition("点")
    large = next((char for char in "亿万" if char in words), None)
    if large is not None:
        before, _, after = words.partition(large)
        return (_chinese(before) if before else 1.0) * _HAN_LARGE[large] + (_chinese(after) if after else 0.0)
    if not any(char in _HAN_SCALES for char in whole) and len(whole) > 1:
        number = float("".join(str(int(_HAN.get(char, 0.0))) for char in whole))
    else:
        number, current = 0.0, 0.0
        for char in whole:
            if char in _HAN_SCALES:
                number += (current or 1.0) * _HAN_SCALES[char]
                current = 0.0
            else:
                current = _HAN.get(char, 0.0)
        number += current
    return number + (float("0." + "".join(str(int(_HAN.get(char, 0.0))) for char in decimals)) if decimals else 0.0)
