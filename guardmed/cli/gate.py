"""``guardmed gate``: CI that blocks unsafe checkpoints."""

from __future__ import annotations

import os
import secrets
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardmed.gate import GateReport


class Format(StrEnum):
    """Further files of a gate; the names of ``guardmed.gate.emit.FORMATS``."""

    JUNIT = "junit"
    SARIF = "sarif"
    GITLAB = "gitlab"
    CARD = "card"
    INTOTO = "intoto"


def gate(
    checkpoint: Annotated[str, typer.Argument(help="reference, a folder, a .gguf file or a hub id.")],
    config: Annotated[Path | None, typer.Option(help="gate.yaml; a default for internal use when left out.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="report.json of the last good checkpoint.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html and report.md.")] = Path("out/gate"),
    emit: Annotated[
        list[Format] | None,
        typer.Option(help="Also junit.xml, sarif.json, codequality.json (gitlab), model-index.yaml (card) or statement.json (intoto); repeatable."),
    ] = None,
) -> None:
    """Gather evidence on a checkpoint and block it unless every check holds.

    Exit codes: 0 pass, 1 blocked, 2 usage or configuration, 3 execution error, 4 inconclusive on a
    critical check, 5 nothing evaluated. In GitHub Actions it also annotates the run and adds to the
    step's summary.
    """
    from guardmed.gate import load_baseline, load_config, write_report
    from guardmed.gate.emit import emit as write_formats

    settings = load_config(config)
    before = load_baseline(baseline) if baseline is not None else None
    report = run(checkpoint, settings, before)
    write_report(report, out)
    write_formats(report, emit or [], out)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        tell_github(report, out)
    else:
        print_report(report, out)
    raise typer.Exit(report.exit_code)


def run(checkpoint: str, settings: object, baseline: GateReport | None) -> GateReport:
    """Run a gate with a progress bar."""
    from guardmed.cli.console import loading, progress
    from guardmed.errors import ModelError
    from guardmed.gate import GateConfig, run_gate
    from guardmed.models import load_model
    from guardmed.models.load import resolve

    assert isinstance(settings, GateConfig)
    folder: Path | None = Path(checkpoint) if Path(checkpoint).is_dir() else None
    if folder is None:
        with loading(checkpoint) as told:
            folder = resolve(checkpoint, progress=told)
    if folder is None:
        raise ModelError(f"{checkpoint} is not on this machine.", mend="Download it to a folder first; a gate reads files, not names.")
    with progress("Gate", total=None) as update:
        return run_gate(
            checkpoint,
            settings,
            folder=folder,
            load=lambda: load_model(str(folder)),
            baseline=baseline,
            advance=lambda stage, done, total: update(title=f"Gate: {stage.replace('_', ' ')}", completed=done, total=total or None),
        )


def print_report(report: GateReport, folder: Path) -> None:
    """Checks, examples and the verdict."""
    from guardmed.cli.console import out, render
    from guardmed.gate.report import checks_table, verdict_block

    console = out()
    console.print(render(checks_table(report)))
    block = verdict_block(report)
    console.print(f"[bold]{block.word}.[/bold]", block.sentence, markup=True)
    console.print(f"Report: {folder / 'report.html'}")


def tell_github(report: GateReport, folder: Path) -> None:
    """The report with no line of it read as a command, then annotations, and the step's summary."""
    from guardmed.cli.console import fail
    from guardmed.gate.emit import summary, workflow_commands
    from guardmed.gate.emit.github import SUMMARY

    token = secrets.token_hex(16)
    typer.echo(f"::stop-commands::{token}")
    print_report(report, folder)
    typer.echo(f"::{token}::\n{workflow_commands(report)}", nl=False)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with open(place, "a", encoding="utf-8", newline="\n") as file:
            file.write(summary(report, limit=SUMMARY - file.tell()))
    except OSError as error:  # the verdict stands without it
        fail(f"The step's summary was not written: {error.strerror}.", None)
