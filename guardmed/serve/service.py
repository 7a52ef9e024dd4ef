"""What a server is made of: a model, its guards, a queue in front of it, the keys and the figures."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from guardmed.calibration.artifact import load_artifact
from guardmed.guard import GuardedModel
from guardmed.models.base import LanguageModel
from guardmed.models.server import ServerModel
from guardmed.policy import Policy, Stage
from guardmed.serve.answers import Answer, perform
from guardmed.serve.errors import ApiError
from guardmed.serve.keys import Bucket, Keys
from guardmed.serve.logs import told
from guardmed.serve.metrics import Metrics
from guardmed.serve.protocol import ChatRequest, CompletionRequest
from guardmed.serve.settings import Key, ServeSettings
from guardmed.serve.workers import Job, Workers

log = logging.getLogger(__name__)
# Answers worked on at once by another server, which batches them itself.
_ELSEWHERE = 16


@dataclass
class Note:
    """What is known of one request beside its text, for the log and the figures."""

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: float = field(default_factory=time.perf_counter)
    key: Key | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class Service:
    """Everything behind one server.

    Parameters
    ----------
    settings : ServeSettings
    model : LanguageModel
    keys : mapping of str to Key
        By the digests of the keys; empty where anybody may ask.
    policies : mapping of str to Policy, optional
        Compiled already, by what the settings and keys call them.

    Raises
    ------
    GuardMedError
        A policy or the calibration can't be read, or belongs to another model.
    """

    def __init__(self, settings: ServeSettings, model: LanguageModel, *, keys: Mapping[str, Key], policies: Mapping[str, Policy] | None = None) -> None:
        self.settings = settings
        self.keys = Keys(keys)
        self.draining = False
        self.active = 0
        self.created = int(time.time())
        calibration = load_artifact(settings.calibration) if settings.calibration is not None else None
        named = dict.fromkeys([settings.policy, *(key.policy for key in keys.values() if key.policy)])
        self._guards = {name: GuardedModel(model, policy=(policies or {}).get(name, name), calibration=calibration, settings=settings.guard) for name in named}
        rates = {key.name: key.requests_per_minute or settings.limits.requests_per_minute for key in keys.values()}
        rates[""] = settings.limits.requests_per_minute
        self._buckets = {name: Bucket(rate) for name, rate in rates.items() if rate}
        elsewhere = isinstance(model, ServerModel)
        self.workers = Workers(
            perform,
            threads=settings.limits.at_once or (_ELSEWHERE if elsewhere else 1),
            waiting=settings.limits.waiting,
            batch=1 if elsewhere else settings.limits.batch,
        )
        self.metrics = Metrics(waiting=lambda: self.workers.waiting)

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.workers.working and not self.draining

    def start(self) -> None:
        """Take requests; what is slow the first time is done before the first one."""
        for guard in self._guards.values():
            try:
                guard.policy.check("What is metformin used for? 二甲双胍是什么药？", stage=Stage.INPUT)
            except Exception as error:  # noqa: BLE001 - a judge may be away for now; until it is back, every check fails
                log.warning("a policy can't be asked yet: %s", told(error))
        self.workers.start()

    def describe(self) -> str:
        """Policies and who may ask, for the line a server starts with."""
        policies = ", ".join(f"{name} {guard.policy.digest[:12]}" for name, guard in self._guards.items())
        return f"policy {policies}; {'API keys needed' if self.keys else 'no API keys'}"

    def ask(self, asked: ChatRequest | CompletionRequest, note: Note) -> Job:
        """Put a request into the queue.

        Raises
        ------
        ApiError
            It asks for another model, for more than is allowed, or comes too soon.
        """
        limits, settings = self.settings.limits, self.settings
        if asked.model != settings.model_name:
            raise ApiError(404, f"Only {settings.model_name!r} is served here. Name it as model.", code="model_not_found", param="model")
        tokens = asked.tokens or min(limits.default_tokens, limits.max_tokens)
        if tokens > limits.max_tokens:
            raise ApiError(400, f"An answer has at most {limits.max_tokens} tokens here. Ask for fewer.", code="too_many_tokens", param="max_tokens")
        prompt = asked.prompt_given
        size = len(prompt) if isinstance(prompt, str) else sum(len(message["content"]) for message in prompt)
        if size > limits.prompt_chars:
            mend = f"It may have {limits.prompt_chars:,} characters. Shorten it, or leave out old turns."
            raise ApiError(400, f"The prompt has {size:,} characters. {mend}", code="prompt_too_long")
        key = note.key
        bucket = self._buckets.get(key.name if key else "")
        if bucket is not None and (wait := bucket.take()):
            raise ApiError(429, "This key asks too often. Try again in a while.", code="rate_limit", retry_after=wait)
        policy = key.policy if key and key.policy else settings.policy
        note.fields |= {"policy": policy, "characters": size, "stream": bool(asked.stream)}
        streaming = bool(asked.stream) and settings.stream == "sentences"
        job = Job(self._guards[policy], prompt, asked.keywords(tokens), streaming=streaming, seconds=limits.seconds)
        self.workers.submit(job)
        return job

    def record(self, answer: Answer, note: Note) -> None:
        """Count an answer, and note for the log what was decided."""
        response = answer.response
        self.metrics.decided(response)
        note.fields |= {
            "decision": response.decision.value,
            "stage": response.stage,
            "rules": [hit.id for hit in response.rules],
            "confidence": response.confidence,
            "language": response.language,
            "finish": answer.finish,
            "guard_ms": round(response.latency_ms, 3),
        }
