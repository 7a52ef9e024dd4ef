"""``guardmed verify``: whether a gate's report is true of a checkpoint, and still is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardmed.gate.verify import Verification
    from guardmed.reporting import Table


def verify(
    report: Annotated[Path, typer.Argument(help="report.json of a gate, or the folder it is in.")],
    checkpoint: Annotated[str, typer.Argument(help="What the gate judged: reference, a folder or a .gguf file.")],
    adapter: Annotated[Path | None, typer.Option(help="Folder of the LoRA adapter that it was judged with.")] = None,
    key: Annotated[Path | None, typer.Option(help="Public key (PEM) of who should have signed it; needs the extra signing.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Report that it was compared with.")] = None,
) -> None:
    """Find any change in a checkpoint, its report, or what the report rests on.

    Nothing is asked of the checkpoint. Exit codes: 0 sound, whatever its verdict, 1 a problem was
    found, 2 usage, 3 execution error.
    """
    from guardmed.cli.console import out, progress, render
    from guardmed.errors import EXIT_BLOCKED, EXIT_OK
    from guardmed.gate.verify import verify as verified

    folder = files_of(checkpoint)
    with progress("Verify", total=None):
        found = verified(report, folder, adapter=adapter, baseline=baseline, key=key)
    console = out()
    console.print(render(areas_table(found, f"{report} and {checkpoint}")))
    for note in found.notes:
        console.print(f"Note: {note}", soft_wrap=True, markup=False)
    console.print(closing(found), soft_wrap=True, markup=False)
    raise typer.Exit(EXIT_OK if found.sound else EXIT_BLOCKED)


def files_of(checkpoint: str) -> Path:
    """The folder with a checkpoint's files."""
    from guardmed.cli.console import loading
    from guardmed.errors import ModelError
    from guardmed.models.load import resolve

    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    with loading(checkpoint) as told:
        folder = resolve(checkpoint, progress=told)
    if folder is None:
        raise ModelError(f"{checkpoint} is not on this machine.", mend="Name the folder with its files.")
    return folder


def areas_table(found: Verification, subject: str) -> Table:
    """One row for each area, or for each problem in it."""
    from guardmed.gate.verify import AREAS
    from guardmed.reporting import Cell, Table

    rows: list[list[str | Cell]] = []
    for area, told in AREAS.items():
        problems = [one for one in found.problems if one.what == area]
        rows += [[area, Cell("problem", "fail"), f"{one.told} {one.mend}".strip()] for one in problems]
        if not problems:
            rows.append(
                [area, Cell("sound", "pass"), told] if area in found.checked else [area, Cell("see notes", "inconclusive"), "Not looked at, or not wholly."]
            )
    return Table(f"Verification of {subject}", ["Looked at", "Found", "In words"], rows)


def closing(found: Verification) -> str:
    """The whole in one line."""
    count = len(found.problems)
    if count:
        return f"Not sound: {count} problem{'' if count == 1 else 's'}. Don't rely on this report."
    return f"Sound: the report is of this checkpoint, and its verdict, {str(found.verdict).replace('_', ' ')}, follows from what it holds."
