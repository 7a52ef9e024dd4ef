"""Puts amounts and how often they are taken together: what is one dose, and what a day's.

"500 mg three times a day" is 500 mg at a time and 1.5 g a day; "1 g a day in four divided doses" is 1 g a day and
250 mg at a time.
"""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.numerals import NUMBER, value
from guardmed.claims.clashes.quantity import Quantity
from guardmed.text import Span

_PERIOD = Lazy(
    r"(?P<week>\b(?:a|per|each|every) week\b|\bweekly\b|每周|每星期|一周)|(?P<month>\b(?:a|per|each|every) month\b|\bmonthly\b|每个?月)|(?P<day>\b(?:a|per|each|every|in (?:a|one|any)|within an?y?) (?:single )?day\b|\b(?:in|per|within|every) (?:a |any )?24[ -]?h(?:ours?)?(?:[ -]period)?\b|\bdaily\b|\ba night\b|/ ?24 ?h\b"
    r"|\b(?:day's|total) (?:dose|maximum|limit|amount|total)|每[日天晚](?!早|中)|一[日天]|24 ?小时[之以]?内|日剂量|日最大|全天)"
)
_ONCE = Lazy(
    r"每次|一次(?!性)|单次|每剂|每顿|顿服|一次性|\b(?:per (?:dose|application|injection)|each time|at a time|at once|(?:as|in) (?:a|one) (?:single )?dose|single[ -]dose|each dose"
    r"|once(?! (?:a|an|per|every|each|daily|weekly|monthly|yearly)\b))"
)
_DIVIDED = Lazy(
    rf"\b(?:in|into|as) (?P<en>{NUMBER}) (?:equal |equally |separate )?(?:divided |split )?(?:doses|portions|parts)|分(?:成|为)?(?P<zh>{NUMBER}) ?[次顿](?:服用|口服|服|给药)?|\b(?P<free>in divided doses|divided|split)\b|分次"
)
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375}
_DAILY = Lazy(r"daily|(?:every|each) day|weekly|(?:every|each) week|monthly|(?:every|each) month")
# No marker further from an amount than this is about it.
_REACH = 60


def doses(text: str, found: Sequence[Quantity], sentence: Span) -> list[Quantity]:
    """The quantities of one sentence, amounts marked as one dose or a day's, and the other of the two worked out.

    Parameters
    ----------
    text : str
        Normalised text.
    found : sequence of Quantity
        Of one sentence, in order.
    sentence : Span
        Where the sentence is.
    """
    if not any(quantity.taken for quantity in found):
        return list(found)
    found = _multiplied(text, found)
    start, end = found[0].span.start, found[-1].span.end
    low, high = max(sentence.start, start - _REACH), min(sentence.end, end + _REACH)
    days = [(Span(*match.span()), _DAYS[match.lastgroup or "day"]) for match in _PERIOD.finditer(text, low, high)]
    onces = [Span(*match.span()) for match in _ONCE.finditer(text, low, high)]
    parts = [(Span(*match.span()), _count(match)) for match in _DIVIDED.finditer(text, low, high)]
    rates = [quantity for quantity in found if quantity.measure == "rate"]
    amounts = [quantity for quantity in found if quantity.taken]
    dropped = {rate for rate in rates if _DAILY.fullmatch(rate.span.of(text)) and any(0 <= rate.span.start - amount.span.end <= _REACH for amount in amounts)}
    rates = [rate for rate in rates if rate not in dropped]
    days = [day for day in days if not any(rate.span.overlaps(day[0]) for rate in rates)]
    onces = [once for once in onces if not any(rate.span.overlaps(once) for rate in rates)]
    out: list[Quantity] = []
    for index, amount in enumerate(amounts):
        left = amounts[index - 1].span.end if index else low
        right = amounts[index + 1].span.start if index + 1 < len(amounts) else high
        out += _assembled(text, amount, Span(max(left, amount.span.start - _REACH), min(right, amount.span.end + _REACH)), rates, days, onces, parts)
    others = [quantity for quantity in found if not quantity.taken and quantity not in dropped]
    # The day of "4 g in 24 hours" and the one time of "一次0.5克" are no quantities of their own.
    spent = [*(span for span, _ in days), *onces, *(span for span, _ in parts)]
    others = [quantity for quantity in others if not (quantity.measure in ("time", "times", "rate") and any(span.overlaps(quantity.span) for span in spent))]
    return sorted([*out, *others], key=lambda quantity: quantity.span)


