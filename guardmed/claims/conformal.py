"""Thresholds on claim support that hold for whole answers, by split conformal prediction.

An answer is released with those of its claims whose support is at least a threshold; the others are cut. Of all
answers so treated, at most a share ``alpha`` holds a false claim. This is the filter of Mohri and Hashimoto,
"Language Models with Conformal Factuality Guarantees" (ICML 2024, arXiv:2402.10978): an answer's score is the highest
support of any false claim in it, and the threshold lies above the ``ceil((n + 1)(1 - alpha))``-th smallest of these
over ``n`` calibration answers. Groups get thresholds of their own (Mondrian; Vovk et al., 2005; that topics differ is
shown by Cherian, Gibbs and Candès, NeurIPS 2024, arXiv:2406.09714). With a loss of 0 or 1 for each answer it is
conformal risk control (Angelopoulos et al., ICLR 2024, arXiv:2208.02814).

What is promised, and what is not:

- The share is of *all* answers, those of which nothing is left counted as free of falsehood. Among the answers of
  which something is shown it can be higher; :func:`measure` gives both.
- It is a mean over calibration sets and answers that come from the same source (exchangeable). For one calibration
  set without ties the share varies as Beta(n + 1 - k, k), ``k`` being the rank above: for 100 answers and
  ``alpha`` 0.1 from about 0.05 to 0.16 in 95 % of sets.
- It speaks of the claims that the calibration answers were split into and labelled for, scored the same way by the
  same model. Claims that are shown whatever their support (advice, questions) are outside of it.
- It holds only where *everything* under ``supported_from`` is cut, the ``uncertain`` with the ``unsupported``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from guardmed.claims.fuse import Verdict
from guardmed.errors import CalibrationError, DataError
from guardmed.files import digest_value, read_json
from guardmed.records import Frozen, describe

Risk = Annotated[float, Field(gt=0, lt=1, strict=True, allow_inf_nan=False)]
Support = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """An answer whose claims were scored and labelled.

    Attributes
    ----------
    supports : tuple of float or None
        Of each claim, 0 to 1; ``None`` where nothing could be measured: such a claim is never released.
    true : tuple of bool
        Whether each claim holds.
    group : str or None
        Language, specialty or the like.

    Raises
    ------
    CalibrationError
        The two differ in length, or a support is not a number from 0 to 1.
    """

    supports: tuple[float | None, ...]
    true: tuple[bool, ...]
    group: str | None = None

    def __post_init__(self) -> None:
        if len(self.supports) != len(self.true):
            raise CalibrationError(f"{len(self.supports)} supports and {len(self.true)} labels of one answer.", mend="Give one label for each claim.")
        for support in self.supports:
            if support is not None and not 0 <= support <= 1:  # NaN as well
                raise CalibrationError(f"A claim's support is {support}.", mend="A support lies between 0 and 1; give None where nothing could be measured.")

    @property
    def highest_false(self) -> float:
        """Highest support of a false claim; minus infinity without one."""
        return max((support for support, true in zip(self.supports, self.true, strict=True) if not true and support is not None), default=-math.inf)

    @property
    def lowest_true(self) -> float:
        """Lowest support of a true claim; infinity without one."""
        return min((support for support, true in zip(self.supports, self.true, strict=True) if true and support is not None), default=math.inf)


class Band(Frozen):
    """From where on a claim is supported, and under what it is unsupported.

    Attributes
    ----------
    supported_from : float or None
        A claim with at least this support is released; ``None``: none is.
    unsupported_below : float
        A claim with less support is called unsupported; never above ``supported_from``.
    answers, claims : int
        How many it was made of.
    note : str or None
        Why nothing is released.
    """

    supported_from: Support | None = None
    unsupported_below: Support = 0.0
    answers: int = Field(ge=0, strict=True)
    claims: int = Field(ge=0, strict=True)
    note: str | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Band:
        if self.supported_from is not None and self.unsupported_below > self.supported_from:
            raise ValueError("unsupported_below must not exceed supported_from")
        return self

    def verdict(self, support: float | None) -> Verdict:
        """Three-way reading of a support; nothing measured is ``uncertain``, and so is NaN, which no comparison holds for."""
        if support is None:
            return "uncertain"
        if self.supported_from is not None and support >= self.supported_from:
            return "supported"
        return "unsupported" if support < self.unsupported_below else "uncertain"


class ConformalThresholds(Frozen):
    """Thresholds for all answers and for each group; a part of a calibration artifact, or a file of its own.

    Attributes
    ----------
    alpha : float
        Largest share of answers that are released with a false claim.
    beta : float
        Largest share of answers in which a true claim is called unsupported.
    overall : Band
        Of all answers, whatever their group.
    groups : dict of Band
        Of each group with answers enough for ``alpha``.
    too_small : dict of int
        Answers of the other groups.
    data_digest : str
        SHA-256 of supports, labels and groups, in no order.
    score_source : str
        What the supports are; thresholds for one kind of score mean nothing for another.
    """

    schema_version: Literal[1] = 1
    kind: Literal["conformal_thresholds"] = "conformal_thresholds"
    alpha: Risk
    beta: Risk
    overall: Band
    groups: dict[str, Band] = Field(default_factory=dict)
    too_small: dict[str, int] = Field(default_factory=dict)
    data_digest: str = Field(pattern="^[0-9a-f]{64}$")
    score_source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _enough(self) -> ConformalThresholds:
        for name, band in {"overall": self.overall, **self.groups}.items():
            if band.supported_from is not None and band.answers < answers_needed(self.alpha):
                raise ValueError(f"{name}: {band.answers} answers can't vouch for alpha {self.alpha}; {answers_needed(self.alpha)} are needed")
        return self

    @property
    def answers(self) -> int:
        """How many answers the thresholds were made of."""
        return self.overall.answers

    @property
    def claims(self) -> int:
        """How many claims these held."""
        return self.overall.claims

    @property
    def notes(self) -> tuple[str, ...]:
        """In words, where nothing is released, and which groups have no thresholds of their own."""
        bands = {"all answers": self.overall, **{f"group {name}": band for name, band in self.groups.items()}}
        out = [f"{where}: {band.note}" for where, band in bands.items() if band.note]
        need = answers_needed(self.alpha)
        out += [f"group {name}: {count} answers, {need} are needed; it gets the strictest threshold" for name, count in self.too_small.items()]
        return tuple(out)

    def check(self, *, score_source: str) -> None:
        """Refuse to judge another kind of score, or another model's.

        Raises
        ------
        CalibrationError
        """
        if self.score_source != score_source:
            raise CalibrationError(
                f"These thresholds are for {self.score_source}, not for {score_source}.",
                mend="Check as they were taken (the same checks, model and number of samples), or take them again: guardmed calibrate --claims FILE.",
            )

    def vouched(self, group: str | None = None) -> bool:
        """Whether ``alpha`` holds within this very group (all answers, where there are no groups)."""
        return group in self.groups if self.groups or self.too_small else True

    def band(self, group: str | None = None) -> Band:
        """The thresholds that serve a group.

        Its own where it has some; those of all answers where the calibration knew no groups. Any other group gets the
        strictest: the highest ``supported_from`` and the lowest ``unsupported_below`` among all answers and every
        group. That is a precaution, not a promise for that group: nothing is known of it.
        """
        if not self.groups and not self.too_small:
            return self.overall
        if group is not None and group in self.groups:
            return self.groups[group]
        bands = [self.overall, *self.groups.values()]
        released = [band.supported_from for band in bands]
        return Band(
            supported_from=None if None in released else max(at for at in released if at is not None),
            unsupported_below=min(band.unsupported_below for band in bands),
            answers=self.answers,
            claims=self.claims,
            note="; ".join(dict.fromkeys(band.note for band in bands if band.note)) or None,
        )

    def verdict(self, support: float | None, *, group: str | None = None) -> Verdict:
        """Three-way reading of a claim's support in an answer of this group."""
        return self.band(group).verdict(support)


