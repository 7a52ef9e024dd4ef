"""GuardedModel: a prompt goes in, a checked answer comes out, and nothing unchecked in between."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, overload

from guardmed.calibration.artifact import Artifact, load_artifact
from guardmed.calibration.scoring import prompt_digest
from guardmed.claims import CheckedClaim, support_source
from guardmed.claims.conformal import ConformalThresholds, load_thresholds
from guardmed.claims.nli import load_nli
from guardmed.claims.outcome import Shaped
from guardmed.decision import Decision, strictest
from guardmed.errors import GuardMedError, UsageError
from guardmed.files import digest_value
from guardmed.guard.belief import Answer, Belief, confidence
from guardmed.guard.messages import say
from guardmed.guard.response import GuardedResponse
from guardmed.guard.settings import GuardSettings
from guardmed.models.base import Generation, LanguageModel, Message, Prompt, Sampling
from guardmed.models.prompting import as_messages
from guardmed.policy import Backends, Policy, RuleHit, Stage, Verdict, load_policy
from guardmed.policy.phi import Identifier, redact
from guardmed.policy.similar import SentenceEncoder
from guardmed.spans import span
from guardmed.text import Span, language, sentences

log = logging.getLogger(__name__)
T = TypeVar("T")
_SAMPLING_KEYWORDS = {"max_new_tokens", "temperature", "top_p", "top_k", "seed", "stop"}


class CheckFailed(Exception):
    """A check raised; carries which one. The text it was about must not be shown."""


class GuardedModel:
    """A language model behind clinical policies, claim checks and a confidence.

    Parameters
    ----------
    model : LanguageModel
    policy : str or Policy
        Packs by name or folder, comma-separated; or a compiled policy.
    calibration : str, Path or Artifact, optional
        A claim-support calibration of this very model.
    thresholds : str, Path or ConformalThresholds, optional
        Support from which a claim counts as supported, with a guarantee for whole answers.
    settings : GuardSettings, optional

    Raises
    ------
    PolicyError, CalibrationError
        The policy is unknown or broken; the calibration belongs to another model.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        policy: str | Policy = "clinical",
        calibration: str | Path | Artifact | None = None,
        thresholds: str | Path | ConformalThresholds | None = None,
        settings: GuardSettings | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or GuardSettings()
        self.policy: Policy = load_policy(policy, backends=self._backends()) if isinstance(policy, str) else policy
        self.calibration = load_artifact(Path(calibration)) if isinstance(calibration, (str, Path)) else calibration
        if self.calibration is not None:
            self.calibration.check(fingerprint=model.fingerprint, score_source="claim_support", prompt_digest=prompt_digest("claim_support"))
        self.thresholds = load_thresholds(Path(thresholds)) if isinstance(thresholds, (str, Path)) else thresholds
        self._nli = load_nli(self.settings.nli) if self.settings.nli else None
        if self.thresholds is not None:
            reader = self._nli.fingerprint if self._nli is not None else ""
            self.thresholds.check(score_source=support_source(self.settings.checks, samples=self.settings.samples, model=model.fingerprint, nli=reader))

    @property
    def _belief(self) -> Belief:
        return Belief(self.model, self.settings, self.calibration, self.thresholds, self._nli)

    @property
    def digest(self) -> str:
        """SHA-256 of policy, settings and calibration: everything that decides beside the model."""
        artifact = self.calibration.model_dump(mode="json") if self.calibration is not None else None
        bands = self.thresholds.model_dump(mode="json") if self.thresholds is not None else None
        return digest_value([self.policy.digest, self.settings.model_dump(mode="json"), artifact, *([bands] if bands else [])])

    def _backends(self) -> Backends:
        """What rules may lean on: the guarded model as judge, and the encoder of the settings."""
        return Backends(encoder=SentenceEncoder(self.settings.encoder) if self.settings.encoder else None, judge=self.model)

    @classmethod
    def from_pretrained(cls, spec: str, *, adapter: str | Path | None = None, trust_remote_code: bool = False, **options: Any) -> GuardedModel:
        """Load a model and guard it; options are those of the class."""
        from guardmed.models import load_model

        return cls(load_model(spec, adapter=adapter, trust_remote_code=trust_remote_code), **options)

    @overload
    def generate(self, prompts: str, **keywords: Any) -> GuardedResponse: ...
    @overload
    def generate(self, prompts: Sequence[Message], **keywords: Any) -> GuardedResponse: ...
    @overload
    def generate(self, prompts: Sequence[str] | Sequence[Sequence[Message]], **keywords: Any) -> list[GuardedResponse]: ...

    def generate(self, prompts: Any, **keywords: Any) -> Any:
        """Answer a prompt, a conversation, or a list of either.

        Parameters
        ----------
        prompts : str, sequence of messages, or sequence of these
        **keywords
            As of transformers' ``generate``: ``max_new_tokens``, ``do_sample``, ``temperature``,
            ``top_p``, ``top_k``, ``repetition_penalty`` and so on; also ``seed`` and ``stop``.

        Returns
        -------
        GuardedResponse, or a list of them for a list.

        Raises
        ------
        UsageError
            An empty or malformed prompt, one longer than the model can read, or a keyword that a
            guarded generation can't take.
        """
        with span("generate", model=self.model.name, policy=self.policy.digest):
            return self._generated(prompts, keywords)

    async def agenerate(self, prompts: Any, **keywords: Any) -> Any:
        """:meth:`generate` in a thread of its own, for an event loop; the same engine, the same answers."""
        return await asyncio.to_thread(lambda: self.generate(prompts, **keywords))

    def _generated(self, prompts: Any, keywords: dict[str, Any]) -> Any:
        single = _is_single(prompts)
        batch: list[Prompt] = [prompts] if single else list(prompts)
        for prompt in batch:
            as_messages(prompt)
        responses = self._generate(batch, sampling_from(keywords))
        return responses[0] if single else responses

    def stream(self, prompt: Prompt, **keywords: Any) -> Generator[str]:
        """Sentences of one answer, each released only after it was checked.

        Ends with what is said instead when a sentence breaks the policy; sentences before it were
        harmless by themselves and are already out. Claim checks need the whole answer and come with
        :meth:`generate` only.

        Raises
        ------
        UsageError
            The settings do something about claims without support, which a stream can't.
        """
        if self.settings.on_unsupported != "caveat":
            doing = self.settings.on_unsupported
            raise UsageError(f"A stream can't {doing} claims: they are checked once the answer is whole.", mend="Use generate, or on_unsupported='caveat'.")
        as_messages(prompt)
        asked = self._checked_prompt(prompt)
        if isinstance(asked, GuardedResponse):
            yield asked.text
            return
        sampling = sampling_from(keywords)
        text = ""
        released = 0
        lang = language(_user_text(prompt))
        pieces = self.model.stream(prompt, sampling)
        try:
            while True:
                try:
                    piece = self._guarded("generate", lambda: next(pieces, None))
                except CheckFailed:
                    yield say("check_failed", lang)
                    return
                final = piece is None or isinstance(piece, Generation)
                text = piece.text if isinstance(piece, Generation) else text + (piece or "")
                ready = _checkable(text, final)
                if ready > released:
                    shown, stop = self._released(text, released, ready, lang)
                    if shown:
                        yield shown
                    if stop:
                        return
                    released = ready
                if final:
                    for caution in self.policy.cautions(asked):
                        yield f"\n\n{caution}"
                    return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    async def astream(self, prompt: Prompt, **keywords: Any) -> AsyncIterator[str]:
        """:meth:`stream` for an event loop: each sentence is made and checked in a thread."""
        pieces = self.stream(prompt, **keywords)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece
        finally:
            await asyncio.to_thread(pieces.close)

    def _released(self, text: str, start: int, end: int, lang: str) -> tuple[str, bool]:
        """What may be shown of the next part of a stream, and whether the stream ends there."""
        try:
            # Rules may look across sentences, so what is already out is read again with the new.
            verdict = self._policy(text[:end], Stage.OUTPUT)
            part = self._policy(text[start:end], Stage.OUTPUT)
        except CheckFailed:
            return say("check_failed", lang), True
        if verdict.decision.stops:
            return ("\n\n" if start else "") + verdict.text, True
        if verdict.decision is Decision.REDACT and part.decision < Decision.REDACT:
            return redact(text[start:end], list(part.identifiers)), False
        return part.text, False

    def _generate(self, prompts: list[Prompt], sampling: Sampling) -> list[GuardedResponse]:
        started = time.perf_counter()
        responses = [self._checked_prompt(prompt) for prompt in prompts]
        open_rows = {index: asked for index, asked in enumerate(responses) if isinstance(asked, Verdict)}
        if open_rows:
            try:
                with span("model", prompts=len(open_rows)):
                    answers = self._guarded("generate", lambda: self._belief.answers([prompts[index] for index in open_rows], sampling))
                for (index, asked), answer in zip(open_rows.items(), answers, strict=True):
                    responses[index] = self._checked_answer(prompts[index], asked, answer, sampling)
            except CheckFailed as error:
                for index in open_rows:
                    responses[index] = self._failed(prompts[index], str(error))
        elapsed = (time.perf_counter() - started) * 1000
        return [replace(response, latency_ms=elapsed) for response in responses if isinstance(response, GuardedResponse)]

    def _checked_prompt(self, prompt: Prompt) -> GuardedResponse | Verdict:
        """The response that ends here, or what the policy says of a prompt that may be answered."""
        text = _user_text(prompt)
        lang = language(text)
        if lang == "und" and not any(char.isdigit() for char in text):
            return self._response(Decision.ABSTAIN, say("no_text", lang), "input", lang, reasons=("the prompt holds no words",))
        try:
            verdict = self._policy(text, Stage.INPUT)
        except CheckFailed as error:
            return self._failed(prompt, str(error))
        if not verdict.decision.stops:
            return verdict
        return self._response(verdict.decision, verdict.text, "input", lang, reasons=_reasons(verdict), rules=verdict.hits)

    def _checked_answer(self, prompt: Prompt, asked: Verdict, answer: Answer, sampling: Sampling) -> GuardedResponse:
        said, lang = answer.generation.text, language(_user_text(prompt))
        try:
            verdict = self._policy(said, Stage.OUTPUT)
            if verdict.decision.stops:
                return self._response(verdict.decision, verdict.text, "output", lang, reasons=_reasons(verdict), rules=verdict.hits)
            with span("claims") as step:
                claims = self._guarded("claims", lambda: self._belief.claims(prompt, answer, sampling, question=_user_text(prompt), language=lang))
                shaped = self._guarded("claims", lambda: self._belief.shaped(said, claims, language=lang))
                step.set(claims=len(claims))
            if shaped.state in ("marked", "cut"):
                # What is left is another text, and it is that text that leaves: it is checked as a whole again.
                verdict = self._policy(shaped.text, Stage.OUTPUT)
                if verdict.decision.stops:
                    return self._response(verdict.decision, verdict.text, "output", lang, reasons=_reasons(verdict), rules=verdict.hits)
        except CheckFailed as error:
            return self._failed(prompt, str(error))
        return self._decided(asked, verdict, shaped, lang)

    def _policy(self, text: str, stage: Stage) -> Verdict:
        """What the policy says of a prompt or an answer; ``CheckFailed`` where it can't say."""
        with span("policy", stage=stage.value, text=text if self.settings.trace_text else None) as step:
            verdict = self._guarded("policy", lambda: self.policy.check(text, stage=stage))
            step.set(decision=verdict.decision.value, rules=[hit.id for hit in verdict.hits], language=verdict.language)
            return verdict

    def _decided(self, asked: Verdict, verdict: Verdict, shaped: Shaped, lang: str) -> GuardedResponse:
        """Join what the policy says of prompt and answer, and what the claims say."""
        rules, sure = (*asked.hits, *verdict.hits), confidence(shaped.kept)
        decision, reasons = strictest([asked.decision, verdict.decision]), (*_reasons(asked), *_reasons(verdict))
        if shaped.state == "nothing left":
            return self._abstained("too little of the answer could be supported", reasons, rules, confidence(shaped.removed), lang)
        if sure is not None and sure < self.settings.abstain_below:
            return self._abstained(f"confidence {sure:.2f} is under {self.settings.abstain_below:.2f}", reasons, rules, sure, lang)
        text, notes = "\n\n".join([verdict.text, *self.policy.cautions(asked)]), []
        stage = "output" if verdict.hits else "input" if asked.hits else "answered"
        if sure is None or sure < self.settings.caveat_below:
            measured = "nothing in it could be measured" if sure is None else f"confidence {sure:.2f} is under {self.settings.caveat_below:.2f}"
            notes.append((measured, "caveat"))
        if shaped.state == "cut":
            notes.append((f"{len(shaped.removed)} claims without support were left out", "cut"))
        for reason, message in notes:
            reasons, text = (*reasons, reason), f"{text}\n\n{say(message, lang)}"
        if notes and decision < Decision.CAVEAT:
            decision, stage = Decision.CAVEAT, "claims"
        claims = shaped.kept
        if verdict.decision is Decision.REDACT:
            claims = tuple(_masked(claim, shaped.text, verdict.identifiers) for claim in claims)
        return self._response(decision, text, stage, lang, reasons=reasons, rules=rules, claims=claims, confidence=sure)

    def _abstained(self, why: str, reasons: tuple[str, ...], rules: tuple[RuleHit, ...], sure: float | None, lang: str) -> GuardedResponse:
        return self._response(Decision.ABSTAIN, say("abstain", lang), "claims", lang, reasons=(why, *reasons), rules=rules, confidence=sure)

    def _response(self, decision: Decision, text: str, stage: Any, lang: str, **rest: Any) -> GuardedResponse:
        calibrated = self.calibration is not None and rest.get("confidence") is not None
        return GuardedResponse(
            decision=decision, text=text, stage=stage, language=lang, model=self.model.name, policy_digest=self.policy.digest, calibrated=calibrated, **rest
        )

    def _failed(self, prompt: Prompt, reason: str) -> GuardedResponse:
        lang = language(_user_text(prompt))
        return self._response(Decision.REFUSE, say("check_failed", lang), "check_failed", lang, reasons=(f"check_failed: {reason}",))

    @staticmethod
    def _guarded(what: str, check: Callable[[], T]) -> T:
        """Run a check; whatever it raises, other than what the user can mend, becomes a refusal."""
        try:
            return check()
        except UsageError:
            raise
        except GuardMedError as error:
            log.error("%s failed: %s", what, error.problem)
            raise CheckFailed(what) from error
        except Exception as error:
            # The message may quote the prompt, which has no place in a log.
            log.error("%s failed: %s", what, type(error).__name__)
            raise CheckFailed(what) from error


