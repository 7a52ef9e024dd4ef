"""What the threads do: ask the guard, alone or for several at once, and hand over nothing that it did not release."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from guardmed.decision import Decision, strictest
from guardmed.errors import UsageError
from guardmed.guard import GuardedModel, GuardedResponse
from guardmed.guard.messages import say
from guardmed.models.base import Generation, LanguageModel, Prompt, Sampling
from guardmed.policy import Policy, Stage, Verdict
from guardmed.serve.errors import unusable
from guardmed.serve.logs import told
from guardmed.serve.workers import Job
from guardmed.spans import span
from guardmed.text import language

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A guarded answer that is complete.

    Attributes
    ----------
    response : GuardedResponse
    finish : {"stop", "length", "content_filter"}
    broken : bool
        Whether the model failed in the middle of a stream.
    """

    response: GuardedResponse
    finish: Literal["stop", "length", "content_filter"]
    broken: bool = False


def perform(jobs: Sequence[Job]) -> None:
    """Answer jobs that have their guard and keywords in common."""
    first = jobs[0]
    with span("request", jobs=len(jobs), streaming=first.streaming, policy=first.guard.policy.name) as step:
        if len(jobs) > 1:
            _together(jobs)
        else:
            step.set(decision=_stream(first) if first.streaming else _alone(first))


def _together(jobs: Sequence[Job]) -> None:
    """One batch; whatever it could not answer is asked again alone, so that no prompt spoils the others'."""
    answers: list[Answer | None]
    try:
        answers = list(_answers(jobs[0].guard, [job.prompt for job in jobs], jobs[0].keywords))
    except Exception as error:  # noqa: BLE001 - each is asked again alone
        log.warning("a batch failed: %s", told(error))
        answers = [None] * len(jobs)
    for job, answer in zip(jobs, answers, strict=True):
        if answer is None or answer.response.stage == "check_failed":
            _alone(job)
        else:
            job.put(answer)


def _alone(job: Job) -> Decision | None:
    try:
        (answer,) = _answers(job.guard, [job.prompt], job.keywords)
    except UsageError as error:
        job.put(unusable(error))
        return None
    except Exception as error:  # noqa: BLE001 - whatever fails is a refusal
        log.error("answering failed: %s", told(error))
        answer = Answer(_refusal(job), "content_filter")
    job.put(answer)
    return answer.response.decision


def _answers(guard: GuardedModel, prompts: list[Prompt], keywords: dict[str, Any]) -> Iterator[Answer]:
    model = _Heard(guard.model)
    watched = copy.copy(guard)
    watched.model = cast(LanguageModel, model)
    responses: list[GuardedResponse] = watched.generate(cast(Any, prompts), **keywords)
    for prompt, response in zip(prompts, responses, strict=True):
        yield Answer(response, "content_filter" if response.decision.stops else model.finishes.get(id(prompt), "stop"))


def _stream(job: Job) -> Decision | None:
    started = time.perf_counter()
    model, policy = _Heard(job.guard.model), _Noted(job.guard.policy)
    watched = copy.copy(job.guard)
    watched.model, watched.policy = cast(LanguageModel, model), cast(Policy, policy)
    try:
        with closing(watched.stream(job.prompt, **job.keywords)) as pieces:
            for piece in pieces:
                if job.given_up:
                    return None
                job.put(piece)
    except UsageError as error:
        job.put(unusable(error))
        return None
    except Exception as error:  # noqa: BLE001 - whatever fails is a refusal
        log.error("streaming failed: %s", told(error))
        policy.failed = "stream"
        job.put(_refusal(job).text)
    failed = "generate" if model.failed else policy.failed
    response = replace(_refusal(job, failed) if failed else policy.verdict(job), latency_ms=(time.perf_counter() - started) * 1000)
    job.put(Answer(response, "content_filter" if response.decision.stops else model.finishes.get(id(job.prompt), "stop"), broken=model.failed))
    return response.decision


class _Heard:
    """A model that remembers how its answers ended, and whether one broke off."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.finishes: dict[int, Literal["stop", "length"]] = {}
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        answers = self._model.generate(prompts, sampling)
        for prompt, drawn in zip(prompts, answers, strict=True):
            # What is drawn later for the same prompt only checks the first answer.
            self.finishes.setdefault(id(prompt), drawn[0].finish)
        return answers

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        try:
            for piece in self._model.stream(prompt, sampling):
                if isinstance(piece, Generation):
                    self.finishes[id(prompt)] = piece.finish
                yield piece
        except UsageError:
            raise
        except Exception:
            self.failed = True
            raise


class _Noted:
    """A policy that remembers what it said of one stream: the stream itself gives texts alone."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._said: dict[Stage, list[Verdict]] = {Stage.INPUT: [], Stage.OUTPUT: []}
        self.failed = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def check(self, text: str, *, stage: Stage) -> Verdict:
        try:
            verdict = self._policy.check(text, stage=stage)
        except Exception:
            self.failed = "policy"
            raise
        self._said[stage].append(verdict)
        return verdict

    def verdict(self, job: Job) -> GuardedResponse:
        """What it all adds up to, as the guard puts it for an answer that is not streamed."""
        asked, answered = self._said[Stage.INPUT], self._said[Stage.OUTPUT]
        if not asked:
            # The guard asks the policy about anything that has words.
            return _response(job, Decision.ABSTAIN, "input", reasons=("the prompt holds no words",))
        hits = list({hit.id: hit for verdict in (*asked, *answered) for hit in verdict.hits}.values())
        hits.sort(key=lambda hit: (-hit.action.rank, -hit.severity.rank))
        decision = strictest(verdict.decision for verdict in (*asked, *answered))
        stage = "output" if any(verdict.hits for verdict in answered) else "input" if hits else "answered"
        return _response(job, decision, stage, reasons=tuple(f"{hit.title} ({hit.detail})" if hit.detail else hit.title for hit in hits), rules=tuple(hits))


def _refusal(job: Job, what: str = "serve") -> GuardedResponse:
    return _response(job, Decision.REFUSE, "check_failed", reasons=(f"check_failed: {what}",))


def _response(job: Job, decision: Decision, stage: Any, **rest: Any) -> GuardedResponse:
    lang = _language(job.prompt)
    text = say("check_failed", lang) if stage == "check_failed" else ""
    return GuardedResponse(decision, text, stage, lang, job.guard.model.name, job.guard.policy.digest, **rest)


def _language(prompt: Prompt) -> str:
    return language(prompt if isinstance(prompt, str) else "\n".join(message["content"] for message in prompt if message["role"] == "user"))
