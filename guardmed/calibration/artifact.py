"""The calibration artifact: a small JSON file that says what was fitted, on what, and how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, ValidationError, model_validator

from guardmed.calibration.fit import Method, Platt, Temperature
from guardmed.errors import CalibrationError, DataError
from guardmed.files import read_json, write_json
from guardmed.records import Frozen, describe

ScoreSource = Literal["records", "option_likelihood", "claim_support"]


class ModelRef(Frozen):
    """Which model an artifact belongs to."""

    name: str
    fingerprint: str


class Artifact(Frozen):
    """A fitted calibration with its provenance.

    Attributes
    ----------
    method : {"temperature", "platt"}
    temperature : float or None
    slope, bias : float or None
        Of Platt's logistic.
    score_source : {"records", "option_likelihood", "claim_support"}
        Where the scores came from; a map for one kind of score means nothing for another.
    model : ModelRef or None
        None for records of unknown origin.
    rows : dict
        ``fit`` and ``held_out``.
    data_digest : str
        SHA-256 of the scores and labels, in order.
    metrics : dict
        ``before`` and ``after``, on held-out rows only.
    intervals : dict
        95 % bootstrap intervals of the same, by question.
    groups : dict
        The same metrics for each group of the held-out rows.
    """

    schema_version: Literal[1] = 1
    kind: Literal["calibration"] = "calibration"
    guardmed_version: str
    method: Method
    temperature: float | None = Field(default=None, gt=0)
    slope: float | None = Field(default=None, gt=0)
    bias: float | None = None
    score_source: ScoreSource
    model: ModelRef | None = None
    rows: dict[str, int]
    data_digest: str
    metrics: dict[str, dict[str, Any]]
    intervals: dict[str, dict[str, list[float]]]
    groups: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Artifact:
        if self.method == "temperature" and self.temperature is None:
            raise ValueError("a temperature artifact needs temperature")
        if self.method == "platt" and (self.slope is None or self.bias is None):
            raise ValueError("a platt artifact needs slope and bias")
        return self

    @property
    def map(self) -> Temperature | Platt:
        """The fitted map."""
        if self.temperature is not None:
            return Temperature(self.temperature)
        assert self.slope is not None and self.bias is not None  # by validation
        return Platt(self.slope, self.bias)

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Calibrate scores of the artifact's kind."""
        return self.map.apply(scores)

    def check(self, *, fingerprint: str, score_source: ScoreSource) -> None:
        """Refuse to serve another model, or another kind of score.

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

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_json(path, self.model_dump(mode="json", exclude_none=True))


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
