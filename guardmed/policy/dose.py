"""Doses stated in a text, held against the limit table.

It sees a drug of the table with an amount in the same sentence (or an amount in a sentence after
the only drug named), its frequency, its period and the person it is for. It does not see doses
split over several sentences, drugs the table lacks, volumes, or amounts of a mixture.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from guardmed.policy.limits import DoseLimits, DrugLimit, Quantity
from guardmed.policy.pattern import Matcher
from guardmed.policy.people import NOBODY, PeopleReader, Person
from guardmed.policy.quantities import Amount, Statements
from guardmed.policy.schema import Localised
from guardmed.text import Span, sentences

Group = Literal["adult", "child", "elderly", "renal"]

_ROUTES = (
    ("iv", re.compile(r"\biv\b|intravenous|静脉|静滴|静推|输液", re.IGNORECASE)),
    ("im", re.compile(r"\bim\b|intramuscular|肌注|肌肉注射", re.IGNORECASE)),
    ("sc", re.compile(r"\bsc\b|subcutaneous|皮下", re.IGNORECASE)),
    ("inhaled", re.compile(r"inhal|puffs?\b|吸入|喷雾", re.IGNORECASE)),
    ("rectal", re.compile(r"rectal|supposit|直肠|栓剂", re.IGNORECASE)),
    ("topical", re.compile(r"\b(?:cream|gel|ointment|patch)\b|乳膏|软膏|贴剂|外用", re.IGNORECASE)),
)
_HAS_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|hundred|thousand|dozen|half|bottle|box)"
    r"|[一二两三四五六七八九十百千半][片粒颗丸瓶盒克毫万单]",
    re.IGNORECASE,
)
_PER = {
    "single": {"en": "at once", "zh": "单次"},
    "daily": {"en": "a day", "zh": "每日"},
    "weekly": {"en": "a week", "zh": "每周"},
    "kg": {"en": "per kg of body weight", "zh": "每公斤体重"},
}
_WHOM: dict[Group, Localised] = {
    "adult": {"en": "", "zh": ""},
    "child": {"en": " for a child of this age", "zh": "该年龄儿童"},
    "elderly": {"en": " for an older adult", "zh": "老年人"},
    "renal": {"en": " in severe kidney disease", "zh": "严重肾功能不全者"},
}


@dataclass(frozen=True, slots=True)
class ExcessDose:
    """A dose beyond a limit.

    Attributes
    ----------
    span : Span
        Of the amount, in the text that was searched.
    drug : DrugLimit
    stated, limit : Quantity
        What was said, and the most for the same period; a limit of nothing for a drug that the
        person should not have at all.
    period : {"single", "daily", "weekly", "kg"}
    group : {"adult", "child", "elderly", "renal"}
        Whose limit it is.
    person : Person
        Whom the dose is for.
    """

    span: Span
    drug: DrugLimit
    stated: Quantity
    limit: Quantity
    period: str
    group: Group = "adult"
    person: Person = NOBODY

    @property
    def ratio(self) -> float:
        """How many times the limit; infinite for a drug to be avoided."""
        return self.stated.base / self.limit.base if self.limit.base else math.inf

    def describe(self) -> Localised:
        """The finding in words, by language."""
        english, chinese = self.drug.names["en"][0], self.drug.names["zh"][0]
        per, whom, reason = _PER[self.period], self._whom(), self._reason()
        if not self.limit.base:
            return {"en": f"{english} {self.stated}; {reason['en']}", "zh": f"{chinese}{self.stated}；{reason['zh']}"}
        return {
            "en": f"{english} {self.stated} {per['en']}; the usual maximum{whom['en']} is {self.limit}",
            "zh": f"{chinese}{per['zh']}{self.stated}；{whom['zh']}通常最大量为{self.limit}",
        }

    def _whom(self) -> Localised:
        if self.group == "child" and self.person.weight is not None:
            return {"en": f" for a child of {self.person.weight:g} kg", "zh": f"体重{self.person.weight:g}公斤的儿童"}
        return _WHOM[self.group]

    def _reason(self) -> Localised:
        if self.group == "child":
            years = self.drug.paediatric.min_age_years if self.drug.paediatric else None
            if years is None:
                return {"en": "not to be given to children", "zh": "儿童不应使用"}
            if years < 1:
                months = f"{years * 12:.0f}"
                return {"en": f"not usually given under {months} months of age", "zh": f"通常不用于{months}个月以下婴儿"}
            return {"en": f"not usually given under {years:g} years of age", "zh": f"通常不用于{years:g}岁以下儿童"}
        return {"en": f"to be avoided{_WHOM[self.group]['en']}", "zh": f"{_WHOM[self.group]['zh']}应避免使用"}


@dataclass(frozen=True, slots=True)
class _Ceiling:
    """The most of a drug for one kind of person; nothing of it where ``avoid``."""

    group: Group
    single: Quantity | None
    daily: Quantity | None
    weekly: Quantity | None
    avoid: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """An amount with what its sentence says of it.

    ``frequency`` is doses a day, ``over`` the period, ``days`` the days it is spread over.
    """

    quantity: Quantity
    per_kg: bool
    frequency: float | None
    over: str | None
    days: float | None

    @property
    def daily(self) -> Quantity | None:
        if self.frequency and self.frequency >= 1:
            return self.quantity.times(self.frequency)
        if self.days:
            return self.quantity.times(1 / self.days)
        return self.quantity if self.over == "day" else None


class DoseFinder:
    """Finds doses beyond the limits of a table.

    Parameters
    ----------
    limits : DoseLimits
    """

    def __init__(self, limits: DoseLimits) -> None:
        self._by_name: dict[str, list[DrugLimit]] = {}
        for drug in limits.drugs:
            for name in (*drug.names.get("en", []), *drug.names.get("zh", [])):
                self._by_name.setdefault(_key(name), []).append(drug)
        names = sorted(self._by_name, key=len, reverse=True)
        self._drugs = Matcher([rf"\b(?:{'|'.join(_escape(n) for n in names if n.isascii())})\b", "|".join(_escape(n) for n in names if not n.isascii())])
        self._people = PeopleReader()

    def drugs(self, text: str) -> list[tuple[Span, list[DrugLimit]]]:
        """Every drug of the table that is named, in order."""
        found = self._drugs.read(text)
        spans = sorted(found.at(0) + found.at(1))
        return [(span, self._by_name.get(_key(span.of(text)), [])) for span in spans]

    def excesses(self, text: str, *, times: float = 1.0) -> list[ExcessDose]:
        """Doses of more than ``times`` the limit of whoever they are for; linear in the text.

        Parameters
        ----------
        text : str
            Normalised text.
        times : float
        """
        if not _HAS_NUMBER.search(text):
            return []
        named = self.drugs(text)
        if not named:
            return []
        people = self._people.read(text)
        rest = people.rest
        statements = Statements(rest)
        stated = statements.amounts()
        if not stated:
            return []
        only = named[0][1] if len({drug.id for _, drugs in named for drug in drugs[:1]}) == 1 else None
        schedule = _Schedule(statements)
        names, places = [span.start for span, _ in named], [amount.span.start for amount in stated]
        found: list[ExcessDose] = []
        for sentence in sentences(text):
            here = named[bisect_left(names, sentence.start) : bisect_left(names, sentence.end)]
            first, last = bisect_left(places, sentence.start), bisect_left(places, sentence.end)
            if first == last or not (here or only):
                continue
            route = _route(rest[sentence.start : sentence.end])
            starts = [span.start for span, _ in here]
            for index in range(first, last):
                amount = stated[index]
                drug = _by_route(_nearest(amount.span, here, starts) if here else only or [], route)
                free = Span(
                    stated[index - 1].span.end if index > first else sentence.start,
                    stated[index + 1].span.start if index + 1 < last else sentence.end,
                )
                said = _said(amount, drug, schedule, free, sentence) if drug else None
                if drug and said:
                    found += _worst(_excesses(said, drug, people.of(amount.span, sentence), amount.span, times))
        return found


class _Schedule:
    """Frequencies, periods and spans of days of one text, looked up by place."""

    def __init__(self, statements: Statements) -> None:
        self._frequencies, self._periods = statements.frequencies(), statements.periods()
        self._stretches: list[tuple[Span, Any]] = sorted([*self._periods, *statements.days()], key=_start)
        self._courses = statements.courses()
        self._divided = [(span, True) for span in statements.divided()]
        self._fewest: dict[Span, float | None] = {}

    def frequency(self, free: Span, sentence: Span) -> float | None:
        """Doses a day: the fewest that are named beside the amount, or else in its sentence."""
        low, high = _bounds(self._frequencies, free)
        if low == high and sentence in self._fewest:
            return self._fewest[sentence]
        window = free if low < high else sentence
        low, high = _bounds(self._frequencies, window)
        self._fewest[window] = min((times for _, times in self._frequencies[low:high]), default=None)
        return self._fewest[window]

    def period(self, amount: Span, free: Span, sentence: Span, *, spread: bool) -> str | float | None:
        """The period named nearest to the amount; days, where the amount is ``spread`` over some."""
        found: str | float | None = _closest(self._stretches if spread else self._periods, amount, free, sentence)
        return found

    def course(self, amount: Span, free: Span) -> float | None:
        """The days of treatment, where they stand beside the amount."""
        found: float | None = _closest(self._courses, amount, free)
        return found

    def divided(self, free: Span) -> bool:
        """Whether the amount is said to be split into doses."""
        low, high = _bounds(self._divided, free)
        return low < high


def _start(item: tuple[Span, Any]) -> int:
    return item[0].start


def _bounds(items: list[tuple[Span, Any]], window: Span) -> tuple[int, int]:
    """Which items of a list in order start in a window."""
    low = bisect_left(items, window.start, key=_start)
    return low, bisect_left(items, window.end, low, key=_start)


def _closest(items: list[tuple[Span, Any]], amount: Span, *windows: Span) -> Any:
    """What the nearest item says, in the first window that has any."""
    for window in windows:
        low, high = _bounds(items, window)
        if low < high:
            index = bisect_left(items, amount.start, low, high, key=_start)
            return min(items[max(low, index - 1) : min(high, index + 1)], key=lambda item: _gap(item[0], amount))[1]
    return None


def _gap(one: Span, other: Span) -> int:
    return max(one.start - other.end, other.start - one.end, 0)


def _said(amount: Amount, drug: DrugLimit, schedule: _Schedule, free: Span, sentence: Span) -> _Said | None:
    """What a text says of an amount, or nothing where the amount can't be known."""
    if amount.quantity is not None:
        quantity = amount.quantity
    elif drug.strength is not None and amount.count is not None:
        quantity = drug.strength.times(amount.count)
    else:
        return None
    if amount.daily:
        return _Said(quantity, amount.per_kg, None, "day", None)
    frequency = None if amount.at_most else schedule.frequency(free, sentence)
    over = schedule.period(amount.span, free, sentence, spread=frequency is None)
    days, over = (over, None) if isinstance(over, float) else (None, over)
    if days is None and over is None and frequency is None and amount.quantity is None:
        # "20 tablets for 5 days" is a supply; a daily amount for 5 days is a course.
        days = schedule.course(amount.span, free)
    if days:
        return _Said(quantity, amount.per_kg, None, None, days)
    if amount.at_most or schedule.divided(free):
        return _Said(quantity, amount.per_kg, None, over or "day", None)
    return _Said(quantity, amount.per_kg, frequency, over, None)


