"""Multiple choice: MedQA, MedMCQA, CMExam, CMMLU and the other shapes of ``docs/question-sets.md``, and the written sets."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np

from guardmed.calibration.items import Item, load_items
from guardmed.calibration.scoring import question_prompt
from guardmed.calibration.shapes import read_items
from guardmed.evaluate.asking import Asking
from guardmed.evaluate.figures import rate
from guardmed.evaluate.results import Scored
from guardmed.evaluate.selection import Selection

USUAL = 64
_LETTER_TOKENS = 12
_LETTER = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z']|\s+[a-z])")
_FULL_WIDTH = {code + 0xFEE0: code for code in range(0x21, 0x7F)}


def load(selection: Selection) -> list[Item]:
    """The questions of one language, those with several right options left out.

    Raises
    ------
    DataError
        The file is of no known shape, a row does not fit, or none is in the language.
    """
    written = (item for item in load_items() if item.kind == "choice")
    every = list(written) if selection.data is None else read_items(selection.data, skip_multiple=True)
    return selection.drawn(selection.spoken(every, lambda item: item.lang, "question"), USUAL)


@dataclass(frozen=True)
class MultipleChoice:
    """Which option is likeliest."""

    selection: Selection
    items: tuple[Item, ...]
    name = "mcq"

    @classmethod
    def of(cls, selection: Selection) -> MultipleChoice:
        """The suite over a selection."""
        return cls(selection, tuple(load(selection)))

    @property
    def size(self) -> int:
        """Answers it takes."""
        return len(self.items)

    def run(self, asking: Asking) -> Scored:
        """Score every option; a question that the guard stops is not answered, so not right."""
        form, chosen, stopped = self._chosen(asking)
        right = [best == item.answer and not stop for best, item, stop in zip(chosen, self.items, stopped, strict=True)]
        figures = {"accuracy": rate(right, controls=controls(self.items))}
        if asking.guard is not None:
            figures["answered"] = rate([not stop for stop in stopped])
        rows = [
            {
                "item": str(item.id),
                "question": item.question,
                "answer": None if best is None else item.options[best],
                "gold": item.options[item.answer],
                "correct": ok,
                "stopped": stop,
            }
            for item, best, ok, stop in zip(self.items, chosen, right, stopped, strict=True)
        ]
        unread = sum(best is None and not stop for best, stop in zip(chosen, stopped, strict=True))
        unchosen = f"No option was chosen in {unread} of {len(self.items)} answers; they count as wrong."
        result = self.selection.result(
            "mcq",
            asking.system.name,
            n=len(self.items),
            asked=[item.model_dump(mode="json") for item in self.items],
            settings={"form": form},
            figures=figures,
            notes=[unchosen] if unread else (),
        )
        return Scored(result, rows)

    def _chosen(self, asking: Asking) -> tuple[str, list[int | None], list[bool]]:
        """How it was asked, the option chosen, and what a guard stopped.

        Options that are all as likely choose none. A model without log-probabilities is asked to say the letter.
        """
        if asking.model.capabilities.logprobs:
            shares = asking.options(self.items, form=self.selection.form)
            chosen = [None if min(row) == max(row) else int(np.argmax(row)) for row in shares]
            return asking.form(self.selection.form), chosen, asking.stopped([item.question for item in self.items])
        answers = asking.answers([question_prompt(item) for item in self.items], max_new_tokens=self.selection.tokens(_LETTER_TOKENS))
        said = [None if answer.stopped else letter(answer.text, len(item.options)) for answer, item in zip(answers, self.items, strict=True)]
        return "said", said, [answer.stopped for answer in answers]


def letter(answer: str, options: int) -> int | None:
    """The option that an answer names first by its letter; ``A patient`` names none."""
    match = _LETTER.search(answer.translate(_FULL_WIDTH))
    return ascii_uppercase.index(match[1]) if match and match[1] in ascii_uppercase[:options] else None


def controls(items: tuple[Item, ...]) -> dict[str, float]:
    """Accuracy of what knows nothing: chance, the place that is right most often, the longest and the shortest option.

    Where several options are as long, each counts its share.
    """
    places = Counter(item.answer for item in items)

    def by_length(pick: int) -> float:
        total = 0.0
        for item in items:
            lengths = [pick * len(option) for option in item.options]
            best = [place for place, length in enumerate(lengths) if length == max(lengths)]
            total += (item.answer in best) / len(best)
        return total / len(items)

    return {
        "chance": sum(1 / len(item.options) for item in items) / len(items),
        "most frequent place": places.most_common(1)[0][1] / len(items),
        "longest option": by_length(1),
        "shortest option": by_length(-1),
    }
