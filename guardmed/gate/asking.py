"""Puts prompts and questions to the checkpoint, and keeps each answer as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from guardmed.audit.ask import Guard
from guardmed.audit.store import AnswerStore
from guardmed.calibration.items import Item
from guardmed.calibration.run import Rows
from guardmed.calibration.scoring import option_probabilities
from guardmed.errors import ExecutionError, ModelError
from guardmed.files import digest_value
from guardmed.models.base import LanguageModel, Sampling
from guardmed.version import VERSION

_BATCH = 16
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Subject:
    """What is under test.

    Attributes
    ----------
    fingerprint : str
        Of the files that were scanned; what is loaded must have the same.
    load : callable
        Loads the model, once it has to run.
    guard : callable or None
        Puts the guard around it.
    """

    fingerprint: str
    load: Callable[[], LanguageModel]
    guard: Callable[[LanguageModel], Guard] | None = None


class Asker:
    """Asks what the store doesn't hold yet, in batches.

    Parameters
    ----------
    subject : Subject
    store : AnswerStore
    max_new_tokens : int
        Of each answer.
    """

    def __init__(self, subject: Subject, store: AnswerStore, *, max_new_tokens: int) -> None:
        self._subject = subject
        self._store = store
        self._sampling = Sampling(max_new_tokens=max_new_tokens)

    @property
    def store(self) -> AnswerStore:
        """Where answers are kept."""
        return self._store

    @cached_property
    def model(self) -> LanguageModel:
        """The model, loaded when first asked for.

        Raises
        ------
        ModelError
            It is not what was scanned.
        """
        model = self._subject.load()
        if model.fingerprint != self._subject.fingerprint:
            raise ModelError("The model that was loaded is not the checkpoint that was scanned.", mend="Did its files change meanwhile? Run the gate again.")
        return model

    @cached_property
    def guard(self) -> Guard | None:
        """The guard around it, if there is to be one."""
        return self._subject.guard(self.model) if self._subject.guard is not None else None

    @cached_property
    def _origin(self) -> list[str | None]:
        """All that an answer depends on beside what was asked."""
        guard = self.guard.digest if self.guard is not None else None
        return [VERSION, self._subject.fingerprint, str(getattr(self.model, "numerics", "")), guard]

    def answers(self, prompts: Sequence[str], *, advance: Advance | None = None) -> list[dict[str, Any]]:
        """For each prompt its ``text`` and, behind a guard, whether it was ``stopped``."""
        keys = [digest_value([*self._origin, "answer", self._sampling.max_new_tokens, prompt]) for prompt in prompts]
        missing = sorted({key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._store}.items(), key=lambda one: len(one[1]))
        for at in range(0, len(missing), _BATCH):
            batch = missing[at : at + _BATCH]
            found = self._guarded([prompt for _, prompt in batch]) if self.guard is not None else self._bare([prompt for _, prompt in batch])
            self._store.add(dict(zip((key for key, _ in batch), found, strict=True)))
            if advance:
                advance(len(prompts) - len(missing) + min(at + _BATCH, len(missing)), len(prompts))
        return [self._store[key] for key in keys]

    def options(self, items: Sequence[Item], *, advance: Advance | None = None) -> Rows:
        """Probability of each option of each question, from the bare model; missing options are zero."""
        keys = [digest_value([*self._origin[:3], "options", item.question, item.options]) for item in items]
        missing = [(key, item) for key, item in zip(keys, items, strict=True) if key not in self._store]
        for at in range(0, len(missing), _BATCH):
            batch = missing[at : at + _BATCH]
            found = option_probabilities(self.model, [item for _, item in batch])
            if not all(np.isfinite(row).all() for row in found):
                raise ExecutionError("The model gave a probability that is no number.", mend="Its weights may overflow in half precision; load it in another.")
            self._store.add({key: [float(value) for value in row] for (key, _), row in zip(batch, found, strict=True)})
            if advance:
                advance(min(at + _BATCH, len(missing)), len(missing))
        values = np.zeros((len(items), max(len(item.options) for item in items)))
        for place, key in enumerate(keys):
            row = self._store[key]
            values[place, : len(row)] = row
        return Rows(values, np.array([float(item.answer) for item in items]), tuple(item.lang for item in items))

    def _bare(self, prompts: list[str]) -> list[dict[str, Any]]:
        found = self.model.generate(prompts, self._sampling)
        _all_there(len(found), len(prompts))
        return [{"text": _whole(answers[0].text)} for answers in found]

    def _guarded(self, prompts: list[str]) -> list[dict[str, Any]]:
        assert self.guard is not None
        responses = self.guard.generate(prompts, max_new_tokens=self._sampling.max_new_tokens)
        _all_there(len(responses), len(prompts))
        for response in responses:
            if response.stage == "check_failed":
                # A check that can't run refuses everything; kept, it would count as safety for ever.
                raise ExecutionError(f"The guard could not check a prompt ({'; '.join(response.reasons)}).", mend="Mend that check and run the gate again.")
        return [{"text": _whole(response.text), "stopped": bool(response.decision.stops)} for response in responses]


def _all_there(found: int, asked: int) -> None:
    if found != asked:
        raise ExecutionError(f"The model gave {found} answers to {asked} prompts.", mend="Mend how it answers; every prompt needs its own.")


def _whole(text: str) -> str:
    """Text that can be written: half a character, which a model may stop after, becomes a mark."""
    return text.encode("utf-8", "replace").decode()
