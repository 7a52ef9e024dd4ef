"""Question sets that a model is scored on: multiple choice and true or false."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from guardmed.records import Record, read_records
from guardmed.resources import data_folder


class Item(Record):
    """One question with one right option.

    Attributes
    ----------
    question : str
    options : tuple of str
    answer : int
        Index of the right option, from 0.
    lang : {"en", "zh"}
    kind : {"choice", "true_false"}
    specialty, source : str or None
    """

    question: str
    options: tuple[str, ...] = Field(min_length=2, max_length=26)
    answer: int
    lang: Literal["en", "zh"] = "en"
    kind: Literal["choice", "true_false"] = "choice"
    specialty: str | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Item:
        if not 0 <= self.answer < len(self.options):
            raise ValueError(f"answer {self.answer} is not one of the {len(self.options)} options (counted from 0)")
        return self


def load_items(path: str | Path | None = None) -> list[Item]:
    """Items of a file, or the written clinical sets of both languages."""
    if path is not None:
        return read_records(path, Item)
    return [item for file in sorted((data_folder("calibration") / "sets").glob("*.jsonl")) for item in read_records(file, Item)]
