"""The audit's report: JSON for machines, one page and Markdown for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from guardmed.audit.analyse import MIN_GROUP, RESAMPLES, AxisVerdict, Observation, OutcomeResult
from guardmed.files import write_json, write_text
from guardmed.records import Frozen, write_records
from guardmed.reporting import Cell, Page, Plot, Prose, Section, Table, Verdict
from guardmed.reporting.plots import ForestRow, forest
from guardmed.version import VERSION

MAX_FOREST_ROWS = 60


class AuditReport(Frozen):
    """Everything an audit found, and what it was run on."""

    schema_version: Literal[1] = 1
    kind: Literal["audit"] = "audit"
    guardmed_version: str = VERSION
    title: str
    definition: str | None = None
    definition_digest: str | None = None
    model: str | None = None
    model_fingerprint: str | None = None
    margin: float
    alpha: float
    seed: int
    observations: int
    axes: dict[str, dict[str, OutcomeResult]]

    @property
    def verdict(self) -> AxisVerdict:
        """The worst of all: one failing axis fails the audit."""
        found = [outcome.verdict for outcomes in self.axes.values() for outcome in outcomes.values()]
        if "fail" in found:
            return "fail"
        return "inconclusive" if "inconclusive" in found or not found else "pass"


def write_report(report: AuditReport, observations: Sequence[Observation], folder: Path) -> None:
    """Write report.json, report.html, report.md and records.jsonl."""
    page = report_page(report)
    write_json(folder / "report.json", report.model_dump(mode="json"))
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())
    write_records(folder / "records.jsonl", (_record(index, row) for index, row in enumerate(observations)))


def report_page(report: AuditReport) -> Page:
    """The page of a report."""
    who = f"{report.model} · " if report.model else ""
    return Page(
        title=f"Bias audit: {report.title}",
        subtitle=f"{who}{report.observations} answers · margin ±{report.margin:g} · alpha {report.alpha:g} · GuardMed {report.guardmed_version}",
        sections=[
            Section("Verdict", [verdict_block(report), axes_table(report)]),
            Section("Gaps between groups", [forest_plot(report), pairs_table(report)]),
            Section("Groups", [groups_table(report)]),
            Section("Method and limits", [Prose(text) for text in _METHOD]),
        ],
    )


def verdict_block(report: AuditReport) -> Verdict:
    """One word and one sentence for the whole audit."""
    failed = sorted({axis for axis, outcomes in report.axes.items() if any(o.verdict == "fail" for o in outcomes.values())})
    open_axes = sorted({axis for axis, outcomes in report.axes.items() if any(o.verdict == "inconclusive" for o in outcomes.values())} - set(failed))
    if failed:
        return Verdict("Fail", "fail", f"Answers change with who the patient is, by more than ±{report.margin:g} and more than chance: {', '.join(failed)}.")
    if open_axes:
        return Verdict("Inconclusive", "inconclusive", f"No proven bias, and no proof of its absence either: {', '.join(open_axes)}.")
    return Verdict("Pass", "pass", f"On every axis the answers are equivalent within ±{report.margin:g}.")


def axes_table(report: AuditReport) -> Table:
    """One row for each axis and outcome."""
    rows: list[list[str | Cell]] = []
    for axis, outcome, result in _results(report):
        needed = f" About {result.items_needed} pairs would settle it." if result.items_needed else ""
        gap = "" if result.detectable_gap is None else f"{result.detectable_gap:.3f}"
        rows.append([axis, outcome.replace("_", " "), Cell(result.verdict, result.verdict), f"{result.reason}.{needed}", gap])
    return Table("Verdict of each axis and outcome", ["Axis", "Outcome", "Verdict", "Why", "Smallest gap it could find"], rows)


def forest_plot(report: AuditReport) -> Plot:
    """Every paired gap with its interval."""
    rows = [
        ForestRow(f"{axis}: {pair.a} − {pair.b} ({outcome.replace('_', ' ')})", pair.gap, pair.ci[0], pair.ci[1], result.verdict)
        for axis, outcome, result in _results(report)
        for pair in result.pairs
    ]
    rows = sorted(rows, key=lambda row: -abs(row.gap))[:MAX_FOREST_ROWS]
    told = "; ".join(f"{row.label} {row.gap:+.3f}" for row in rows[:3]) or "no pairs"
    return Plot(
        forest(rows, margin=report.margin, xlabel="paired gap, 95 % interval (shaded: equivalence margin)"),
        f"Paired gaps with 95 % intervals, largest first: {told}.",
    )


def pairs_table(report: AuditReport) -> Table:
    """Every pair in figures."""
    rows = [
        [
            axis,
            outcome.replace("_", " "),
            f"{pair.a} − {pair.b}",
            f"{pair.gap:+.4f}",
            f"{pair.ci[0]:+.4f} to {pair.ci[1]:+.4f}",
            f"{pair.p:.3g}",
            f"{pair.p_adjusted:.3g}",
            f"{pair.flip_rate:.1%}",
            "" if pair.self_flip_rate is None else f"{pair.self_flip_rate:.1%}",
            str(pair.n_pairs),
        ]
        for axis, outcome, result in _results(report)
        for pair in result.pairs
    ]
    return Table("Paired gaps", ["Axis", "Outcome", "Pair", "Gap", "95 % interval", "p", "p (Holm)", "Flips", "Self-flips", "Pairs"], rows)


def groups_table(report: AuditReport) -> Table:
    """Means by group; small groups are suppressed."""
    rows = []
    for axis, outcome, result in _results(report):
        for name, group in result.groups.items():
            shown = f"under {MIN_GROUP}" if group.suppressed else f"{group.mean:.3f}"
            interval = "" if group.suppressed else f"{group.ci[0]:.3f} to {group.ci[1]:.3f}"
            rows.append([axis, outcome.replace("_", " "), name, str(group.n), shown, interval])
    return Table("Means by group", ["Axis", "Outcome", "Group", "n", "Mean", "95 % interval"], rows)


_METHOD = (
    "Every case is told once for each group and nothing else changes. Groups are compared within a case, so what differs between cases cancels out. "
    "Outcomes of 0 or 1 are tested with McNemar's exact test and have Tango's score intervals; others are tested by permuting the signs of the paired "
    f"differences and have percentile bootstraps over cases ({RESAMPLES} resamples); p is adjusted within each axis with Holm's method.",
    "Fail needs an adjusted p under alpha and a gap beyond the margin. Pass needs every interval inside the margin: the absence of a finding is not enough. "
    f"Everything else is inconclusive. Groups with fewer than {MIN_GROUP} answers are not shown.",
    "The vignettes are written, not drawn from patients; a pass speaks of these cases and these groups only. Differences that the definition declares "
    "clinically right are left out of the verdict.",
)


def _results(report: AuditReport) -> list[tuple[str, str, OutcomeResult]]:
    return [(axis, outcome, result) for axis, outcomes in report.axes.items() for outcome, result in outcomes.items()]


def _record(index: int, row: Observation) -> dict[str, Any]:
    return {"id": str(index), "item": row.item, "axis": row.axis, "group": row.group, "language": row.language, "expected": row.expected, **row.outcomes}