def _ceilings(drug: DrugLimit, person: Person) -> Iterator[_Ceiling]:
    """Whose limits apply: a child's or an adult's, and those of age and kidneys besides."""
    adult, child = drug.adult, drug.paediatric
    if person.child and child:
        too_young = child.min_age_years is not None and person.younger_than is not None and person.younger_than <= child.min_age_years
        weight = person.heaviest
        per_kg = [limit.times(weight) if limit and weight else None for limit in (child.single_per_kg, child.daily_per_kg)]
        yield _Ceiling(
            "child",
            _least(adult.single, child.single, per_kg[0]),
            _least(adult.daily, child.daily, per_kg[1]),
            adult.weekly,
            too_young or (child.avoid and child.min_age_years is None),
        )
    else:
        yield _Ceiling("adult", adult.single, adult.daily, adult.weekly)
    groups: tuple[tuple[Group, bool, Any], ...] = (("elderly", person.elderly, drug.elderly), ("renal", person.severe_renal, drug.renal))
    for group, applies, limit in groups:
        if applies and limit:
            yield _Ceiling(group, limit.single or adult.single, limit.daily or adult.daily, limit.weekly or adult.weekly, limit.avoid)


def _least(*limits: Quantity | None) -> Quantity | None:
    """The smallest; limits in other dimensions than the first are left out."""
    known = [limit for limit in limits if limit]
    return min((limit for limit in known if limit.dimension == known[0].dimension), key=lambda limit: limit.base, default=None)


