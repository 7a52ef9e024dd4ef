"""Other answers to the same prompt: drawn together with the greedy one, and only as many as it takes.

Samples come in stages, 2, then 5, then 10 by default, and the drawing ends early once more of them would
hardly change a verdict (:class:`Stopping`).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardmed.claims.fuse import SUPPORTED_FROM, UNSUPPORTED_BELOW
from guardmed.errors import UsageError
from guardmed.models.base import Generation, LanguageModel, Prompt, Sampling

STAGES = (2, 5, 10)
"""Samples after each stage."""

# Small enough for a server to multiply with the number of answers and still have a 32-bit seed.
_SEEDS = 1 << 27
# Places between 0 and 1 at which the error of a rule is computed, for each sample there may be.
_GRID = 100


def answer_and_samples(model: LanguageModel, prompt: Prompt, sampling: Sampling, n: int) -> tuple[Generation, list[Generation]]:
    """The greedy answer to a prompt, and ``n`` samples.

    A transformers model reads the prompt once and writes all of them in one batch, whose first row
    may take only the likeliest token at each step. It is then the answer that the model gives alone at
    temperature 0, but for rounding: in half precision another batch size can decide a near tie
    otherwise. Other models are asked twice.

    Parameters
    ----------
    model : LanguageModel
    prompt : Prompt
    sampling : Sampling
        Of the samples; its ``n`` is not read. Seeded, they are of the first stage of :func:`draw`,
        which can go on from them.
    n : int

    Returns
    -------
    (Generation, list of Generation)
        In one batch, the greedy answer comes without ``state``.

    Raises
    ------
    UsageError
        ``n`` is negative, or the temperature 0.
    """
    if n < 0:
        raise UsageError(f"n={n} samples can't be drawn.", mend="Use 0 or more.")
    greedy = replace(sampling, temperature=0.0, n=1)
    if n == 0:
        return model.generate([prompt], greedy)[0][0], []
    drawn = _stage(sampling, first=0, n=n)
    if not _is_transformers(model):
        return model.generate([prompt], greedy)[0][0], model.generate([prompt], drawn)[0]
    processors = [*(sampling.extra.get("logits_processor") or ()), _GreedyFirst()]
    both = model.generate([prompt], replace(drawn, n=n + 1, extra={**sampling.extra, "logits_processor": processors}))[0]
    return both[0], both[1:]


def draw(
    model: LanguageModel,
    prompt: Prompt,
    sampling: Sampling,
    *,
    stages: Sequence[int] = STAGES,
    settled: Callable[[list[str]], bool],
    drawn: Sequence[Generation] = (),
) -> list[Generation]:
    """Draw samples stage by stage until they settle the matter.

    What a stage drew is kept for the next, which draws only what is missing, under a seed of its own
    that follows from ``sampling.seed`` and the number of samples so far. So the same call draws the
    same again, stages (2, 5) draw what (2, 5, 10) begin with, and no sample is drawn twice. (Seeds are
    27 bits of SHA-256; chance gives two stages the same random numbers in one run of some millions.)
    Without a seed, each call draws anew.

    Parameters
    ----------
    model : LanguageModel
    prompt : Prompt
    sampling : Sampling
        Its ``n`` is not read.
    stages : sequence of int
        Samples after each stage, rising.
    settled : callable
        Told the texts of all samples so far after each stage but the last; true ends the drawing.
        See :func:`settled_when`.
    drawn : sequence of Generation
        Samples that are there already, such as those of :func:`answer_and_samples`; the first come
        back first.

    Raises
    ------
    UsageError
        The stages don't rise, or the temperature is 0.
    """
    _check_stages(stages)
    found = list(drawn)
    for stage in stages:
        if stage > len(found):
            more = _stage(sampling, first=len(found), n=stage - len(found))
            found += model.generate([prompt], more)[0]
        elif stage < len(found):
            continue
        if stage < stages[-1] and settled([one.text for one in found]):
            break
    return found


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When samples that do or don't agree with a claim leave no doubt of what all of them would say.

    With all samples of the last stage, a claim is supported where at least ``high`` of them agree,
    unsupported where fewer than ``low`` do, and uncertain between. Sampling may stop at a stage where
    the verdict by the samples so far is likely to be that of all. Which counts are so clear is chosen
    before any is seen (stochastic curtailment: Lan, Simon and Halperin, Sequential Analysis 1982), by
    an exact bound: the chance that sampling stops with a verdict that all samples would not have given
    is at most ``error`` for each claim, whatever the share of agreement among the model's answers may
    be. It holds for samples drawn independently, and also where sampling goes on until every claim is
    settled. Counts are let in by their greatest contribution to that chance, the smallest first, as long
    as the sum keeps within ``error``. With ``error`` 0 only those are left that no further sample can
    change.

    It bounds what stopping early adds, not the error of the full number of samples. An exact interval
    of the share itself (Clopper and Pearson 1934) at 95 % can't lie above 0.6 with fewer than eight
    samples, even if all agree, so a test of the share would hardly ever stop early.

    Attributes
    ----------
    stages : tuple of int
        Rising.
    low, high : float
        Shares of agreement.
    error : float
        At least 0, below 1. The default settles a claim at five samples where none, four or five agree;
        from 0.22 on also at two where both agree, from 0.4 on also where neither does.
    """

    stages: tuple[int, ...] = STAGES
    low: float = UNSUPPORTED_BELOW
    high: float = SUPPORTED_FROM
    error: float = 0.05

    def __post_init__(self) -> None:
        _check_stages(self.stages)
        if not 0.0 <= self.low <= self.high <= 1.0 or not 0.0 <= self.error < 1.0:
            raise UsageError(f"low={self.low}, high={self.high}, error={self.error} is out of range.", mend="Use 0 <= low <= high <= 1 and 0 <= error < 1.")

    def clear(self, agreeing: int, drawn: int) -> bool:
        """Whether so many samples that agree, of so many, settle a claim.

        Raises
        ------
        UsageError
            ``drawn`` is no stage.
        """
        if drawn >= self.stages[-1]:
            return True
        if drawn not in self.stages or not 0 <= agreeing <= drawn:
            raise UsageError(f"{agreeing} of {drawn} samples is no count of the stages {self.stages}.", mend="Draw with the stages of the rule.")
        return (drawn, agreeing) in _clear(self)

    def all_clear(self, votes: ArrayLike) -> bool:
        """Whether every claim is settled.

        Parameters
        ----------
        votes : array of shape (samples, claims)
            True, or at least one half, where a sample agrees with a claim. NaN does not.
        """
        given = np.asarray(votes, dtype=np.float64)
        return all(self.clear(int(count), len(given)) for count in (given >= 0.5).sum(axis=0))


