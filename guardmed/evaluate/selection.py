"""What is asked: items of the written sets or of a file, and which of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np

from guardmed.calibration.scoring import OptionForm
from guardmed.errors import DataError
from guardmed.evaluate.results import Figure, Language, SuiteName, SuiteResult
from guardmed.files import digest_value
from guardmed.resources import data_folder

T = TypeVar("T")
WRITTEN = "written"
_NONE: Mapping[str, Any] = MappingProxyType({})


class NotInLanguage(DataError):
    """A file that holds nothing in the language asked for."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How much is asked, and how.

    Attributes
    ----------
    language : {"en", "zh"}
    data : str or None
        A file in a published shape; the written set when missing.
    limit : int or None
        At most so many items of each suite; each suite's own number when missing.
    seed : int
        By which they are drawn, and intervals resampled.
    form : {"text", "letters"}
        How multiple choice is asked.
    max_new_tokens : int or None
        Of each free answer; each suite's own number when missing.
    """

    language: Language
    data: str | None = None
    limit: int | None = None
    seed: int = 0
    form: OptionForm = "text"
    max_new_tokens: int | None = None

    @property
    def source(self) -> str:
        """What reports call the data."""
        return WRITTEN if self.data is None else Path(self.data).name

    def spoken(self, items: Sequence[T], language: Callable[[T], str], what: str) -> list[T]:
        """The items in the language.

        Raises
        ------
        NotInLanguage
            There is none.
        """
        found = [one for one in items if language(one) == self.language]
        if not found:
            raise NotInLanguage(f"{self.source} holds no {what} in {self.language}.", mend="Name another --language, or another file.")
        return found

    def tokens(self, usual: int) -> int:
        """How long answers may be."""
        return self.max_new_tokens or usual

    def result(
        self,
        suite: SuiteName,
        system: str,
        *,
        n: int,
        asked: object,
        figures: Mapping[str, Figure],
        settings: Mapping[str, str | int | float] = _NONE,
        parts: Mapping[str, Figure] = _NONE,
        notes: Iterable[str] = (),
    ) -> SuiteResult:
        """What a suite found on this selection; ``asked`` is all of it, for its digest."""
        return SuiteResult(
            suite=suite,
            language=self.language,
            system=system,
            n=n,
            seed=self.seed,
            data=self.source,
            data_digest=digest_value(asked),
            settings=dict(settings),
            figures=dict(figures),
            parts=dict(parts),
            notes=tuple(notes),
        )

    def drawn(self, items: Sequence[T], usual: int) -> list[T]:
        """The first of the items in the order of the seed."""
        order = np.random.default_rng(self.seed).permutation(len(items))
        return [items[place] for place in order[: self.limit or usual]]


def written(name: Literal["ner", "icd", "open"], language: Language) -> Path:
    """The file of a written set."""
    return data_folder("calibration") / "eval" / f"{name}_{language}.jsonl"
