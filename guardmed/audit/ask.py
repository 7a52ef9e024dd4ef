"""Asks a model every variant of an audit: batched, in a fixed order, each answer kept as it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from guardmed.audit.store import AnswerStore
from guardmed.audit.variants import Variant
from guardmed.errors import ExecutionError
from guardmed.files import digest_value
from guardmed.models.base import LanguageModel, Sampling
from guardmed.policy import Policy, Stage
from guardmed.version import VERSION

Advance = Callable[[int], None]
_BATCH = {"choice": 32, "rating": 32, "open": 16}
_TOKENS_TO_CHOOSE = 8


class Guard(Protocol):
    """What stands in front of a model: :class:`guardmed.GuardedModel`, seen from below it."""

    @property
    def policy(self) -> Policy:
        """What sees every prompt first."""

    @property
    def digest(self) -> str:
        """Of everything that makes it up."""

    def generate(self, prompts: Any, **keywords: Any) -> Any:
        """Guarded responses, one a prompt."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are drawn.

    Attributes
    ----------
    max_new_tokens : int
        Of a free answer.
    temperature : float
        0 is greedy.
    samples : int
        For a choice, where a model gives no log-probabilities: how often it is asked each way round.
    seed : int
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    samples: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Asked:
    """One distinct prompt, and the key of its answer."""

    variant: Variant
    repeat: int
    key: str


@dataclass(frozen=True)
class Interview:
    """One system under audit: a model, maybe behind a guard.

    Attributes
    ----------
    guard : Guard or None
        Whose model is ``model``; its policy sees every prompt first.
    """

    model: LanguageModel
    guard: Guard | None = None
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def guard_digest(self) -> str | None:
        """Digest of everything that makes up the guard; None without one."""
        return self.guard.digest if self.guard is not None else None

    def plan(self, variants: Iterable[Variant], *, repeats: Callable[[Variant], int]) -> list[list[Asked]]:
        """Batches of what has to be asked, each distinct prompt once.

        The batches depend on what is asked alone, never on what is known already, so that a run
        taken up again computes every number just as an undisturbed one.
        """
        fingerprint, guard = self.model.fingerprint, self.guard_digest
        asked: dict[str, Asked] = {}
        for variant in variants:
            for repeat in range(repeats(variant)):
                key = self.key(variant, repeat, fingerprint=fingerprint, guard=guard)
                asked.setdefault(key, Asked(variant, repeat, key))
        order = sorted(asked.values(), key=lambda one: (one.repeat, one.variant.kind, one.variant.language, len(one.variant.body()), one.key))
        batches: list[list[Asked]] = []
        for one in order:
            last = batches[-1] if batches else []
            alike = last and (last[0].variant.kind, last[0].repeat) == (one.variant.kind, one.repeat) and len(last) < _BATCH[one.variant.kind]
            if alike:
                last.append(one)
            else:
                batches.append([one])
        return batches

    def key(self, variant: Variant, repeat: int, *, fingerprint: str, guard: str | None) -> str:
        """Digest of all that an answer depends on."""
        prompts = [variant.prompt(order) for order in variant.orders] or [variant.prompt()]
        drawing = [self.decoding.seed, self.decoding.temperature]
        drawing += [self.decoding.max_new_tokens] if variant.kind == "open" else [self.decoding.samples, self.model.capabilities.logprobs]
        # How a prompt is rendered and an answer read is this version's, and numbers are a device's.
        return digest_value([VERSION, fingerprint, self.numerics, guard, variant.kind, prompts, variant.options, drawing, repeat])

    @property
    def numerics(self) -> str:
        """Device and type of the numbers, where the model runs here."""
        return str(getattr(self.model, "numerics", ""))

    def run(self, batches: Sequence[Sequence[Asked]], store: AnswerStore, *, advance: Advance | None = None) -> None:
        """Ask what is not in the store yet, batch by batch, and keep each batch whole."""
        for batch in batches:
            missing = [one for one in batch if one.key not in store]
            if missing:
                store.add(dict(zip((one.key for one in missing), self._answers(missing), strict=True)))
            if advance:
                advance(len(batch))

    def _answers(self, batch: Sequence[Asked]) -> list[dict[str, Any]]:
        if batch[0].variant.kind == "open":
            return self._free(batch)
        shares = self._likelihoods(batch) if self.model.capabilities.logprobs else self._sampled(batch)
        stopped = self._stopped(batch)
        return [{**share, **stop} for share, stop in zip(shares, stopped, strict=True)]

    def _likelihoods(self, batch: Sequence[Asked]) -> list[dict[str, Any]]:
        """By the probability of each option; what is left of 1 is other answers."""
        asked = [(one.variant, order) for one in batch for order in one.variant.orders]
        found = self.model.choose([variant.prompt(order) for variant, order in asked], [list(variant.answers(order)) for variant, order in asked])
        found = [np.asarray(logprobs, dtype=np.float64) for logprobs in found]
        if any(np.isnan(logprobs).any() or np.isposinf(logprobs).any() for logprobs in found):
            raise ExecutionError(
                f"{self.model.name} gave a probability that is no number.", mend="Its weights may hold NaN, or overflow in half precision; load it in another."
            )
        return _joined(batch, [np.exp(np.minimum(logprobs, 0.0)) for logprobs in found])

    def _sampled(self, batch: Sequence[Asked]) -> list[dict[str, Any]]:
        """By sampled answers that name an option."""
        asked = [(one.variant, order) for one in batch for order in one.variant.orders]
        sampling = Sampling(max_new_tokens=_TOKENS_TO_CHOOSE, temperature=self.decoding.temperature or 1.0, n=self.decoding.samples, seed=self._seed(batch))
        found = self.model.generate([variant.prompt(order) for variant, order in asked], sampling)
        shares = []
        for (variant, order), answers in zip(asked, found, strict=True):
            named = [_named(answer.text, variant.answers(order)) for answer in answers]
            shares.append(np.array([sum(name == place for name in named) / len(named) for place in range(len(order))]))
        return _joined(batch, shares)

    def _stopped(self, batch: Sequence[Asked]) -> list[dict[str, bool]]:
        """Whether the guard would stop each prompt; nothing where there is no guard."""
        if self.guard is None:
            return [{} for _ in batch]
        policy = self.guard.policy
        return [{"stopped": policy.check(one.variant.prompt(one.variant.orders[0]), stage=Stage.INPUT).decision.stops} for one in batch]

    def _seed(self, batch: Sequence[Asked]) -> int:
        """Another one for each repeat, far from those of the samples of one prompt."""
        return self.decoding.seed + 1_000_003 * batch[0].repeat

    def _free(self, batch: Sequence[Asked]) -> list[dict[str, Any]]:
        prompts = [one.variant.prompt() for one in batch]
        seed = self._seed(batch)
        if self.guard is not None:
            options: dict[str, Any] = {"max_new_tokens": self.decoding.max_new_tokens, "seed": seed}
            if self.decoding.temperature > 0:
                options |= {"do_sample": True, "temperature": self.decoding.temperature}
            responses = self.guard.generate(prompts, **options)
            failed = [(one, response) for one, response in zip(batch, responses, strict=True) if response.stage == "check_failed"]
            for one, response in failed:
                # A server that went away refuses nobody; kept, it would count as a refusal for ever.
                raise ExecutionError(
                    f"The guard could not check {one.variant.item} for {one.variant.group} ({'; '.join(response.reasons)}).",
                    mend="What is answered already is kept; mend that check or server and run it again.",
                )
            return [
                {"answer": response.text, "decision": response.decision.value, "stage": response.stage, "confidence": response.confidence}
                for response in responses
            ]
        sampling = Sampling(max_new_tokens=self.decoding.max_new_tokens, temperature=self.decoding.temperature, seed=seed)
        return [{"answer": answers[0].text} for answers in self.model.generate(prompts, sampling)]


