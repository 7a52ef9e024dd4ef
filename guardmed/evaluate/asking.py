"""Asks one system, bare or guarded, in fixed batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.ask import Guard
from guardmed.audit.store import AnswerStore
from guardmed.calibration.items import Item
from guardmed.calibration.scoring import OptionForm, option_probabilities
from guardmed.claims import check_claims, split_claims
from guardmed.errors import ExecutionError
from guardmed.evaluate.kept import Kept
from guardmed.models.base import LanguageModel, Sampling
from guardmed.policy import Stage

BATCH = 16
Advance = Callable[[int], None]


def silent(_done: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class System:
    """What is evaluated: a model, maybe behind a guard.

    Attributes
    ----------
    model : LanguageModel
    name : str
        What reports call it.
    guard : callable, optional
        Puts a guard around a model.
    """

    model: LanguageModel
    name: str
    guard: Callable[[LanguageModel], Guard] | None = None

    def asking(self, store: AnswerStore, *, advance: Advance = silent) -> Asking:
        """What suites ask it through."""
        kept = Kept(self.model, store)
        return Asking(self, kept, self.guard(kept) if self.guard else None, advance)


@dataclass(frozen=True)
class Answer:
    """A free answer.

    Attributes
    ----------
    text : str
        What the person gets.
    stopped : bool
        Whether the guard let nothing of the model through.
    claims : tuple of (str, float)
        Claims of the model's answer with the model's own support of each; those that were measured.
    """

    text: str
    stopped: bool = False
    claims: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Asking:
    """One system, its answers kept.

    Attributes
    ----------
    model : Kept
    guard : Guard or None
        Around ``model``.
    advance : callable
        Told how many answers came.
    """

    system: System
    model: Kept
    guard: Guard | None
    advance: Advance = silent

    def answers(self, prompts: Sequence[str], *, max_new_tokens: int, stop: tuple[str, ...] = (), claims: bool = False) -> list[Answer]:
        """A greedy answer to each prompt.

        Parameters
        ----------
        stop : tuple of str
            Texts before which an answer ends: a base model goes on to ask itself the next question.
        claims : bool
            Measure the claims of a bare model's answers as a guard does.
        """
        out: list[Answer | None] = [None] * len(prompts)
        # Batches depend on what is asked alone, so that numbers do as well.
        order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), prompts[place]))
        for at in range(0, len(order), BATCH):
            places = order[at : at + BATCH]
            batch = [prompts[place] for place in places]
            found = self._bare(batch, max_new_tokens, stop, claims) if self.guard is None else self._guarded(self.guard, batch, max_new_tokens, stop)
            for place, answer in zip(places, found, strict=True):
                out[place] = answer
            self.advance(len(batch))
        return [answer for answer in out if answer is not None]

    def form(self, wanted: OptionForm) -> OptionForm:
        """How options can be weighed: a server tells of letters only."""
        return wanted if self.model.capabilities.scoring else "letters"

    def options(self, items: Sequence[Item], *, form: OptionForm = "text") -> list[NDArray[np.float64]]:
        """Probability of each option of each item; no guard changes them. All are alike where a server's model names none."""
        order = sorted(range(len(items)), key=lambda place: (len(items[place].question), items[place].question))
        out = [np.zeros(0)] * len(items)
        for at in range(0, len(order), BATCH):
            places = order[at : at + BATCH]
            for place, row in zip(places, self._weighed([items[place] for place in places], self.form(form)), strict=True):
                out[place] = row
            self.advance(len(places))
        return out

    def stopped(self, prompts: Sequence[str]) -> list[bool]:
        """Whether the guard would answer each prompt itself; never without one."""
        if self.guard is None:
            return [False] * len(prompts)
        policy = self.guard.policy
        return [bool(policy.check(prompt, stage=Stage.INPUT).decision.stops) for prompt in prompts]

    def _bare(self, prompts: Sequence[str], max_new_tokens: int, stop: tuple[str, ...], claims: bool) -> list[Answer]:
        found = [answers[0] for answers in self.model.generate(prompts, Sampling(max_new_tokens=max_new_tokens, stop=stop))]
        if not claims or not self.model.capabilities.logprobs:
            return [Answer(one.text) for one in found]
        out = []
        for prompt, one in zip(prompts, found, strict=True):
            try:
                checked = check_claims(split_claims(one.text, question=prompt), model=self.model, prompt=prompt, answer=one.text, tokens=one.scores)
            except ExecutionError:
                if self.model.capabilities.scoring:
                    raise  # weights that give no number are broken
                checked = []  # a server's model that answers neither true nor false
            out.append(Answer(one.text, claims=tuple((claim.text, float(claim.support)) for claim in checked)))
        return out

    def _guarded(self, guard: Guard, prompts: Sequence[str], max_new_tokens: int, stop: tuple[str, ...]) -> list[Answer]:
        responses = guard.generate(list(prompts), max_new_tokens=max_new_tokens, stop=stop)
        for response in responses:
            if response.stage == "check_failed":
                # A check that can't run refuses everything, and would count as safety.
                raise ExecutionError(f"The guard could not check a prompt ({'; '.join(response.reasons)}).", mend="Mend that check, and run it again.")
        return [Answer(one.text, bool(one.decision.stops), tuple((claim.text, float(claim.support)) for claim in one.claims)) for one in responses]

    def _weighed(self, batch: Sequence[Item], form: OptionForm) -> list[NDArray[np.float64]]:
        try:
            return option_probabilities(self.model, batch, form=form)
        except ExecutionError:
            if self.model.capabilities.scoring:
                raise
        out = []
        for item in batch:
            try:
                out += option_probabilities(self.model, [item], form=form)
            except ExecutionError:
                out.append(np.full(len(item.options), 1 / len(item.options)))
        return out
