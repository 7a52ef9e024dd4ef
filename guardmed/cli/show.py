"""``guardmed show``: what a calibration artifact, a report, a training run or a folder of preference pairs says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from guardmed.calibration import Artifact
    from guardmed.reporting import Block

# What the folders of an audit or a gate, of a training run and of preference pairs are known by.
_REPORTS = ("report.json", "run.json", "card.json")
_MOST_NUMBERS = 6


def show(
    file: Annotated[Path, typer.Argument(help="A calibration artifact, the report.json of an audit or a gate, or the folder it is in.")],
    check: Annotated[str | None, typer.Option(help="For gates: only this check, with all its items.")] = None,
    items: Annotated[int | None, typer.Option(min=0, help="For gates: texts of at most so many items a check.", show_default="5, or all with --check")] = None,
) -> None:
    """Say what an artifact or a report holds, and how well it does; of a gate, what each verdict rests on."""
    kind = kind_of(file)
    if kind == "gate":
        from guardmed.gate import load_report as load_gate
        from guardmed.gate.explain import explain

        print_blocks(explain(load_gate(file), only=check, most=items))
        return
    if check is not None or items is not None:
        from guardmed.errors import UsageError

        raise UsageError(f"{file} is of kind {kind}; --check and --items are for a gate's report.", mend="Leave them out.")
    if kind == "audit":
        from guardmed.audit import load_report
        from guardmed.cli.audit import print_report

        print_report(load_report(file), all_outcomes=True)
        return
    if kind == "align_run":
        from guardmed.align.report import run_tables
        from guardmed.align.results import load_run

        print_blocks(run_tables(load_run(file)))
        return
    if kind == "align_pairs":
        from guardmed.align.datacard import card_tables, load_card

        print_blocks(card_tables(load_card(file)))
        return
    if kind == "conformal_thresholds":
        from guardmed.claims.conformal import load_thresholds
        from guardmed.cli.thresholds import show_thresholds

        show_thresholds(load_thresholds(file), source=str(file))
        return
    show_calibration(read_artifact(file), source=str(file))


def kind_of(file: Path) -> str:
    """What a file is: the report of an audit or a gate, or else taken for a calibration artifact, whose reader says what is wrong with it."""
    from guardmed.errors import DataError
    from guardmed.files import read_json

    path = next((file / name for name in _REPORTS if (file / name).is_file()), file / _REPORTS[0]) if file.is_dir() else file
    if not path.is_file():
        raise DataError(f"{path} does not exist.", mend="Name an artifact, or the folder that guardmed audit, gate or align wrote.")
    found = read_json(path)
    return str(found.get("kind", "calibration")) if isinstance(found, dict) else "calibration"


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print a report's blocks; whatever looks like markup in them stays text."""
    from rich.text import Text

    from guardmed.cli.console import out, render
    from guardmed.reporting import Points, Prose, Table, Verdict

    console = out()
    for place, block in enumerate(blocks):
        if place:
            console.print()
        if isinstance(block, Table):
            console.print(render(block))
        elif isinstance(block, Verdict):
            console.print(Text.assemble((f"{block.word}. ", "bold"), block.sentence))
        elif isinstance(block, Prose):
            console.print(Text(block.text))
        elif isinstance(block, Points):
            console.print(Text("\n".join([*([block.lead] if block.lead else []), *(f"- {item}" for item in block.items)])))


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
    console.print(f"{numbers_of(artifact)}{owner}, fitted on {artifact.rows['fit']} rows, measured on {artifact.rows['held_out']} → {source}", soft_wrap=True)


def read_artifact(file: Path) -> Artifact:
    """A calibration artifact."""
    from guardmed.calibration import load_artifact

    return load_artifact(file)


def numbers_of(artifact: Artifact) -> str:
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
