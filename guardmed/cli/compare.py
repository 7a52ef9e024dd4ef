"""``guardmed compare``: how two calibration artifacts, audits or gates differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_MOST_CHANGES = 12


def compare(
    one: Annotated[Path, typer.Argument(help="A calibration artifact, or the folder of an audit or a gate.")],
    other: Annotated[Path, typer.Argument(help="Another of the same kind.")],
    out: Annotated[Path | None, typer.Option(help="For audits and gates: folder for comparison.json, .html and .md.")] = None,
) -> None:
    """Set two calibration artifacts side by side, or two audits or gates, paired by item."""
    from guardmed.cli.show import kind_of
    from guardmed.errors import UsageError

    kinds = [kind_of(one), kind_of(other)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{one} is of kind {kinds[0]}, {other} of kind {kinds[1]}.", mend="Compare two of the same kind.")
    if kinds[0] == "audit":
        _compare_audits(one, other, out)
    elif kinds[0] == "gate":
        _compare_gates(one, other, out)
    else:
        _compare_calibrations(one, other)


def _compare_gates(one: Path, other: Path, folder: Path | None) -> None:
    from guardmed.cli.console import out as console
    from guardmed.cli.show import print_blocks
    from guardmed.files import write_json, write_text
    from guardmed.gate import load_report
    from guardmed.gate.compare import compare as compared
    from guardmed.gate.compare_page import comparison_page

    found = compared(load_report(one), load_report(other), names=(str(one), str(other)))
    page = comparison_page(found)
    print_blocks(block for section in page.sections for block in section.blocks)
    if folder is not None:
        write_json(folder / "comparison.json", found.model_dump(mode="json"))
        write_text(folder / "comparison.html", page.html())
        write_text(folder / "comparison.md", page.markdown())
        console().print(f"Report: {folder / 'comparison.html'}", soft_wrap=True, markup=False)


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
    from guardmed.cli.show import numbers_of, read_artifact
    from guardmed.reporting import Table

    pair = [read_artifact(one), read_artifact(other)]
    rows = [
        ["Model", *(artifact.model.name if artifact.model else "records" for artifact in pair)],
        ["Scores", *(artifact.score_source.replace("_", " ") for artifact in pair)],
        ["Map", *(numbers_of(artifact) for artifact in pair)],
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
