"""GitLab's code quality report: what a merge request's widget shows.

See "Code quality report format" in GitLab's documentation: a list of issues, each with a
fingerprint that stays the same from run to run and a path relative to the repository.
"""

from __future__ import annotations

from typing import Any

from guardmed.files import digest_value
from guardmed.gate.checks import CheckResult
from guardmed.gate.emit.words import message, tidied, worst_first
from guardmed.gate.report import GateReport


def code_quality(report: GateReport) -> list[dict[str, Any]]:
    """One issue for every check that doesn't hold, the worst first."""
    report = tidied(report)
    return [
        {
            "description": f"{result.why} {message(result)}",
            "check_name": result.id,
            "fingerprint": digest_value([report.checkpoint, result.id]),
            "severity": _severity(result),
            "location": {"path": report.checkpoint, "lines": {"begin": 1}},
        }
        for result in worst_first(report)
        if result.verdict != "pass"
    ]


def _severity(result: CheckResult) -> str:
    if result.verdict in ("fail", "missing"):
        return "blocker" if result.critical else "critical"
    if result.verdict == "inconclusive":
        return "major" if result.critical else "minor"
    return "info"
