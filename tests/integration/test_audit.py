"""Audits of the real reference model: in memory, behind its guard, behind a real server, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from guardmed.audit import (
    AuditReport,
    Decoding,
    Interview,
    Selection,
    Settings,
    analyse,
    audit_model,
    compare,
    load_definition,
    read_observations,
    write_report,
)
from guardmed.audit.store import AnswerStore
from guardmed.models import load_model
from guardmed.models.load import resolve
from tests.servers import Conduct, serving

_LOCK = threading.Lock()  # the server answers in threads, the model in one
PAIN = Selection(axes=("sex", "insurance"), vignettes=3, intersections=False)


@pytest.fixture(scope="module")
def pain():
    return load_definition("pain-management")


@pytest.fixture(scope="module")
def audited(reference, pain):
    return audit_model(Interview(reference), pain, selection=PAIN)


def test_an_audit_in_both_languages(audited):
    report, rows = audited
    assert {row.language for row in rows} == {"en", "zh"}
    assert all(0 <= row.outcomes["care"] <= 1 for row in rows)
    result = report.axes["sex"]["care"]
    assert result.verdict == "inconclusive"  # six pairs prove nothing
    assert (result.pairs[0].a, result.pairs[0].b) == ("female", "male")
    assert result.pairs[0].self_flip_rate == 0.0  # likelihoods of one prompt are the same twice
    assert report.model_fingerprint == report.system.fingerprint
    assert {"torch", "transformers", "fairlearn"} <= set(report.versions)


def test_each_answer_is_what_the_prompt_gives_alone(reference, pain, audited):
    _, rows = audited
    told = {(v.item, v.axis, v.group): v for v in PAIN.variants(pain)}
    for row in rows[:: max(1, len(rows) // 5)]:
        variant = told[row.item, row.axis, row.group]
        alone = []
        for order in variant.orders:
            (logprobs,) = reference.choose([variant.prompt(order)], [variant.answers(order)])
            shares = np.exp(logprobs - np.logaddexp.reduce(logprobs))
            alone.append(shares[order.index(variant.favourable)])
        assert row.outcomes["care"] == pytest.approx(np.mean(alone), abs=2e-3)


def test_a_second_run_takes_everything_from_the_journal(reference, pain, audited, tmp_path):
    interview = Interview(reference)
    store = AnswerStore(tmp_path / "journal.jsonl")
    selection = Selection(axes=("sex",), vignettes=1)
    first = audit_model(interview, pain, selection=selection, store=store)
    size = (tmp_path / "journal.jsonl").stat().st_size
    again = audit_model(interview, pain, selection=selection, store=AnswerStore(tmp_path / "journal.jsonl"))
    assert again == first
    assert (tmp_path / "journal.jsonl").stat().st_size == size


def test_guarded_and_bare_free_answers(reference, guarded):
    definition = load_definition("refusal-parity")
    harmful = [vignette for vignette in definition.vignettes if vignette.intent == "harmful"][:2]
    small = definition.model_copy(update={"vignettes": tuple(harmful), "expected": ()})
    selection = Selection(axes=("sex",), intersections=False, repeats=1)
    decoding = Decoding(max_new_tokens=12)
    bare, plain = audit_model(Interview(reference, None, decoding), small, selection=selection)
    shielded, safe = audit_model(Interview(reference, guarded, decoding), small, selection=selection)
    assert all(row.answer and row.prompt for row in plain + safe)
    assert {"refusal_harmful", "words", "empathy"} <= set(plain[0].outcomes)
    assert "stopped" not in plain[0].outcomes
    assert "stopped" in safe[0].outcomes
    assert shielded.system.guard == guarded.policy.name
    assert bare.system.guard_digest is None
    changed = compare(plain, safe, names=("bare", "guarded"))
    level = next(one for one in changed.levels if one.outcome == "refusal_harmful")
    assert level.after >= level.before


def test_a_server_with_the_same_model_behind_it_gives_the_same_audit(reference, pain, audited):
    def answer(messages, body):
        return first_token(reference, messages)

    conduct = Conduct(delay=0.01)
    with serving(answer, conduct) as base_url:
        model = load_model(f"openai:gemma@{base_url}")
        selection = Selection(axes=("sex",), vignettes=2, intersections=False, repeats=1)
        report, rows = audit_model(Interview(model), pain, selection=selection)
        model.close()
    assert 1 < conduct.most_in_flight <= 8
    local = {(row.item, row.axis, row.group): row.outcomes["care"] for row in audited[1] if row.repeat == 0}
    assert len(rows) == 8  # two vignettes, two languages, two groups
    for row in rows:
        assert row.outcomes["care"] == pytest.approx(local[row.item, row.axis, row.group], abs=0.02)
    assert report.system.log_probabilities


def first_token(reference, messages):
    """The first token of the model's answer, with its twenty likeliest alternatives."""
    import torch

    ids = reference._encode(messages)
    with _LOCK, torch.inference_mode():
        logits = reference.model(input_ids=torch.tensor([ids])).logits[0, -1].float()
    best = torch.topk(torch.log_softmax(logits, -1), 20)
    top = {reference.tokenizer.decode([int(token)]): float(value) for token, value in zip(best.indices, best.values, strict=True)}
    text = next(iter(top))
    return {"text": text, "logprobs": [{"token": text, "logprob": top[text], "top": top}]}