def wrap(model: Any, tokenizer: Any, **options: Any) -> GuardedModel:
    """Guard a transformers model that is already in memory; options are those of the class."""
    from guardmed.models.transformers_model import TransformersModel

    name = getattr(model.config, "name_or_path", "") or type(model).__name__
    return GuardedModel(TransformersModel(model, tokenizer, name=name), **options)


def sampling_from(keywords: dict[str, Any]) -> Sampling:
    """Translate keywords of transformers' ``generate``.

    Raises
    ------
    UsageError
        More than one answer was asked for: a guarded answer is one answer.
    """
    known = {name: value for name, value in keywords.items() if name in _SAMPLING_KEYWORDS and value is not None}
    extra = {name: value for name, value in keywords.items() if name not in _SAMPLING_KEYWORDS}
    if extra.pop("num_return_sequences", 1) != 1:
        raise UsageError("A guarded answer is one answer.", mend="Leave num_return_sequences out, and call again for more.")
    if "max_length" in extra:
        raise UsageError("max_length counts the prompt as well.", mend="Use max_new_tokens.")
    do_sample = extra.pop("do_sample", None)
    if do_sample is False:
        known["temperature"] = 0.0
    elif do_sample and not known.get("temperature"):
        known["temperature"] = 1.0
    if isinstance(known.get("stop"), str):
        known["stop"] = (known["stop"],)
    known["stop"] = tuple(known.get("stop", ())) + tuple(extra.pop("stop_strings", ()) or ())
    return Sampling(**known, extra=extra)


