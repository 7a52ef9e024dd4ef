"""Open answers: which reference facts they state, and how far their claims are supported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from guardmed.calibration.shapes import _CHINESE, _file_rows, _Row
from guardmed.claims import split_claims
from guardmed.claims.consistency import consistency
from guardmed.claims.fuse import SUPPORTED_FROM
from guardmed.evaluate.asking import Asking
from guardmed.evaluate.figures import pooled, rate
from guardmed.evaluate.results import Figure, Language, Scored
from guardmed.evaluate.selection import Selection, written
from guardmed.records import parsed_cell

USUAL = 10
TOKENS = 48
_QUESTION, _FACTS, _ANSWER = ("question", "Question"), ("facts", "Must_have"), ("answer", "Free_form_answer", "reference")
_NEEDS = "Give question, and facts as a list or a reference answer."


@dataclass(frozen=True, slots=True)
class Fact:
    """What a good answer says, and the words by which it is known to say so, if there are any."""

    text: str
    words: tuple[str, ...] = ()

    def stated(self, answer: str, *, question: str) -> bool:
        """Whether an answer says it: one of its words stands there, or else its own words mostly do."""
        if self.words:
            return any(_stands(one, answer) for one in self.words)
        return (consistency([self.text], [answer], context=question)[0] or 0.0) >= SUPPORTED_FROM


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what a good answer says."""

    id: str
    text: str
    facts: tuple[Fact, ...]
    language: Language

    @property
    def reference(self) -> str:
        """All facts as one text."""
        return ("" if self.language == "zh" else " ").join(fact.text for fact in self.facts)


def load(selection: Selection) -> list[Question]:
    """The questions of one language: GuardMed's ``question`` and ``facts``, K-QA's ``Question`` and ``Must_have``, or a reference ``answer``.

    Raises
    ------
    DataError
        The file can't be read, a row does not fit, or none is in the language.
    """
    every = [_question(row) for row in _file_rows(written("open", selection.language) if selection.data is None else selection.data)]
    return selection.spoken(every, lambda one: one.language, "question")


def _question(row: _Row) -> Question:
    text = next((value for field in _QUESTION if (value := row.get(field))), None)
    if text is None:
        raise row.fault("question is missing, empty or not a text", _NEEDS)
    field, listed = next(((field, value) for field in _FACTS if (value := parsed_cell(row.fields.get(field))) is not None), ("facts", None))
    if listed is None:
        answer = next((value for field in _ANSWER if (value := row.get(field))), None)
        if answer is None:
            raise row.fault("facts is missing, and there is no answer", _NEEDS)
        listed = [claim.text for claim in split_claims(answer, question=text)]
    if not isinstance(listed, list) or not listed:
        raise row.fault(f"{field} is not a list of facts", _NEEDS)
    facts = tuple(_fact(row, f"{field}.{place}", one) for place, one in enumerate(listed))
    return Question(row.get("id") or str(row.number), text, facts, "zh" if _CHINESE.search(text) else "en")


def _fact(row: _Row, field: str, value: Any) -> Fact:
    if isinstance(value, str) and value.strip():
        return Fact(value.strip())
    if isinstance(value, dict) and isinstance(value.get("text"), str) and value["text"].strip():
        words = value.get("any", [])
        if isinstance(words, list) and all(isinstance(one, str) and one.strip() for one in words):
            return Fact(value["text"].strip(), tuple(words))
        raise row.fault(f"{field}.any is not a list of texts", "Give the words that show the fact is stated.")
    raise row.fault(f"{field} is not a fact: a text, or an object with text and any", _NEEDS)


@dataclass(frozen=True)
class OpenAnswers:
    """What an answer says, against what it should and against what the model believes."""

    selection: Selection
    questions: tuple[Question, ...]
    name = "open"

    @classmethod
    def of(cls, selection: Selection) -> OpenAnswers:
        """The suite over a selection."""
        return cls(selection, tuple(selection.drawn(load(selection), USUAL)))

    @property
    def size(self) -> int:
        """Answers it takes, claims not counted."""
        return len(self.questions)

    def run(self, asking: Asking) -> Scored:
        """Answer, then hold the claims against the facts, the facts against the answer, and the claims against the model's own belief."""
        tokens = self.selection.tokens(TOKENS)
        answers = asking.answers([one.text for one in self.questions], max_new_tokens=tokens, claims=True)
        said = ["" if answer.stopped else answer.text for answer in answers]
        measured = [list(answer.claims) for answer in answers]
        claims = [
            [claim for claim, _ in own] or ([] if asking.guard is not None else [claim.text for claim in split_claims(text, question=one.text)])
            for one, own, text in zip(self.questions, measured, said, strict=True)
        ]
        figures = self.figures(said, claims)
        held = [[support for _, support in own] for own in measured if own]
        if held:
            figures["self_support"] = pooled([sum(row) for row in held], [len(row) for row in held], seed=self.selection.seed)
        if asking.guard is not None:
            figures["answered"] = rate([not answer.stopped for answer in answers])
        unmeasured = "The model's own belief in its claims was not measured: it gives no log-probabilities, or said nothing."
        result = self.selection.result(
            "open",
            asking.system.name,
            n=len(self.questions),
            asked=[[one.id, one.text, [[fact.text, fact.words] for fact in one.facts]] for one in self.questions],
            settings={"max_new_tokens": tokens},
            figures=figures,
            notes=() if held else [unmeasured],
        )
        rows = [
            {
                "item": one.id,
                "question": one.text,
                "response": answer.text,
                "facts": [fact.text for fact in one.facts],
                "stated": [fact.stated(text, question=one.text) for fact in one.facts],
                "claims": list(parts),
                "self_support": [support for _, support in own],
            }
            for one, answer, text, parts, own in zip(self.questions, answers, said, claims, measured, strict=True)
        ]
        return Scored(result, rows)

    def figures(self, said: Sequence[str], claims: Sequence[Sequence[str]]) -> dict[str, Figure]:
        """Facts stated and claims that the facts support; the control is the next question's facts, which the answer is not about."""
        seed, questions = self.selection.seed, self.questions
        others = [*questions[1:], questions[0]]

        def stated(against: Sequence[Question]) -> list[int]:
            return [sum(fact.stated(text, question=one.text) for fact in other.facts) for one, other, text in zip(questions, against, said, strict=True)]

        def supported(against: Sequence[Question]) -> list[int]:
            return [
                sum((found or 0.0) >= SUPPORTED_FROM for found in consistency(parts, [other.reference], context=one.text))
                for one, other, parts in zip(questions, against, claims, strict=True)
            ]

        sizes = [len(one.facts) for one in questions]
        control = {"facts of another question": sum(stated(others)) / sum(sizes)} if len(questions) > 1 else {}
        told = stated(questions)
        found = {"facts_stated": pooled(told, sizes, seed=seed, shares=True, controls=control, detail=f"{sum(told)} of {sum(sizes)} facts")}
        total = sum(map(len, claims))
        if total:
            control = {"facts of another question": sum(supported(others)) / total} if len(questions) > 1 else {}
            held, parts = supported(questions), [len(parts) for parts in claims]
            found["claims_supported"] = pooled(held, parts, seed=seed, shares=True, controls=control, detail=f"{sum(held)} of {total} claims")
        return found


def _stands(words: str, answer: str) -> bool:
    """Whether words stand in an answer, in any case, not within longer Latin words or numbers."""
    before = r"(?<![A-Za-z0-9])" if words[0].isascii() else ""
    behind = r"(?![A-Za-z0-9])" if words[-1].isascii() else ""
    return re.search(before + re.escape(words) + behind, answer, re.IGNORECASE) is not None
