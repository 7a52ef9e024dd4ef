"""What an evaluation finds: figures with intervals and controls, by suite, language and system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from guardmed.errors import DataError
from guardmed.files import write_json, write_text
from guardmed.records import Frozen, read_document, write_records
from guardmed.version import VERSION

Language = Literal["en", "zh"]
SuiteName = Literal["mcq", "ner", "icd", "open", "latency", "safety"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Figure(Frozen):
    """One figure.

    Attributes
    ----------
    interval : (float, float)
        At 95 %.
    n : int
        Of what it rests on: items, entities' sentences, pairs.
    detail : str
        What the figure is of, where its name doesn't say.
    controls : dict of str to float
        What the same figure is for something that knows nothing.
    """

    value: float
    interval: tuple[float, float]
    n: int
    detail: str = ""
    controls: dict[str, float] = Field(default_factory=dict)


class SuiteResult(Frozen):
    """What one suite found of one system in one language.

    Attributes
    ----------
    system : str
        A name among the report's systems.
    n, seed : int
        Items asked, and what they were drawn by.
    data : str
        ``written``, or the file.
    data_digest : str
        SHA-256 of everything that was asked, with the right answers.
    settings : dict
        How it was asked.
    figures : dict of str to Figure
    parts : dict of str to Figure
        The main figure by label.
    notes : tuple of str
        What could not be measured, and why; what a reader must know.
    """

    suite: SuiteName
    language: Language
    system: str
    n: int
    seed: int
    data: str
    data_digest: str
    settings: dict[str, str | int | float] = Field(default_factory=dict)
    figures: dict[str, Figure]
    parts: dict[str, Figure] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class SystemRef(Frozen):
    """A system as reports name it; ``guard`` is the policy in front of the model."""

    name: str
    model: str
    fingerprint: str | None = None
    guard: str | None = None
    guard_digest: str | None = None
    numerics: str = ""


class EvalReport(Frozen):
    """Every result of every system."""

    schema_version: Literal[1] = 1
    kind: Literal["eval"] = "eval"
    guardmed_version: str = VERSION
    created: str = ""
    systems: tuple[SystemRef, ...]
    results: tuple[SuiteResult, ...]
    versions: dict[str, str] = Field(default_factory=dict)

    def of(self, system: str, suite: str, language: str) -> SuiteResult | None:
        """The result of one suite, if there is one."""
        return next((one for one in self.results if (one.system, one.suite, one.language) == (system, suite, language)), None)


@dataclass(frozen=True)
class Scored:
    """A result, and a row for each of its items."""

    result: SuiteResult
    rows: list[dict[str, Any]] = field(default_factory=list)


def write_report(report: EvalReport, rows: Iterable[dict[str, Any]], folder: Path) -> None:
    """Write records.jsonl, report.html, report.md and, last, report.json."""
    from guardmed.evaluate.page import report_page

    page = report_page(report)
    write_records(folder / "records.jsonl", rows)
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())
    write_json(folder / "report.json", report.model_dump(mode="json"))


def load_report(path: Path) -> EvalReport:
    """Read a report of this or an earlier version: its report.json, or the folder it is in.

    Raises
    ------
    DataError
        There is none, or it is not an evaluation's.
    """
    file = path / "report.json" if path.is_dir() else path
    return read_document(file, EvalReport, kind="eval", what="an evaluation's report", mend="Name the folder that guardmed eval wrote.")


def joined(reports: Sequence[EvalReport]) -> EvalReport:
    """Several reports as one.

    Systems of one name and another fingerprint or guard are told apart by the beginning of it.

    Raises
    ------
    DataError
        Two of them hold the same suite of the same system.
    """
    systems: dict[str, SystemRef] = {}
    results: dict[tuple[str, str, str], SuiteResult] = {}
    for report in reports:
        names: dict[str, str] = {}
        for one in report.systems:
            same = systems.get(one.name)
            mark = f"{one.name} ({(one.fingerprint or '')[:8]}{' ' + one.guard_digest[:8] if one.guard_digest else ''})"
            names[one.name] = one.name if same is None or _alike(same, one) else mark
            systems.setdefault(names[one.name], one.model_copy(update={"name": names[one.name]}))
        for result in report.results:
            key = (names[result.system], result.suite, result.language)
            if key in results:
                raise DataError(f"Two reports hold {result.suite} ({result.language}) of {key[0]}.", mend="Name the one that is to stand in the table.")
            results[key] = result.model_copy(update={"system": key[0]})
    newest = max((report.created for report in reports), default="")
    return EvalReport(created=newest, systems=tuple(systems.values()), results=tuple(results.values()))


def _alike(one: SystemRef, other: SystemRef) -> bool:
    return (one.fingerprint, one.guard_digest) == (other.fingerprint, other.guard_digest)
