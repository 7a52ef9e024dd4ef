"""Answers that were collected elsewhere, as observations: no model is needed to audit them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, model_validator

from guardmed.audit.table import Observation, Value
from guardmed.errors import DataError, UsageError
from guardmed.records import Record, read_records

# Columns of answers without an order, where nobody names the outcomes.
_ANSWERS = frozenset({"answer", "choice", "decision", "label", "option", "prediction", "response"})
_MOST_ANSWERS, _LONGEST_ANSWER = 12, 40
_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "是": 1.0, "否": 0.0}
_TEXTS = ("answer_text", "response", "answer")


class Collected(Record):
    """One answer: ``item``, ``axis``, ``group`` and outcome columns.

    Attributes
    ----------
    repeat : int or None
        Which asking of the same prompt; counted in file order where it is missing.
    cluster : str or int
        What items belong together, such as one case in two languages.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str | int | float = ""
    item: str | int | float
    axis: str
    group: str
    language: str = ""
    expected: bool = False
    repeat: int | None = None
    cluster: str | int | float = ""
    prompt: str = ""
    answer_text: str = ""

    @model_validator(mode="before")
    @classmethod
    def _groups_may_be_numbers(cls, row: dict[str, Any]) -> dict[str, Any]:
        for name in ("axis", "group"):
            if isinstance(row.get(name), str) and not row[name].strip():
                raise ValueError(f"{name} is blank")
        return {**row, **{name: str(row[name]) for name in ("axis", "group") if isinstance(row.get(name), (int, float, bool))}}


def read_observations(path: str | Path, *, outcomes: Sequence[str] = ()) -> list[Observation]:
    """Observations from a file of records.

    Parameters
    ----------
    path : str or Path
        JSONL, CSV or Parquet by suffix; ``-`` is JSONL on standard input.
    outcomes : sequence of str
        Columns to analyse. All columns of numbers when empty, and columns such as ``answer`` that
        hold few and short texts.

    Raises
    ------
    DataError
        A record lacks item, axis, group or any outcome; a named outcome is nowhere.
    """
    rows = read_records(path, Collected)
    columns = list(dict.fromkeys(name for row in rows for name in (row.model_extra or {})))
    missing = [name for name in outcomes if name not in columns]
    if missing:
        raise UsageError(f"{path} has no column {missing[0]!r}.", mend=f"Its further columns: {', '.join(columns) or 'none'}.")
    numbers, answers = _kinds(rows, outcomes or columns, named=bool(outcomes))
    spoken: dict[str, set[str]] = {}
    for row in rows:
        spoken.setdefault(str(row.item), set()).add(row.language)
    asked: dict[tuple[str, str, str, bool], set[int]] = {}
    observations = []
    for index, row in enumerate(rows, start=1):
        extra = row.model_extra or {}
        found: dict[str, Value] = {}
        for name in numbers:
            number = _number(extra.get(name))
            if number is not None:
                found[name] = number
        found |= {name: str(extra[name]).strip() for name in answers if extra.get(name) not in (None, "")}
        if not found:
            raise DataError(
                f"{path}, record {index} (item {row.item!r}): no outcome column.",
                mend="Give at least one column of numbers, or of true and false; name a column of answers with --outcome.",
            )
        # One case in two languages is two items of one cluster.
        several = len(spoken[str(row.item)]) > 1
        key = (f"{row.item}/{row.language}" if several else str(row.item), row.axis, row.group)
        known = asked.setdefault((*key, row.expected), set())
        repeat = len(known) if row.repeat is None else row.repeat
        if repeat in known:
            raise DataError(
                f"{path}, record {index} (item {row.item!r}): repeat {repeat} of {row.axis} {row.group!r} is there twice.",
                mend="Number the repeats of one prompt 0, 1, 2, ..., or leave the column out to have them counted.",
            )
        known.add(repeat)
        text = row.answer_text or next((str(extra[name]) for name in _TEXTS if name not in found and isinstance(extra.get(name), str)), "")
        observations.append(
            Observation(
                item=key[0],
                axis=row.axis,
                group=row.group,
                outcomes=found,
                language=row.language,
                expected=row.expected,
                repeat=repeat,
                cluster=str(row.cluster) if row.cluster != "" else str(row.item) if several else "",
                prompt=row.prompt,
                answer=text,
            )
        )
    return observations


def kept(observations: Iterable[Observation], axes: Sequence[str]) -> list[Observation]:
    """Those of some axes; all when none is named.

    Raises
    ------
    UsageError
        An axis is nowhere.
    """
    rows = list(observations)
    known = list(dict.fromkeys(row.axis for row in rows))
    for name in axes:
        if name not in known:
            raise UsageError(f"There is no axis {name!r} in these records.", mend=f"There are: {', '.join(known)}.")
    return [row for row in rows if not axes or row.axis in axes]


def _kinds(rows: Sequence[Collected], columns: Sequence[str], *, named: bool) -> tuple[list[str], list[str]]:
    """Which columns hold numbers, and which hold answers without an order."""
    numbers, answers = [], []
    for name in columns:
        values = [value for row in rows if (value := (row.model_extra or {}).get(name)) not in (None, "")]
        if values and all(_number(value) is not None for value in values):
            numbers.append(name)
        elif values and (named or name in _ANSWERS) and all(isinstance(value, (str, int, float)) for value in values):
            levels = {str(value).strip() for value in values}
            if len(levels) <= _MOST_ANSWERS and max(map(len, levels)) <= _LONGEST_ANSWER:
                answers.append(name)
            elif named:
                raise UsageError(
                    f"The column {name!r} holds {len(levels)} different texts.", mend=f"An outcome is numbers, or at most {_MOST_ANSWERS} short answers."
                )
        elif any(_number(value) is not None for value in values):
            numbers.append(name)  # numbers with some blanks of another kind, such as "n/a"
    return numbers, answers


def _number(value: Any) -> float | None:
    """A finite number, a truth value, or yes or no, from JSON or from a CSV cell; None for anything else."""
    if isinstance(value, str):
        lowered = value.strip().lower()
        if lowered in _TRUTH:
            return _TRUTH[lowered]
        try:
            value = float(lowered)
        except ValueError:
            return None
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None


def loaded(folder: Path) -> list[Observation]:
    """The observations that an audit wrote beside its report.

    Raises
    ------
    DataError
        There are none.
    """
    file = folder / "records.jsonl"
    if not file.is_file():
        raise DataError(f"{folder} has no records.jsonl.", mend="Keep the folder that guardmed audit wrote together; two audits are compared by item.")
    return read_observations(file)
