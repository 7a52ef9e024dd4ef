"""Confidences of the entities OpenMed finds: rows to calibrate, and the ``thresholds.json`` its ``deidentify`` reads.

The optional package ``openmed`` is asked only which of its labels a label is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from guardmed.calibration.fit import MIN_ROWS
from guardmed.calibration.run import Rows
from guardmed.calibration.selective import choose_threshold
from guardmed.errors import CalibrationError, DataError, UsageError
from guardmed.records import Id, Record
from guardmed.stats import clopper_pearson

# What openmed.eval.calibrate (3.1) asks of a file of thresholds.
_SCHEMA, _KIND = 1, "openmed.calibration.thresholds"
# OpenMed's names of detectors that are no model, where its metadata give one source only.
_RULES = frozenset({"locale_rule", "safety_sweep", "custom:deny"})


class EntityRecord(Record):
    """One of OpenMed's ``EntityPrediction`` objects, as its ``to_dict`` writes it, and whether it is right.

    Attributes
    ----------
    label : str
    confidence : float
        In 0 to 1, as OpenMed gave it.
    correct : bool
        Whether the gold standard holds this entity, by whichever rule of matching the thresholds shall keep to.
    document : str, int or float, optional
        Where it was found: entities of one document are resampled together.
    metadata : dict, optional
        OpenMed's own; ``detector_sources`` in it says who found the entity.
    text, start, end : optional
        Never read. The text may be somebody's name: leave it out where it isn't needed.
    """

    id: Id = ""
    label: str = Field(min_length=1)
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    correct: bool
    document: Id | None = None
    metadata: dict[str, Any] | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None

    @property
    def by_rule(self) -> bool:
        """Whether rules alone found it: their confidence is a constant, and says nothing of the model."""
        metadata = self.metadata or {}
        if metadata.get("source") in _RULES or metadata.get("detector") == "custom:deny":
            return True
        sources = metadata.get("detector_sources")
        return isinstance(sources, list) and bool(sources) and "ml" not in sources


def rule_hits(predictions: Sequence[EntityRecord]) -> int:
    """How many entities :func:`entity_rows` leaves out because rules alone found them."""
    return sum(one.by_rule for one in predictions)


def entity_rows(predictions: Sequence[EntityRecord]) -> Rows:
    """Rows of what the model found, alone or together with a rule, in order; rule hits are left out.

    Returns
    -------
    Rows
        Confidences, whether they are right, labels as groups and documents as questions.

    Raises
    ------
    CalibrationError
        Nothing is left.
    DataError
        Some predictions name their document and others don't.
    """
    kept = [one for one in predictions if not one.by_rule]
    if not kept:
        raise CalibrationError(f"None of the {len(predictions)} entities is the model's: rules found them all.", mend="Give entities that a model found.")
    documents = tuple(str(one.document) for one in kept if one.document is not None)
    if documents and len(documents) < len(kept):
        raise DataError(f"{len(kept) - len(documents)} of {len(kept)} entities name no document.", mend="Give document in every record, or in none.")
    values, targets = (np.array([getattr(one, name) for one in kept], dtype=np.float64) for name in ("confidence", "correct"))
    return Rows(values, targets, tuple(one.label for one in kept), documents)


def thresholds(
    rows: Rows,
    *,
    target_precision: float,
    holdout: float = 0.5,
    confidence: float = 0.95,
    model_id: str = "*",
    language: str = "*",
    canonical: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """What ``openmed.deidentify(..., calibration_thresholds_path=...)`` reads: for each label, the confidence from which to redact.

    A label's threshold is the lowest confidence, of 20 like shares of its first rows, from which the Clopper-Pearson
    lower bound of the precision is at least the target; see :func:`guardmed.calibration.selective.choose_threshold`.
    Its precision and recall are then measured on the last rows. Rows are taken as independent.

    Parameters
    ----------
    rows : Rows
        Of :func:`entity_rows`, with raw confidences.
    target_precision : float
        Over 0 and under 1.
    holdout : float
        Share of each label's rows, from the end, that is only measured on.
    confidence : float
        How surely each label's target holds.
    model_id : str
        The model's name as OpenMed gives it in ``model_name``. Where a file names one model only, as here, OpenMed
        takes its thresholds for any other model too.
    language : str
        OpenMed's code of the language that the entities are in, such as ``en`` or ``zh``; ``*`` for any.
    canonical : callable, optional
        OpenMed's own label for a label; ``openmed.core.labels.normalize_label`` if left out. Labels that OpenMed
        holds for the same share one threshold, as do all that it doesn't know (``OTHER``).

    Returns
    -------
    dict
        OpenMed's JSON. ``refused`` says, beside it, which labels have no threshold and why: for those OpenMed keeps to the
        ``confidence_threshold`` it is called with.

    Raises
    ------
    CalibrationError
        A share is out of range, or no label has a threshold.
    UsageError
        ``canonical`` is left out and the package ``openmed`` is not installed.

    Notes
    -----
    Recall is of the entities given: those that were never found can't be counted. OpenMed drops what the model is less
    sure of than ``confidence_threshold`` (0.7 by default) before it looks at any threshold: collect predictions with 0,
    and call ``deidentify`` with less where a lower threshold shall count, which then holds for refused labels too.
    OpenMed holds its rules' hits to the threshold of their label as well; only its safety sweep is not held to any.
    """
    for name, share in (("target_precision", target_precision), ("holdout", holdout), ("confidence", confidence)):
        if not 0.0 < share < 1.0:
            raise CalibrationError(f"{name}={share} is not between 0 and 1.", mend="Choose a share such as 0.95 (0.5 for holdout).")
    name_of = canonical or _openmed_label(language)
    names = {label: name_of(label) for label in dict.fromkeys(rows.groups)}
    named = replace(rows, groups=tuple(names[label] for label in rows.groups))
    chosen: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for label in sorted(set(named.groups)):
        found = _threshold(*named.group(label).split(holdout), target_precision, confidence)
        if isinstance(found, str):
            refused[label] = found
        else:
            chosen.append({"model_id": model_id, "label": label, "language": language, **found})
    if not chosen:
        reasons = "; ".join(f"{label}: {problem}" for label, problem in refused.items())
        raise CalibrationError(f"No label has a threshold. {reasons}.", mend="Give more rows, or a lower target precision.")
    return {
        "schema_version": _SCHEMA,
        "artifact_type": _KIND,
        "model_id": model_id,
        "suite": "guardmed",
        "target_precision": target_precision,
        "confidence_level": confidence,
        "thresholds": {model_id: {one["label"]: {language: one["threshold"]} for one in chosen}},
        "groups": chosen,
        "refused": refused,
    }


def _threshold(fitted: Rows, held: Rows, target: float, confidence: float) -> dict[str, Any] | str:
    """A label's threshold and its figures on the rows held out, or why there is none."""
    for part, use in ((fitted, "choose"), (held, "measure")):
        if len(part) < MIN_ROWS:
            return f"{len(part)} rows to {use} on; {MIN_ROWS} are needed"
    found = choose_threshold(fitted.predictions(None), held.predictions(None), target_risk=1 - target, confidence=confidence)
    if found.threshold is None or found.bound is None:
        return f"{len(fitted)} rows, {fitted.targets.mean():.1%} of them right, vouch for a precision of {target:g} at no confidence"
    kept = held.values >= found.threshold
    right, total = int(held.targets[kept].sum()), int(kept.sum())
    return {
        "threshold": found.threshold,
        "precision_bound": 1 - found.bound,
        "precision": _share(right, total),
        "precision_interval": clopper_pearson(right, total).as_list(),
        "recall": _share(right, int(held.targets.sum())),
        "rows": {"fit": len(fitted), "held_out": len(held)},
    }


def _share(part: int, total: int) -> float | None:
    return part / total if total else None


def _openmed_label(language: str) -> Callable[[str], str]:
    try:
        normalize: Callable[[str, str], str] = importlib.import_module("openmed.core.labels").normalize_label
    except ModuleNotFoundError as error:
        raise UsageError(
            f"OpenMed's own labels are needed, but the package {error.name} is not installed.", mend='Install it: pip install "guardmed[openmed]"'
        ) from error
    return lambda label: normalize(label, language)
