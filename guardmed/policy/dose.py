"""Doses stated in a text, held against the limit table.

It sees a drug of the table with an amount in the same sentence (or an amount in a sentence after
the only drug named), its frequency and its period. It does not see doses split over several
sentences, drugs the table lacks, or amounts of a mixture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from guardmed.policy.limits import DoseLimits, DrugLimit, Quantity
from guardmed.policy.pattern import Matcher
from guardmed.policy.quantities import Amount, amounts, period, times_a_day
from guardmed.policy.schema import Localised
from guardmed.text import Span, sentences

_ROUTES = (
    ("iv", re.compile(r"\biv\b|intravenous|静脉|静滴|静推|输液", re.IGNORECASE)),
    ("im", re.compile(r"\bim\b|intramuscular|肌注|肌肉注射", re.IGNORECASE)),
    ("sc", re.compile(r"\bsc\b|subcutaneous|皮下", re.IGNORECASE)),
    ("inhaled", re.compile(r"inhal|puffs?\b|吸入|喷雾", re.IGNORECASE)),
    ("rectal", re.compile(r"rectal|supposit|直肠|栓剂", re.IGNORECASE)),
    ("topical", re.compile(r"\b(?:cream|gel|ointment|patch)\b|乳膏|软膏|贴剂|外用", re.IGNORECASE)),
)
_HAS_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|hundred|dozen|bottle|box)|[一二两三四五六七八九十百千半][片粒颗丸瓶盒克毫]"
)


@dataclass(frozen=True, slots=True)
class ExcessDose:
    """A dose beyond a limit.

    Attributes
    ----------
    span : Span
        Of the amount, in the text that was searched.
    drug : DrugLimit
    stated, limit : Quantity
        What was said, and the most for the same period.
    period : {"single", "daily", "weekly", "kg"}
    """

    span: Span
    drug: DrugLimit
    stated: Quantity
    limit: Quantity
    period: str

    @property
    def ratio(self) -> float:
        """How many times the limit."""
        return self.stated.base / self.limit.base

    def describe(self) -> Localised:
        """The finding in words, by language."""
        english, chinese = self.drug.names["en"][0], self.drug.names["zh"][0]
        per_en = {"single": "at once", "daily": "a day", "weekly": "a week", "kg": "per kg of body weight"}[self.period]
        per_zh = {"single": "单次", "daily": "每日", "weekly": "每周", "kg": "每公斤体重"}[self.period]
        return {
            "en": f"{english} {self.stated} {per_en}; the usual maximum is {self.limit}",
            "zh": f"{chinese}{per_zh}{self.stated}；通常最大量为{self.limit}",
        }


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

    def drugs(self, text: str) -> list[tuple[Span, list[DrugLimit]]]:
        """Every drug of the table that is named, in order."""
        found = self._drugs.read(text)
        spans = sorted(found.at(0) + found.at(1))
        return [(span, self._by_name.get(_key(span.of(text)), [])) for span in spans]

    def excesses(self, text: str, *, times: float = 1.0) -> list[ExcessDose]:
        """Doses of more than ``times`` the limit.

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
        found: list[ExcessDose] = []
        only = named[0][1] if len({drug.id for _, drugs in named for drug in drugs[:1]}) == 1 else None
        for sentence in sentences(text):
            here = [(span, drugs) for span, drugs in named if sentence.contains(span)]
            stated = amounts(sentence.of(text))
            if not stated or not (here or only):
                continue
            for amount in stated:
                span = Span(sentence.start + amount.span.start, sentence.start + amount.span.end)
                drugs = _nearest(span, here) if here else only
                if drugs:
                    excess = self._excess(amount, span, drugs, sentence.of(text), times)
                    if excess:
                        found.append(excess)
        return found

    def _excess(self, amount: Amount, span: Span, drugs: list[DrugLimit], sentence: str, times: float) -> ExcessDose | None:
        drug = _by_route(drugs, sentence)
        if drug is None:
            return None
        if amount.quantity is None:
            if drug.strength is None or amount.count is None:
                return None
            quantity = drug.strength.times(amount.count)
        else:
            quantity = amount.quantity
        frequency, over = (None, period(sentence) or "day") if amount.at_most else (times_a_day(sentence), period(sentence))
        for stated, limit, name in _comparisons(quantity, amount.per_kg, drug, frequency, over):
            if stated.exceeds(limit, times):
                return ExcessDose(span, drug, stated, limit, name)
        return None


def _comparisons(quantity: Quantity, per_kg: bool, drug: DrugLimit, frequency: float | None, over: str | None) -> list[tuple[Quantity, Quantity, str]]:
    """What a stated amount is to be held against: (stated, limit, period)."""
    adult = drug.adult
    if per_kg:
        child = drug.paediatric
        if child is None:
            return []
        pairs = []
        if child.daily_per_kg:
            pairs.append((quantity.times(frequency or 1.0), child.daily_per_kg, "kg"))
        if child.single_per_kg and over != "day":
            pairs.append((quantity, child.single_per_kg, "kg"))
        return pairs
    pairs = []
    daily = quantity.times(frequency) if frequency and frequency >= 1 else (quantity if over == "day" else None)
    if adult.weekly:
        weekly = daily.times(7) if daily else quantity
        return [(weekly, adult.weekly, "weekly")]
    if over == "week" and adult.daily and not frequency:
        return [(quantity.times(1 / 7), adult.daily, "daily")]
    if daily and adult.daily:
        pairs.append((daily, adult.daily, "daily"))
    if adult.single and (over == "once" or frequency):
        pairs.append((quantity, adult.single, "single"))
    if daily is None and over != "once":
        # No period stated: only what is beyond a whole day's limit is surely too much.
        limit = adult.daily or adult.single
        if limit:
            pairs.append((quantity, limit, "daily" if adult.daily else "single"))
    if over == "once" and adult.daily:
        pairs.append((quantity, adult.daily, "daily"))
    return pairs


def _by_route(drugs: list[DrugLimit], sentence: str) -> DrugLimit | None:
    """The entry for the route that is stated; the first entry when none is."""
    for route, pattern in _ROUTES:
        if pattern.search(sentence):
            return next((drug for drug in drugs if drug.route == route), None)
    return drugs[0]


def _nearest(span: Span, named: list[tuple[Span, list[DrugLimit]]]) -> list[DrugLimit]:
    def distance(item: tuple[Span, list[DrugLimit]]) -> tuple[int, int]:
        other = item[0]
        gap = max(other.start - span.end, span.start - other.end, 0)
        return gap, other.start

    return min(named, key=distance)[1]


def _key(name: str) -> str:
    return re.sub(r"\s+", " ", name.strip().lower())


def _escape(name: str) -> str:
    return re.sub(r"([\\.+*?^$|{}\[\]()])", r"\\\1", name).replace(" ", r"\s+")
