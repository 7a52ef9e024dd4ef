"""An in-toto statement with the test-result predicate: what a verifier signs and checks.

See ``spec/v1/statement.md``, ``spec/v1/resource_descriptor.md`` and
``spec/predicates/test-result.md`` in the repository in-toto/attestation.
"""

from __future__ import annotations

from typing import Any

from guardmed.errors import DataError
from guardmed.gate.emit.words import level, set_aside, tidied
from guardmed.gate.report import GateReport


def statement(report: GateReport) -> dict[str, Any]:
    """The statement, unsigned.

    A check that is inconclusive without being critical, or is waived, has warned; one that is
    inconclusive and critical has failed, as the gate did not pass. A skipped check is in no list,
    because it did not run. Waivers, and items left out, stand with the configuration that names them.

    Raises
    ------
    DataError
        The checkpoint has no fingerprint; a statement about nothing in particular is worthless.
    """
    report = tidied(report)
    if report.fingerprint is None:
        raise DataError("The checkpoint has no fingerprint, so no statement can name it.", mend="Run the gate on a folder with the checkpoint's files.")
    ran = [(result.id, level(result)) for result in report.checks if result.verdict != "skipped"]
    warned = [name for name, grade in ran if grade == "warning"]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {
                "name": report.checkpoint,
                "digest": {"sha256": report.fingerprint},
                "annotations": {"digestOf": "GuardMed's manifest of the files that decide what the model says"},
            }
        ],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "FAILED" if report.verdict != "pass" else "WARNED" if warned else "PASSED",
            "configuration": [
                {"name": report.name, "digest": {"sha256": report.config_digest}, "annotations": {"guardmed": report.guardmed_version, **set_aside(report)}},
                {"name": "policy", "digest": {"sha256": report.policy_digest}},
            ],
            "passedTests": [name for name, grade in ran if grade == "none"],
            "warnedTests": warned,
            "failedTests": [name for name, grade in ran if grade == "error"],
        },
    }
