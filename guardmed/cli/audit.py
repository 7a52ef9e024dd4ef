"""``guardmed audit``: bias reports from a model, or from answers already collected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def audit(
    definitions: Annotated[list[str] | None, typer.Argument(help="Audits by name or YAML path.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html, report.md and records.jsonl.")] = Path("out/audit"),
    model: Annotated[str, typer.Option(help="reference, a folder, a .gguf file or a hub id.")] = "reference",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    records: Annotated[str | None, typer.Option(help="Answers already collected: item, axis, group and outcome columns. No model is needed.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Only this axis (repeatable).")] = None,
    vignettes: Annotated[int | None, typer.Option(min=1, help="Only so many vignettes.")] = None,
    margin: Annotated[float, typer.Option(min=0.001, max=0.999, help="For --records: gap below which groups are equivalent.")] = 0.05,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="For --records: family-wise error within an axis.")] = 0.05,
    list_definitions: Annotated[bool, typer.Option("--list", help="List the audits that ship with GuardMed.")] = False,
) -> None:
    """Measure whether answers change with who the patient is."""
    from guardmed.audit import AuditReport, Settings, analyse, audit_model, count_variants, definition_names, load_definition, write_report
    from guardmed.cli.console import loading, progress
    from guardmed.errors import UsageError

    if list_definitions:
        typer.echo("\n".join(definition_names()))
        return
    if records is not None:
        rows = read_observations(records)
        settings = Settings(margin=margin, alpha=alpha)
        report = AuditReport(title=Path(records).stem, margin=margin, alpha=alpha, seed=0, observations=len(rows), axes=analyse(rows, settings))
        write_report(report, rows, out)
        _print(report, out)
        return
    if not definitions:
        raise UsageError("No audit is named.", mend=f"Name one of {', '.join(definition_names())}, or give --records.")
    loaded_definitions = [load_definition(name) for name in definitions]
    from guardmed.models import load_model

    with loading(model) as told:
        loaded = load_model(model, adapter=adapter, progress=told)
    for definition in loaded_definitions:
        with progress(definition.title["en"], total=count_variants(definition, axes=axis or (), limit=vignettes)) as update:
            report, rows = audit_model(loaded, definition, axes=axis or (), limit=vignettes, advance=update)
        folder = out if len(loaded_definitions) == 1 else out / definition.id
        write_report(report, rows, folder)
        _print(report, folder)


def read_observations(path: str) -> list[Any]:
    """Observations from records: every further column of numbers is an outcome."""
    from pydantic import ConfigDict

    from guardmed.audit import Observation
    from guardmed.errors import DataError
    from guardmed.records import Record, read_records

    class Row(Record):
        model_config = ConfigDict(frozen=True, extra="allow")
        id: str | int | float = ""
        item: str | int
        axis: str
        group: str
        language: str = ""
        expected: bool = False
        repeat: int = 0

    observations = []
    for index, row in enumerate(read_records(path, Row), start=1):
        outcomes: dict[str, float] = {}
        for name, value in (row.model_extra or {}).items():
            number = _number(value)
            if number is not None:
                outcomes[name] = number
        if not outcomes:
            raise DataError(
                f"{path}, record {index} (item {row.item!r}): no outcome column.", mend="Give at least one column of numbers, or of true and false."
            )
        observations.append(Observation(str(row.item), row.axis, row.group, outcomes, row.language, row.expected, row.repeat))
    return observations


def _number(value: Any) -> float | None:
    """A finite number or a truth value, from JSON or from a CSV cell; None for anything else."""
    import math

    if isinstance(value, str):
        lowered = value.strip().lower()
        if lowered in ("true", "false"):
            return float(lowered == "true")
        try:
            value = float(lowered)
        except ValueError:
            return None
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None


def _print(report: Any, folder: Path) -> None:
    from guardmed.audit.report import axes_table, verdict_block
    from guardmed.cli.console import out, render

    console = out()
    console.print(render(axes_table(report)))
    block = verdict_block(report)
    console.print(f"{block.word}. {block.sentence}")
    console.print(f"Report: {folder / 'report.html'}")
