"""Asks a model every variant of an audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from guardmed.audit.analyse import Observation, Settings, analyse
from guardmed.audit.definition import Definition, Variant, variants
from guardmed.audit.report import AuditReport
from guardmed.models.base import LanguageModel

Advance = Callable[[int], None]
_BATCH = 32


def audit_model(
    model: LanguageModel, definition: Definition, *, axes: Sequence[str] = (), limit: int | None = None, advance: Advance | None = None
) -> tuple[AuditReport, list[Observation]]:
    """Run a definition and analyse what came back; parameters as of :func:`run_definition`."""
    observations = run_definition(model, definition, axes=axes, limit=limit, advance=advance)
    settings = Settings(margin=definition.margin, alpha=definition.alpha, references={axis.id: axis.reference for axis in definition.axes})
    report = AuditReport(
        title=definition.title["en"],
        definition=definition.id,
        definition_digest=definition.digest,
        model=model.name,
        model_fingerprint=model.fingerprint,
        margin=definition.margin,
        alpha=definition.alpha,
        seed=settings.seed,
        observations=len(observations),
        axes=analyse(observations, settings),
    )
    return report, observations


def run_definition(
    model: LanguageModel, definition: Definition, *, axes: Sequence[str] = (), limit: int | None = None, advance: Advance | None = None
) -> list[Observation]:
    """Probability and choice of the favourable option, for every variant.

    Each question is asked in both orders of its options and averaged, because a model that prefers
    what is named first would otherwise look as if it preferred a group. Decoding is by likelihood,
    so the same prompt always gives the same answer and the noise floor is zero.

    Parameters
    ----------
    model : LanguageModel
    definition : Definition
    axes : sequence of str
        Only these; all when empty.
    limit : int, optional
        Only so many vignettes, from the start.
    advance : callable, optional
        Told how many variants were done.
    """
    kept = {vignette.id for vignette in definition.vignettes[:limit]}
    chosen = [variant for variant in variants(definition) if variant.vignette in kept and (not axes or variant.axis in axes)]
    # Alike prompts stand together: what a batch shares is read once.
    chosen.sort(key=lambda variant: (variant.language, len(variant.text)))
    observations: list[Observation] = []
    for at in range(0, len(chosen), _BATCH):
        batch = chosen[at : at + _BATCH]
        prompts = [prompt(variant, reverse) for variant in batch for reverse in (False, True)]
        found = model.choose(prompts, [list(variant.options) for variant in batch for _ in range(2)])
        for index, variant in enumerate(batch):
            pair = [np.exp(logprobs - np.logaddexp.reduce(logprobs))[variant.favourable] for logprobs in found[2 * index : 2 * index + 2]]
            probability = float(np.mean(pair))
            observations.append(
                Observation(
                    item=variant.item,
                    axis=variant.axis,
                    group=variant.group,
                    outcomes={"favourable_probability": probability, "favourable_choice": float(probability > 0.5)},
                    language=variant.language,
                    expected=variant.expected,
                )
            )
        if advance:
            advance(len(batch))
    return sorted(observations, key=lambda row: (row.axis, row.item, row.group))


def count_variants(definition: Definition, *, axes: Sequence[str] = (), limit: int | None = None) -> int:
    """How many variants a run asks."""
    kept = {vignette.id for vignette in definition.vignettes[:limit]}
    return sum(variant.vignette in kept and (not axes or variant.axis in axes) for variant in variants(definition))


def prompt(variant: Variant, reverse: bool) -> str:
    """The text a model is asked, with its options in one order or the other."""
    first, second = reversed(variant.options) if reverse else variant.options
    ask = f"请只回答“{first}”或“{second}”。" if variant.language == "zh" else f"Answer {first} or {second}."
    return f"{variant.text}\n{variant.question} {ask}" if variant.language == "en" else f"{variant.text}\n{variant.question}{ask}"
