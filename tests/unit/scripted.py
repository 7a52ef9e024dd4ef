"""A language model that says what it is told to: for what no real model does on demand, such as failing."""

from __future__ import annotations

import math

import numpy as np

from guardmed.models.base import Capabilities, Generation, TokenScores


class Scripted:
    """Answers every prompt with one text; any of its methods can be made to raise."""

    name = "scripted"
    fingerprint = "f" * 64
    capabilities = Capabilities(logprobs=True, scoring=True, streaming=True, context=4096)

    def __init__(self, text: str, *, raises: str | None = None, p_true: float = 0.9) -> None:
        self.text = text
        self.raises = raises
        self.p_true = p_true
        self.calls: list[str] = []

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if method == self.raises:
            raise RuntimeError(f"broken while reading: {self.text}")

    def _generation(self) -> Generation:
        words = self.text.split(" ")
        offsets, at = [], 0
        for word in words:
            offsets.append((at, at + len(word)))
            at += len(word) + 1
        size = len(words)
        scores = TokenScores(tuple(range(size)), tuple(offsets), np.full(size, -0.05), np.zeros(size), np.ones(size), "raw_logits")
        return Generation(self.text, scores, "stop")

    def generate(self, prompts, sampling):
        self._called("generate")
        return [[self._generation() for _ in range(sampling.n)] for _ in prompts]

    def stream(self, prompt, sampling):
        self._called("stream")
        for word in self.text.split(" "):
            yield word + " "
        yield self._generation()

    def score(self, prompts, continuations):
        self._called("score")
        return [self._generation().scores for _ in continuations]

    def choose(self, prompts, options, *, state=None, per_token=False):
        self._called("choose")
        yes, no = math.log(self.p_true / 2), math.log((1 - self.p_true) / 2)
        return [np.array([yes, yes, no, no][: len(choices)]) for choices in options]
