"""The dose limit table: quantities with units, and the limits of each drug."""

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
