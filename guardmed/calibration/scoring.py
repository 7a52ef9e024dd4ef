"""Scores a model on question sets: option likelihood, belief in statements, and the confidence it states itself."""

from __future__ import annotations

import re
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
from guardmed.models.base import LanguageModel, Sampling, shares

Advance = Callable[[int], None]
OptionForm = Literal["text", "letters"]
_BATCH = 16
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STATE = {
    "en": "Answer with the letter of the right option and how sure you are, from 0 to 100, like this: {example}",
    "zh": "请回答正确选项的字母，以及你有多大把握（0到100），格式如：{example}",
}
_EXAMPLE = {"en": "B, 70", "zh": "B，70"}
_STATED = re.compile(
    r"(?<![A-Za-z])([A-Z])(?![A-Za-z])[^0-9A-Za-z]{0,12}(?i:(?:confidence|sure|certainty)[^0-9A-Za-z]{0,6})?(100|\d{1,2})(?:\.0+)?\s*%?(?![0-9.])"
)
_STATED_TOKENS = 24
# Letters, digits and marks that Chinese typing makes wide.
_FULL_WIDTH = {code + 0xFEE0: code for code in range(0x21, 0x7F)}


def question_prompt(item: Item, *, ask: str | None = None) -> str:
    """A question with lettered options, and what is asked of it, as one user turn."""
    options = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, item.options, strict=False))
    ask = ask or ("只回答选项字母。" if item.lang == "zh" else "Answer with the letter only.")
    return f"{item.question}\n{options}\n{ask}"


def prompt_digest(source: ScoreSource, form: OptionForm = "text") -> str:
    """SHA-256 of the templates that a kind of score is asked with, in both languages."""
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    shown = [Item(id=lang, question="Q", options=("1", "2"), answer=0, lang=lang) for lang in languages]
    if source == "option_likelihood":
        return digest_value([form, [question_prompt(item) if form == "letters" else item.question for item in shown]])
    if source == "stated_confidence":
        return digest_value([source, [question_prompt(item, ask=_STATE[item.lang]) for item in shown]])
    return digest_value([source, [statement(item, 0)[0] for item in shown], QUESTIONS])


def option_probabilities(
    model: LanguageModel, items: Sequence[Item], *, form: OptionForm = "text", orders: int = 1, advance: Advance | None = None
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
    orders : int
        For letters: average over so many rotations of the options, because models prefer some letters.
    advance : callable, optional
        Told how many items were done.
    """
    out: list[NDArray[np.float64]] = []
    for batch in _batches(items):
        if form == "letters":
            out += _by_letter(model, batch, orders)
        else:
            out += [shares(found) for found in model.choose([item.question for item in batch], [list(item.options) for item in batch], per_token=True)]
        if advance:
            advance(len(batch))
    return out


def _by_letter(model: LanguageModel, batch: Sequence[Item], orders: int) -> list[NDArray[np.float64]]:
    totals = [np.zeros(len(item.options)) for item in batch]
    for turn in range(orders):
        turned = [rotated(item, turn) for item in batch]
        found = model.choose([question_prompt(item) for item in turned], [list(_LETTERS[: len(item.options)]) for item in turned])
        for place, logprobs in enumerate(found):
            totals[place] += np.roll(shares(logprobs), turn % len(logprobs))
    return [total / orders for total in totals]


def rotated(item: Item, turn: int) -> Item:
    """An item with its options moved up by so many places, the first ones to the end."""
    count = len(item.options)
    at = turn % count
    return item.model_copy(update={"options": (*item.options[at:], *item.options[:at]), "answer": (item.answer - at) % count})


def option_rows(model: LanguageModel, items: Sequence[Item], *, form: OptionForm = "text", orders: int = 1, advance: Advance | None = None) -> Rows:
    """Option probabilities as rows to calibrate on, grouped by language; missing options are zero."""
    probs = option_probabilities(model, items, form=form, orders=orders, advance=advance)
    values = np.zeros((len(items), max(len(row) for row in probs)))
    for index, row in enumerate(probs):
        values[index, : len(row)] = row
    return Rows(values, np.array([float(item.answer) for item in items]), tuple(item.lang for item in items))


def stated_rows(model: LanguageModel, items: Sequence[Item], *, advance: Advance | None = None) -> tuple[Rows, int]:
    """Confidence that the model states beside its answer, and whether the answer is right.

    Returns
    -------
    rows : Rows
        Of the answers that could be read, grouped by language.
    unread : int
        Answers without a letter and a number from 0 to 100; they are left out, and a caller must say how many.
    """
    scores: list[float] = []
    correct: list[float] = []
    groups: list[str] = []
    for batch in _batches(items):
        asked = [f"{question_prompt(item, ask=_STATE[item.lang].format(example=_EXAMPLE[item.lang]))}" for item in batch]
        for item, answers in zip(batch, model.generate(asked, Sampling(max_new_tokens=_STATED_TOKENS)), strict=True):
            found = stated(answers[0].text, len(item.options))
            if found is not None:
                correct.append(float(found[0] == item.answer))
                scores.append(found[1])
                groups.append(item.lang)
        if advance:
            advance(len(batch))
    return Rows(np.array(scores), np.array(correct), tuple(groups)), len(items) - len(scores)


def stated(answer: str, options: int) -> tuple[int, float] | None:
    """Option and confidence, in 0 to 1, that an answer states; ``None`` where it can't be read."""
    match = _STATED.search(answer.translate(_FULL_WIDTH))
    if match is None or match[1] not in _LETTERS[:options]:
        return None
    return _LETTERS.index(match[1]), int(match[2]) / 100


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
