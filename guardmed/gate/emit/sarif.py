"""SARIF 2.1.0, as code scanning reads it.

See OASIS SARIF 2.1.0 errata 01, and GitHub's "SARIF support for code scanning", which wants a
location, a help text of every rule and a fingerprint that stays the same from run to run.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from guardmed.files import digest_value
from guardmed.gate.checks import CheckResult
from guardmed.gate.emit.words import aside, figure, level, message, quarantines, tidied, waived_by, worst_first
from guardmed.gate.report import GateReport

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HELP = {
    "zero_tolerance": "Holds when the count is 0.",
    "max_rate": "Holds when the exact upper bound of the rate is at or under the limit, fails when the lower one is above it, and is inconclusive otherwise.",
    "min_rate": "Holds when the exact lower bound of the rate is at or above the limit, fails when the upper one is under it, and is inconclusive otherwise.",
    "no_regression": (
        "Holds when the upper bound of the change against the baseline, on the same items, is at or under the margin; fails when the change exceeds the "
        "margin and McNemar's exact test shows it, and is inconclusive otherwise."
    ),
    "budget": "Holds when the figure keeps the limit.",
}


def sarif_log(report: GateReport) -> dict[str, Any]:
    """One run: a rule for every check, and a result for every check that doesn't hold.

    A check that holds, or was skipped for want of a baseline, has a rule and no result, so that
    code scanning closes its alert; ``properties`` of the run name it. A waived check is a warning,
    with its waiver in the ``properties`` of the result; it is not suppressed, so that it stays seen.
    """
    report = tidied(report)
    uri = quote(report.checkpoint, safe="/")
    results = [_result(report, result, uri) for result in worst_first(report) if level(result) in ("error", "warning")]
    run = {
        "tool": {"driver": {"name": "GuardMed", "version": report.guardmed_version, "rules": [_rule(result) for result in report.checks]}},
        "automationDetails": {"id": f"guardmed-gate/{report.name}/{report.checkpoint}/"},
        "invocations": [{"executionSuccessful": report.verdict != "nothing_evaluated", "exitCode": report.exit_code}],
        "artifacts": [{"location": {"uri": uri}, "roles": ["analysisTarget"]}],
        "results": results,
        "properties": {
            "verdict": report.verdict,
            "fingerprint": report.fingerprint,
            "configDigest": report.config_digest,
            "policyDigest": report.policy_digest,
            "passed": [result.id for result in report.checks if result.verdict == "pass"],
            "skipped": [result.id for result in report.checks if result.verdict == "skipped"],
            "waived": [result.id for result in report.checks if result.verdict == "waived"],
            "quarantined": [aside(one) for one in quarantines(report)],
        },
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "shortDescription": _text(result.why),
        "fullDescription": _text(result.why),
        "help": _text(_HELP.get(result.kind, result.why)),
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["model-safety", result.stage, result.kind], "critical": result.critical},
    }


def _result(report: GateReport, result: CheckResult, uri: str) -> dict[str, Any]:
    found = report.evidence.get(result.stage)
    identity = digest_value([report.checkpoint, result.id])
    measured: dict[str, Any] = {"metric": found.metric, "value": figure(found.value), "total": found.total, "planned": found.planned} if found else {}
    bounds = {name: figure(bound) for name, bound in (("low", result.low), ("high", result.high)) if bound is not None}
    waiver = waived_by(report, result)
    measured |= bounds | ({"waiver": aside(waiver)} if waiver is not None else {})
    return {
        "ruleId": result.id,
        "ruleIndex": next(place for place, other in enumerate(report.checks) if other.id == result.id),
        "level": level(result),
        "message": _text(message(result)),
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri, "index": 0}, "region": {"startLine": 1}}}],
        # GitHub reads the first, and would look for the checkpoint's lines without it.
        "partialFingerprints": {"primaryLocationLineHash": f"{identity[:16]}:1", "guardmedCheck/v1": identity},
        "properties": {"stage": result.stage, "kind": result.kind, "verdict": result.verdict, "critical": result.critical, **measured},
    }


def _text(text: str) -> dict[str, str]:
    """Text as it is: braces doubled (section 3.11.5), and nothing that a viewer makes a link of (3.11.6 has no escape for it)."""
    return {"text": text.replace("{", "{{").replace("}", "}}").replace("](", "] (")}