def test_a_run_that_is_killed_goes_on_where_it_was(reference, tmp_path):
    command = [str(Path(sys.executable).parent / "guardmed"), "audit", "pain-management", "--axis", "sex", "--vignettes", "1", "--repeats", "1"]

    def environment(name: str) -> dict[str, str]:
        cache = tmp_path / name
        folder = resolve("reference")
        (cache / folder.parent.name).mkdir(parents=True)
        (cache / folder.parent.name / folder.name).symlink_to(folder)
        return {**os.environ, "GUARDMED_CACHE": str(cache)}

    killed = environment("killed")
    process = subprocess.Popen([*command, "--out", str(tmp_path / "out")], env=killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "killed" / "audit"
    while process.poll() is None and not any(journal.glob("*.jsonl")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "report.json").exists()
    held = next(journal.glob("*.jsonl")).read_bytes()
    (journal / next(journal.glob("*.jsonl")).name).write_bytes(held[:-20])  # as if cut in the middle of a line
    subprocess.run([*command, "--out", str(tmp_path / "out")], env=killed, check=True, capture_output=True)
    subprocess.run([*command, "--out", str(tmp_path / "whole")], env=environment("whole"), check=True, capture_output=True)
    for name in ("report.json", "report.html", "report.md", "records.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_diversity_pairs_of_the_reference_model(reference, shared_data, tmp_path):
    """Real counterfactual pairs: male and female wordings of the same licensing question."""
    with (shared_data / "audit" / "diversity_medqa_sex_pairs_en.jsonl").open(encoding="utf-8") as file:
        pairs = [json.loads(line) for line, _ in zip(file, range(6), strict=False)]
    rows = []
    for pair in pairs:
        for group in ("male", "female"):
            letters = "ABCDE"[: pair["options"].count("', '") + 1]
            prompt = f"{pair[group]}\nOptions: {pair['options']}\nAnswer with one letter."
            (logprobs,) = reference.choose([prompt], [list(letters)])
            best = int(logprobs.argmax())
            rows.append({"item": pair["id"], "axis": "sex", "group": group, "answer": letters[best], "correct": int(best == pair["answer"])})
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_observations(file)
    settings = Settings()
    report = AuditReport.of(found, analyse(found, settings), settings, title="pairs")
    write_report(report, found, tmp_path / "out")
    assert report.axes["sex"]["correct"].pairs[0].n_pairs == 6
    assert report.axes["sex"]["answer"].scale == "nominal"
    differing = sum(rows[at]["answer"] != rows[at + 1]["answer"] for at in range(0, len(rows), 2))
    assert report.axes["sex"]["answer"].pairs[0].flip_rate == pytest.approx(differing / 6)
