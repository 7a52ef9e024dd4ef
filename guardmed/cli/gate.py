"""``guardmed gate``: CI that blocks unsafe checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardmed.gate import GateReport


def gate(
    checkpoint: Annotated[str, typer.Argument(help="reference, a folder, a .gguf file or a hub id.")],
    config: Annotated[Path | None, typer.Option(help="gate.yaml; a default for internal use when left out.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="report.json of the last good checkpoint.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html and report.md.")] = Path("out/gate"),
) -> None:
    """Gather evidence on a checkpoint and block it unless every check holds.

    Exit codes: 0 pass, 1 blocked, 2 usage or configuration, 3 execution error, 4 inconclusive on a
    critical check, 5 nothing evaluated.
    """
    from guardmed.gate import load_baseline, load_config, write_report

    settings = load_config(config)
    before = load_baseline(baseline) if baseline is not None else None
    report = run(checkpoint, settings, before)
    write_report(report, out)
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
