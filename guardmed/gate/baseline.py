"""The report of the last good checkpoint: what may be one, and what a regression is measured against."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from guardmed.errors import DataError
from guardmed.files import write_json
from guardmed.gate.config import GateConfig
from guardmed.gate.report import GateReport, load_report
from guardmed.gate.reread import result_faults

_AGAIN = "Make it again: guardmed gate CHECKPOINT --promote-to FILE."


def load_baseline(path: Path, config: GateConfig | None = None) -> GateReport:
    """Read the report of an earlier checkpoint that passed.

    Raises
    ------
    DataError
        It is no report, was changed, did not pass, or is not the one that the configuration pins.
    """
    report = load_report(path)
    fault = next(result_faults(report, exact=False), None)
    if fault is not None:
        raise DataError(f"{path} does not follow from its own evidence. {fault}", mend=f"Somebody changed it. {_AGAIN}")
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
