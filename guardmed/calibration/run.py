"""From scored rows to an artifact: split, fit, measure on what was held out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.artifact import Artifact, ModelRef, ScoreSource
from guardmed.calibration.fit import MIN_ROWS, Method, Platt, Temperature, fit_platt, fit_temperature
from guardmed.calibration.metrics import Predictions
from guardmed.errors import CalibrationError
from guardmed.files import digest_bytes
from guardmed.version import VERSION

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Scored rows, in order.

    Attributes
    ----------
    values : float64 array
        Class probabilities of shape (rows, classes), padded with zeros where rows have fewer
        options; or scores of shape (rows,).
    targets : array of shape (rows,)
        Labels, or 1 for right and 0 for wrong.
    groups : tuple of str
        One for each row, or none.
    """

    values: Float
    targets: NDArray[np.float64]
    groups: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop``."""
        return Rows(self.values[start:stop], self.targets[start:stop], self.groups[start:stop])

    def predictions(self, mapping: Temperature | Platt | None) -> Predictions:
        """What metrics need, after a map or as the rows are."""
        if self.values.ndim == 2:
            raw = self.values / self.values.sum(axis=1, keepdims=True)
            probs = raw if mapping is None else mapping.apply(raw)
            return Predictions.from_classes(probs, self.targets.astype(np.int64))
        scores = self.values if mapping is None else mapping.apply(self.values)
        return Predictions.from_scores(scores, self.targets)


@dataclass(frozen=True)
class Result:
    """An artifact, and the held-out predictions it was measured on."""

    artifact: Artifact
    before: Predictions
    after: Predictions


def calibrate(rows: Rows, *, method: Method, holdout: float, score_source: ScoreSource, model: ModelRef | None = None, seed: int = 0) -> Result:
    """Fit on the first rows, measure on the last.

    Parameters
    ----------
    rows : Rows
    method : {"temperature", "platt"}
    holdout : float
        Share of the rows, from the end of the file, that is only measured on.
    score_source, model : what the scores are of
    seed : int
        Of the bootstrap.

    Raises
    ------
    CalibrationError
        The rows don't fit the method, or can't be calibrated.
    """
    if not 0.0 < holdout < 1.0:
        raise CalibrationError(f"holdout={holdout} leaves nothing to fit or nothing to measure.", mend="Choose a share between 0 and 1, such as 0.5.")
    if (rows.values.ndim == 2) != (method == "temperature"):
        needs = "probs and label" if method == "temperature" else "score and correct"
        raise CalibrationError(f"The method {method} takes {needs}.", mend="Use temperature for class probabilities, platt for scores.")
    cut = len(rows) - round(len(rows) * holdout)
    fit_part, held = rows.part(0, cut), rows.part(cut, len(rows))
    if len(held) < MIN_ROWS:
        raise CalibrationError(f"{len(held)} rows are held out; at least {MIN_ROWS} are needed to measure on.", mend="Give more rows, or a larger --holdout.")
    mapping: Temperature | Platt = (
        fit_temperature(fit_part.values, fit_part.targets) if method == "temperature" else fit_platt(fit_part.values, fit_part.targets)
    )
    before, after = held.predictions(None), held.predictions(mapping)
    artifact = Artifact(
        guardmed_version=VERSION,
        method=method,
        temperature=mapping.temperature if isinstance(mapping, Temperature) else None,
        slope=mapping.slope if isinstance(mapping, Platt) else None,
        bias=mapping.bias if isinstance(mapping, Platt) else None,
        score_source=score_source,
        model=model,
        rows={"fit": len(fit_part), "held_out": len(held)},
        data_digest=digest_bytes(np.ascontiguousarray(rows.values).tobytes() + np.ascontiguousarray(rows.targets).tobytes()),
        metrics={"before": before.measure().as_dict(), "after": after.measure().as_dict()},
        intervals={"before": before.intervals(seed=seed), "after": after.intervals(seed=seed)},
        groups=_by_group(held, mapping),
    )
    return Result(artifact, before, after)


def _by_group(held: Rows, mapping: Temperature | Platt) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """Metrics for each group of the held-out rows that has enough of them to mean anything."""
    out = {}
    names = np.array(held.groups)
    for name in dict.fromkeys(held.groups):
        index = np.flatnonzero(names == name)
        if len(index) >= MIN_ROWS:
            part = Rows(held.values[index], held.targets[index])
            out[name] = {"before": part.predictions(None).measure().as_dict(), "after": part.predictions(mapping).measure().as_dict()}
    return out