def settled_when(judge: Callable[[list[str]], ArrayLike], rule: Stopping) -> Callable[[list[str]], bool]:
    """From a judge of samples to the ``settled`` of :func:`draw`; each text is judged once.

    Parameters
    ----------
    judge : callable
        Told texts; an array of shape (texts, claims), see :meth:`Stopping.all_clear`. It must judge
        each text by itself: the bound of the rule does not hold for votes that lean on other samples.
    rule : Stopping
    """
    votes: dict[str, NDArray[np.float64]] = {}

    def settled(texts: list[str]) -> bool:
        new = [text for text in dict.fromkeys(texts) if text not in votes]
        if new:
            found = np.asarray(judge(new), dtype=np.float64)
            if found.ndim != 2 or len(found) != len(new):
                raise UsageError(f"The judge gave {found.shape} votes for {len(new)} samples.", mend="Give a row a sample, a column a claim.")
            votes.update(zip(new, found, strict=True))
        return rule.all_clear(np.stack([votes[text] for text in texts]))

    return settled


class _GreedyFirst:
    """A logits processor that leaves the first row of a batch only its likeliest token.

    It runs after what changes the order of tokens (repetition penalties, suppressed tokens) and before
    what does not (temperature, top-p), so that the token is the one that greedy decoding takes.
    """

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        best = scores[0].argmax()
        alone = scores.clone()
        alone[0] = -float("inf")
        alone[0, best] = 0.0
        return alone


def _is_transformers(model: LanguageModel) -> bool:
    """Whether a model takes the keywords of transformers' ``generate``; asked without importing torch."""
    module = sys.modules.get("guardmed.models.transformers_model")
    return module is not None and isinstance(model, module.TransformersModel)


def _stage(sampling: Sampling, *, first: int, n: int) -> Sampling:
    """How to draw ``n`` samples after the first so many."""
    if sampling.temperature == 0:
        raise UsageError("Samples at temperature 0 are the greedy answer over again.", mend="Set temperature above 0.")
    if sampling.seed is None:
        return replace(sampling, n=n)
    digest = hashlib.sha256(f"{sampling.seed}/{first}".encode()).digest()
    return replace(sampling, n=n, seed=int.from_bytes(digest[:8], "big") % _SEEDS)


def _check_stages(stages: Sequence[int]) -> None:
    if not stages or stages[0] < 1 or any(one >= other for one, other in pairwise(stages)):
        raise UsageError(f"The stages {tuple(stages)} don't rise from at least 1.", mend="Write them like (2, 5, 10).")


@lru_cache(maxsize=64)
def _clear(rule: Stopping) -> frozenset[tuple[int, int]]:
    """The counts (drawn, agreeing) at which a rule lets a claim be settled.

    The chance to stop wrongly is a polynomial in the share of agreement, whose Bernstein coefficients
    (chances given how many of all samples agree) lie in 0 to the number of early stages. Its second
    derivative is therefore at most twice that number times the square of its degree, and nowhere does
    it exceed the largest value on the grid by more than the slack.
    """
    total, early = rule.stages[-1], len(rule.stages) - 1
    shares = np.linspace(0.0, 1.0, _GRID * total + 1)
    slack = early / (4 * _GRID**2)
    wrong = {(drawn, agreeing): _wrong(rule, drawn, agreeing, shares) for drawn in rule.stages[:-1] for agreeing in range(drawn + 1)}
    clear, sum_of_wrong = set(), np.zeros_like(shares)
    for count, chance in sorted(wrong.items(), key=lambda item: (float(item[1].max()), item[0])):
        sum_of_wrong = sum_of_wrong + chance
        worst = float(sum_of_wrong.max())
        if worst > 0 and worst + slack > rule.error:
            break
        clear.add(count)
    return frozenset(clear)


def _wrong(rule: Stopping, drawn: int, agreeing: int, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chance of a count whose verdict is not that of all samples, at each share of agreement."""
    from scipy.stats import binom

    total = rule.stages[-1]
    said = _verdict(rule, agreeing / drawn)
    kept = [more for more in range(total - drawn + 1) if _verdict(rule, (agreeing + more) / total) == said]
    if not kept:
        return np.asarray(binom.pmf(agreeing, drawn, shares), dtype=np.float64)
    # Counts of one verdict lie together.
    others = binom.cdf(kept[0] - 1, total - drawn, shares) + binom.sf(kept[-1], total - drawn, shares)
    return np.asarray(binom.pmf(agreeing, drawn, shares) * others, dtype=np.float64)


def _verdict(rule: Stopping, share: float) -> int:
    return (share >= rule.low) + (share >= rule.high)
