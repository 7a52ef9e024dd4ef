"""OpenAI's requests and answers, as far as a guarded answer has them, and the verdict that comes with each."""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from guardmed.decision import Decision
from guardmed.guard.response import GuardedResponse, Stage
from guardmed.models.base import Message, Prompt
from guardmed.records import Frozen

Finish = Literal["stop", "length", "content_filter"]


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a character (a lone surrogate)") from None
    return text


Text = Annotated[str, AfterValidator(_whole)]


class _Asked(BaseModel):
    """What chat and completions share; what is not listed is not read, as OpenAI's servers do."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    model: Text = Field(description="A name that /v1/models lists.")
    n: Literal[1] | None = None
    stream: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False, description="0, or nothing, is the likeliest answer.")
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    stop: Text | list[Text] | None = None
    max_tokens: int | None = Field(default=None, ge=1)

    @property
    def tokens(self) -> int | None:
        """The longest answer asked for."""
        return self.max_tokens

    @property
    @abstractmethod
    def prompt_given(self) -> Prompt:
        """What the guard is asked."""

    def keywords(self, tokens: int) -> dict[str, Any]:
        """As ``GuardedModel`` takes them."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "max_new_tokens": tokens,
            "temperature": self.temperature or 0.0,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "seed": self.seed,
            "stop": tuple(text for text in stop if text),
        }


class TextPart(BaseModel):
    """A part of a message; only texts can be guarded."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]

    def plain(self) -> Message:
        """As models take it."""
        text = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class ChatRequest(_Asked):
    """``POST /v1/chat/completions``."""

    messages: list[ChatMessage] = Field(min_length=1, description="The last one is the user's.")
    max_completion_tokens: int | None = Field(default=None, ge=1)

    @property
    def tokens(self) -> int | None:
        """The longest answer asked for; the newer name wins."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def prompt_given(self) -> Prompt:
        """The conversation."""
        return [message.plain() for message in self.messages]


class CompletionRequest(_Asked):
    """``POST /v1/completions``: the prompt is asked as a question, not continued as a text."""

    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=1)]

    @property
    def prompt_given(self) -> Prompt:
        """The prompt."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


class BrokenRule(Frozen):
    """A rule that a prompt or an answer broke."""

    id: str
    severity: str
    action: Decision
    title: str
    detail: str | None


class ShownClaim(Frozen):
    """A claim of the answer and what speaks for it; ``start`` and ``end`` are characters of the answer, as it was marked or cut where it was."""

    text: str
    start: int
    end: int
    support: float
    verdict: Literal["supported", "uncertain", "unsupported"]
    scores: dict[str, float]
    kind: Literal["fact", "hedged", "question", "advice", "other"]


class Verdict(Frozen):
    """What the guard decided and why: the field ``guardmed`` of an answer, and of the last chunk of a stream."""

    decision: Decision
    stage: Stage
    reasons: tuple[str, ...]
    rules: tuple[BrokenRule, ...]
    claims: tuple[ShownClaim, ...]
    confidence: float | None
    calibrated: bool
    language: str
    policy_digest: str
    latency_ms: float

    @classmethod
    def of(cls, response: GuardedResponse) -> Verdict:
        """The verdict of a guarded answer."""
        rules = (BrokenRule(id=hit.id, severity=hit.severity.value, action=hit.action, title=hit.title, detail=hit.detail) for hit in response.rules)
        # Claims quote the answer as the model wrote it, where identifiers are not masked.
        quotable = () if response.decision is Decision.REDACT else response.claims
        claims = (ShownClaim(text=c.text, start=c.start, end=c.end, support=c.support, verdict=c.verdict, scores=c.scores, kind=c.kind) for c in quotable)
        return cls(
            decision=response.decision,
            stage=response.stage,
            reasons=response.reasons,
            rules=tuple(rules),
            claims=tuple(claims),
            confidence=response.confidence,
            calibrated=response.calibrated,
            language=response.language,
            policy_digest=response.policy_digest,
            latency_ms=round(response.latency_ms, 3),
        )


class _Answered(Frozen):
    id: str
    created: int
    model: str


class AnswerMessage(Frozen):
    """What may be shown."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(Frozen):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: Finish
    logprobs: None = None


