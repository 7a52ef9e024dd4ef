"""What a guarded model believes of its own answer: samples, claim checks, thresholds, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from guardmed.calibration.artifact import Artifact
from guardmed.claims import CheckedClaim, check_claims, split_claims
from guardmed.claims.conformal import ConformalThresholds
from guardmed.claims.consistency import consistency
from guardmed.claims.outcome import Shaped, shape
from guardmed.claims.sampling import STAGES, Stopping, answer_and_samples, draw, settled_when
from guardmed.guard.settings import GuardSettings
from guardmed.models.base import Generation, LanguageModel, Prompt, Sampling

if TYPE_CHECKING:
    from guardmed.claims.nli import Nli

_NEEDS_SAMPLES = frozenset({"consistency", "likelihood", "nli"})


@dataclass(frozen=True)
class Answer:
    """An answer, and other answers to the same prompt that were drawn along with it."""

    generation: Generation
    samples: tuple[Generation, ...] = ()


@dataclass(frozen=True)
class Belief:
    """Checks the claims of a model's answers.

    Parameters
    ----------
    model : LanguageModel
    settings : GuardSettings
    calibration : Artifact, optional
        From fused support to a probability.
    thresholds : ConformalThresholds, optional
        From support to verdicts; those of the fusion without.
    nli : Nli, optional
        For the check of that name.
    """

    model: LanguageModel
    settings: GuardSettings
    calibration: Artifact | None = None
    thresholds: ConformalThresholds | None = None
    nli: Nli | None = None

    @property
    def samples(self) -> bool:
        """Whether any check needs other answers."""
        return bool(_NEEDS_SAMPLES & set(self.settings.checks))

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Answer]:
        """One answer to each prompt; where samples are needed and it is greedy, the first of them from the same batch."""
        if not self.samples or sampling.temperature > 0:
            return [Answer(found[0]) for found in self.model.generate(prompts, sampling)]
        drawn = [answer_and_samples(self.model, prompt, self._drawing(sampling), self._stages[0]) for prompt in prompts]
        return [Answer(greedy, tuple(samples)) for greedy, samples in drawn]

    def claims(self, prompt: Prompt, answer: Answer, sampling: Sampling, *, question: str, language: str) -> list[CheckedClaim]:
        """Every claim of an answer, scored and judged."""
        text = answer.generation.text
        claims = split_claims(text, question=question)
        texts = [claim.statement for claim in claims]
        samples: list[str] = []
        if self.samples and claims:
            rule = Stopping(stages=self._stages)
            # A sample's vote is read by itself: what the others say must not sway it.
            settled = settled_when(lambda new: [[vote or 0.0 for vote in consistency(texts, [one], context=question)] for one in new], rule)
            drawn = draw(self.model, prompt, self._drawing(sampling), stages=self._stages, settled=settled, drawn=answer.samples)
            samples = [one.text for one in drawn]
        artifact, bands = self.calibration, self.thresholds
        return check_claims(
            claims,
            model=self.model,
            prompt=prompt,
            answer=text,
            tokens=answer.generation.scores,
            samples=samples,
            state=answer.generation.state,
            checks=self.settings.checks,
            nli=self.nli,
            calibrate=(lambda support: float(artifact.apply([support])[0])) if artifact is not None else None,
            judge=bands.band(language).verdict if bands is not None else None,
        )

    def shaped(self, text: str, claims: Sequence[CheckedClaim], *, language: str) -> Shaped:
        """What is left of an answer, by the settings' ``on_unsupported``."""
        action = self.settings.on_unsupported
        if action == "caveat":
            return Shaped(text, "whole", (), tuple(claims))
        return shape(text, claims, action=action, keep_at_least=self.settings.keep_at_least, language=language, cut_uncertain=self.thresholds is not None)

    @property
    def _stages(self) -> tuple[int, ...]:
        """Up to as many samples as the settings allow."""
        most = self.settings.samples
        if self.thresholds is not None:
            return (most,)  # they were taken with all samples, and hold for no fewer
        return (*(stage for stage in STAGES[1:] if stage < most), most)

    def _drawing(self, sampling: Sampling) -> Sampling:
        given: dict[str, Any] = {"temperature": sampling.temperature or 1.0, "seed": sampling.seed or 0}
        return replace(sampling, **given)


def confidence(claims: Sequence[CheckedClaim]) -> float | None:
    """Support of the least supported fact; ``None`` where nothing could be measured."""
    return min((claim.support for claim in claims if claim.scores and claim.kind in ("fact", "hedged")), default=None)
