"""The audit's report: what was found, on what, and how; JSON for machines, pages for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from guardmed.audit.compare import Comparison
from guardmed.audit.definition import Definition, Language
from guardmed.audit.flips import Flip, worst_flips
from guardmed.audit.results import Analysis, AxisVerdict, ExpectedResult, GroupCalibration, Intersection, OutcomeResult, overall
from guardmed.audit.table import Observation
from guardmed.files import write_json, write_text
from guardmed.records import Frozen, read_document, write_records
from guardmed.version import VERSION, installed

if TYPE_CHECKING:
    from guardmed.audit.analyse import Settings
    from guardmed.audit.ask import Interview
    from guardmed.audit.selection import Selection

_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "fairlearn")


class System(Frozen):
    """What was asked, and how.

    Attributes
    ----------
    guard : str or None
        Names of the policy packs in front of the model.
    calibrated : bool
        Whether confidence is a calibrated probability.
    log_probabilities : bool
        Whether choices are likelihoods; else shares of sampled answers.
    numerics : str
        Device and type of the numbers, where the model ran here.
    axes, vignettes, intersections, repeats
        What part of the definition was asked; no axes and no number of vignettes mean all.
    """

    model: str
    fingerprint: str
    guard: str | None = None
    guard_digest: str | None = None
    calibrated: bool = False
    log_probabilities: bool = True
    numerics: str = ""
    axes: tuple[str, ...] = ()
    vignettes: int | None = None
    intersections: bool = True
    repeats: int = 1
    max_new_tokens: int
    temperature: float
    samples: int
    seed: int

    @classmethod
    def of(cls, interview: Interview, selection: Selection, *, calibrated: bool) -> System:
        """What an interview asks."""
        return cls(
            model=interview.model.name,
            fingerprint=interview.model.fingerprint,
            guard=interview.guard.policy.name if interview.guard else None,
            guard_digest=interview.guard_digest,
            calibrated=calibrated,
            log_probabilities=interview.model.capabilities.logprobs,
            numerics=interview.numerics,
            axes=selection.axes,
            vignettes=selection.vignettes,
            intersections=selection.intersections,
            repeats=selection.repeats,
            max_new_tokens=interview.decoding.max_new_tokens,
            temperature=interview.decoding.temperature,
            samples=interview.decoding.samples,
            seed=interview.decoding.seed,
        )


class Origin(Frozen):
    """Where the questions come from."""

    titles: dict[Language, str]
    purpose: dict[Language, str]
    owner: str
    reviewed: str
    sources: tuple[str, ...]
    vignettes: int
    axes: dict[str, dict[Language, str]]
    groups: dict[str, dict[Language, str]]
    reasons: dict[str, dict[Language, str]]

    @classmethod
    def of(cls, definition: Definition) -> Origin:
        """Of a definition."""
        return cls(
            titles=definition.title,
            purpose=definition.purpose,
            owner=definition.owner,
            reviewed=definition.reviewed.isoformat(),
            sources=definition.sources,
            vignettes=len(definition.vignettes),
            axes={axis.id: axis.title for axis in definition.axes},
            groups={f"{axis.id}/{group.id}": group.title for axis in definition.axes for group in axis.groups if group.title},
            reasons={f"{entry.vignette}/{entry.axis}": entry.reason for entry in reversed(definition.expected)},
        )


class AuditReport(Frozen):
    """Everything an audit found, and what it was run on."""

    schema_version: Literal[1, 2] = 2
    kind: Literal["audit"] = "audit"
    guardmed_version: str = VERSION
    title: str
    definition: str | None = None
    definition_digest: str | None = None
    model: str | None = None
    model_fingerprint: str | None = None
    margin: float
    alpha: float
    seed: int
    observations: int
    axes: dict[str, dict[str, OutcomeResult]]
    intersections: tuple[Intersection, ...] = ()
    expected: tuple[ExpectedResult, ...] = ()
    calibration: dict[str, dict[str, GroupCalibration]] = Field(default_factory=dict)
    flips: tuple[Flip, ...] = ()
    system: System | None = None
    origin: Origin | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    compared: Comparison | None = None

    @classmethod
    def of(
        cls,
        observations: Sequence[Observation],
        analysis: Analysis,
        settings: Settings,
        *,
        definition: Definition | None = None,
        system: System | None = None,
        title: str = "",
    ) -> AuditReport:
        """A report of an analysis: of a definition's answers, or of somebody's records under a title."""
        return cls(
            title=definition.title["en"] if definition else title,
            definition=definition.id if definition else None,
            definition_digest=definition.digest if definition else None,
            model=system.model if system else None,
            model_fingerprint=system.fingerprint if system else None,
            margin=settings.margin,
            alpha=settings.alpha,
            seed=settings.seed,
            observations=len(observations),
            axes=analysis.axes,
            intersections=analysis.intersections,
            expected=analysis.expected,
            calibration=analysis.calibration,
            flips=worst_flips(observations, analysis.axes),
            system=system,
            origin=Origin.of(definition) if definition else None,
            versions=installed(_LIBRARIES),
        )

    @property
    def verdict(self) -> AxisVerdict:
        """``fail`` if any outcome fails; ``pass`` if every primary outcome passes; else ``inconclusive``."""
        return overall(self.axes)


def write_report(report: AuditReport, observations: Sequence[Observation], folder: Path, *, language: Language = "en") -> None:
    """Write report.json, report.html, report.md and records.jsonl."""
    from guardmed.audit.page import report_page

    page = report_page(report, language=language)
    write_records(folder / "records.jsonl", (_record(index, row) for index, row in enumerate(observations)))
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())
    # Last, so that a report.json that is there says that all is there.
    write_json(folder / "report.json", report.model_dump(mode="json"))


def load_report(path: Path) -> AuditReport:
    """Read a report of this or an earlier version: its report.json, or the folder it is in.

    Raises
    ------
    DataError
        There is no report, or it is not an audit's.
    """
    file = path / "report.json" if path.is_dir() else path
    return read_document(file, AuditReport, kind="audit", what="an audit's report", mend="Name the folder that guardmed audit wrote.")


def _record(index: int, row: Observation) -> dict[str, Any]:
    texts: Mapping[str, str] = {name: text for name, text in (("cluster", row.cluster), ("prompt", row.prompt), ("answer_text", row.answer)) if text}
    head = {"id": str(index), "item": row.item, "axis": row.axis, "group": row.group, "language": row.language, "expected": row.expected}
    return {**head, "repeat": row.repeat, **row.outcomes, **texts}