def _masked(claim: CheckedClaim, answer: str, identifiers: Sequence[Identifier]) -> CheckedClaim:
    """A claim that quotes no more of an answer than may be shown."""
    inside = [one for one in identifiers if one.span.start < claim.end and claim.start < one.span.end]
    if not inside:
        return claim
    moved = [replace(one, span=Span(max(one.span.start, claim.start) - claim.start, min(one.span.end, claim.end) - claim.start)) for one in inside]
    return replace(claim, text=redact(answer[claim.start : claim.end], moved))


def _is_single(prompts: Any) -> bool:
    if isinstance(prompts, str):
        return True
    if not isinstance(prompts, Sequence) or not prompts:
        raise UsageError("Nothing to answer.", mend="Give a prompt, a list of messages, or a list of either.")
    return isinstance(prompts[0], dict)


def _user_text(prompt: Prompt) -> str:
    """Everything the user said: a request may be spread over turns."""
    return prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt if message["role"] == "user")


def _checkable(text: str, final: bool) -> int:
    """How many characters of a growing text form whole sentences."""
    if final:
        return len(text)
    spans = sentences(text)
    return spans[-1].start if len(spans) > 1 else 0


def _reasons(verdict: Verdict) -> tuple[str, ...]:
    return tuple(f"{hit.title} ({hit.detail})" if hit.detail else hit.title for hit in verdict.hits)