def _joined(batch: Sequence[Asked], masses: Sequence[NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Shares among the options, in their own order, averaged over the orders they were named in.

    Each way round counts the same, however often an option is named at all: that is ``answered``.
    """
    out: list[dict[str, Any]] = []
    rest = iter(masses)
    for one in batch:
        total, answered = np.zeros(len(one.variant.options)), []
        for order in one.variant.orders:
            mass = next(rest)
            answered.append(min(1.0, float(mass.sum())))
            if mass.sum() > 0:
                total[list(order)] += mass / mass.sum()
        shares = total / total.sum() if total.sum() > 0 else total
        out.append({"shares": [float(share) for share in shares], "answered": float(np.mean(answered))})
    return out


def _named(answer: str, options: Sequence[str]) -> int | None:
    """Which option an answer begins with, past marks and blanks; None if it names none."""
    start = re.sub(r"^[\W_]+", "", answer).casefold()
    named = [place for place, option in enumerate(options) if start.startswith(option.casefold()) and not _goes_on(start, len(option))]
    return named[0] if len(named) == 1 else None


def _goes_on(text: str, at: int) -> bool:
    """Whether it is only the beginning of other words: *Nothing* after *No*, or *a patient* after the letter A."""
    if not text[at - 1].isascii():
        return False
    rest = text[at:]
    return (rest[:1].isascii() and rest[:1].isalnum()) or (at == 1 and bool(re.match(r"\s+[a-z]", rest)))