def answers_needed(alpha: float) -> int:
    """Fewest calibration answers that can vouch for ``alpha``: ``ceil(1 / alpha) - 1``."""
    return math.ceil(1 / _exact(alpha)) - 1


def fit_thresholds(answers: Sequence[ScoredAnswer], *, alpha: float, beta: float | None = None, score_source: str = "claim_support") -> ConformalThresholds:
    """Thresholds from labelled answers.

    The threshold of ``unsupported`` mirrors that of ``supported``: an answer's score is the lowest support of any true
    claim in it, and at most a share ``beta`` of answers loses a true claim to the verdict. Both errors are so counted
    by the same unit, whole answers, and ``unsupported`` is said only of claims that hardly any true one is as low as;
    whatever lies between is ``uncertain``. Where the two cross, because scores separate well, ``supported`` wins, and
    both shares still hold.

    Parameters
    ----------
    answers : sequence of ScoredAnswer
        From the source that will be served, and used for nothing else: neither fusion weights nor a map that changes
        the order of supports may be fitted on them. Answers without a claim count as answers without a false one.
    alpha : float
        Largest share of answers with a false claim left, over 0 and under 1.
    beta : float, optional
        Largest share of answers with a true claim called unsupported; ``alpha`` by default.
    score_source : str
        What the supports are.

    Raises
    ------
    CalibrationError
        No answers, a share outside of 0 to 1, or some answers with a group and some without.
    """
    beta = alpha if beta is None else beta
    for name, share in (("alpha", alpha), ("beta", beta)):
        if not 0 < share < 1:
            raise CalibrationError(f"{name}={share} is not a share of answers.", mend="Choose one over 0 and under 1, such as 0.1.")
    if not answers:
        raise CalibrationError("There are no answers to take thresholds from.", mend=f"Give {answers_needed(alpha)} labelled answers or more.")
    if len({answer.group is None for answer in answers}) > 1:
        at = next(index for index, answer in enumerate(answers) if answer.group is None)
        raise CalibrationError(f"Answer {at + 1} has no group, others have one.", mend="Give every answer a group, or none.")
    by_group: dict[str, list[ScoredAnswer]] = {}
    for answer in answers:
        if answer.group is not None:
            by_group.setdefault(answer.group, []).append(answer)
    need = answers_needed(alpha)
    return ConformalThresholds(
        alpha=alpha,
        beta=beta,
        overall=_band(answers, alpha, beta),
        groups={name: _band(part, alpha, beta) for name, part in sorted(by_group.items()) if len(part) >= need},
        too_small={name: len(part) for name, part in sorted(by_group.items()) if len(part) < need},
        data_digest=_digest(answers),
        score_source=score_source,
    )


