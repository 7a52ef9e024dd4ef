"""Whether two quantities can both hold, and whether they are about the same measure at all."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from guardmed.claims.clashes.lexicon import stem
from guardmed.claims.clashes.quantity import Quantity


class Relation(Enum):
    """How two quantities stand to each other."""

    AGREE = "agree"
    DIFFER = "differ"
    OVERLAP = "overlap"  # ranges that share a part: a clash only between sentences that are otherwise the same
    APART = "apart"  # of different measures


# Grams in a mole of what laboratories measure (IUPAC atomic weights), by the concept in the text.
_MASSES = """
glucose=180.16 cholesterol=386.65 ldl=386.65 hdl=386.65 triglyceride=885.7 creatinine=113.12 urea=60.06 bun=28.01 urate=168.11 calcium=40.08
bilirubin=584.66 phosphate=30.97 magnesium=24.31 iron=55.85 lactate=90.08 cortisol=362.46 testosterone=288.42
"""
_MOLAR = {stem(name): float(mass) for name, mass in (pair.split("=") for pair in _MASSES.split())}
# Tables print conversions rounded: 7.0 mmol/L of glucose as 126 mg/dL, 11.1 as 200.
_CONVERTED = 0.03
_ROUGH = 0.1
_OTHER_UNIT = 0.01
_EXACT = 1e-6


def relation(one: Quantity, other: Quantity, words: Set[str]) -> Relation:
    """How two quantities stand to each other.

    Parameters
    ----------
    one, other : Quantity
    words : set of str
        The concepts of both sentences, for conversions that depend on what is measured.
    """
    if one.measure != other.measure:
        return _across(one, other, words)
    if one.measure == "pressure" and one.role != other.role:
        return Relation.APART
    if one.role and other.role and one.role != other.role:
        return Relation.APART
    if one.measure == "clock":
        same = abs(one.low - other.low) < 0.01 or ((one.about or other.about) and abs(abs(one.low - other.low) - 12) < 0.01)
        return Relation.AGREE if same else Relation.DIFFER
    return _intervals(one, other, _tolerance(one, other))


def _across(one: Quantity, other: Quantity, words: Set[str]) -> Relation:
    measures = {one.measure, other.measure}
    if measures == {"time", "age"}:
        return Relation.AGREE if _intervals(one, other, _tolerance(one, other)) is not Relation.DIFFER else Relation.APART
    if measures == {"substance/volume", "mass/volume"}:
        substance, mass = (one, other) if one.measure == "substance/volume" else (other, one)
        molar = [_MOLAR[word] for word in words if word in _MOLAR]
        if any(_close(substance.low * weight, mass.low, _CONVERTED) and _close(substance.high * weight, mass.high, _CONVERTED) for weight in molar):
            return Relation.AGREE
        return Relation.DIFFER if molar or same_figures(one, other) else Relation.APART
    if measures == {"share", "substance/substance"} and "hba1c" in words:
        share, per_mole = (one, other) if one.measure == "share" else (other, one)
        # From NGSP to IFCC units (Hoelzel et al., Clinical Chemistry 2004): mmol/mol are thousandths.
        return Relation.AGREE if abs((share.low * 100 - 2.15) * 10.929 - per_mole.low * 1000) <= 1.5 else Relation.DIFFER
    # One unit written instead of another: "800 IU" against "800 mg".
    plain = all("label" not in measure and measure not in ("number", "date", "day", "clock", "rate", "ratio", "pressure", "times") for measure in measures)
    return Relation.DIFFER if plain and same_figures(one, other) and bool(one.unit) and bool(other.unit) else Relation.APART


def equal(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities of one measure say just the same."""
    tolerance = _tolerance(one, other)
    return one.bound == other.bound and _close(one.low, other.low, tolerance) and _close(one.high, other.high, tolerance)


def same_figures(one: Quantity, other: Quantity) -> bool:
    """Whether the numbers as written are the same."""
    return bool(one.figures) and one.figures == other.figures


def _tolerance(one: Quantity, other: Quantity) -> float:
    if one.measure in ("date", "day"):
        return 0.0
    if one.about or other.about:
        return _ROUGH
    if one.measure in ("time", "age", "rate") and (one.rough != other.rough or (one.rough and one.unit != other.unit)):
        return _ROUGH
    if one.rough and one.measure == "rate":
        # "Every four weeks" and "monthly".
        return _ROUGH if min(one.high, other.high) < 0.05 else _OTHER_UNIT
    if one.unit == other.unit:
        return _EXACT
    return _OTHER_UNIT if one.metric and other.metric else _CONVERTED


def _close(one: float, other: float, tolerance: float, *, floor: float = 0.0) -> bool:
    return abs(one - other) <= max(tolerance * max(abs(one), abs(other)), floor)


def _intervals(one: Quantity, other: Quantity, tolerance: float) -> Relation:
    # A degree Fahrenheit is about half a degree Celsius.
    floor = 0.5 if one.measure == "temperature" and one.metric != other.metric else 0.0

    def close(first: float, second: float) -> bool:
        return _close(first, second, tolerance, floor=floor)

    if one.bound and other.bound:
        if one.bound == other.bound:
            end, end_other = (one.high, other.high) if one.bound == "<" else (one.low, other.low)
            return Relation.AGREE if close(end, end_other) else Relation.DIFFER
        upper, lower = (one, other) if one.bound == "<" else (other, one)
        # "Above 130" against "below 130", and no less "above 130" against "below 120".
        return Relation.AGREE if upper.high > lower.low and not close(upper.high, lower.low) else Relation.DIFFER
    if one.bound or other.bound:
        limit, plain = (one, other) if one.bound else (other, one)
        if limit.bound == "<":
            return Relation.AGREE if plain.low <= limit.high or close(plain.low, limit.high) else Relation.DIFFER
        return Relation.AGREE if plain.high >= limit.low or close(plain.high, limit.low) else Relation.DIFFER
    if one.low > other.high or other.low > one.high:
        near = (one.low, other.high) if one.low > other.high else (other.low, one.high)
        return Relation.AGREE if close(*near) else Relation.DIFFER
    if one.measure in ("date", "rate", "number", "times") and (one.low == one.high or other.low == other.high or one.measure == "date"):
        return Relation.AGREE
    ranges = one.low != one.high and other.low != other.high
    same = close(one.low, other.low) and close(one.high, other.high)
    return Relation.OVERLAP if ranges and not same else Relation.AGREE
