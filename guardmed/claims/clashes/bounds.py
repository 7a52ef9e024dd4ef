"""The words around a quantity that make it a limit or an estimate: "at least", "about", 不超过, 以上."""

# Patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

from typing import NamedTuple

from guardmed.claims.clashes.lazy import Lazy
from guardmed.claims.clashes.quantity import Bound


class Bounded(NamedTuple):
    """What the words around a quantity make of it, and where those before it start (-1: nowhere)."""

    bound: Bound
    about: bool
    lead: int


_UPPER = Lazy(
    r"(?<![A-Za-z])(?:(?:no|not|never|n't) (?:\w+ ){0,3}?(?:more|greater|higher|longer|later|older|larger) than|not (?:to )?exceed(?:ing)?|(?:do|does|should|must) not exceed|up to(?: a maximum of)?"
    r"|at (?:the )?most|a maximum of|maximum(?: \w+){0,6}? (?:of|is)|less than(?: or equal to)?|fewer than|lower than|smaller than|shorter than|younger than|earlier than|below|under|within|<=?|≤|≦|⩽"
    r"|the most (?:\w+ ){0,6}?is|(?:max|maximum)\.?:?|不(?:得|能|可|应|宜|要)?(?:超过|大于|高于|多于|长于|晚于|超)|最多(?:不超过|可?[服吃用])?|至多|最大(?:量|剂量)?[为是]?|上限[为是]?|小于(?:等于)?|低于|少于|短于|不足|不到|未满|不满|早于)"
    r"(?: or equal to)?(?: an?| the)?[ 约]?$"
)
_LOWER = Lazy(
    r"(?<![A-Za-z])(?:(?:no|not) (?:less|fewer|lower|shorter|earlier|younger) than|at (?:the )?least|a minimum of|minimum(?: \w+){0,3}? (?:of|is)|more than|greater than(?: or equal to)?|higher than|longer than|larger than|older than|later than|over|above|exceed(?:s|ing)?|beyond|>=?|≥|≧|⩾|from"
    r"|不(?:得|能|可|应|宜)?(?:少于|低于|小于|短于|早于)|至少(?:需|应|要)?|最少|最小[为是]?|大于(?:等于)?|高于|多于|超过|长于|大过|达到或超过|达到|晚于|满)"
    r"(?: or equal to)?(?: an?| the)?[ 约]?$"
)
_UPPER_AFTER = Lazy(r" ?(?:or|and) (?:less|fewer|lower|below|under|younger|shorter)\b| ?(?:及|或|和)?(?:以下|以内|之内|内(?!镜|科|分|侧|脏|瘘))")
_LOWER_AFTER = Lazy(
    r" ?(?:or|and) (?:more|higher|above|over|older|longer|greater|up)\b| ?\+(?!\d)| ?(?:及|或|和)?(?:以上|起(?![病到初])|或更[多高长])|(?:及|和)其?以上"
)
_BOUNDS: tuple[tuple[Bound, Lazy, Lazy], ...] = (("<", _UPPER, _UPPER_AFTER), (">", _LOWER, _LOWER_AFTER))
_ABOUT = Lazy(r"(?<![A-Za-z])(?:about|around|approximately|roughly|approx\.?|some|nearly|almost|~|≈|约为?|大约|大概|近|将近|接近|差不多)(?: an?| the)? ?$")
_ABOUT_AFTER = Lazy(r" ?(?:左右|上下)| or so\b")


def bounded(text: str, start: int, end: int, *, ranged: bool = False) -> Bounded:
    """Whether words around a quantity make it a limit, and whether they say that it is only about right."""
    low = max(0, start - 48)
    before = text[low:start]
    about = _ABOUT.search(before)
    lead = -1
    if about is not None:
        before, lead = before[: about.start()], low + about.start()
    roughly = about is not None or _ABOUT_AFTER.match(text, end) is not None
    # Of "不少于" and "少于" the longer one is meant.
    found = min(((match.start(), bound) for bound, pattern, _ in _BOUNDS if (match := pattern.search(before)) is not None), default=None)
    if found is not None and not (ranged and before[found[0] :].strip().lower() == "from"):
        return Bounded(found[1], roughly, low + found[0])
    after: Bound = next((bound for bound, _, after in _BOUNDS if after.match(text, end)), "")
    return Bounded(after, roughly, lead)


def after_bound(text: str, at: int) -> int:
    """The end of what follows a quantity and belongs to it, so that it isn't read as words."""
    for pattern in (_ABOUT_AFTER, _UPPER_AFTER, _LOWER_AFTER):
        match = pattern.match(text, at)
        if match is not None:
            return match.end()
    return at