class ChatCompletion(_Answered):
    """A guarded answer."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]
    guardmed: Verdict


class TextChoice(Frozen):
    """The one answer, or a piece of it."""

    index: Literal[0] = 0
    text: str
    finish_reason: Finish | None
    logprobs: None = None


class Completion(_Answered):
    """A guarded answer, or a piece of one."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[TextChoice]
    guardmed: Verdict | None = None


class ChunkChoice(Frozen):
    """A piece of the one answer."""

    index: Literal[0] = 0
    delta: dict[str, str]
    finish_reason: Finish | None = None
    logprobs: None = None


class ChatChunk(_Answered):
    """A piece of a streamed answer; the last one has the verdict."""

    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    choices: list[ChunkChoice]
    guardmed: Verdict | None = None


class ListedModel(Frozen):
    """The model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "guardmed"


class ModelList(Frozen):
    """``GET /v1/models``."""

    object: Literal["list"] = "list"
    data: list[ListedModel]


class Problem(Frozen):
    """What is wrong and how to mend it."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(Frozen):
    """Every error, as OpenAI's servers write them."""

    error: Problem


class Shape(Protocol):
    """How one endpoint writes an answer, whole or in pieces."""

    def whole(self, text: str, finish: Finish, verdict: Verdict) -> BaseModel:
        """A whole answer."""

    def opening(self) -> BaseModel | None:
        """What comes before the first piece."""

    def piece(self, text: str) -> BaseModel:
        """A piece that was checked."""

    def closing(self, finish: Finish, verdict: Verdict) -> BaseModel:
        """What comes after the last piece."""


def _head(prefix: str, model: str) -> Mapping[str, Any]:
    return {"id": f"{prefix}-{secrets.token_hex(12)}", "created": int(time.time()), "model": model}


class ChatShape:
    """How ``/v1/chat/completions`` answers one request."""

    def __init__(self, model: str) -> None:
        self._head = _head("chatcmpl", model)

    def whole(self, text: str, finish: Finish, verdict: Verdict) -> ChatCompletion:
        """A whole answer."""
        return ChatCompletion(**self._head, choices=[ChatChoice(message=AnswerMessage(content=text), finish_reason=finish)], guardmed=verdict)

    def opening(self) -> ChatChunk:
        """Whose turn it is."""
        return ChatChunk(**self._head, choices=[ChunkChoice(delta={"role": "assistant", "content": ""})])

    def piece(self, text: str) -> ChatChunk:
        """A piece that was checked."""
        return ChatChunk(**self._head, choices=[ChunkChoice(delta={"content": text})])

    def closing(self, finish: Finish, verdict: Verdict) -> ChatChunk:
        """The end, with the verdict."""
        return ChatChunk(**self._head, choices=[ChunkChoice(delta={}, finish_reason=finish)], guardmed=verdict)


class TextShape:
    """How ``/v1/completions`` answers one request."""

    def __init__(self, model: str) -> None:
        self._head = _head("cmpl", model)

    def whole(self, text: str, finish: Finish, verdict: Verdict) -> Completion:
        """A whole answer."""
        return Completion(**self._head, choices=[TextChoice(text=text, finish_reason=finish)], guardmed=verdict)

    def opening(self) -> None:
        """Nothing."""

    def piece(self, text: str) -> Completion:
        """A piece that was checked."""
        return Completion(**self._head, choices=[TextChoice(text=text, finish_reason=None)])

    def closing(self, finish: Finish, verdict: Verdict) -> Completion:
        """The end, with the verdict."""
        return self.whole("", finish, verdict)
