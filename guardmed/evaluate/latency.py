"""Milliseconds a token, alone and behind the guard, and where the guard's go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardmed.evaluate.asking import Asking
from guardmed.evaluate.figures import pooled
from guardmed.evaluate.results import Figure, Scored
from guardmed.evaluate.safety import bank
from guardmed.evaluate.selection import Selection
from guardmed.models.base import Capabilities, Generation, LanguageModel, Prompt, Sampling, TokenScores

USUAL = 3
TOKENS = 24


@dataclass
class Timed:
    """A model that counts what its own generation takes, and the tokens it makes."""

    model: LanguageModel
    milliseconds: float = 0.0
    tokens: int = 0

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
        """The model's answers, timed; a model that gives no tokens is taken to fill its limit."""
        started = time.perf_counter()
        found = self.model.generate(prompts, sampling)
        self.milliseconds += (time.perf_counter() - started) * 1000
        self.tokens += sum(len(one.scores.token_ids) if one.scores else sampling.max_new_tokens for answers in found for one in answers)
        return found

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str | Generation]:
        """The model's."""
        return self.model.stream(prompt, sampling)

    def score(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[TokenScores]:
        """The model's."""
        return self.model.score(prompts, continuations)

    def choose(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]], **rest: Any) -> list[NDArray[np.float64]]:
        """The model's."""
        return self.model.choose(prompts, options, **rest)


@dataclass(frozen=True)
class Latency:
    """How long one answer takes at a time, prompt included."""

    selection: Selection
    prompts: tuple[str, ...]
    name = "latency"

    @classmethod
    def of(cls, selection: Selection) -> Latency:
        """Harmless prompts of the written sets, or of a file; a few are enough."""
        found = bank(selection, "harmless").prompts[: min(selection.limit or USUAL, USUAL)]
        return cls(selection, tuple(one.prompt for one in found))

    @property
    def size(self) -> int:
        """Answers it takes."""
        return len(self.prompts) + 1

    def run(self, asking: Asking) -> Scored:
        """Answer each prompt alone, the first one twice to warm up. What is measured is never taken from a journal.

        Under a guard the model's own time is measured within the same call, so what is left is the guard's.
        Prompts it stops before the model sees them have no tokens; they are left out and counted.
        """
        tokens = self.selection.tokens(TOKENS)
        timed = Timed(asking.system.model)
        guard = asking.system.guard(timed) if asking.system.guard is not None else None
        rows: list[dict[str, Any]] = []
        for prompt in [self.prompts[0], *self.prompts]:
            timed.milliseconds, timed.tokens = 0.0, 0
            started = time.perf_counter()
            if guard is not None:
                guard.generate([prompt], max_new_tokens=tokens)
            else:
                timed.generate([prompt], Sampling(max_new_tokens=tokens))
            whole = (time.perf_counter() - started) * 1000
            rows.append({"item": prompt, "milliseconds": round(whole, 3), "model_milliseconds": round(timed.milliseconds, 3), "tokens": timed.tokens})
            asking.advance(1)
        answered = [row for row in rows[1:] if row["tokens"]]
        untold = f"{len(self.prompts) - len(answered)} of {len(self.prompts)} prompts came to no token."
        result = self.selection.result(
            "latency",
            asking.system.name,
            n=len(self.prompts),
            asked=self.prompts,
            settings={"max_new_tokens": tokens, "numerics": str(asking.model.numerics)},
            figures=self.figures(answered, guarded=guard is not None),
            notes=[untold] if len(answered) < len(self.prompts) else (),
        )
        return Scored(result, rows[1:])

    def figures(self, answered: Sequence[dict[str, Any]], *, guarded: bool) -> dict[str, Figure]:
        """Milliseconds a token; behind a guard also the model's own, and what the guard adds to an answer."""
        if not answered:
            return {}
        tokens, seed = [row["tokens"] for row in answered], self.selection.seed
        found = {"ms_per_token": pooled([row["milliseconds"] for row in answered], tokens, seed=seed, detail=f"{sum(tokens)} tokens")}
        if guarded:
            own = [row["model_milliseconds"] for row in answered]
            added = [row["milliseconds"] - row["model_milliseconds"] for row in answered]
            found["model_ms_per_token"] = pooled(own, tokens, seed=seed, detail=f"{sum(tokens)} tokens")
            found["guard_ms_per_answer"] = pooled(added, [1] * len(added), seed=seed)
        return found
