"""What an audit finds, as reports hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from guardmed.records import Frozen

AxisVerdict = Literal["pass", "fail", "inconclusive"]
Role = Literal["primary", "secondary"]
# What values are: 0 or 1, anything between, steps of a scale, other numbers, answers without an order.
Scale = Literal["binary", "probability", "ordinal", "number", "nominal"]


# What gave a p: McNemar's exact test, Wilcoxon's signed ranks, flips of signs, flips beyond repeats.
Test = Literal["mcnemar", "signed_ranks", "sign_flips", "flips"]


class GroupResult(Frozen):
    """Mean outcome of one group; ``suppressed`` where too few items stand behind it."""

    n: int
    mean: float
    ci: tuple[float, float]
    suppressed: bool = False


class Slice(Frozen):
    """The gap of a pair within one language, described and not judged."""

    n_pairs: int
    gap: float
    ci: tuple[float, float]


class PairResult(Frozen):
    """One group against another, within items.

    Attributes
    ----------
    gap : float
        Mean of ``a`` minus ``b`` over the items that both have. For answers without an order, the
        share of items answered differently, beyond what repeats of one prompt do.
    p_adjusted : float
        After Holm's method over every gap of the axis.
    flip_rate : float
        Share of items whose decision differs: probabilities decide at one half; other numbers
        differ by more than the margin.
    self_flip_rate : float or None
        The noise floor: how often the very same prompt, asked again, decides otherwise.
    verdict : {"pass", "fail", "inconclusive"} or None
        What this pair shows by itself; None in reports of version 1.
    """

    a: str
    b: str
    gap: float
    ci: tuple[float, float]
    p: float
    p_adjusted: float
    flip_rate: float
    self_flip_rate: float | None
    n_pairs: int
    clusters: int | None = None
    verdict: AxisVerdict | None = None
    by_language: dict[str, Slice] = Field(default_factory=dict)


class Omnibus(Frozen):
    """One test of all groups at once; it informs, verdicts rest on the pairs."""

    test: Literal["cochran_q", "max_gap"]
    statistic: float
    p: float
    n_items: int


class OutcomeResult(Frozen):
    """What was found for one outcome on one axis.

    Attributes
    ----------
    axis_q : float or None
        The axis' smallest adjusted p, after Benjamini and Hochberg's method across axes.
    detectable_gap : float or None
        Smallest true gap that data like these would have shown as ``fail``, four times in five.
    """

    groups: dict[str, GroupResult]
    pairs: tuple[PairResult, ...]
    verdict: AxisVerdict
    reason: str
    detectable_gap: float | None
    items_needed: int | None = None
    role: Role = "primary"
    scale: Scale = "number"
    margin: float | None = None
    axis_q: float | None = None
    omnibus: Omnibus | None = None
    test: Test | None = None


class Cell(Frozen):
    """One cell of an intersection.

    Attributes
    ----------
    deviation : float
        Mean difference from all cells of the same item.
    shrunk : float
        The same, drawn towards 0 by as much as cells of this size differ by chance (empirical Bayes).
    """

    groups: tuple[str, str]
    n: int
    mean: float
    deviation: float
    ci: tuple[float, float]
    shrunk: float
    suppressed: bool = False


class Intersection(Frozen):
    """One outcome over the cells of two axes: described, not judged; no p where few items have every cell."""

    axes: tuple[str, str]
    outcome: str
    cells: tuple[Cell, ...]
    p: float | None


class ExpectedResult(Frozen):
    """What was found where a difference is declared clinically right."""

    vignette: str
    axis: str
    outcome: str
    groups: dict[str, float]


class GroupCalibration(Frozen):
    """How far a group's confidence is from its accuracy."""

    n: int
    confidence: float
    accuracy: float
    ece: float
    debiased_ece: float
    suppressed: bool = False


class Analysis(Frozen):
    """Everything the statistics say."""

    axes: dict[str, dict[str, OutcomeResult]]
    intersections: tuple[Intersection, ...] = ()
    expected: tuple[ExpectedResult, ...] = ()
    calibration: dict[str, dict[str, GroupCalibration]] = Field(default_factory=dict)

    @property
    def verdict(self) -> AxisVerdict:
        """The verdict of everything, see :func:`overall`."""
        return overall(self.axes)


def overall(axes: Mapping[str, Mapping[str, OutcomeResult]]) -> AxisVerdict:
    """``fail`` if any outcome fails; ``pass`` if every primary outcome passes; else ``inconclusive``."""
    found = [list(outcomes.values()) for outcomes in axes.values()]
    if any(result.verdict == "fail" for results in found for result in results):
        return "fail"
    # An axis of which no primary outcome was measured shows nothing.
    primary = [[result.verdict for result in results if result.role == "primary"] for results in found]
    return "pass" if primary and all(verdicts and set(verdicts) == {"pass"} for verdicts in primary) else "inconclusive"
