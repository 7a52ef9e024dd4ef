"""From a definition and a model to a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.ask import Advance, Interview
from guardmed.audit.definition import Definition
from guardmed.audit.outcomes import FLOORS, margins, roles
from guardmed.audit.properties import properties
from guardmed.audit.report import AuditReport, System
from guardmed.audit.selection import Selection
from guardmed.audit.store import AnswerStore, answer_store
from guardmed.audit.table import Observation, Value
from guardmed.audit.variants import Variant
from guardmed.calibration.artifact import Artifact
from guardmed.decision import Decision
from guardmed.errors import CalibrationError
from guardmed.policy.refusal import classify_refusal


def repeats_of(definition: Definition, selection: Selection) -> Callable[[Variant], int]:
    """How often a variant is asked: the reference group of an axis more than once."""
    references = {axis.id: axis.reference for axis in definition.axes}
    return lambda variant: selection.repeats if references.get(variant.axis) == variant.group else 1


def audit_model(
    interview: Interview,
    definition: Definition,
    *,
    selection: Selection | None = None,
    calibration: Artifact | None = None,
    store: AnswerStore | None = None,
    advance: Advance | None = None,
) -> tuple[AuditReport, list[Observation]]:
    """Ask a model everything and analyse what came back.

    Parameters
    ----------
    interview : Interview
        The model, its guard, and how answers are drawn.
    definition : Definition
    selection : Selection, optional
        All of it when missing.
    calibration : Artifact, optional
        Of this model's option likelihoods; without one, confidence is the raw probability.
    store : AnswerStore, optional
        Where answers are kept and found; see :func:`model_store`.
    advance : callable, optional
        Told how many distinct prompts were done.

    Raises
    ------
    CalibrationError
        The calibration belongs to another model or another kind of score.
    """
    selection = selection or Selection()
    if calibration is not None:
        calibration.check(fingerprint=interview.model.fingerprint, score_source="option_likelihood")
        if not interview.model.capabilities.logprobs:
            raise CalibrationError(
                f"{interview.model.name} gives no log-probabilities; the calibration is of those.",
                mend="Leave the calibration out: shares of samples are not likelihoods.",
            )
    store = store if store is not None else AnswerStore()
    told = selection.variants(definition)
    repeats = repeats_of(definition, selection)
    interview.run(interview.plan(told, repeats=repeats), store, advance=advance)
    observations = _observations(interview, definition, told, repeats, store, calibration)
    settings = settings_of(definition, observations)
    report = AuditReport.of(
        observations,
        analyse(observations, settings),
        settings,
        definition=definition,
        system=System.of(interview, selection, calibrated=calibration is not None),
    )
    return report, observations


def settings_of(definition: Definition, observations: Sequence[Observation]) -> Settings:
    """How answers to a definition are judged: its margins, references and roles."""
    return Settings(
        margin=definition.margin,
        alpha=definition.alpha,
        references={axis.id: axis.reference for axis in definition.axes},
        margins=margins({name for row in observations for name in row.outcomes}, given=definition.margins),
        roles=roles(secondary=definition.secondary),
        floors=FLOORS,
    )


def count_prompts(interview: Interview, definition: Definition, selection: Selection) -> int:
    """How many distinct prompts a run asks, repeats included."""
    return sum(map(len, interview.plan(selection.variants(definition), repeats=repeats_of(definition, selection))))


def model_store(interview: Interview, folder: Path) -> AbstractContextManager[AnswerStore]:
    """The journal of one model's answers in a folder, as a context manager."""
    return answer_store(folder, interview.model.fingerprint.removeprefix("sha256:")[:24])


def _observations(
    interview: Interview,
    definition: Definition,
    told: Sequence[Variant],
    repeats: Callable[[Variant], int],
    store: AnswerStore,
    calibration: Artifact | None,
) -> list[Observation]:
    fingerprint, guard = interview.model.fingerprint, interview.guard_digest
    rows: list[Observation] = []
    for variant in told:
        for repeat in range(repeats(variant)):
            answer = store[interview.key(variant, repeat, fingerprint=fingerprint, guard=guard)]
            outcomes = measured(variant, answer, calibration)
            row = Observation(
                item=variant.item,
                axis=variant.axis,
                group=variant.group,
                outcomes=outcomes,
                language=variant.language,
                repeat=repeat,
                cluster=variant.vignette,
                prompt=variant.body(),
                answer=answer.get("answer", ""),
            )
            rows += parted(row, definition.excused(variant.vignette, variant.axis, variant.group, outcomes))
    return sorted(rows, key=lambda row: (row.axis, row.item, row.group, row.repeat, row.expected))


def parted(row: Observation, right: frozenset[str]) -> list[Observation]:
    """A row, or two where some of its outcomes may rightly differ."""
    parts = [({name: value for name, value in row.outcomes.items() if (name in right) is expected}, expected) for expected in (False, True)]
    return [replace(row, outcomes=outcomes, expected=expected) for outcomes, expected in parts if outcomes]


def measured(variant: Variant, answer: dict[str, Any], calibration: Artifact | None = None) -> dict[str, Value]:
    """Outcomes of one answer.

    ``care`` is that among the options; how often the model names one of them at all is ``answered``.
    Under a guard that stops the prompt the person gets no option: no care, and nothing right.
    """
    if variant.kind == "open":
        return _of_text(variant, answer)
    shares, stopped = np.array(answer["shares"]), answer.get("stopped", False)
    out: dict[str, Value] = {"stopped": float(stopped)} if "stopped" in answer else {}
    mass = float(shares.sum())
    named = float(answer.get("answered", mass))
    answered = not stopped and mass > 0
    out["answered"] = 0.0 if stopped else min(1.0, named)
    shares = shares / mass if answered else shares
    if (given := _care(variant, shares)) is not None and (answered or stopped):
        out["care"] = 0.0 if stopped else given
    if variant.favourable is not None:
        out["favourable_choice"] = float(not stopped and _leads(shares, variant.favourable))
    if variant.kind == "rating" and answered:
        out["rating_choice"] = float(shares.argmax())
    if answered and (calibration is not None or variant.correct is not None):
        probabilities = shares if calibration is None else np.asarray(calibration.apply([shares]))[0]
        out["confidence"] = float(np.max(probabilities))
    if variant.correct is not None:
        out["correct"] = float(not stopped and _leads(shares, variant.correct))
    return out


def _care(variant: Variant, shares: NDArray[np.float64]) -> float | None:
    """How much care shares of the options come to; None for a choice that has only a right answer."""
    if variant.kind == "rating":
        return float(shares @ np.arange(len(shares)) / (len(shares) - 1))
    return float(shares[variant.favourable]) if variant.favourable is not None else None


def _leads(shares: NDArray[np.float64], place: int) -> bool:
    """Whether an option is chosen over every other; an even split chooses none."""
    return bool(shares[place] > np.delete(shares, place).max())


def _of_text(variant: Variant, answer: dict[str, Any]) -> dict[str, Value]:
    text = answer["answer"]
    decision = Decision(answer["decision"]) if "decision" in answer else None
    refused = (decision is not None and decision.stops) or classify_refusal(text).refusal == "full"
    out: dict[str, Value] = {f"refusal_{variant.intent}" if variant.intent else "refusal": float(refused)}
    if decision is not None:
        out["stopped"] = float(decision.stops)
    if answer.get("confidence") is not None:
        out["confidence"] = float(answer["confidence"])
    return out | dict(properties(text, language=variant.language))
