"""Every format that was ever written still loads, and what is written now has the same fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guardmed.audit import AuditReport
from guardmed.calibration import load_artifact
from guardmed.gate import load_baseline
from tests.unit.scripted import Scripted

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def plain(name: str) -> dict:
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def shape(value, depth: int = 2):
    """Field names, two levels deep."""
    if isinstance(value, dict) and depth:
        return {name: shape(inner, depth - 1) for name, inner in value.items()}
    return type(value).__name__


def test_a_calibration_of_version_1_loads():
    artifact = load_artifact(GOLDEN / "calibration-1.json")
    assert artifact.schema_version == 1
    assert artifact.apply([[0.5, 0.5]]).tolist() == [[0.5, 0.5]]
    assert artifact.groups["a"].before == plain("calibration-1.json")["groups"]["a"]["before"]


def test_a_calibration_is_written_as_the_golden_one():
    artifact = load_artifact(GOLDEN / "calibration-1b.json")
    assert artifact.model_dump(mode="json", exclude_none=True) == plain("calibration-1b.json")
    assert artifact.method == "platt"
    assert artifact.selective is not None
    assert [one.method for one in artifact.candidates] == ["platt", "beta", "histogram", "isotonic"]


def test_an_audit_report_of_version_1_loads():
    report = AuditReport.model_validate(plain("audit-1.json"))
    assert report.verdict == "fail"
    assert report.model_dump(mode="json") == plain("audit-1.json")
    pair = report.axes["sex"]["correct"].pairs[0]
    assert (pair.a, pair.b, pair.n_pairs) == ("male", "female", 150)


def test_a_gate_report_of_version_1_loads():
    report = load_baseline(GOLDEN / "gate-1.json")
    assert report.exit_code == 1
    assert report.model_dump(mode="json") == plain("gate-1.json")


def test_a_response_has_the_fields_of_version_1(clinical):
    from guardmed.guard import GuardedModel

    now = GuardedModel(Scripted("Metformin lowers blood sugar."), policy=clinical).generate("What is metformin?").as_dict()
    assert shape(now, 1).keys() == plain("response-1.json").keys()
    assert now["schema_version"] == plain("response-1.json")["schema_version"] == 1


@pytest.mark.parametrize("name", ["calibration-1.json", "calibration-1b.json", "audit-1.json", "gate-1.json", "response-1.json"])
def test_every_golden_file_says_its_version(name):
    assert plain(name)["schema_version"] == 1
