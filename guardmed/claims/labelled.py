"""Claims that people labelled, and how they are scored to take thresholds from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from guardmed.claims.check import check_claims, locate_claims
from guardmed.claims.conformal import ScoredAnswer
from guardmed.claims.outcome import answers_for_itself
from guardmed.errors import DataError
from guardmed.models.base import LanguageModel
from guardmed.records import Record

if TYPE_CHECKING:
    from guardmed.claims.nli import Nli

TRUE, FALSE = frozenset({"true", "accurate", "supported"}), frozenset({"false", "minor_inaccurate", "major_inaccurate", "inaccurate", "unsupported"})


class LabelledAnswer(Record):
    """An answer's claims with what people said of each.

    Attributes
    ----------
    question : str
    claims : tuple of str
    labels : tuple of bool or str
        One for each claim: true or false, or a word of :data:`TRUE` or :data:`FALSE`.
    samples : tuple of str
        Other answers to the question.
    answer : str or None
        The whole answer; the claims in a row without it.
    group : str or None
        Thresholds are taken for each group by itself.
    """

    question: str = ""
    claims: tuple[str, ...] = Field(min_length=1)
    labels: tuple[bool | str, ...]
    samples: tuple[str, ...] = ()
    answer: str | None = None
    group: str | None = None

    @model_validator(mode="after")
    def _labelled(self) -> LabelledAnswer:
        if len(self.labels) != len(self.claims):
            raise ValueError(f"{len(self.claims)} claims have {len(self.labels)} labels")
        unknown = [label for label in self.labels if not isinstance(label, bool) and label.lower() not in TRUE | FALSE]
        if unknown:
            raise ValueError(f"the label {unknown[0]!r} is neither true nor false; known are {', '.join(sorted(TRUE | FALSE))}")
        return self

    @property
    def true(self) -> tuple[bool, ...]:
        """Whether each claim holds."""
        return tuple(label if isinstance(label, bool) else label.lower() in TRUE for label in self.labels)


def scored_answers(
    answers: Sequence[LabelledAnswer], *, model: LanguageModel | None = None, nli: Nli | None = None, advance: Callable[[int], None] | None = None
) -> list[ScoredAnswer]:
    """Support of every claim that may be cut, as ``check claims`` gives it; ``None`` where nothing could be measured."""
    found = []
    for one in answers:
        text = one.answer if one.answer is not None else " ".join(one.claims)
        question = one.question.strip() or None
        tokens = model.score([question], [text])[0] if model is not None and question and one.answer is not None else None
        checked = check_claims(
            locate_claims(one.claims, one.answer), model=model, prompt=question, answer=text if question else None, tokens=tokens, samples=one.samples, nli=nli
        )
        # What is never cut for lack of support is no part of the bargain.
        held = [(claim.support if claim.scores else None, true) for claim, true in zip(checked, one.true, strict=True) if answers_for_itself(claim)]
        found.append(ScoredAnswer(tuple(support for support, _ in held), tuple(true for _, true in held), one.group))
        if advance:
            advance(1)
    return found


def samples_of(answers: Sequence[LabelledAnswer]) -> int:
    """How many samples each answer has.

    Raises
    ------
    DataError
        They differ: a claim's support depends on how many it is compared with.
    """
    counts = sorted({len(one.samples) for one in answers})
    if len(counts) > 1:
        raise DataError(f"Some answers have {counts[0]} samples and some {counts[-1]}.", mend="Give each the same number, as many as the guard is to draw.")
    return counts[0] if counts else 0


def halves(answers: Sequence[ScoredAnswer], *, holdout: float, seed: int = 0) -> tuple[list[ScoredAnswer], list[ScoredAnswer]]:
    """Answers to take thresholds from, and answers to measure them on, drawn by chance: whole answers, never parts of one."""
    order = np.random.default_rng(seed).permutation(len(answers))
    cut = len(answers) - round(holdout * len(answers))
    return [answers[place] for place in order[:cut]], [answers[place] for place in order[cut:]]
