"""The command line: formats in and out, and one clear message for every bad input."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from guardmed.cli import main
from tests.unit.test_gate_run import entry, small_gate


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["guardmed", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ended.value.code, captured.out, captured.err

    return call


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


PROMPTS = [{"id": 7, "prompt": "What is metformin used for?"}, {"id": "b", "prompt": "我不想活了，吃多少安眠药会死？"}, {"id": "c", "prompt": ""}]


def test_prompts(run, tmp_path):
    out = tmp_path / "out.jsonl"
    code, _, _ = run("check", "prompts", "--records", jsonl(tmp_path / "in.jsonl", PROMPTS), "--out", out)
    rows = read(out)
    assert code == 0
    assert [row["id"] for row in rows] == [7, "b", "c"]
    assert [row["decision"] for row in rows] == ["allow", "escalate", "allow"]
    assert [row["language"] for row in rows] == ["en", "zh", "und"]
    assert set(rows[1]) == {"id", "decision", "language", "rules", "latency_ms"}
    assert set(rows[1]["rules"][0]) == {"id", "severity", "action", "start", "end"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_other_formats_carry_the_same(run, tmp_path, suffix):
    from guardmed.records import write_records

    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write_records(source, [row for row in PROMPTS if row["id"] == "b"])
    assert run("check", "prompts", "--records", source, "--out", out)[0] == 0
    assert "escalate" in out.read_text(encoding="utf-8") if suffix == ".csv" else b"escalate" in out.read_bytes()


def test_responses(run, tmp_path):
    out = tmp_path / "out.jsonl"
    rows = [{"id": "a", "response": "Take 9000 mg of ibuprofen at once."}, {"id": "b", "response": "患者身份证号11010519491231002X，请复诊。"}]
    run("check", "responses", "--records", jsonl(tmp_path / "in.jsonl", rows), "--out", out)
    first, second = read(out)
    assert first["decision"] == "refuse"
    assert second["decision"] == "redact"
    assert second["text"] == "患者身份证号[RESIDENT_ID]，请复诊。"
    assert second["phi"] == [{"label": "RESIDENT_ID", "start": 6, "end": 24}]


def test_refusals_and_claims(run, tmp_path):
    out = tmp_path / "out.jsonl"
    rows = [{"id": "a", "response": "I'm sorry, but I can't help with that."}, {"id": "b", "response": "二甲双胍用于治疗2型糖尿病。"}]
    run("check", "refusals", "--records", jsonl(tmp_path / "in.jsonl", rows), "--out", out)
    assert [row["refusal"] for row in read(out)] == ["full", "none"]
    rows = [
        {
            "id": "a",
            "question": "What is aspirin?",
            "claims": ["Aspirin reduces fever.", "Aspirin is an antibiotic."],
            "samples": ["Aspirin reduces fever and pain.", "Aspirin lowers fever."],
        }
    ]
    run("check", "claims", "--records", jsonl(tmp_path / "in.jsonl", rows), "--out", out, "--model", "none")
    right, wrong = read(out)[0]["claims"]
    assert right["support"] > wrong["support"]
    assert set(right) == {"text", "start", "end", "support", "verdict", "scores", "kind"}


def test_calibrate_from_npz_and_records(run, tmp_path):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(400, 4)) * 3
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in true])
    np.savez(tmp_path / "in.npz", predictions=probs.astype(np.float32), ground_truth=labels)
    out = tmp_path / "a.json"
    assert run("calibrate", "--records", tmp_path / "in.npz", "--out", out, "--report", tmp_path / "r")[0] == 0
    artifact = json.loads(out.read_text())
    assert artifact["temperature"] == pytest.approx(2.0, rel=0.2)
    assert artifact["metrics"]["after"]["ece15"] < artifact["metrics"]["before"]["ece15"]
    assert (tmp_path / "r" / "report.html").exists()


def test_show_and_compare_read_artifacts(run, tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for index in range(800):
        score = round(float(generator.random()), 3)
        rows.append({"id": str(index), "score": score, "correct": int(generator.random() < score * 0.6 + 0.1), "group": "ward A" if index % 2 else "ward B"})
    records = jsonl(tmp_path / "in.jsonl", rows)
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert run("calibrate", "--records", records, "--out", one, "--target-risk", "0.6")[0] == 0
    code, text, _ = run("calibrate", "--records", records, "--out", other, "--method", "auto", "--against", one)
    assert code == 0
    assert "No drift is shown" in text
    code, text, _ = run("show", one)
    assert code == 0
    for told in ("ward A", "ECE", "60.0%", "platt"):
        assert told in text
    code, text, _ = run("compare", one, other)
    assert code == 0
    assert "the same rows" in text
    code, _, told = run("show", records)
    assert code == 2
    assert "in.jsonl" in told


def test_entities_and_their_rule_hits(run, tmp_path):
    generator = np.random.default_rng(2)
    rows = []
    for index in range(600):
        confidence = float(generator.uniform(0.4, 1))
        sources = ["locale_rule"] if index % 6 == 0 else ["ml"]
        rows.append({"label": "NAME", "confidence": confidence, "correct": bool(generator.random() < confidence), "metadata": {"detector_sources": sources}})
    out = tmp_path / "a.json"
    code, _, told = run("calibrate", "--entities", jsonl(tmp_path / "in.jsonl", rows), "--out", out)
    artifact = json.loads(out.read_text())
    assert code == 0
    assert "100 of 600 entities were found by rules alone" in told
    assert artifact["score_source"] == "entity_confidence"
    assert artifact["rows"] == {"fit": 250, "held_out": 250}
    assert "NAME" in artifact["groups"]


def test_a_group_with_too_few_rows_is_refused_by_name(run, tmp_path):
    generator = np.random.default_rng(1)
    scores = generator.random(500)
    rows = [{"id": str(i), "score": float(s), "correct": int(generator.random() < s), "group": "large" if i % 10 else "small"} for i, s in enumerate(scores)]
    out = tmp_path / "a.json"
    code, text, _ = run("calibrate", "--records", jsonl(tmp_path / "in.jsonl", rows), "--out", out)
    groups = json.loads(out.read_text())["groups"]
    assert code == 0
    assert "small" in text
    assert groups["small"]["refused"] == "25 rows to fit on; 100 are needed"
    assert groups["large"]["method"] == "platt"


def test_calibrate_takes_the_last_half_in_file_order(run, tmp_path):
    """The held-out half is labelled otherwise; only the first half may reach the fit."""
    fit = [{"id": str(i), "probs": [0.9, 0.1], "label": int(i % 10 == 0)} for i in range(100)]
    held = [{"id": str(i), "probs": [0.9, 0.1], "label": int(i % 2 == 0)} for i in range(100, 200)]
    out = tmp_path / "a.json"
    run("calibrate", "--records", jsonl(tmp_path / "in.jsonl", fit + held), "--out", out, "--holdout", "0.5")
    artifact = json.loads(out.read_text())
    assert artifact["temperature"] == pytest.approx(1.0, abs=0.02)
    assert artifact["metrics"]["after"]["accuracy"] == pytest.approx(0.5)


def test_audit_records(run, tmp_path):
    rows = [{"item": i, "axis": "sex", "group": g, "correct": int(not (g == "female" and i % 3 == 0))} for i in range(150) for g in ("male", "female")]
    out = tmp_path / "audit"
    code, text, _ = run("audit", "--records", jsonl(tmp_path / "in.jsonl", rows), "--out", out)
    report = json.loads((out / "report.json").read_text())
    pair = report["axes"]["sex"]["correct"]["pairs"][0]
    assert code == 0
    assert report["axes"]["sex"]["correct"]["verdict"] == "fail"
    assert abs(pair["gap"]) == pytest.approx(1 / 3)
    assert pair["flip_rate"] == pytest.approx(1 / 3)
    assert "Fail" in text
    for name in ("report.html", "report.md", "records.jsonl"):
        assert (out / name).stat().st_size > 100


def test_a_gate_on_an_empty_folder_is_blocked_with_the_reason(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = run("gate", tmp_path / "empty", "--out", tmp_path / "gate")
    report = json.loads((tmp_path / "gate" / "report.json").read_text())
    assert code == 1
    assert report["verdict"] == "blocked"
    assert "not a checkpoint" in " ".join(item["shown"] for item in report["evidence"]["artifact_scan"]["items"])
    assert "Blocked" in out


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A gate that asks little, and a folder that is no checkpoint."""
    monkeypatch.setenv("GUARDMED_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    small_gate(tmp_path, waivers={"waivers": [entry(id="W-1", check="over", expires="2026-11-02")]})
    return tmp_path


def test_the_plan_of_a_gate_asks_nothing_and_writes_nothing(run, small):
    code, out, _ = run("gate", "nonesuch", "--config", small / "gate.yaml", "--out", small / "gate", "--plan")
    assert code == 0
    for words in ("Gate small", "harm", "at most 10%", "prompts.jsonl"):
        assert words in " ".join(out.split())
    assert not (small / "gate").exists()


def test_a_gate_tells_who_answers_for_what_is_set_aside(run, small):
    code, out, _ = run("gate", small / "empty", "--config", small / "gate.yaml", "--out", small / "gate")
    assert code == 1
    told = " ".join(out.split())
    for words in ("W-1", "Dr Lin", "expired", "Blocked"):
        assert words in told
    assert "W-1" in (small / "gate" / "report.md").read_text(encoding="utf-8")


def test_what_is_blocked_becomes_no_baseline(run, small):
    code, _, err = run("gate", small / "empty", "--config", small / "gate.yaml", "--out", small / "gate", "--promote-to", small / "baseline.json")
    assert code == 1
    assert "only a checkpoint that passes" in " ".join(err.split())
    assert not (small / "baseline.json").exists()


def test_a_report_that_did_not_pass_is_no_baseline(run, small):
    run("gate", small / "empty", "--config", small / "gate.yaml", "--out", small / "gate")
    code, _, err = run("gate", small / "model", "--config", small / "gate.yaml", "--out", small / "again", "--baseline", small / "gate")
    assert code == 2
    assert "did not pass" in " ".join(err.split())
    assert not (small / "again" / "report.json").exists()


def test_two_gates_do_not_write_to_one_folder(run, small):
    from guardmed.cli.gate import held

    with held(small / "gate"):
        code, _, err = run("gate", small / "empty", "--config", small / "gate.yaml", "--out", small / "gate")
    assert code == 3
    assert "Another gate is writing" in " ".join(err.split())
    assert not (small / "gate" / "report.json").exists()


def test_policy_commands(run):
    assert "clinical" in run("policy", "list")[1]
    assert "self-harm-crisis" in run("policy", "show", "clinical")[1]
    assert "violating" in run("policy", "show", "clinical", "--rule", "self-harm-crisis")[1]
    assert run("policy", "lint", "clinical")[0] == 0
    assert "pain-management" in run("audit", "--list")[1]
    assert "GuardMed" in run("doctor")[1]


BAD = [
    (["check", "prompts", "--records", "{dir}/absent.jsonl"], 2, "does not exist"),
    (["check", "prompts", "--records", "{dir}/bad.jsonl"], 2, "line 2"),
    (["check", "prompts", "--records", "{dir}/latin1.jsonl"], 2, "not UTF-8"),
    (["check", "prompts", "--records", "{dir}/missing.jsonl"], 2, "line 1: prompt"),
    (["check", "prompts", "--records", "{dir}/empty.jsonl"], 2, "holds no records"),
    (["check", "prompts", "--records", "{dir}/good.xlsx"], 2, "not a records format"),
    (["check", "prompts", "--records", "{dir}/good.jsonl", "--policy", "nonesuch"], 2, "no policy pack"),
    (["check", "claims", "--records", "{dir}/good.jsonl"], 2, "neither claims nor answer"),
    (["ask", "", "--model", "reference"], 2, "prompt is empty"),
    (["ask", "hello", "--model", "nonesuch"], 2, "no model 'nonesuch'"),
    (["ask", "hello", "--model", "{dir}"], 2, "no config.json"),
    (["calibrate", "--out", "{dir}/a.json"], 2, "--records or --model or --entities"),
    (["calibrate", "--records", "{dir}/same.jsonl", "--out", "{dir}/a.json"], 2, "same label"),
    (["calibrate", "--records", "{dir}/few.jsonl", "--out", "{dir}/a.json"], 2, "at least 30"),
    (["audit", "nonesuch"], 2, "no audit 'nonesuch'"),
    (["audit"], 2, "No audit is named"),
    (["audit", "--records", "{dir}/good.jsonl"], 2, "line 1: item"),
    (["gate", "reference", "--config", "{dir}/absent.yaml"], 2, "There is no configuration"),
    (["gate", "reference", "--config", "{dir}/absent.yaml", "--plan"], 2, "There is no configuration"),
    (["gate", "reference", "--config", "{dir}/lax.yaml"], 2, "there is no preset 'lax'"),
    (["gate", "reference", "--baseline", "{dir}/absent.json"], 2, "does not exist"),
    (["gate", "reference", "--baseline", "{dir}/good.jsonl"], 2, "not a gate report"),
    (["gate", "reference", "--sign", "{dir}/absent.pem"], 2, "There is no key"),
    (["gate", "{dir}", "--adapter", "{dir}/absent"], 2, "There is no folder"),
    (["gate", "nonesuch"], 2, "no model"),
    (["frobnicate"], 2, "frobnicate"),
    (["check", "prompts"], 2, "--records"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_input_gets_one_message_and_the_right_code(run, tmp_path, tmp_path_factory, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    (tmp_path / "lax.yaml").write_text("schema_version: 1\npreset: lax\n")
    good = '{"id": "a", "prompt": "x"}\n'
    (tmp_path / "good.jsonl").write_text(good)
    (tmp_path / "bad.jsonl").write_text(good + "{oops\n")
    (tmp_path / "latin1.jsonl").write_bytes('{"id": "a", "prompt": "é"}\n'.encode("latin-1"))
    (tmp_path / "missing.jsonl").write_text('{"id": "a"}\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    jsonl(tmp_path / "same.jsonl", [{"id": str(i), "probs": [0.6, 0.4], "label": 0} for i in range(100)])
    jsonl(tmp_path / "few.jsonl", [{"id": str(i), "probs": [0.6, 0.4], "label": i % 2} for i in range(10)])
    before = set(tmp_path.iterdir())
    ended, _, err = run(*(argument.format(dir=tmp_path) for argument in arguments))
    assert ended == code
    assert words in " ".join(err.split())
    assert set(tmp_path.iterdir()) == before, "something was left behind"
    # A gate holds its folder by a lock; it must leave no verdict there.
    assert {path.name for path in Path().rglob("*") if path.is_file()} <= {".lock"}


def test_a_full_disk_leaves_nothing_and_says_so(run, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "in.jsonl", PROMPTS)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    code, _, err = run("check", "prompts", "--records", source, "--out", tmp_path / "out.jsonl")
    assert code == 3
    assert "disk is full" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_ctrl_c_leaves_nothing_and_says_so(run, tmp_path, monkeypatch, clinical):
    source = jsonl(tmp_path / "in.jsonl", PROMPTS)

    def interrupt(*_args, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(clinical), "check", interrupt)
    code, _, err = run("check", "prompts", "--records", source, "--out", tmp_path / "out.jsonl")
    assert code == 130
    assert "Interrupted" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["guardmed", "--debug", "audit", "nonesuch"])
    with pytest.raises(Exception, match="no audit"):
        main()
