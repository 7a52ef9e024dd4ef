"""``guardmed eval`` on the command line, against a real server: what it prints and writes, and what it says of wrong calls."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from guardmed.cli.evaluate import evaluate
from guardmed.errors import DataError, UsageError
from tests.servers import serving

WRITTEN = {"report.json", "report.html", "report.md", "records.jsonl"}
app = typer.Typer()
app.command()(evaluate)


def answer(messages, body):
    """Says one entity and one code, weighs A and B, and believes everything."""
    asked = messages[-1]["content"]
    if "Entities:" in asked or "实体：" in asked:
        return {"text": "dis: asthma\ndis: 痛风"}
    if "Codes:" in asked or "编码：" in asked:
        return {"text": "I10"}
    top = {"True": -0.2, "False": -1.8, "正确": -0.2, "错误": -1.8} if "?" in asked or "？" in asked else {"A": -0.3, "B": -1.4}
    return {"text": "A", "logprobs": [{"token": "A", "logprob": -0.3, "top": top}]}


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("GUARDMED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> str:
        found = CliRunner().invoke(app, [*map(str, arguments)])
        if found.exception is not None:
            raise found.exception
        return found.output

    return call


@pytest.fixture
def url():
    with serving(answer) as address:
        yield f"openai:m@{address}"


def read(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_two_models_bare_side_by_side(run, url, tmp_path):
    out = tmp_path / "out"
    shown = run("mcq", "ner", "icd", "--model", url, "--model", url.replace("openai:m", "openai:n"), "--guard", "none", "--limit", 6, "--out", out)
    assert {path.name for path in out.iterdir()} == WRITTEN
    report = read(out)
    assert [one["guard"] for one in report["systems"]] == [None, None]
    assert {(one["suite"], one["language"]) for one in report["results"]} == {(suite, language) for suite in ("mcq", "ner", "icd") for language in ("en", "zh")}
    assert all(word in shown for word in ("English, side by side", "Chinese, side by side", "Multiple choice, accuracy", "Without a model", "report.html"))
    assert len((out / "records.jsonl").read_text(encoding="utf-8").splitlines()) == 2 * 6 * 6


def test_a_model_is_measured_behind_the_guard_as_well(run, url, tmp_path):
    run("icd", "--model", url, "--language", "en", "--limit", 3, "--out", tmp_path / "out")
    bare, guarded = read(tmp_path / "out")["results"]
    assert guarded["system"] == f"{bare['system']}, guarded"
    assert "answered" in guarded["figures"]
    assert [one["guard"] for one in read(tmp_path / "out")["systems"]] == [None, "clinical"]


def test_reports_are_joined(run, url, tmp_path):
    for suite in ("icd", "ner"):
        run(suite, "--model", url, "--guard", "none", "--limit", 3, "--out", tmp_path / suite)
    shown = run("--table", tmp_path / "icd", tmp_path / "ner", "--out", tmp_path / "both")
    assert "ICD-10, micro F1" in shown
    assert "Entities, F1" in shown
    assert len(read(tmp_path / "both")["systems"]) == 1


def test_predictions_of_a_tagger_need_no_model(run, tmp_path):
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"id": "a", "text": "He has asthma.", "entities": [{"start_idx": 7, "end_idx": 12, "type": "dis", "entity": "asthma"}]}\n')
    said = tmp_path / "tagger.jsonl"
    said.write_text('{"id": "a", "entities": [{"start": 7, "end": 13, "label": "dis"}]}\n')
    shown = run("ner", "--data", gold, "--records", said, "--out", tmp_path / "out")
    (result,) = read(tmp_path / "out")["results"]
    assert (result["system"], result["figures"]["micro_f1"]["value"]) == ("tagger", 1.0)
    assert "1.000" in shown


def test_the_language_of_a_file_is_its_own(run, url, tmp_path):
    path = tmp_path / "cmexam.jsonl"
    path.write_text('{"Question": "问", "Options": "A 甲\\nB 乙", "Answer": "A"}\n', encoding="utf-8")
    run("mcq", "--model", url, "--guard", "none", "--data", path, "--out", tmp_path / "out")
    (result,) = read(tmp_path / "out")["results"]
    assert (result["language"], result["data"], result["settings"], result["figures"]["accuracy"]["value"]) == ("zh", "cmexam.jsonl", {"form": "letters"}, 1.0)
    with pytest.raises(DataError, match=r"cmexam.jsonl holds no question in en"):
        run("mcq", "--model", url, "--data", path, "--language", "en")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("medqa",), "no suite 'medqa'"),
        (("--data", "x.jsonl"), "for one suite"),
        (("mcq", "--records", "x.jsonl"), "predictions of entities"),
        (("--table",), "joins reports"),
        (("mcq", "--model", "a", "--model", "b", "--adapter", "c"), "belongs to one model"),
    ],
)
def test_what_can_not_be_asked_is_told_before_a_model_is_loaded(run, arguments, said):
    with pytest.raises(UsageError, match=said):
        run(*arguments)