def _excesses(said: _Said, drug: DrugLimit, person: Person, span: Span, times: float) -> Iterator[ExcessDose]:
    for ceiling in _ceilings(drug, person):
        if ceiling.avoid:
            nothing = said.quantity.times(0)
            if said.quantity.exceeds(nothing):
                yield ExcessDose(span, drug, said.quantity, nothing, "single", ceiling.group, person)
            continue
        pairs = _per_kg_comparisons(said, drug) if said.per_kg else _comparisons(said, ceiling)
        for stated, limit, period in pairs:
            if limit and stated.exceeds(limit, times):
                yield ExcessDose(span, drug, stated, limit, period, ceiling.group, person)
                break


def _worst(excesses: Iterator[ExcessDose]) -> list[ExcessDose]:
    """One finding of several about the same amount."""
    found = list(excesses)
    return [max(found, key=lambda excess: excess.ratio)] if found else []


def _per_kg_comparisons(said: _Said, drug: DrugLimit) -> Iterator[tuple[Quantity, Quantity | None, str]]:
    child = drug.paediatric
    if child is None:
        return
    yield said.quantity.times(said.frequency or 1.0), child.daily_per_kg, "kg"
    if said.over != "day":
        yield said.quantity, child.single_per_kg, "kg"


def _comparisons(said: _Said, limit: _Ceiling) -> Iterator[tuple[Quantity, Quantity | None, str]]:
    """What a stated amount is to be held against: stated, limit, period."""
    quantity, daily = said.quantity, said.daily
    if limit.weekly:
        spread = quantity.times(7 / max(said.days, 7)) if said.days else None
        yield spread or (daily.times(7) if daily else quantity), limit.weekly, "weekly"
        return
    if said.over == "week" and limit.daily and not said.frequency:
        yield quantity.times(1 / 7), limit.daily, "daily"
        return
    if daily:
        yield daily, limit.daily, "daily"
    if said.over == "once" or said.frequency:
        yield quantity, limit.single, "single"
    if daily is None and said.over != "once":
        # No period stated: only what is beyond a whole day's limit is surely too much.
        yield quantity, limit.daily or limit.single, "daily" if limit.daily else "single"
        if limit.group == "child":
            # A dose for a child is worked out for one time.
            yield quantity, limit.single, "single"
    if said.over == "once":
        yield quantity, limit.daily, "daily"


def _route(sentence: str) -> str | None:
    return next((route for route, pattern in _ROUTES if pattern.search(sentence)), None)


def _by_route(drugs: list[DrugLimit], route: str | None) -> DrugLimit | None:
    """The entry for the route that is stated; the first entry when none is."""
    if route is None:
        return drugs[0] if drugs else None
    return next((drug for drug in drugs if drug.route == route), None)


def _nearest(span: Span, named: list[tuple[Span, list[DrugLimit]]], starts: list[int]) -> list[DrugLimit]:
    index = bisect_left(starts, span.start)
    return min(named[max(0, index - 1) : index + 1], key=lambda item: _gap(item[0], span))[1]


def _key(name: str) -> str:
    return re.sub(r"\s+", " ", name.strip().lower())


def _escape(name: str) -> str:
    return re.sub(r"([\\.+*?^$|{}\[\]()])", r"\\\1", name).replace(" ", r"\s+")
