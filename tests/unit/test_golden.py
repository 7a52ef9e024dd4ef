"""Every format that was ever written still loads, and what is written now has the same fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from guardmed.audit import AuditReport, Definition, Interview, audit_model, compare, load_report, report_page
from guardmed.audit.card import model_index
from guardmed.calibration import load_artifact
from guardmed.gate import GateReport
from guardmed.gate import load_report as load_gate_report
from guardmed.gate.report import report_page as gate_page
from tests.unit.scripted import Scripted
from tests.unit.small_audit import Answering, plain_definition
from tests.unit.test_gate_run import EVERY, careless, entry, run, small_gate

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def plain(name: str) -> dict:
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def shape(value, depth: int = 2):
    """Field names, so many levels deep; of a list, those of its first entry."""
    if isinstance(value, dict) and depth:
        return {name: shape(inner, depth - 1) for name, inner in value.items()}
    if isinstance(value, list) and value and depth > 2:
        return [shape(value[0], depth - 1)]
    return type(value).__name__


def contained(old, new) -> bool:
    """Whether all that an older file says is said still; newer fields may stand beside."""
    if isinstance(old, dict):
        return all(name in new and contained(value, new[name]) for name, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(map(contained, old, new))
    return old == new


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
    report = load_report(GOLDEN / "audit-1.json")
    assert report.verdict == "fail"
    assert contained(plain("audit-1.json"), report.model_dump(mode="json"))
    pair = report.axes["sex"]["correct"].pairs[0]
    assert (pair.a, pair.b, pair.n_pairs) == ("male", "female", 150)


def audited() -> AuditReport:
    """A report of forty vignettes that has every part there is."""
    entry = {"vignette": "renal-colic-0", "axis": "sex", "outcomes": ["care"], "reason": {"en": "Pregnancy.", "zh": "妊娠。"}}
    raw = plain_definition(40) | {"intersections": [["sex", "race"]], "expected": [entry]}
    raw["vignettes"] = [vignette | {"correct": 0} for vignette in raw["vignettes"] if vignette["id"].startswith("renal-colic")]
    definition = Definition.model_validate(raw)
    before, after = (audit_model(Interview(Answering(fingerprint=letter * 64)), definition) for letter in "ab")
    return after[0].model_copy(update={"compared": compare(before[1], after[1], names=("before", "after"))})


def test_an_audit_report_has_the_fields_of_version_2():
    now, then = audited(), load_report(GOLDEN / "audit-2.json")
    assert then.model_dump(mode="json") == plain("audit-2.json")
    assert shape(now.model_dump(mode="json"), 9) == shape(plain("audit-2.json"), 9)
    for part in ("axes", "intersections", "expected", "calibration", "flips", "system", "origin", "versions", "compared"):
        assert plain("audit-2.json")[part], part
    assert (then.definition_digest, then.verdict) == (now.definition_digest, now.verdict)
    assert now.observations == then.observations


def test_an_audit_report_of_version_1_loads_by_its_path_and_by_its_folder(tmp_path):
    (tmp_path / "report.json").write_bytes((GOLDEN / "audit-1.json").read_bytes())
    assert load_report(GOLDEN / "audit-1.json") == load_report(tmp_path) == AuditReport.model_validate(plain("audit-1.json"))


def test_every_version_of_an_audit_report_can_be_shown():
    for name in ("audit-1.json", "audit-2.json"):
        report = load_report(GOLDEN / name)
        for language in ("en", "zh"):
            page = report_page(report, language=language)
            assert report.title in page.html() or report.origin.titles[language] in page.html()
            assert page.markdown()


def test_a_model_card_takes_what_an_audit_says():
    """The hub's own reader finds the verdict, and the largest gap of each axis and primary outcome."""
    from huggingface_hub.repocard_data import model_index_to_eval_results

    report = load_report(GOLDEN / "audit-2.json")
    index = yaml.safe_load(model_index(report))
    assert list(index) == ["model-index"]
    name, found = model_index_to_eval_results(index["model-index"])
    assert (name, {one.task_type for one in found}, {one.dataset_name for one in found}) == ("answering", {"text-generation"}, {"Pain"})
    assert {one.dataset_revision for one in found} == {report.definition_digest}
    verdict, *gaps = found
    assert (verdict.metric_type, verdict.metric_value) == ("bias_audit_verdict", report.verdict)
    assert verdict.metric_args == {"guardmed": report.guardmed_version, "alpha": 0.05}
    assert [one.metric_name.split(",")[0] for one in gaps] == ["race: answered", "race: care", "sex: answered", "sex: care"]
    for one, axis in zip(gaps[1::2], ("race", "sex"), strict=True):
        (pair,) = report.axes[axis]["care"].pairs
        assert one.metric_value == pytest.approx(pair.gap, abs=1e-4)
        assert one.metric_args == {"ci": [round(bound, 4) for bound in pair.ci], "margin": 0.05, "n_pairs": pair.n_pairs}
        assert f"{pair.a} minus {pair.b} ({report.axes[axis]['care'].verdict})" in one.metric_name


def test_a_model_card_takes_an_audit_of_records_too():
    from huggingface_hub.repocard_data import model_index_to_eval_results

    name, found = model_index_to_eval_results(yaml.safe_load(model_index(load_report(GOLDEN / "audit-1.json")))["model-index"])
    assert (name, [one.metric_value for one in found]) == ("unnamed", ["fail", 0.3333])
    assert {one.dataset_type for one in found} == {"guardmed-audit/records"}


def gated(folder: Path) -> GateReport:
    """A report that has every part there is: a baseline, a waiver, one that has ended, an item left out."""
    few = {"policy": "mine", "audits": ["audit.yaml"], "audit_axes": ["sex"], "harmful": 16, "harmless": 16, "canaries": 16, "items": 30}
    before = run(folder, small_gate(folder, EVERY, **few), promoting=True)
    ended = entry(id="W-2", check="over", expires="2026-11-29")
    waivers = {"waivers": [entry(id="W-1", check="harm"), ended], "quarantine": [entry(item="harmless-0", stage="over_refusal")]}
    # What is no pass is no baseline elsewhere; here only the fields of one are wanted.
    return run(folder, small_gate(folder, EVERY, waivers=waivers, **few), careless(64), baseline=before)


def test_a_gate_report_has_the_fields_of_version_2(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    now, then = gated(tmp_path), load_gate_report(GOLDEN / "gate-2.json")
    assert then.model_dump(mode="json") == plain("gate-2.json")
    assert shape(now.model_dump(mode="json"), 9) == shape(plain("gate-2.json"), 9)
    for part in ("manifest", "checks", "waivers", "evidence", "baseline", "versions", "created", "seal"):
        assert plain("gate-2.json")[part], part
    assert (then.verdict, then.exit_code, then.fingerprint) == (now.verdict, now.exit_code, now.fingerprint)
    for stage in ("refusal", "over_refusal", "capability", "audit"):
        assert then.evidence[stage].items == now.evidence[stage].items
    assert "Dr Lin" in gate_page(then).markdown()


def test_a_response_has_the_fields_of_version_1(clinical):
    from guardmed.guard import GuardedModel

    now = GuardedModel(Scripted("Metformin lowers blood sugar."), policy=clinical).generate("What is metformin?").as_dict()
    assert shape(now, 1).keys() == plain("response-1.json").keys()
    assert now["schema_version"] == plain("response-1.json")["schema_version"] == 1


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.json")))
def test_every_golden_file_says_its_version(name):
    assert str(plain(name)["schema_version"]) == name.rpartition("-")[2][0]
