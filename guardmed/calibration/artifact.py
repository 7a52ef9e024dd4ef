"""The calibration artifact: a small JSON file that says what was fitted, on what, and how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError, model_validator

from guardmed.calibration.choose import Candidate
from guardmed.calibration.fit import ENOUGH_SIGNAL
from guardmed.calibration.maps import Map, Method, map_of, parameters
from guardmed.errors import CalibrationError, DataError
from guardmed.files import read_json, write_json
from guardmed.records import Frozen, describe

ScoreSource = Literal["records", "option_likelihood", "claim_support", "stated_confidence", "entity_confidence"]
# What older artifacts hold beside ``parameters``, and the contract names.
_PLAIN = ("temperature", "slope", "bias")


class ModelRef(Frozen):
    """Which model an artifact belongs to."""

    name: str
    fingerprint: str


class Figures(Frozen):
    """Figures of held-out rows before and after, with their intervals.

    Attributes
    ----------
    before, after : dict
        Metrics by name.
    intervals : dict
        ``before`` and ``after``: 95 % bootstrap intervals by name.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    intervals: dict[str, dict[str, list[float]]] = Field(default_factory=dict)


class GroupFit(Figures):
    """A group's own map and how it does.

    Attributes
    ----------
    method, parameters
        The group's map; ``None`` where it is served by the map of all.
    rows : dict
        ``fit`` and ``held_out``.
    refused : str or None
        Why the group has no map of its own.
    """

    method: Method | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    rows: dict[str, int] = Field(default_factory=dict)
    refused: str | None = None


class Selective(Frozen):
    """When to answer: a confidence over which the share of wrong answers is bounded.

    Attributes
    ----------
    target_risk, confidence_level : float
        The share of wrong answers aimed at, and how surely it holds.
    threshold : float or None
        Calibrated confidence from which to answer; ``None`` where no threshold can be vouched for.
    bound : float or None
        Upper Clopper-Pearson bound of the risk at the threshold, on the rows it was chosen on.
    coverage, risk : float or None
        Share of held-out rows answered, and of those the share wrong.
    risk_interval : list of float
        Clopper-Pearson, 95 %, of the held-out risk.
    """

    target_risk: float
    confidence_level: float
    threshold: float | None = None
    bound: float | None = None
    coverage: float | None = None
    risk: float | None = None
    risk_interval: list[float] = Field(default_factory=list)


class Drift(Frozen):
    """An older artifact on the same held-out rows.

    Attributes
    ----------
    older_digest : str
        Data digest of the older artifact.
    older : dict
        Its metrics here.
    nll_change : list of float
        New minus old mean loss, and its 95 % bootstrap interval by question.
    drifted : bool
        Whether the interval lies below 0: the older map no longer serves.
    """

    older_digest: str
    older: dict[str, Any]
    nll_change: list[float]
    drifted: bool


class Artifact(Frozen):
    """A fitted calibration with its provenance.

    Attributes
    ----------
    method : str
        A name of :data:`guardmed.calibration.maps.METHODS`.
    temperature : float or None
    slope, bias : float or None
        Of Platt's logistic.
    parameters : dict
        The numbers of any other method.
    score_source : str
        Where the scores came from; a map for one kind of score means nothing for another.
    model : ModelRef or None
        None for records of unknown origin.
    prompt_digest : str or None
        SHA-256 of the template that questions were put in; None for records.
    rows : dict
        ``fit`` and ``held_out``.
    data_digest : str
        SHA-256 of the scores and labels, in order.
    metrics : dict
        ``before`` and ``after``, on held-out rows only.
    intervals : dict
        95 % bootstrap intervals of the same, by question.
    groups : dict of GroupFit
        Each group's own map, measured on its own held-out rows.
    group_summary : dict
        Means over groups and the worst group's figures, before and after.
    candidates : list of Candidate
        What ``auto`` tried.
    selective : Selective or None
    drift : Drift or None
    likelihood_ratio : float or None
        For class probabilities, how far the fit is from chance (:func:`guardmed.calibration.fit.likelihood_ratio`).
    """

    schema_version: Literal[1] = 1
    kind: Literal["calibration"] = "calibration"
    guardmed_version: str
    method: Method
    temperature: float | None = Field(default=None, gt=0)
    slope: float | None = Field(default=None, gt=0)
    bias: float | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    score_source: ScoreSource
    model: ModelRef | None = None
    prompt_digest: str | None = None
    rows: dict[str, int]
    data_digest: str
    metrics: dict[str, dict[str, Any]]
    intervals: dict[str, dict[str, list[float]]]
    groups: dict[str, GroupFit] = Field(default_factory=dict)
    group_summary: dict[str, Any] = Field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    selective: Selective | None = None
    drift: Drift | None = None
    likelihood_ratio: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Artifact:
        map_of(self.method, self.numbers)
        for group in self.groups.values():
            if group.method is not None:
                map_of(group.method, group.parameters)
        return self

    @property
    def may_be_chance(self) -> bool:
        """Whether the scores explain the labels no better than chance could."""
        return self.likelihood_ratio is not None and self.likelihood_ratio < ENOUGH_SIGNAL

    @property
    def numbers(self) -> dict[str, Any]:
        """The map's numbers by name."""
        return self.parameters | {name: value for name in _PLAIN if (value := getattr(self, name)) is not None}

    @property
    def map(self) -> Map:
        """The fitted map."""
        return map_of(self.method, self.numbers)

    def apply(self, scores: ArrayLike, *, group: str | None = None) -> NDArray[np.float64]:
        """Calibrate scores of the artifact's kind, by a group's own map where it has one."""
        own = self.groups.get(group) if group is not None else None
        return (map_of(own.method, own.parameters) if own is not None and own.method is not None else self.map).apply(scores)

    def check(self, *, fingerprint: str, score_source: ScoreSource, prompt_digest: str | None = None) -> None:
        """Refuse to serve another model, another kind of score, or another prompt template.

        Raises
        ------
        CalibrationError
        """
        if self.score_source != score_source:
            raise CalibrationError(
                f"This calibration is for {self.score_source} scores, not for {score_source}.",
                mend="Fit one: guardmed calibrate --model SPEC --source claims --out FILE.",
            )
        if self.model is None or self.model.fingerprint != fingerprint:
            owner = self.model.name if self.model else "unnamed records"
            raise CalibrationError(
                f"This calibration belongs to {owner}, whose fingerprint is not this model's.",
                mend="Fit one for this model: guardmed calibrate --model SPEC --out FILE.",
            )

        if prompt_digest is not None and self.prompt_digest not in (None, prompt_digest):
            raise CalibrationError(
                "This calibration was fitted on prompts of another template.", mend="Fit one for this template: guardmed calibrate --model SPEC --out FILE."
            )

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, self.model_dump(mode="json", exclude_none=True))


def plain(mapping: Map) -> dict[str, Any]:
    """A map's numbers as an artifact's fields hold them."""
    numbers = parameters(mapping)
    own = {name: numbers.pop(name) for name in _PLAIN if name in numbers}
    return {"method": mapping.method, **own, "parameters": numbers}


def load_artifact(path: Path) -> Artifact:
    """Read an artifact.

    Raises
    ------
    DataError
        It is not a calibration artifact of a version that this GuardMed reads.
    """
    try:
        return Artifact.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path} is not a calibration artifact: {describe(error)}.", mend="Write it with guardmed calibrate.") from None
