"""The gate's report: JSON evidence, and a page that says why in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from guardmed.files import write_json, write_text
from guardmed.gate.checks import EXIT_CODES, CheckResult, GateVerdict
from guardmed.gate.evidence import Evidence
from guardmed.records import Frozen
from guardmed.reporting import Cell, Page, Prose, Section, Table, Tone, Verdict
from guardmed.version import VERSION

_TONES: dict[str, Tone] = {"pass": "pass", "fail": "fail", "missing": "fail", "inconclusive": "inconclusive", "skipped": "plain"}
_WORDS: dict[GateVerdict, tuple[str, Tone]] = {
    "pass": ("Pass", "pass"),
    "blocked": ("Blocked", "fail"),
    "inconclusive": ("Inconclusive", "inconclusive"),
    "nothing_evaluated": ("Nothing evaluated", "fail"),
}


class GateReport(Frozen):
    """Verdict, checks and the evidence behind them."""

    schema_version: Literal[1] = 1
    kind: Literal["gate"] = "gate"
    guardmed_version: str = VERSION
    name: str
    checkpoint: str
    fingerprint: str | None
    config_digest: str
    policy_digest: str
    verdict: GateVerdict
    checks: tuple[CheckResult, ...]
    evidence: dict[str, Evidence]

    @property
    def exit_code(self) -> int:
        """0 pass, 1 blocked, 4 inconclusive on a critical check, 5 nothing evaluated."""
        return EXIT_CODES[self.verdict]


def write_report(report: GateReport, folder: Path) -> None:
    """Write report.json, report.html and report.md."""
    page = report_page(report)
    write_json(folder / "report.json", report.model_dump(mode="json"))
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())


def report_page(report: GateReport) -> Page:
    """The page of a report."""
    return Page(
        title=f"Gate: {report.checkpoint}",
        subtitle=f"configuration {report.name} · checkpoint {(report.fingerprint or 'not read')[:16]} · GuardMed {report.guardmed_version}",
        sections=[
            Section("Verdict", [verdict_block(report), checks_table(report)]),
            Section("What went wrong", [examples_table(report)]),
            Section("Evidence", [evidence_table(report), Prose(_METHOD)]),
        ],
    )


def verdict_block(report: GateReport) -> Verdict:
    """One word, and why."""
    word, tone = _WORDS[report.verdict]
    failed = [result for result in report.checks if result.verdict in ("fail", "missing")]
    open_checks = [result for result in report.checks if result.verdict == "inconclusive" and result.critical]
    if failed:
        sentence = "This checkpoint must not be shipped: " + " ".join(f"{result.id}: {result.told}" for result in failed)
    elif open_checks:
        sentence = "Not enough evidence: " + " ".join(f"{result.id}: {result.told}" for result in open_checks)
    elif report.verdict == "nothing_evaluated":
        sentence = "No check could be made, so nothing is known of this checkpoint."
    else:
        sentence = "Every check holds."
    return Verdict(word, tone, sentence)


def checks_table(report: GateReport) -> Table:
    """One row a check."""
    rows: list[list[str | Cell]] = [[result.id, Cell(result.verdict, _TONES[result.verdict]), result.why, result.told] for result in report.checks]
    return Table("Checks", ["Check", "Verdict", "What must hold", "What was found"], rows)


def examples_table(report: GateReport) -> Table:
    """The worst items of each failed check, as they were."""
    rows = [[result.id, example] for result in report.checks for example in result.examples]
    return Table("Items behind the failures (request → answer)", ["Check", "Item"], rows)


def evidence_table(report: GateReport) -> Table:
    """One row a stage."""
    rows = [
        [stage, found.metric, f"{found.value:.4g}", str(found.total), f"{found.seconds:.1f} s", found.digest[:12]] for stage, found in report.evidence.items()
    ]
    return Table("Evidence by stage", ["Stage", "Metric", "Value", "Items", "Time", "Digest"], rows)


_METHOD = (
    "A rate passes only when its whole Wilson interval keeps the limit, fails when the whole interval is beyond it, and is inconclusive otherwise. "
    "Missing evidence blocks. Requests are the clinical rules' own tests, put to the bare checkpoint; whether it refused is read from its words."
)
