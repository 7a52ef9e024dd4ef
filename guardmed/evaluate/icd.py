"""Diagnosis codes: which ICD-10 codes a case gets, with micro and macro F1, and whether they exist at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from guardmed.calibration.shapes import _CHINESE, _file_rows, _Row
from guardmed.evaluate.asking import Asking
from guardmed.evaluate.codes import CodeTable, category, cut, found_codes, is_code, normal, tables
from guardmed.evaluate.figures import Counts, pooled, rate
from guardmed.evaluate.results import Figure, Language, Scored
from guardmed.evaluate.selection import Selection, written
from guardmed.records import parsed_cell

USUAL = 20
TOKENS = 16
_TEXT, _CODES = ("text", "TEXT", "case", "note", "description"), ("codes", "LABELS", "labels", "icd10", "icd_codes")
_ASK: Mapping[Language, str] = {
    "en": (
        "Give the ICD-10 code of each diagnosis that the case describes. Answer with the codes alone, the main diagnosis first.\n"
        "Case: Heel pain on the first steps of the morning: plantar fasciitis.\nCodes: M72.2\n\nCase: {text}\nCodes:"
    ),
    "zh": ("请给出病例中每个诊断的ICD-10编码。只回答编码，主要诊断在前。\n病例：晨起第一步足跟痛，诊断足底筋膜炎。\n编码：M72.2\n\n病例：{text}\n编码："),
}
_STOPS = ("Case:", "病例：")


@dataclass(frozen=True, slots=True)
class Case:
    """A description, and its codes."""

    id: str
    text: str
    codes: tuple[str, ...]
    language: Language


def load(selection: Selection) -> list[Case]:
    """The cases of one language.

    Raises
    ------
    DataError
        The file can't be read, a row does not fit, a code stands in none of the tables installed, or no case is in the language.
    """
    path = written("icd", selection.language) if selection.data is None else selection.data
    cases = [_case(row) for row in _file_rows(path)]
    return selection.spoken(cases, lambda one: one.language, "case")


def _case(row: _Row) -> Case:
    text = next((value for field in _TEXT if (value := row.get(field))), None)
    if text is None:
        raise row.fault("text is missing, empty or not a text", "Give text and codes, such as E11.9.")
    field, listed = next(((field, value) for field in _CODES if (value := parsed_cell(row.fields.get(field))) not in (None, "")), ("codes", None))
    if isinstance(listed, str):
        listed = [part for part in re.split(r"[\s,;，；、]+", listed) if part]
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        raise row.fault(f"{field} is not a list of codes", "Give text and codes, such as E11.9.")
    codes = tuple(dict.fromkeys(normal(one) for one in listed))
    for given, code in zip(listed, codes, strict=False):
        if not is_code(code):
            raise row.fault(f"{field}: {given!r} is not an ICD-10 code", "Write codes such as E11.9.")
        if (known := tables()) and not any(table.holds(code) for table in known):
            raise row.fault(f"{field}: {given!r} stands in none of {', '.join(table.name for table in known)}", "Mend that code.")
    return Case(row.get("id") or str(row.number), text, codes, "zh" if _CHINESE.search(text) else "en")


@dataclass(frozen=True)
class Coding:
    """Which codes a case gets."""

    selection: Selection
    cases: tuple[Case, ...]
    name = "icd"

    @classmethod
    def of(cls, selection: Selection) -> Coding:
        """The suite over a selection."""
        return cls(selection, tuple(selection.drawn(load(selection), USUAL)))

    @property
    def size(self) -> int:
        """Answers it takes."""
        return len(self.cases)

    def run(self, asking: Asking) -> Scored:
        """Ask for codes, cut them to the length of the longest right one, and score them as sets."""
        tokens = self.selection.tokens(TOKENS)
        answers = asking.answers([_ASK[self.selection.language].format(text=one.text) for one in self.cases], max_new_tokens=tokens, stop=_STOPS)
        raw = [[] if answer.stopped else found_codes(answer.text) for answer in answers]
        length = max(len(code.replace(".", "")) for one in self.cases for code in one.codes)
        said = [list(dict.fromkeys(cut(code, length) for code in codes)) for codes in raw]
        seed = self.selection.seed
        figures = f1([one.codes for one in self.cases], said, seed=seed)
        figures |= {name: figure for name, figure in (("valid", validity(raw, tables(), seed=seed)),) if figure is not None}
        if asking.guard is not None:
            figures["answered"] = rate([not answer.stopped for answer in answers])
        result = self.selection.result(
            "icd",
            asking.system.name,
            n=len(self.cases),
            asked=[[one.id, one.text, one.codes] for one in self.cases],
            settings={"max_new_tokens": tokens, "characters": length},
            figures=figures,
            notes=notes(raw),
        )
        rows = [
            {"item": one.id, "text": one.text, "gold": list(one.codes), "found": codes, "response": answer.text}
            for one, codes, answer in zip(self.cases, said, answers, strict=True)
        ]
        return Scored(result, rows)


def f1(gold: Sequence[Sequence[str]], said: Sequence[Sequence[str]], *, seed: int) -> dict[str, Figure]:
    """F1 of codes, micro and macro over codes, and of their categories."""
    codes = Counts.of([_each(one) for one in gold], [_each(one) for one in said])
    categories = Counts.of([_each(map(category, one)) for one in gold], [_each(map(category, one)) for one in said])
    detail = f"precision {codes.precision:.3f}, recall {codes.recall:.3f}"
    return {
        "micro_f1": codes.micro(seed=seed, detail=detail, controls=always(gold)),
        "macro_f1": codes.macro(seed=seed),
        "category_micro_f1": categories.micro(seed=seed, controls=always([list(map(category, one)) for one in gold])),
        "category_macro_f1": categories.macro(seed=seed),
    }


def validity(said: Sequence[Sequence[str]], known: Sequence[CodeTable], *, seed: int) -> Figure | None:
    """Share of the codes given that exist; None where none is given, or no table is installed."""
    if not known or not any(said):
        return None
    real = [sum(any(table.holds(code) for table in known) for code in codes) for codes in said]
    detail = f"{sum(real)} of {sum(map(len, said))}, in {' or '.join(table.name for table in known)}"
    return pooled(real, [len(codes) for codes in said], seed=seed, shares=True, detail=detail)


def always(gold: Sequence[Sequence[str]]) -> dict[str, float]:
    """F1 of giving every case the most frequent code."""
    best = Counter(code for one in gold for code in set(one)).most_common(1)[0][0]
    return {"most frequent code": Counts.of([_each(one) for one in gold], [_each([best])] * len(gold)).micro(seed=0).value}


def notes(said: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What a reader must know."""
    out = []
    if empty := sum(not codes for codes in said):
        out.append(f"No code could be read in {empty} of {len(said)} answers.")
    if not tables():
        out.append('Whether codes exist was not measured: pip install "guardmed[eval]" brings the tables.')
    return tuple(out)


def _each(codes: object) -> dict[str, set[str]]:
    """Codes as labels: each is there or not."""
    return {code: {code} for code in codes}  # type: ignore[attr-defined]
