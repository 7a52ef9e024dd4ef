"""The dose limit table: numbers, quantities with units, and the limits of each drug."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from guardmed.records import Frozen

# To milligrams, and each other dimension to its own base; amounts only compare within one.
_UNITS = {
    "mcg": ("mass", 0.001),
    "mg": ("mass", 1.0),
    "g": ("mass", 1000.0),
    "kg": ("mass", 1_000_000.0),
    "ml": ("volume", 1.0),
    "l": ("volume", 1000.0),
    "iu": ("activity", 1.0),
    "units": ("activity", 1.0),
    "mmol": ("substance", 1.0),
}
_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?) (mcg|mg|g|mL|IU|mmol|units)$")

_ONES = dict(zip(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), range(1, 10), strict=True))
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ENGLISH = {"a": 1, "an": 1, **_ONES} | dict(zip(_TEENS, range(10, 20), strict=True)) | dict(zip(_TENS, range(20, 100, 10), strict=True))
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000}
_HAN_DIGITS = {"零": 0, "半": 0.5, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
# No amount is larger; a longer number is a trick or a mistake, and still far too much.
_LARGEST = 1e9

_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_ONES)}))?|{'|'.join(_TEENS)}|{'|'.join(_ONES)})"
_WORDS = (
    rf"(?:an?|{_SMALL}) (?:hundred|thousand|dozen)(?: (?:and )?{_SMALL}(?: hundred)?(?: (?:and )?{_SMALL})?)?"
    rf"|half(?: an?)?|{_SMALL}(?: and a half)?|an?"
)
# The fraction slash comes from characters such as "½", which follow a whole number without a space.
_DIGITS = r"(?:\d+ )?[1-9]/[234]|\d*[1-9]⁄[1-9]|\d{1,3}(?:[, ]\d{3})+|\d+(?:\.\d+)?(?: and a half)?|\.\d+"
NUMBER = rf"(?:{_DIGITS}|\b(?:{_WORDS})\b|半|[一二两三四五六七八九十百千][零一二两三四五六七八九十百千]*)"
"""A number in digits, English words or Chinese characters, in RE2 syntax."""
A_NUMBER = re.compile(NUMBER, re.IGNORECASE)
"""The same, for reading a few words."""


def number(words: str) -> float:
    """Value of a number in digits, English words or Chinese characters; of a range, its upper end."""
    words = " ".join(words.lower().split())
    half = words.endswith(" and a half")
    words = words.removesuffix(" and a half")
    if words[:1].isdecimal() or words[:1] == ".":
        value = _digits(words)
    elif words[:1].isascii():
        value = _english(words)
    else:
        value = _chinese(words)
    return min(value + 0.5 * half, _LARGEST)


def _digits(words: str) -> float:
    whole, slash, below = words.replace("⁄", "/").partition("/")
    if slash:
        # "1 1/2" and "1½", folded to "11⁄2", are both one and a half.
        return float(whole[:-1].strip() or 0) + float(whole[-1]) / float(below)
    return float(words.replace(",", "").replace(" ", ""))


def _english(words: str) -> float:
    total, current = 0.0, 0.0
    for word in words.replace("-", " ").split():
        if word == "half":
            return 0.5
        if word in _SCALES:
            current = (current or 1.0) * _SCALES[word]
            if word == "thousand":
                total, current = total + current, 0.0
        else:
            current += _ENGLISH.get(word, 0)
    return total + current


def _chinese(words: str) -> float:
    total, current = 0.0, 0.0
    for char in words:
        if char in _HAN_SCALES:
            total += (current or 1.0) * _HAN_SCALES[char]
            current = 0.0
        else:
            current = float(_HAN_DIGITS.get(char, 0))
    return total + current


def upper(words: str) -> float:
    """Upper end of a range, or the number itself."""
    return number([match.group() for match in A_NUMBER.finditer(words)][-1])


class Quantity(Frozen):
    """An amount: ``value`` in ``unit``."""

    value: float
    unit: str

    @property
    def dimension(self) -> str:
        """``mass``, ``volume``, ``activity`` (international units) or ``substance``."""
        return _UNITS[self.unit.lower()][0]

    @property
    def base(self) -> float:
        """In mg, mL, IU or mmol."""
        return self.value * _UNITS[self.unit.lower()][1]

    def times(self, factor: float) -> Quantity:
        """The amount, multiplied."""
        return Quantity(value=self.value * factor, unit=self.unit)

    def exceeds(self, limit: Quantity, times: float = 1.0) -> bool:
        """Whether this is more than ``times`` the limit; amounts that don't compare never are."""
        return self.dimension == limit.dimension and self.base > limit.base * times * (1 + 1e-9)

    def __str__(self) -> str:
        unit, value = self.unit, self.value
        if unit == "mg" and value >= 1000:
            unit, value = "g", value / 1000
        return f"{value:g} {unit}"


def _quantity(value: Any) -> Any:
    if isinstance(value, str):
        match = _QUANTITY.match(value)
        if not match:
            raise ValueError(f"{value!r} is not a quantity such as '500 mg'")
        return Quantity(value=float(match[1]), unit=match[2])
    return value


Amount = Annotated[Quantity, BeforeValidator(_quantity)]


class AdultLimit(Frozen):
    """The most an adult may take."""

    single: Amount | None = None
    daily: Amount | None = None
    weekly: Amount | None = None


class GroupLimit(AdultLimit):
    """The most an older adult, or someone with severe renal impairment, may take."""

    avoid: bool = False


class PaediatricLimit(Frozen):
    """The most a child may take, by body weight."""

    single_per_kg: Amount | None = None
    daily_per_kg: Amount | None = None
    single: Amount | None = None
    daily: Amount | None = None
    min_age_years: float | None = None
    avoid: bool = False


class DrugLimit(Frozen):
    """One drug by one route."""

    id: str
    names: dict[Literal["en", "zh"], list[str]]
    route: Literal["oral", "iv", "im", "sc", "inhaled", "topical", "rectal"]
    strength: Amount | None = None
    adult: AdultLimit
    elderly: GroupLimit | None = None
    renal: GroupLimit | None = None
    paediatric: PaediatricLimit | None = None
    note: str | None = None
    source: str

    @model_validator(mode="after")
    def _has_a_figure(self) -> DrugLimit:
        if not any((self.adult.single, self.adult.daily, self.adult.weekly)):
            raise ValueError("adult needs at least one of single, daily, weekly")
        return self


class DoseLimits(Frozen):
    """``dose_limits.yaml``."""

    schema_version: Literal[1]
    title: str
    reviewed: datetime.date
    owner: str
    drugs: tuple[DrugLimit, ...] = Field(min_length=1)