def load_thresholds(path: Path) -> ConformalThresholds:
    """Read thresholds that were written as a file of their own.

    Raises
    ------
    DataError
        They are not conformal thresholds of a version that this GuardMed reads.
    """
    try:
        return ConformalThresholds.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path} does not hold conformal thresholds: {describe(error)}.", mend="Write them with guardmed calibrate --claims.") from None


@dataclass(frozen=True, slots=True)
class Kept:
    """What thresholds do to labelled answers.

    Attributes
    ----------
    answers : int
    with_false : float
        Share of all answers that are released with a false claim: what ``alpha`` bounds.
    shown : float
        Share of answers of which a claim is released.
    with_false_of_shown : float or None
        Share of these with a false claim: nothing bounds it but ``alpha / shown``.
    true_kept, false_kept : float or None
        Share of true, and of false claims released.
    accused : float
        Share of answers with a true claim called unsupported: what ``beta`` bounds.
    """

    answers: int
    with_false: float
    shown: float
    with_false_of_shown: float | None
    true_kept: float | None
    false_kept: float | None
    accused: float


def measure(thresholds: ConformalThresholds, answers: Sequence[ScoredAnswer]) -> Kept:
    """Figures of thresholds on answers they were not made of."""
    if not answers:
        raise CalibrationError("There are no answers to measure thresholds on.", mend="Hold some out.")
    totals = {True: 0, False: 0}
    released = {True: 0, False: 0}
    shown = with_false = accused = 0
    bands = {group: thresholds.band(group) for group in {answer.group for answer in answers}}
    for answer in answers:
        verdicts = [bands[answer.group].verdict(support) for support in answer.supports]
        kept = [true for verdict, true in zip(verdicts, answer.true, strict=True) if verdict == "supported"]
        for truth in (True, False):
            totals[truth] += answer.true.count(truth)
            released[truth] += kept.count(truth)
        shown += bool(kept)
        with_false += False in kept
        accused += any(verdict == "unsupported" and true for verdict, true in zip(verdicts, answer.true, strict=True))
    count = len(answers)
    return Kept(
        answers=count,
        with_false=with_false / count,
        shown=shown / count,
        with_false_of_shown=with_false / shown if shown else None,
        true_kept=released[True] / totals[True] if totals[True] else None,
        false_kept=released[False] / totals[False] if totals[False] else None,
        accused=accused / count,
    )


def _band(answers: Sequence[ScoredAnswer], alpha: float, beta: float) -> Band:
    count = len(answers)
    note: str | None = None
    supported_from: float | None = None
    above = count + 1 - math.floor(_exact(alpha) * (count + 1))  # ceil((n + 1)(1 - alpha)), without rounding
    if above > count:
        note = f"nothing is released: {count} answers can't vouch for alpha {alpha:g}, {answers_needed(alpha)} are needed"
    else:
        quantile = sorted(answer.highest_false for answer in answers)[above - 1]
        if quantile >= 1:
            note = f"nothing is released: too many answers hold a false claim with a support of 1 for alpha {alpha:g}"
        else:
            # Strictly above: a claim with the very support of a false one goes, which settles ties.
            supported_from = math.nextafter(quantile, math.inf) if quantile >= 0 else 0.0
    unsupported_below = 0.0
    below = math.floor(_exact(beta) * (count + 1))
    if below >= 1:
        quantile = sorted(answer.lowest_true for answer in answers)[below - 1]
        unsupported_below = float(min(quantile, 1.0 if supported_from is None else supported_from))
    return Band(
        supported_from=supported_from, unsupported_below=unsupported_below, answers=count, claims=sum(len(answer.true) for answer in answers), note=note
    )


def _exact(share: float) -> Fraction:
    """The decimal that was meant: 0.1 is one tenth, so that ranks don't slip by a rounding."""
    return Fraction(str(float(share)))


def _digest(answers: Sequence[ScoredAnswer]) -> str:
    """Of the answers in an order of their own, whatever order they came in."""
    rows = [[answer.group or "", sorted([-1.0 if support is None else float(support), bool(true)] for support, true in _pairs(answer))] for answer in answers]
    return digest_value(sorted(rows))


def _pairs(answer: ScoredAnswer) -> list[tuple[float | None, bool]]:
    return list(zip(answer.supports, answer.true, strict=True))
