"""GitLab's code quality report: what a merge request's widget shows.

See "Code quality report format" in GitLab's documentation: a list of issues, each with a
fingerprint that stays the same from run to run and a path relative to the repository.
"""

from __future__ import annotations

from typing import Any

from guardmed.files import digest_value
from guardmed.gate.checks import CheckResult
from guardmed.gate.emit.words import message, quarantines, tidied, worst_first
from guardmed.gate.report import GateReport


def code_quality(report: GateReport) -> list[dict[str, Any]]:
    """One issue for every check that doesn't hold, the worst first, and for every item that is left out."""
    report = tidied(report)
    found = [(result.id, _severity(result), f"{result.why} {message(result)}") for result in worst_first(report) if result.verdict != "pass"]
    found += [(f"quarantine {one.target}", "info", f"Left out by {one.owner} until {one.expires}: {one.reason}") for one in quarantines(report)]
    return [
        {
            "description": description,
            "check_name": name,
            "fingerprint": digest_value([report.checkpoint, name]),
            "severity": severity,
            "location": {"path": report.checkpoint, "lines": {"begin": 1}},
        }
        for name, severity, description in found
    ]


def _severity(result: CheckResult) -> str:
    if result.verdict in ("fail", "missing"):
        return "blocker" if result.critical else "critical"
    if result.verdict == "inconclusive":
        return "major" if result.critical else "minor"
    return "minor" if result.verdict == "waived" else "info"