def _multiplied(text: str, found: Sequence[Quantity]) -> list[Quantity]:
    """Amounts times the number of tablets they are the strength of: "two 20 mg tablets", "2 x 20 mg", "2 tablets of 20 mg"."""
    out: list[Quantity] = []
    for quantity in found:
        previous = out[-1] if out else None
        if previous is None or previous.bound or quantity.role:
            out.append(quantity)
            continue
        between, behind = text[previous.span.end : quantity.span.start], text[quantity.span.end : quantity.span.end + 24]
        joined = Span(previous.span.start, quantity.span.end)
        counts = previous.measure == "piece" or (previous.measure == "number" and (_TIMES.fullmatch(between) or _FORM.match(behind)))
        together = _OF.fullmatch(between) or (not between and behind.startswith("的"))
        if counts and quantity.taken and quantity.measure != "piece" and together:
            out[-1] = replace(quantity, span=joined, low=previous.low * quantity.low, high=previous.high * quantity.high)
        elif previous.taken and previous.measure != "piece" and quantity.measure == "number" and _TIMES.fullmatch(between) and quantity.high <= 100:
            out[-1] = replace(previous, span=joined, low=previous.low * quantity.low, high=previous.high * quantity.high)
        else:
            out.append(quantity)
    return out


_TIMES = Lazy(r" ?[x×*] ?")
_FORM = Lazy(r"[ -](?:tablet|capsule|pill|sachet|puff|patch|vial|ampoule|suppositor)")
_OF = Lazy(r"(?: ?[x×*] ?| | of (?:the )?| at |的|, each |（|\(每片)")


def _assembled(
    text: str,
    amount: Quantity,
    room: Span,
    rates: Sequence[Quantity],
    days: Sequence[tuple[Span, float]],
    onces: Sequence[Span],
    parts: Sequence[tuple[Span, float | None]],
) -> list[Quantity]:
    """An amount with its role, and what follows from it."""
    span = amount.span
    rate = next((rate for rate in rates if span.end <= rate.span.start < room.end), None) or next(
        (rate for rate in reversed(rates) if room.start <= rate.span.end <= span.start), None
    )
    divided = next((part for part in parts if span.end <= part[0].start < room.end), None)
    single = any(span.start - 6 <= once.end <= span.start or span.end <= once.start < min(room.end, span.end + 24) for once in onces)
    period = next((length for day, length in days if span.end <= day.start < room.end or room.start <= day.end <= span.start), None)
    if amount.role == "total" or (period is not None and not single) or (divided is not None and rate is None):
        length = period if period is not None and amount.role != "total" else 1.0
        total = replace(amount, role="total", low=amount.low / length, high=amount.high / length)
        times = divided[1] if divided is not None else None
        if times:
            out = [total, replace(amount, role="single", low=amount.low / times, high=amount.high / times, figures=(), derived=True)]
            return [*out, Quantity(divided[0] if divided else span, "rate", times, times, (times,), derived=True)] if rate is None else out
        return [total]
    if rate is not None:
        total = replace(amount, role="total", low=amount.low * rate.low, high=amount.high * rate.high, figures=(), derived=True, rough=True)
        bound = amount.bound or rate.bound
        return [replace(amount, role="single"), replace(total, bound=bound)]
    return [replace(amount, role="single")] if single else [amount]


def _count(match: re.Match[str]) -> float | None:
    words = match["en"] or match["zh"]
    return value(words) if words else None
