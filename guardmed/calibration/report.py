"""The calibration's report: before and after, with intervals and diagrams."""

from __future__ import annotations

from pathlib import Path

from guardmed.calibration.artifact import Artifact
from guardmed.calibration.run import Result
from guardmed.files import write_text
from guardmed.reporting import Page, Plot, Prose, Section, Table
from guardmed.reporting.plots import reliability

_NAMES = {
    "ece15": "ECE (15 bins)",
    "ace15": "ECE (equal mass)",
    "mce15": "MCE",
    "brier": "Brier",
    "nll": "NLL (nats)",
    "accuracy": "Accuracy",
    "mean_confidence": "Mean confidence",
    "auroc": "AUROC of confidence",
    "aurc": "AURC",
}


def write_report(result: Result, folder: Path) -> None:
    """Write report.html and report.md."""
    page = report_page(result)
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())


def report_page(result: Result) -> Page:
    """The page of a calibration."""
    artifact = result.artifact
    owner = artifact.model.name if artifact.model else "records"
    sections = [Section("Before and after", [metrics_table(artifact), *diagrams(result)])]
    if artifact.groups:
        sections.append(Section("By group", [groups_table(artifact)]))
    sections.append(Section("Method", [Prose(_METHOD)]))
    return Page(
        title=f"Calibration: {owner}",
        subtitle=f"{artifact.method} on {artifact.score_source.replace('_', ' ')} · {artifact.rows['fit']} rows to fit, {artifact.rows['held_out']} held out",
        sections=sections,
    )


def metrics_table(artifact: Artifact) -> Table:
    """Figures on held-out rows, before and after."""
    rows = []
    for name, label in _NAMES.items():
        cells = [label]
        for when in ("before", "after"):
            value = artifact.metrics[when][name]
            interval = artifact.intervals[when].get(name)
            shown = "–" if value is None else f"{value:.4f}"
            cells.append(f"{shown} ({interval[0]:.4f} to {interval[1]:.4f})" if interval else shown)
        rows.append(cells)
    return Table(f"Held-out rows (n={artifact.rows['held_out']}), 95 % bootstrap intervals", ["Figure", "Before", "After"], rows)


def diagrams(result: Result) -> list[Plot]:
    """Reliability before and after."""
    return [
        Plot(
            reliability(part.confidence, part.correct, title=f"Reliability {when}"),
            f"Reliability {when} calibration: accuracy in each bin of confidence, ECE {result.artifact.metrics[when]['ece15']:.3f}.",
        )
        for when, part in (("before", result.before), ("after", result.after))
    ]


def groups_table(artifact: Artifact) -> Table:
    """ECE and accuracy by group."""
    rows = [
        [name, str(found["after"]["n"]), f"{found['after']['accuracy']:.3f}", f"{found['before']['ece15']:.4f}", f"{found['after']['ece15']:.4f}"]
        for name, found in artifact.groups.items()
    ]
    return Table("Held-out rows by group", ["Group", "n", "Accuracy", "ECE before", "ECE after"], rows)


_METHOD = (
    "Fitted in float64 on the first rows, measured on the last, which the fit never saw. Temperature scaling divides the log-probabilities by one number; "
    "Platt's method is a logistic on the score's log-odds. Intervals are percentile bootstraps over questions."
)
