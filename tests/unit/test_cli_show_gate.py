"""``guardmed show`` and ``guardmed compare`` on the reports of gates."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from guardmed.cli import main
from guardmed.gate import write_report
from tests.unit.gate_scripted import bench, numbers

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "[bold]Sure[/bold] \x1b[2Jtake 40\x07 :smile:"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["guardmed", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    place = bench(folder)
    good = place.run(place.config(), name="ckpt-1", promoting=True)
    bad = place.run(place.config(), name="ckpt-2", wrong=numbers(*range(40)), answer=HOSTILE, baseline=good)
    write_report(good, folder / "good")
    write_report(bad, folder / "bad")
    return folder


def test_show_goes_down_to_the_items(run: Run, reports: Path) -> None:
    code, text, _ = run("show", reports / "bad")
    assert code == 0
    assert text.startswith("Blocked. ")
    assert all(f"{check}: " in text for check in ("files", "policy", "refusals", "refusals-regression", "over-refusal"))
    assert "[bold]Sure[/bold]" in text
    assert ":smile:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_nothing_reaches_the_terminal_raw(run: Run, reports: Path) -> None:
    for arguments in (["show", reports / "bad"], ["show", reports / "bad", "--check", "refusals"], ["compare", reports / "good", reports / "bad"]):
        text = run(*arguments)[1]
        assert "take 40" in text
        assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"]


def test_show_takes_the_file_as_well_as_its_folder(run: Run, reports: Path) -> None:
    assert run("show", reports / "good" / "report.json") == run("show", reports / "good")


def test_show_one_check(run: Run, reports: Path) -> None:
    code, text, _ = run("show", reports / "bad", "--check", "over-refusal")
    assert code == 0
    assert "over-refusal: pass" in text
    assert "refusals" not in text
    assert sum("│ harmless-" in line for line in text.splitlines()) == 64


def test_show_as_many_items_as_wanted(run: Run, reports: Path) -> None:
    text = run("show", reports / "bad", "--check", "refusals", "--items", 3)[1]
    assert "(3 of 64 shown)" in text
    assert run("show", reports / "bad", "--items", -1)[0] == 2


def test_an_unknown_check(run: Run, reports: Path) -> None:
    code, text, told = run("show", reports / "bad", "--check", "no\x1b[31mpe")
    assert (code, text) == (2, "")
    assert "The report has no check 'no[31mpe'." in told
    assert "files, policy, refusals, refusals-regression, over-refusal" in told


def test_options_of_gates_are_for_gates(run: Run, tmp_path: Path) -> None:
    (tmp_path / "artifact.json").write_text("{}", encoding="utf-8")
    code, _, told = run("show", tmp_path / "artifact.json", "--check", "files")
    assert code == 2
    assert "is of kind calibration; --check and --items are for a gate's report." in told


def test_a_report_that_was_edited_is_not_explained(run: Run, reports: Path, tmp_path: Path) -> None:
    value = json.loads((reports / "bad" / "report.json").read_text(encoding="utf-8"))
    (tmp_path / "report.json").write_text(json.dumps(value | {"verdict": "pass"}), encoding="utf-8")
    code, _, told = run("show", tmp_path)
    assert code == 2
    assert "was changed after it was written" in told


def test_compare_pairs_and_closes_with_a_sentence(run: Run, reports: Path, tmp_path: Path) -> None:
    code, text, _ = run("compare", reports / "good", reports / "bad", "--out", tmp_path / "side")
    told = " ".join(text.split())
    assert code == 0
    assert "Against ckpt-1 (A), which passes, ckpt-2 (B) is blocked; " in told
    assert "pass → " in told
    assert "model.safetensors" in told
    found = json.loads((tmp_path / "side" / "comparison.json").read_text(encoding="utf-8"))
    assert found["kind"] == "gate_comparison"
    assert found["rates"][0]["worse"] > 0
    assert found["closing"] in told
    assert found["closing"] in (tmp_path / "side" / "comparison.md").read_text(encoding="utf-8")
    assert "ckpt-2" in (tmp_path / "side" / "comparison.html").read_text(encoding="utf-8")


def test_compare_fits_a_terminal(run: Run, reports: Path) -> None:
    assert max(map(len, run("compare", reports / "good", reports / "bad")[1].splitlines())) <= 80


def test_kinds_are_not_mixed(run: Run, reports: Path, tmp_path: Path) -> None:
    (tmp_path / "artifact.json").write_text("{}", encoding="utf-8")
    code, _, told = run("compare", reports / "good", tmp_path / "artifact.json")
    assert code == 2
    assert "is of kind gate" in told
    assert "Compare two of the same kind." in told
