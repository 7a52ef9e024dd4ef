"""One thing that two sentences say differently."""

from __future__ import annotations

from dataclasses import dataclass

from guardmed.claims.clashes.lexicon import poles_agree
from guardmed.claims.clashes.reading import Unit
from guardmed.claims.clashes.tokens import Token


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two units say differently.

    Attributes
    ----------
    sort : str
        ``quantity``, ``label``, ``denial``, or the name of an axis.
    one, other : Token
        Where.
    place : int
        Of the token in the first unit.
    firm : bool
        What is denied stands in both units.
    """

    sort: str
    one: Token
    other: Token
    place: int
    firm: bool = True


def near(unit: Unit, index: int, reach: int = 3) -> set[str]:
    """The concepts around a token of a unit."""
    before, after = unit.around(index, reach)
    return {*before, *after}


def same_pole(axis: str, pole: str, token: Token) -> bool:
    """Whether a token names a pole that can hold together with another."""
    return token.part is not None and poles_agree(axis, pole, token.part.pole)
