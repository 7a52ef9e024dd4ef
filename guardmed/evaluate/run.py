"""From models and suites to a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from guardmed.audit.store import AnswerStore
from guardmed.errors import UsageError
from guardmed.evaluate.asking import Advance, Asking, System, silent
from guardmed.evaluate.codes import tables
from guardmed.evaluate.icd import Coding
from guardmed.evaluate.latency import Latency
from guardmed.evaluate.mcq import MultipleChoice
from guardmed.evaluate.ner import Entities
from guardmed.evaluate.open_answers import OpenAnswers
from guardmed.evaluate.results import EvalReport, Scored, SuiteName, SuiteResult, SystemRef
from guardmed.evaluate.safety import Safety
from guardmed.evaluate.selection import NotInLanguage, Selection
from guardmed.version import installed

T = TypeVar("T")
_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "fairlearn")


class Suite(Protocol):
    """Something a system can be asked, with right answers; made by ``of(selection)``, which reads and checks its data."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def selection(self) -> Selection:
        """What of it is asked."""

    @property
    def size(self) -> int:
        """How many answers it takes, for a bar."""

    def run(self, asking: Asking) -> Scored:
        """Ask, and score."""


SUITES: dict[SuiteName, Any] = {
    "mcq": MultipleChoice, "ner": Entities, "icd": Coding, "open": OpenAnswers, "latency": Latency, "safety": Safety,
}  # fmt: skip


def suites(names: Sequence[str], selections: Sequence[Selection], *, strict: bool = True) -> list[Suite]:
    """Suites by name over each selection, their data read; ``all`` is every one.

    Parameters
    ----------
    strict : bool
        Whether each selection must find something in its language; else one of them is enough.

    Raises
    ------
    UsageError
        There is no such suite, or a file is given for more than one.
    DataError
        The file does not fit.
    """
    wanted = list(SUITES) if "all" in names else list(dict.fromkeys(names))
    for name in wanted:
        if name not in SUITES:
            raise UsageError(f"There is no suite {name!r}.", mend=f"Use {', '.join(SUITES)}, or all.")
    if len(wanted) > 1 and any(selection.data is not None for selection in selections):
        raise UsageError("A file of data is for one suite.", mend=f"Name the suite: {', '.join(SUITES)}.")
    return found_in_language([partial(SUITES[name].of, selection) for name in wanted for selection in selections], strict=strict)  # type: ignore[index]


def found_in_language(makers: Sequence[Callable[[], T]], *, strict: bool) -> list[T]:
    """What is made; unless ``strict``, without what is not to be had in its language, if anything is."""
    made: list[T] = []
    absent: NotInLanguage | None = None
    for make in makers:
        try:
            made.append(make())
        except NotInLanguage as error:
            absent = absent or error
    if absent is not None and (strict or not made):
        raise absent
    return made


def evaluate(system: System, asked: Sequence[Suite], *, store: AnswerStore | None = None, advance: Advance = silent) -> tuple[SystemRef, list[Scored]]:
    """Run suites on one system.

    Parameters
    ----------
    system : System
    asked : sequence of Suite
    store : AnswerStore, optional
        Where answers are kept and found.
    advance : callable, optional
        Told how many answers came.
    """
    asking = system.asking(store if store is not None else AnswerStore(), advance=advance)
    scored = []
    for suite in asked:
        started = time.perf_counter()
        found = suite.run(asking)
        result = found.result.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
        scored.append(Scored(result, found.rows))
    ref = SystemRef(
        name=system.name,
        model=system.model.name,
        fingerprint=system.model.fingerprint,
        guard=asking.guard.policy.name if asking.guard is not None else None,
        guard_digest=asking.guard.digest if asking.guard is not None else None,
        numerics=str(getattr(system.model, "numerics", "")),
    )
    return ref, scored


def report_of(systems: Sequence[SystemRef], results: Sequence[SuiteResult], *, created: str = "") -> EvalReport:
    """A report of what was found, with the versions it depends on."""
    known = installed(_LIBRARIES) | {f"table {place + 1}": table.name for place, table in enumerate(tables())}
    return EvalReport(created=created, systems=tuple(systems), results=tuple(results), versions=known)


def numbered(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Rows of results under ids of their own, each with what it is of."""
    rows = [{"suite": one.result.suite, "language": one.result.language, "system": one.result.system, **row} for one in scored for row in one.rows]
    return [{"id": str(place), **row} for place, row in enumerate(rows)]
