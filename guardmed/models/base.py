"""What every language model gives the rest of GuardMed: one protocol, whatever runs behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.errors import ExecutionError, UsageError


class Message(TypedDict):
    """One turn of a conversation, as chat templates take it."""

    role: str
    content: str


Prompt = str | Sequence[Message]
ScoreSource = Literal["raw_logits", "api_logprobs", "none"]

# How the specification of a model behind a server begins: openai:MODEL@BASE_URL.
SERVER = "openai:"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to decode.

    Attributes
    ----------
    max_new_tokens : int
    temperature : float
        0 is greedy.
    top_p, top_k : float, int
        1.0 and 0 are off.
    n : int
        Answers for each prompt, from one prefill.
    seed : int or None
    stop : tuple of str
        Texts at which an answer ends (not included). A model without a chat template also stops
        where it would begin a new question of its own.
    extra : mapping
        Any other keyword of transformers' ``generate``; refused by models that are not
        transformers'.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    n: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.n < 1:
            raise UsageError(f"max_new_tokens={self.max_new_tokens} and n={self.n} must be at least 1.", mend="Raise them.")
        if not 0.0 <= self.temperature <= 100.0 or not 0.0 < self.top_p <= 1.0:
            raise UsageError(f"temperature={self.temperature}, top_p={self.top_p} is out of range.", mend="Use 0 <= temperature and 0 < top_p <= 1.")
        if self.n > 1 and self.temperature == 0:
            raise UsageError(f"{self.n} greedy answers would all be the same.", mend="Set temperature above 0.")


@dataclass(frozen=True)
class TokenScores:
    """What a model thinks of each token of a text.

    Attributes
    ----------
    token_ids : tuple of int
    offsets : tuple of (int, int)
        Characters of the text that each token covers.
    logprobs, entropies, margins : float64 arrays of shape (tokens,)
        Raw natural log-probability of the token, entropy of the distribution it came from (nats),
        and log-probability gap of the two best tokens; all before temperature and top-p.
    source : {"raw_logits", "api_logprobs", "none"}
    ranks : int64 array of shape (tokens,)
        How many tokens were likelier, 0 for the likeliest; -1 where that is not known.
    hidden : float32 array of shape (tokens, layers, width) or None
        What the layers made of the token itself, after reading it; None where it was not asked for, or the
        generation was broken off.
    layers : tuple of int
        How many of the model's layers each hidden state has passed; empty where there are none.

    Raises
    ------
    ExecutionError
        Ranks or hidden states are not one for each token.
    """

    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    logprobs: NDArray[np.float64]
    entropies: NDArray[np.float64]
    margins: NDArray[np.float64]
    source: ScoreSource
    ranks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    hidden: NDArray[np.float32] | None = None
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        tokens = len(self.token_ids)
        if not len(self.ranks):
            object.__setattr__(self, "ranks", np.full(tokens, -1, dtype=np.int64))
        if len(self.ranks) != tokens or (self.hidden is not None and self.hidden.shape[:2] != (tokens, len(self.layers))):
            raise ExecutionError(f"Ranks or hidden states do not fit the {tokens} tokens.", mend="Give one for each token, and name the layers.")

    def within(self, start: int, end: int) -> NDArray[np.intp]:
        """Indices of the tokens that cover any of the characters ``start`` to ``end``."""
        return np.array([i for i, (a, b) in enumerate(self.offsets) if a < end and start < b], dtype=np.intp)


@dataclass(frozen=True)
class Generation:
    """One answer.

    Attributes
    ----------
    text : str
    scores : TokenScores or None
        ``None`` where the model gives no log-probabilities.
    finish : {"stop", "length"}
    state : object
        What the model keeps to extend this answer cheaply (a KV cache); opaque, may be None.
    """

    text: str
    scores: TokenScores | None
    finish: Literal["stop", "length"]
    state: object | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a model can give."""

    logprobs: bool
    scoring: bool
    streaming: bool
    context: int


@runtime_checkable
class LanguageModel(Protocol):
    """A language model, from a folder of weights to a server."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can give."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights, tokenizer, chat template and adapter."""

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """``sampling.n`` answers for each prompt."""

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        """Pieces of one answer as they come, then the whole :class:`Generation`."""

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[TokenScores]:
        """Scores of texts written elsewhere, as answers to the prompts (teacher forcing)."""

    def choose(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, state: object | None = None, per_token: bool = False
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each option as the answer to each prompt (not normalised over options).

        ``state`` is that of a generation whose conversation the prompts continue; ``per_token``
        divides by the option's number of tokens, so that long options may win.
        """


def shares(logprobs: ArrayLike) -> NDArray[np.float64]:
    """Log-probabilities of options as shares among them, shape kept.

    Raises
    ------
    ExecutionError
        The model gives none of them any probability, so there is nothing to share.
    """
    given = np.asarray(logprobs, dtype=np.float64)
    if not np.isfinite(given).any() or np.isnan(given).any():
        raise ExecutionError("The model named none of the options it was asked to choose from.", mend="Use a model that answers such questions directly.")
    found: NDArray[np.float64] = np.exp(given - np.logaddexp.reduce(given))
    return found
