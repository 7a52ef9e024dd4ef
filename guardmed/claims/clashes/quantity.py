"""A quantity as stated, read into an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from guardmed.text import Span

Bound = Literal["", "<", ">"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity as stated.

    Attributes
    ----------
    span : Span
        In the normalised text.
    measure : str
        ``mass``, ``mass/volume``, ``time``, ``share``, ``rate``, ``date``, ``clock``, ``pressure``, ``label:stage``,
        ``number`` (bare, or of things, which follow), ...
    low, high : float
        The interval it names, in the base of the measure.
    figures : tuple of float
        The numbers as written.
    unit : str
        As written, in lower case.
    bound : {"", "<", ">"}
        Named as an upper or lower limit.
    about : bool
        Named as no more than roughly right.
    rough : bool
        In a unit that people round.
    role : str
        ``single`` or ``total`` (a day's) of an amount taken; ``lasting`` or ``apart`` (from something else) of a time;
        ``systolic``, ``diastolic``; else empty. Different roles are no rivals.
    derived : bool
        Worked out of others, not written.
    taken : bool
        In a unit that drugs are taken in.
    lead : int
        Where the words that bound it start; -1 without any.
    metric : bool
        In a unit that converts without rounding.
    """

    span: Span
    measure: str
    low: float
    high: float
    figures: tuple[float, ...]
    unit: str = ""
    bound: Bound = ""
    about: bool = False
    rough: bool = False
    role: str = ""
    derived: bool = False
    taken: bool = False
    lead: int = -1
    metric: bool = True
