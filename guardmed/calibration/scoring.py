"""Scores a model on question sets: option likelihood, and belief in statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.artifact import ScoreSource
from guardmed.calibration.items import Item
from guardmed.calibration.run import Rows
from guardmed.claims.fuse import fuse
from guardmed.claims.p_true import QUESTIONS, p_true
from guardmed.files import digest_value
from guardmed.models.base import LanguageModel

Advance = Callable[[int], None]
OptionForm = Literal["text", "letters"]
_BATCH = 16
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def question_prompt(item: Item) -> str:
    """A question with lettered options, as one user turn."""
    options = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, item.options, strict=False))
    ask = "只回答选项字母。" if item.lang == "zh" else "Answer with the letter only."
    return f"{item.question}\n{options}\n{ask}"


def prompt_digest(source: ScoreSource, form: OptionForm = "text") -> str:
    """SHA-256 of the templates that a kind of score is asked with, in both languages."""
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    shown = [Item(id=lang, question="Q", options=("1", "2"), answer=0, lang=lang) for lang in languages]
    if source == "option_likelihood":
        return digest_value([form, [question_prompt(item) if form == "letters" else item.question for item in shown]])
    return digest_value([source, [statement(item, 0)[0] for item in shown], QUESTIONS])


def option_probabilities(
    model: LanguageModel, items: Sequence[Item], *, form: OptionForm = "text", advance: Advance | None = None
) -> list[NDArray[np.float64]]:
    """Probability of each option of each item, in 0 to 1, summing to 1.

    Parameters
    ----------
    model : LanguageModel
    items : sequence of Item
    form : {"text", "letters"}
        ``text``: mean token log-probability of the option itself as the answer, which even a base
        model can do. ``letters``: likelihood of the option's letter after the lettered list, one
        forward pass a question, for models that were taught to answer so.
    advance : callable, optional
        Told how many items were done.
    """
    out: list[NDArray[np.float64]] = []
    for batch in _batches(items):
        if form == "letters":
            found = model.choose([question_prompt(item) for item in batch], [list(_LETTERS[: len(item.options)]) for item in batch])
        else:
            found = model.choose([item.question for item in batch], [list(item.options) for item in batch], per_token=True)
        out += [np.exp(logprobs - np.logaddexp.reduce(logprobs)) for logprobs in found]
        if advance:
            advance(len(batch))
    return out


def option_rows(model: LanguageModel, items: Sequence[Item], *, form: OptionForm = "text", advance: Advance | None = None) -> Rows:
    """Option probabilities as rows to calibrate on, grouped by language; missing options are zero."""
    probs = option_probabilities(model, items, form=form, advance=advance)
    values = np.zeros((len(items), max(len(row) for row in probs)))
    for index, row in enumerate(probs):
        values[index, : len(row)] = row
    return Rows(values, np.array([float(item.answer) for item in items]), tuple(item.lang for item in items))


def statement_support(model: LanguageModel, items: Sequence[Item], *, advance: Advance | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Support of statements the way claims of an answer get it, and whether each is true.

    True-or-false items are statements as they are; a choice item gives one statement, its question
    with one of its options, right for every other item.
    """
    statements = [statement(item, index) for index, item in enumerate(items)]
    supports: list[float] = []
    for at in range(0, len(statements), _BATCH):
        part = statements[at : at + _BATCH]
        beliefs = p_true(model, None, None, [text for text, _ in part])
        supports += [fuse({"p_true": belief}) or 0.0 for belief in beliefs]
        if advance:
            advance(len(part))
    return np.array(supports), np.array([float(true) for _, true in statements])


def statement(item: Item, index: int) -> tuple[str, bool]:
    """A statement made of an item, and whether it holds."""
    if item.kind == "true_false":
        return item.question, item.answer == 0
    right = index % 2 == 0
    wrong = (item.answer + 1 + index // 2 % (len(item.options) - 1)) % len(item.options)
    chosen = item.options[item.answer if right else wrong]
    return (f"{item.question}——{chosen}" if item.lang == "zh" else f"{item.question} {chosen}"), right


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for at in range(0, len(items), _BATCH):
        yield items[at : at + _BATCH]
