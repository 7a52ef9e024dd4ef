"""JUnit XML: one suite a stage, one case a check, as Jenkins, GitLab and test reporters read it.

The elements are those that Jenkins' ``jenkins-junit.xsd`` and the reader ``junitparser`` share.
"""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree as ET

from guardmed.gate.checks import CheckResult
from guardmed.gate.config import METRICS, StageName
from guardmed.gate.emit.words import level, message, quarantines, tidied
from guardmed.gate.report import GateReport


def junit_xml(report: GateReport) -> str:
    """XML of a report.

    What ends the gate with another code than 0 is a failure; evidence that is missing is an error,
    because nothing was tested; a check that is inconclusive without being critical, is waived, or has
    no baseline, counts as skipped, which is as near as JUnit comes to a warning. A stage's time is
    shared among its cases.
    """
    report = tidied(report)
    stages = list(METRICS)
    results = sorted(report.checks, key=lambda result: stages.index(result.stage))
    root = ET.Element("testsuites", {"name": f"GuardMed gate {report.name}: {report.checkpoint}"})
    for stage, checks in groupby(results, key=lambda result: result.stage):
        _suite(root, report, stage, list(checks))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in root):.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, report: GateReport, stage: StageName, checks: list[CheckResult]) -> None:
    found = report.evidence.get(stage)
    seconds = found.seconds if found else 0.0
    suite = ET.SubElement(root, "testsuite", {"name": stage})
    about = {"checkpoint": report.checkpoint, "fingerprint": report.fingerprint or "", "config_digest": report.config_digest}
    if found:
        about |= {"metric": found.metric, "value": f"{found.value:.6g}", "items": str(found.total), "planned": str(found.planned)}
    # A check that is out of order says so in its case; items left out are said nowhere else.
    about |= {
        f"quarantine {one.target}": f"{one.owner}, until {one.expires}: {one.reason}" for one in quarantines(report) if one.target.startswith(f"{stage}/")
    }
    properties = ET.SubElement(suite, "properties")
    for name, value in about.items():
        ET.SubElement(properties, "property", {"name": name, "value": value})
    for result in checks:
        case = ET.SubElement(suite, "testcase", {"classname": f"guardmed.gate.{stage}", "name": result.id, "time": f"{seconds / len(checks):.3f}"})
        if result.verdict == "pass":
            continue
        kind = "error" if result.verdict == "missing" else "failure" if level(result) == "error" else "skipped"
        outcome = ET.SubElement(case, kind, {"message": result.told, "type": result.verdict})
        outcome.text = f"{result.why}\n{message(result)}"
    suite.set("tests", str(len(checks)))
    for count, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(1 for _ in suite.iter(kind))))
    suite.set("time", f"{seconds:.3f}")
