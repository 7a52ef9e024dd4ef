"""A language model whose answers are kept: what was asked once is never computed again.

With it a run that is killed goes on where it was, and a guard is put in front of the very answers
that the bare model gave: between the two systems only the guard differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.store import AnswerStore
from guardmed.errors import ExecutionError
from guardmed.files import digest_value
from guardmed.models.base import Capabilities, Generation, LanguageModel, Prompt, Sampling, TokenScores
from guardmed.version import VERSION


class Kept:
    """A model in front of a journal of its greedy answers and of the options it weighed.

    Parameters
    ----------
    model : LanguageModel
    store : AnswerStore

    Notes
    -----
    Of an answer's scores only log-probabilities and offsets are kept; entropies and margins are NaN, and there is no
    state. Each call is kept whole, so that numbers do not depend on where a run was taken up. Sampled answers and scores of
    given texts are the model's own.
    """

    def __init__(self, model: LanguageModel, store: AnswerStore) -> None:
        self.model = model
        self.store = store
        self.numerics = str(getattr(model, "numerics", ""))

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def capabilities(self) -> Capabilities:
        """The model's."""
        return self.model.capabilities

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self.model.fingerprint

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[Generation]]:
        """The model's answers, greedy ones as they were first given."""
        if sampling.temperature > 0 or sampling.extra:
            return self.model.generate(prompts, sampling)
        asked = [["generate", sampling.max_new_tokens, list(sampling.stop), _plain(prompt)] for prompt in prompts]
        found = self._found(asked, lambda places: [_packed(answers[0]) for answers in self.model.generate([prompts[place] for place in places], sampling)])
        return [[_unpacked(entry)] for entry in found]

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        """The model's."""
        return self.model.stream(prompt, sampling)

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[TokenScores]:
        """The model's."""
        return self.model.score(prompts, continuations)

    def choose(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], *, state: object | None = None, per_token: bool = False
    ) -> list[NDArray[np.float64]]:
        """The model's weights of options, as they were first given."""

        def ask(places: Sequence[int]) -> list[Any]:
            found = self.model.choose([prompts[at] for at in places], [options[at] for at in places], per_token=per_token)
            if any(np.isnan(row).any() for row in found):
                raise ExecutionError(
                    f"{self.name} gave a probability that is no number.", mend="Its weights may overflow in half precision; load it in another."
                )
            # JSON has no infinity, which is what a server's model gives that names none of the options.
            return [[None if value == -math.inf else float(value) for value in row] for row in found]

        found = self._found([["choose", per_token, _plain(prompt), list(row)] for prompt, row in zip(prompts, options, strict=True)], ask)
        return [np.array([-math.inf if value is None else value for value in row]) for row in found]

    def _found(self, asked: Sequence[Any], ask: Callable[[Sequence[int]], list[Any]]) -> list[Any]:
        keys = [digest_value([VERSION, self.fingerprint, self.numerics, one]) for one in asked]
        missing = {key: place for place, key in enumerate(keys) if key not in self.store}
        if missing:
            self.store.add(dict(zip(missing, ask(list(missing.values())), strict=True)))
        return [self.store[key] for key in keys]


def _plain(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [dict(message) for message in prompt]


def _packed(answer: Generation) -> dict[str, Any]:
    """An answer in JSON; half a character, which a model may stop after, becomes a mark."""
    packed: dict[str, Any] = {"text": answer.text.encode("utf-8", "replace").decode(), "finish": answer.finish}
    if answer.scores is not None and np.isfinite(answer.scores.logprobs).all():
        packed |= {"offsets": answer.scores.offsets, "logprobs": [round(float(value), 6) for value in answer.scores.logprobs], "source": answer.scores.source}
    return packed


def _unpacked(entry: dict[str, Any]) -> Generation:
    scores = None
    if "logprobs" in entry:
        logprobs = np.array(entry["logprobs"], dtype=np.float64)
        unknown = np.full(len(logprobs), np.nan)
        offsets = tuple((int(start), int(end)) for start, end in entry["offsets"])
        scores = TokenScores((-1,) * len(logprobs), offsets, logprobs, unknown, unknown, entry["source"])
    return Generation(entry["text"], scores, entry["finish"])
