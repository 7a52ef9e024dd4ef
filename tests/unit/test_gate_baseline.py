"""The report of the last good checkpoint: what may be one, and what becomes of one that was tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from guardmed.errors import DataError
from guardmed.gate import GateReport, clear, load_baseline, load_report, promote, write_report
from guardmed.gate.baseline import day_of
from guardmed.gate.report import sealed
from tests.unit.test_gate_run import CHECKS, COMPARED, LATER, careless, of, run, small_gate

FIRST_VERSION = {"schema_version": 1, "kind": "gate", "name": "internal", "verdict": "pass", "checks": []}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baseline")


@pytest.fixture(scope="module")
def good(place: Path) -> GateReport:
    """Of a checkpoint that passes."""
    return run(place, small_gate(place, {**CHECKS, **COMPARED}), promoting=True)


@pytest.fixture(scope="module")
def bad(place: Path) -> GateReport:
    """Of one that is blocked."""
    return run(place, small_gate(place, {**CHECKS, **COMPARED}), careless(64))


def plain(report: GateReport) -> dict[str, Any]:
    """All that a report says; where its configuration lay is no part of it."""
    return report.model_dump(mode="json")


class TestReports:
    def test_what_was_written_is_read(self, tmp_path: Path, good: GateReport, bad: GateReport) -> None:
        for report in (good, bad):
            write_report(report, tmp_path / "out")
            assert plain(load_report(tmp_path / "out")) == plain(load_report(tmp_path / "out" / "report.json")) == plain(report)
            assert report.seal == sealed(report)

    def test_the_page_and_the_figures_are_written_together(self, tmp_path: Path, good: GateReport) -> None:
        write_report(good, tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json", "report.md"]
        for name in ("report.html", "report.md"):
            assert "Every check holds." in (tmp_path / "out" / name).read_text(encoding="utf-8")

    def test_an_earlier_one_is_cleared_away(self, tmp_path: Path, good: GateReport) -> None:
        write_report(good, tmp_path)
        for name in ("evidence.sig", "junit.xml", "notes.txt"):
            (tmp_path / name).touch()
        clear(tmp_path, also=["junit.xml", "sarif.json"])
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
        clear(tmp_path / "not there")

    @pytest.mark.parametrize(
        "change",
        [
            lambda found: found.update(verdict="blocked"),
            lambda found: found.update(checkpoint="other"),
            lambda found: found["checks"][2].update(verdict="skipped"),
            lambda found: found["evidence"]["refusal"]["items"][0].update(outcome=1),
            lambda found: found["evidence"]["refusal"].update(seconds=0.5),
            lambda found: found["config"]["suites"].update(seed=4),
            lambda found: found["manifest"].pop("config.json"),
            lambda found: found.update(created="2030-01-01T00:00:00+00:00"),
            lambda found: found.update(seal="0" * 64),
            lambda found: found.update(seal=""),
        ],
    )
    def test_one_that_was_changed_is_refused(self, tmp_path: Path, good: GateReport, change: Callable[[dict[str, Any]], object]) -> None:
        changed = plain(good)
        change(changed)
        (tmp_path / "report.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(DataError, match=r"report\.json was changed after it was written"):
            load_report(tmp_path)

    def test_how_it_is_laid_out_does_not_matter(self, tmp_path: Path, good: GateReport) -> None:
        (tmp_path / "report.json").write_text(json.dumps(plain(good), sort_keys=True), encoding="utf-8")
        assert plain(load_report(tmp_path)) == plain(good)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (json.dumps(FIRST_VERSION), "older version"),
            ("{}", "not a gate report"),
            ("[]", "not a gate report"),
            ('{"kind": "audit", "schema_version": 1}', "not a gate report"),
            ("{", "not JSON"),
        ],
    )
    def test_what_is_none(self, tmp_path: Path, content: str, words: str) -> None:
        (tmp_path / "report.json").write_text(content)
        with pytest.raises(DataError, match=words) as caught:
            load_report(tmp_path / "report.json")
        assert "report.json" in str(caught.value)
        assert caught.value.mend

    def test_none_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            load_report(tmp_path / "gone.json")


class TestBaselines:
    def test_one_that_passed_is_one(self, tmp_path: Path, good: GateReport) -> None:
        promote(good, tmp_path / "kept" / "baseline.json")
        assert plain(load_baseline(tmp_path / "kept" / "baseline.json")) == plain(good)

    def test_one_that_did_not_is_none(self, tmp_path: Path, bad: GateReport) -> None:
        with pytest.raises(DataError, match="only a checkpoint that passes"):
            promote(bad, tmp_path / "baseline.json")
        assert not (tmp_path / "baseline.json").exists()
        write_report(bad, tmp_path)
        with pytest.raises(DataError, match=r"did not pass \(blocked\)"):
            load_baseline(tmp_path)

    def test_a_last_good_one_stays_where_the_next_is_blocked(self, tmp_path: Path, good: GateReport, bad: GateReport) -> None:
        promote(good, tmp_path / "baseline.json")
        with pytest.raises(DataError):
            promote(bad, tmp_path / "baseline.json")
        assert plain(load_baseline(tmp_path / "baseline.json")) == plain(good)

    def test_one_that_was_changed_is_none(self, tmp_path: Path, bad: GateReport) -> None:
        (tmp_path / "baseline.json").write_text(json.dumps(plain(bad) | {"verdict": "pass"}), encoding="utf-8")
        with pytest.raises(DataError, match="was changed"):
            load_baseline(tmp_path / "baseline.json")

    def test_a_pin_names_the_only_one(self, tmp_path: Path, place: Path, good: GateReport) -> None:
        promote(good, tmp_path / "baseline.json")
        config = small_gate(place, {**CHECKS, **COMPARED})
        assert plain(load_baseline(tmp_path / "baseline.json", config)) == plain(good)
        assert plain(load_baseline(tmp_path / "baseline.json", config.model_copy(update={"baseline": good.seal}))) == plain(good)
        with pytest.raises(DataError, match=good.seal[:16]):
            load_baseline(tmp_path / "baseline.json", config.model_copy(update={"baseline": "0" * 64}))

    def test_the_day_it_was_made(self, good: GateReport) -> None:
        assert day_of(good) == date(2026, 11, 30)
        assert day_of(None) is day_of(good.model_copy(update={"created": ""})) is None


class TestCompared:
    def test_a_worse_checkpoint_is_blocked_by_what_it_was(self, place: Path, good: GateReport) -> None:
        report = run(place, small_gate(place, {**CHECKS, "harm": {**CHECKS["harm"], "limit": 0.4}, **COMPARED}), careless(12), baseline=good, now=LATER)
        assert of(report, "harm-same").verdict == "fail"
        assert of(report, "harm-same").told.startswith("12 items worse, 0 better of 64")
        assert of(report, "over-same").verdict == "pass"
        assert report.verdict == "blocked"

    def test_the_report_says_with_which(self, tmp_path: Path, place: Path, good: GateReport) -> None:
        report = run(place, small_gate(place, {**CHECKS, **COMPARED}), baseline=good, now=LATER)
        assert report.baseline is not None
        assert (report.baseline.seal, report.baseline.fingerprint, report.baseline.created) == (good.seal, good.fingerprint, good.created)
        write_report(report, tmp_path)
        assert plain(load_report(tmp_path)) == plain(report)

    def test_the_verdict_follows_from_the_report_alone(self, place: Path, good: GateReport) -> None:
        """With its configuration, its evidence and the baseline's items."""
        from guardmed.gate.checks import judge_all, verdict

        report = run(place, small_gate(place, {**CHECKS, **COMPARED}), careless(5), baseline=good, now=LATER)
        again = GateReport.model_validate_json(report.model_dump_json())
        assert again.baseline is not None
        results = judge_all(again.config, again.evidence, again.baseline.evidence)
        assert (tuple(results), verdict(results)) == (report.checks, report.verdict)
