"""The report of the last good checkpoint: what may be one, and what a regression is measured against."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import ValidationError

from guardmed.errors import DataError
from guardmed.files import read_json, write_json
from guardmed.gate.config import GateConfig
from guardmed.gate.report import GateReport, sealed
from guardmed.records import describe

_AGAIN = "Make it again: guardmed gate CHECKPOINT --promote-to FILE."


def load_report(path: Path) -> GateReport:
    """Read a gate's report, from its file or its folder.

    Raises
    ------
    DataError
        It is not one, or was changed after it was written.
    """
    path = path / "report.json" if path.is_dir() else path
    found = read_json(path)
    if isinstance(found, dict) and found.get("kind") == "gate" and found.get("schema_version") == 1:
        raise DataError(f"{path} is a gate report of an older version.", mend="Run the gate again.")
    try:
        report = GateReport.model_validate(found)
    except ValidationError as error:
        raise DataError(f"{path} is not a gate report: {describe(error)}.", mend="Name the report.json of a gate.") from None
    if report.seal != sealed(report):
        raise DataError(f"{path} was changed after it was written: its seal does not fit its content.", mend="Run the gate again.")
    return report


def load_baseline(path: Path, config: GateConfig | None = None) -> GateReport:
    """Read the report of an earlier checkpoint that passed.

    Raises
    ------
    DataError
        It is no report, was changed, did not pass, or is not the one that the configuration pins.
    """
    report = load_report(path)
    if report.verdict != "pass":
        raise DataError(f"{path} is of a checkpoint that did not pass ({report.verdict.replace('_', ' ')}).", mend=f"A baseline has passed. {_AGAIN}")
    if config is not None and config.baseline is not None and report.seal != config.baseline:
        raise DataError(
            f"{path} is not the baseline that the configuration pins: its seal is {report.seal[:16]}…, not {config.baseline[:16]}….",
            mend="Name the right file, or have the pin changed by whoever answers for it.",
        )
    return report


def promote(report: GateReport, path: Path) -> None:
    """Write a report as the new baseline.

    Raises
    ------
    DataError
        It did not pass.
    """
    if report.verdict != "pass":
        raise DataError(f"{path} was not written: only a checkpoint that passes becomes the baseline.", mend="Mend what blocks it first.")
    write_json(path, report.model_dump(mode="json"))


def day_of(report: GateReport | None) -> date | None:
    """The day a report was made."""
    return date.fromisoformat(report.created[:10]) if report is not None and report.created else None
