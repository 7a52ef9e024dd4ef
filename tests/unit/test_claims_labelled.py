"""Labelled claims, from a file on the command line to thresholds, and back into ``check claims``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardmed.claims.conformal import load_thresholds
from guardmed.claims.labelled import LabelledAnswer, halves, samples_of, scored_answers
from guardmed.cli import app
from guardmed.errors import CalibrationError, DataError, UsageError

TRUE, FALSE = "Metformin lowers blood sugar in type 2 diabetes.", "Metformin was found in Peru by a sailor."
SAMPLES = (TRUE, f"{TRUE} Nausea is common.")


def answer(number: int = 0, **changes) -> LabelledAnswer:
    fields = {"id": number, "question": "What does metformin do?", "claims": (TRUE, FALSE), "labels": (True, False), "samples": SAMPLES}
    return LabelledAnswer.model_validate({**fields, **changes})


def file_of(folder: Path, answers: list[LabelledAnswer], name: str = "labelled.jsonl") -> str:
    path = folder / name
    path.write_text("".join(one.model_dump_json() + "\n" for one in answers), encoding="utf-8")
    return str(path)


def run(*arguments: str):
    return CliRunner().invoke(app, [str(one) for one in arguments], standalone_mode=False)


def test_words_and_booleans_are_labels():
    assert answer(labels=("accurate", "Major_Inaccurate")).true == (True, False)
    assert answer(labels=(False, "true")).true == (False, True)


@pytest.mark.parametrize(("labels", "told"), [((True,), "2 claims have 1 labels"), ((True, "perhaps"), "neither true nor false")])
def test_what_is_no_label_is_told(labels, told):
    with pytest.raises(ValueError, match=told):
        answer(labels=labels)


def test_what_samples_say_is_held_higher():
    (scored,) = scored_answers([answer()])
    assert scored.true == (True, False)
    assert scored.supports[0] > scored.supports[1]


def test_what_is_never_cut_is_no_part_of_the_bargain():
    (scored,) = scored_answers([answer(claims=(TRUE, "Please ask your doctor.", "It may cause nausea.", "Side effects:"), labels=(True, False, False, False))])
    assert scored.true == (True,)


def test_without_samples_nothing_is_measured():
    (scored,) = scored_answers([answer(samples=())])
    assert scored.supports == (None, None)


def test_each_answer_has_as_many_samples():
    assert samples_of([answer(), answer(1)]) == 2
    with pytest.raises(DataError, match="Some answers have 1 samples and some 2"):
        samples_of([answer(), answer(1, samples=SAMPLES[:1])])


def test_halves_hold_every_answer_once():
    scored = scored_answers([answer(number, claims=(f"{TRUE} {number}",), labels=(True,)) for number in range(9)])
    fit, held = halves(scored, holdout=0.5)
    assert len(held) == 4
    assert sorted(map(id, [*fit, *held])) == sorted(map(id, scored))


class TestCommandLine:
    @pytest.fixture
    def thresholds(self, tmp_path: Path) -> Path:
        out = tmp_path / "thresholds.json"
        found = run("calibrate", "--claims", file_of(tmp_path, [answer(number) for number in range(40)]), "--alpha", "0.1", "--out", out)
        assert found.exception is None, found.exception
        assert "with a false claim left" in found.output
        assert "true claims kept" in found.output
        return out

    def test_thresholds_part_what_samples_part(self, thresholds: Path):
        band = load_thresholds(thresholds).overall
        true, false = scored_answers([answer()])[0].supports
        assert false < band.supported_from <= true
        assert load_thresholds(thresholds).score_source == "claim support by consistency, standing with 2 samples"

    def test_show_tells_them(self, thresholds: Path):
        found = run("show", thresholds)
        assert f"{load_thresholds(thresholds).overall.supported_from:.4f}" in found.output

    def test_check_claims_judges_by_them(self, thresholds: Path, tmp_path: Path):
        out = tmp_path / "out.jsonl"
        run("check", "claims", "--records", file_of(tmp_path, [answer()], "one.jsonl"), "--thresholds", thresholds, "--out", out)
        (row,) = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
        assert [claim["verdict"] for claim in row["claims"]] == ["supported", "unsupported"]

    def test_another_number_of_samples_is_refused(self, thresholds: Path, tmp_path: Path):
        records = file_of(tmp_path, [answer(samples=SAMPLES * 2)], "more.jsonl")
        found = run("check", "claims", "--records", records, "--thresholds", thresholds, "--out", tmp_path / "out.jsonl")
        assert isinstance(found.exception, CalibrationError)
        assert "with 2 samples, not for" in str(found.exception)

    @pytest.mark.parametrize("more", [("--records", "x.jsonl"), ("--method", "platt"), ("--report", "out"), ("--items", "x")])
    def test_what_has_no_part_in_it_is_refused(self, tmp_path: Path, more: tuple[str, str]):
        found = run("calibrate", "--claims", file_of(tmp_path, [answer()]), "--out", tmp_path / "t.json", *more)
        assert isinstance(found.exception, UsageError)
        assert more[0] in str(found.exception)

    def test_an_nli_model_needs_claims(self, tmp_path: Path):
        found = run("calibrate", "--records", "x.jsonl", "--nli", "x", "--out", tmp_path / "t.json")
        assert isinstance(found.exception, UsageError)

    def test_too_few_answers_release_nothing_and_say_so(self, tmp_path: Path):
        out = tmp_path / "t.json"
        found = run("calibrate", "--claims", file_of(tmp_path, [answer(number) for number in range(6)]), "--out", out)
        assert load_thresholds(out).overall.supported_from is None
        assert "Nothing is released" in found.output or "nothing is released" in found.output
