"""``guardmed show`` and ``guardmed compare``: what a file says, and how two differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from guardmed.calibration import Artifact

_MOST_NUMBERS = 6


def show(file: Annotated[Path, typer.Argument(help="A calibration artifact.")]) -> None:
    """Say what an artifact holds: what was fitted, on what, and how well it does."""
    show_calibration(_artifact(file), source=str(file))


def compare(
    one: Annotated[Path, typer.Argument(help="A calibration artifact.")],
    other: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """Set two calibration artifacts side by side."""
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
