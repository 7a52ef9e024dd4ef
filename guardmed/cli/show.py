"""``guardmed show`` and ``guardmed compare``: what a file says, and how two differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from guardmed.calibration import Artifact

_MOST_NUMBERS = 6
_MOST_CHANGES = 12


def show(file: Annotated[Path, typer.Argument(help="A calibration artifact, an audit's report.json, or the folder it is in.")]) -> None:
    """Say what an artifact or a report holds, and how well it does."""
    if _kind(file) == "audit":
        from guardmed.audit import load_report
        from guardmed.cli.audit import print_report

        print_report(load_report(file), all_outcomes=True)
        return
    show_calibration(_artifact(file), source=str(file))


def compare(
    one: Annotated[Path, typer.Argument(help="A calibration artifact, or the folder of an audit.")],
    other: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    out: Annotated[Path | None, typer.Option(help="For audits: folder for comparison.json, .html and .md.")] = None,
) -> None:
    """Set two calibration artifacts side by side, or two audits, paired by item."""
    from guardmed.errors import UsageError

    kinds = [_kind(one), _kind(other)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{one} is of kind {kinds[0]}, {other} of kind {kinds[1]}.", mend="Compare two of the same kind.")
    if kinds[0] == "audit":
        _compare_audits(one, other, out)
    else:
        _compare_calibrations(one, other)


def _kind(file: Path) -> str:
    """What a file is: an audit's report, or else taken for a calibration artifact, whose reader says what is wrong with it."""
    from guardmed.errors import DataError
    from guardmed.files import read_json

    path = file / "report.json" if file.is_dir() else file
    if not path.is_file():
        raise DataError(f"{path} does not exist.", mend="Name an artifact, or the folder that guardmed audit wrote.")
    found = read_json(path)
    return str(found.get("kind", "calibration")) if isinstance(found, dict) else "calibration"


def _compare_audits(one: Path, other: Path, folder: Path | None) -> None:
    from guardmed.audit import compare as compared
    from guardmed.audit import load_report
    from guardmed.audit.collected import loaded
    from guardmed.audit.page import comparison_blocks
    from guardmed.audit.words import Words
    from guardmed.cli.console import out as console
    from guardmed.cli.console import render
    from guardmed.files import write_json, write_text
    from guardmed.reporting import Page, Section, Table

    reports = [load_report(path) for path in (one, other)]
    rows = [loaded(path if path.is_dir() else path.parent) for path in (one, other)]
    found = compared(rows[0], rows[1], names=(str(one), str(other)))
    say = Words("en", reports[0].origin)
    primary = [change for change in found.changes if reports[0].axes[change.axis][change.outcome].role == "primary"]
    largest = tuple(sorted(primary, key=lambda change: -abs(change.change))[:_MOST_CHANGES])
    for block in comparison_blocks(found.model_copy(update={"changes": largest}), say):
        console().print(render(block) if isinstance(block, Table) else getattr(block, "text", ""), soft_wrap=not isinstance(block, Table))
    console().print(f"Shown: {len(largest)} of {len(found.changes)} gaps, the largest changes of primary outcomes.")
    if reports[0].definition_digest != reports[1].definition_digest:
        console().print("They asked different questions; only the items that both have are compared.")
    if folder is not None:
        page = Page(title="Two audits side by side", subtitle=f"{one} · {other}", sections=[Section("Side by side", comparison_blocks(found, say))])
        write_json(folder / "comparison.json", {"schema_version": 1, "kind": "audit_comparison", **found.model_dump(mode="json")})
        write_text(folder / "comparison.html", page.html())
        write_text(folder / "comparison.md", page.markdown())
        console().print(f"Report: {folder / 'comparison.html'}", soft_wrap=True)


def _compare_calibrations(one: Path, other: Path) -> None:
    from guardmed.calibration.report import NAMES
    from guardmed.cli.console import out, render
    from guardmed.reporting import Table

    pair = [_artifact(one), _artifact(other)]
    rows = [
        ["Model", *(artifact.model.name if artifact.model else "records" for artifact in pair)],
        ["Scores", *(artifact.score_source.replace("_", " ") for artifact in pair)],
        ["Map", *(_numbers(artifact) for artifact in pair)],
        ["Rows to fit, held out", *(f"{artifact.rows['fit']}, {artifact.rows['held_out']}" for artifact in pair)],
    ]
    for name, label in NAMES.items():
        values = [artifact.metrics["after"].get(name) for artifact in pair]
        if any(value is not None for value in values):
            rows.append([label, *("–" if value is None else f"{value:.4f}" for value in values)])
    out().print(render(Table("After calibration, each on its own held-out rows", ["", str(one), str(other)], rows)))
    notes = []
    if pair[0].data_digest == pair[1].data_digest:
        notes.append("Both were measured on the same rows.")
    if pair[0].score_source != pair[1].score_source:
        notes.append("They are for different kinds of score: neither can stand for the other.")
    if (pair[0].model and pair[0].model.fingerprint) != (pair[1].model and pair[1].model.fingerprint):
        notes.append("They belong to different models.")
    for note in notes:
        out().print(note)


def show_calibration(artifact: Artifact, *, source: str) -> None:
    """Print an artifact: figures, groups, method, threshold, drift."""
    from guardmed.calibration.report import candidates_table, chance_text, drift_text, groups_table, metrics_table, selective_text
    from guardmed.cli.console import out, render

    console = out()
    console.print(render(metrics_table(artifact)))
    if artifact.groups:
        console.print(render(groups_table(artifact, intervals=False)))
    if artifact.candidates:
        console.print(render(candidates_table(artifact)))
    if artifact.may_be_chance:
        console.print(chance_text(artifact).text, soft_wrap=True)
    if artifact.selective is not None:
        console.print(selective_text(artifact).text, soft_wrap=True)
    if artifact.drift is not None:
        console.print(drift_text(artifact).text, soft_wrap=True)
    owner = f" for {artifact.model.name}" if artifact.model else ""
    console.print(f"{_numbers(artifact)}{owner}, fitted on {artifact.rows['fit']} rows, measured on {artifact.rows['held_out']} → {source}", soft_wrap=True)


def _artifact(file: Path) -> Artifact:
    from guardmed.calibration import load_artifact

    return load_artifact(file)


def _numbers(artifact: Artifact) -> str:
    """A map in a few words."""
    numbers = artifact.numbers
    if artifact.method == "temperature":
        return f"T = {numbers['temperature']:.4f}"
    if all(isinstance(value, float) for value in numbers.values()):
        return f"{artifact.method}: " + ", ".join(f"{name} {value:+.4f}" for name, value in numbers.items())
    longest = max(len(value) for value in numbers.values() if isinstance(value, (list, tuple)))
    if longest > _MOST_NUMBERS:
        return f"{artifact.method}, {longest} steps"
    return f"{artifact.method}: " + ", ".join(f"{name} {_few(value)}" for name, value in numbers.items())


def _few(values: Any) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"
