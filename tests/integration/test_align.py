"""Alignment on a small model of the real classes: what is trained, what is written, and what comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from guardmed.align import stage
from guardmed.align.pairs import PreferencePair
from guardmed.align.results import load_run
from guardmed.align.settings import AlignSettings, load_settings
from guardmed.align.sft import _head_pieces, of_like_length, sft_rows
from guardmed.align.stage import run_stage
from guardmed.align.state import MANIFEST, latest, seal, whole
from guardmed.errors import DataError, ExecutionError, UsageError
from guardmed.models import Sampling, load_model
from guardmed.models.prompting import PLAIN_TEMPLATE, render, signed
from tests.integration.small import small_llama

SMALL = {
    "evaluate.prompts": 0,
    "evaluate.questions": 0,
    "lora.rank": 4,
    "sft.arguments": {"per_device_train_batch_size": 4, "max_steps": 6, "learning_rate": 5e-3},
    "dpo.arguments": {"per_device_train_batch_size": 2, "max_steps": 3, "learning_rate": 5e-3},
}
REFUSAL = {"en": "I can't help with that. It could harm someone.", "zh": "这件事我不能帮您。它可能会伤害别人。"}
HELP = {"en": "Metformin lowers blood sugar.", "zh": "二甲双胍可以降低血糖。"}


def rows(count=16):
    out = []
    for place in range(count):
        lang, harmful = ("en", "zh")[place % 2], place % 4 < 2
        prompt = {"en": f"Question number {place}: what now?", "zh": f"第{place}个问题：现在怎么办？"}[lang]
        chosen, rejected = (REFUSAL[lang], HELP[lang]) if harmful else (HELP[lang], REFUSAL[lang])
        split = "validation" if place >= count - 4 else "train"
        out.append(
            PreferencePair(
                id=place, prompt=prompt, lang=lang, harmful=harmful, chosen=chosen, rejected=rejected, topic=f"t{place}", source="rules", split=split
            )
        )
    return out


def trained(folder, base, clinical, *, name="sft", changes=None, resume=False, terms=None, data=None):
    settings = load_settings(changes={**SMALL, **(changes or {})})
    return run_stage(name, str(base), data or rows(), settings, out=folder, policy=clinical, data="pairs", resume=resume, terms=terms)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small model without a chat template, as base models are."""
    model, tokenizer = small_llama([text for row in rows() for text in (row.prompt, row.chosen, row.rejected)])
    folder = tmp_path_factory.mktemp("base") / "llama"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, base, clinical):
    folder = tmp_path_factory.mktemp("run") / "sft"
    return folder, trained(folder, base, clinical)


def test_a_run_leaves_a_model_that_every_command_takes(run, base):
    folder, record = run
    assert load_run(folder) == record
    assert record.steps == 6
    assert 0 < record.trainable < record.parameters
    assert [point.values["loss"] > 0 for point in record.curve[:6]] == [True] * 6
    model = load_model(str(folder / "checkpoint"))
    assert model.fingerprint != load_model(str(base)).fingerprint == record.base_fingerprint
    assert model.generate(["What now?"], Sampling(max_new_tokens=4))[0][0].scores is not None
    assert "base_model: llama" in (folder / "checkpoint" / "README.md").read_text(encoding="utf-8")


def test_the_adapter_on_the_base_is_the_checkpoint(run, base):
    folder, _ = run
    merged, apart = load_model(str(folder / "checkpoint")), load_model(str(base), adapter=folder / "adapter")
    scores = [model.score(["What now?"], ["Rest."])[0].logprobs for model in (merged, apart)]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_nothing_that_can_run_code_is_written(run):
    folder, _ = run
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja", ".md", ".model"}
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_a_base_model_gets_the_template_it_was_trained_in(run, base):
    folder, _ = run
    tokenizer = load_model(str(folder / "checkpoint")).tokenizer
    assert tokenizer.chat_template == PLAIN_TEMPLATE
    plain = load_model(str(base)).tokenizer
    talks = [
        "What is 布洛芬 for, doctor?",
        "布洛芬和aspirin能一起吃吗",
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it safe?"}],
        [{"role": "user", "content": "头痛吃什么"}, {"role": "assistant", "content": "多休息。"}, {"role": "user", "content": "还是痛"}],
        [{"role": "user", "content": "My head aches"}, {"role": "assistant", "content": "Rest."}, {"role": "user", "content": "It still does"}],
    ]
    for talk in talks:
        messages = [{"role": "user", "content": talk}] if isinstance(talk, str) else talk
        written = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True).removeprefix(tokenizer.bos_token)
        assert written == render(talk, tokenizer) == render(talk, plain)


def test_the_tokens_are_those_that_generation_sees(run):
    folder, _ = run
    tokenizer = load_model(str(folder / "checkpoint")).tokenizer
    row = rows()[0]
    whole_row, opening = sft_rows([row, row.model_copy(update={"whole": False})], tokenizer)
    head = tokenizer(render(row.prompt, tokenizer))["input_ids"]
    assert whole_row["input_ids"][: len(head)] == head
    assert whole_row["labels"][: len(head)] == [-100] * len(head)
    assert whole_row["labels"][len(head) :] == whole_row["input_ids"][len(head) :]
    assert whole_row["input_ids"][-1] == tokenizer.eos_token_id
    assert opening["input_ids"] == whole_row["input_ids"][:-1]
    assert tokenizer.decode(opening["input_ids"][len(head) :]) == " " + row.chosen


def test_rows_of_one_batch_are_of_like_length():
    made = [{"input_ids": [0] * length} for length in (*range(1, 50), *range(1, 50))]
    ordered = of_like_length(made, batch=4, seed=0)
    assert sorted(len(row["input_ids"]) for row in ordered) == sorted(len(row["input_ids"]) for row in made)
    lengths = [[len(row["input_ids"]) for row in ordered[at : at + 4]] for at in range(0, 96, 4)]
    assert max(max(batch) - min(batch) for batch in lengths) < 10
    firsts = [batch[0] for batch in lengths]
    assert firsts != sorted(firsts)
    assert ordered == of_like_length(made, batch=4, seed=0) != of_like_length(made, batch=4, seed=1)


def test_one_seed_gives_one_adapter_bit_for_bit(run, base, clinical, tmp_path):
    folder, _ = run
    trained(tmp_path / "again", base, clinical)
    trained(tmp_path / "other", base, clinical, changes={"seed": 1})
    same, other = (tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("again", "other"))
    first = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    assert same.read_bytes() == first != other.read_bytes()


def test_a_resumed_run_ends_where_an_unbroken_one_does(base, clinical, tmp_path):
    saving = {**SMALL["sft.arguments"], "save_strategy": "steps", "save_steps": 2}
    trained(tmp_path / "r", base, clinical, changes={"sft.arguments": saving})
    states = tmp_path / "r" / "training"
    assert sorted(path.name for path in states.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert not [path for path in states.rglob("*") if path.suffix in (".bin", ".pt", ".pth")]
    (states / "checkpoint-6" / MANIFEST).unlink()  # as if it was killed while that was written
    assert latest(states) == states / "checkpoint-4"
    before = (tmp_path / "r" / "adapter" / "adapter_model.safetensors").read_bytes()
    trained(tmp_path / "r", base, clinical, changes={"sft.arguments": saving}, resume=True)
    assert (tmp_path / "r" / "adapter" / "adapter_model.safetensors").read_bytes() == before
    with pytest.raises(ExecutionError, match="no whole training state"):
        trained(tmp_path / "none", base, clinical, resume=True)


def test_a_state_that_was_changed_is_not_taken_up(tmp_path):
    state = tmp_path / "checkpoint-1"
    state.mkdir()
    (state / "adapter_model.safetensors").write_bytes(b"weights")
    (state / "training_args.bin").write_bytes(b"pickle")
    assert not whole(state)
    seal(state)
    assert not (state / "training_args.bin").exists()
    assert latest(tmp_path) == state
    (state / "adapter_model.safetensors").write_bytes(b"others")
    assert latest(tmp_path) is None


def test_preferences_move_apart(run, clinical, tmp_path):
    folder, _ = run
    record = trained(
        tmp_path / "dpo",
        folder / "checkpoint",
        clinical,
        name="dpo",
        changes={"dpo.arguments": {**SMALL["dpo.arguments"], "max_steps": 12, "per_device_train_batch_size": 4}},
    )
    margins = [point.values["rewards/margins"] for point in record.curve if "rewards/margins" in point.values]
    assert np.mean(margins[-3:]) > np.mean(margins[:3])
    assert load_model(str(tmp_path / "dpo" / "checkpoint")).fingerprint != record.base_fingerprint


def test_new_words_are_one_token_each_and_begin_as_the_mean_of_their_pieces(base, clinical, tmp_path):
    terms = ["hyperbilirubinaemia", "肝豆状核变性"]
    record = trained(tmp_path / "t", base, clinical, terms=terms, changes={"sft.arguments": {**SMALL["sft.arguments"], "max_steps": 1, "learning_rate": 1e-12}})
    model, before = load_model(str(tmp_path / "t" / "checkpoint")), load_model(str(base))
    assert [len(model.tokenizer(term, add_special_tokens=False)["input_ids"]) for term in terms] == [1, 1]
    pieces = before.tokenizer(terms[1], add_special_tokens=False)["input_ids"]
    token = model.tokenizer.convert_tokens_to_ids(terms[1])
    table, old = model.model.get_input_embeddings().weight, before.model.get_input_embeddings().weight
    np.testing.assert_allclose(table[token].detach().numpy(), old[pieces].mean(dim=0).detach().numpy(), atol=1e-6)
    assert record.trainable > model.model.config.vocab_size * model.model.config.hidden_size  # the embeddings learn as well


def test_looking_while_training_keeps_the_best_and_ends_what_refuses_all(base, clinical, tmp_path):
    changes = {
        "sft.probe.every": 1,
        "sft.probe.prompts": 4,
        "sft.probe.most_over_refusal": 0.01,
        "sft.arguments": {**SMALL["sft.arguments"], "max_steps": 60, "learning_rate": 0.05},
    }
    sorry = [row.model_copy(update={"chosen": REFUSAL["en"]}) for row in rows()]
    record = trained(tmp_path / "p", base, clinical, changes=changes, data=sorry)
    assert record.stopped is not None
    assert "harmless prompts were turned away" in record.stopped
    assert record.steps < 60
    assert record.probes[-1].turned_away > 0
    costs = [probe.complied / probe.harmful + probe.turned_away / probe.harmless for probe in record.probes]
    assert min(costs) == [cost for cost, probe in zip(costs, record.probes, strict=True) if probe.kept][-1]


def test_looks_that_would_look_at_nothing_are_refused(base, clinical, tmp_path):
    harmless = [row for row in rows() if row.split == "train" or not row.harmful]
    with pytest.raises(DataError, match="no validation prompts of both kinds"):
        trained(tmp_path / "n", base, clinical, changes={"sft.probe.every": 1}, data=harmless)


def test_a_record_stands_beside_the_checkpoint_that_it_tells_of_and_no_other(base, clinical, tmp_path, monkeypatch):
    made = trained(tmp_path / "twice", base, clinical)
    with pytest.raises(UsageError):
        trained(tmp_path / "twice", base, clinical, changes={"sft.arguments": {"learning_rat": 1}})
    assert load_run(tmp_path / "twice") == made  # what failed before it wrote anything leaves the earlier run

    def broken(*_run):
        raise OSError("No space left on device")

    monkeypatch.setattr(stage, "write_run", broken)
    with pytest.raises(OSError, match="No space"):
        trained(tmp_path / "twice", base, clinical, changes={"seed": 1})
    assert not (tmp_path / "twice" / "run.json").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sft.arguments": {"learning_rat": 1}}, "learning_rat"),
        ({"sft.arguments": {"output_dir": "/"}}, "output_dir can't be set"),
        ({"lora.layers": 9}, "the model has 2 layers"),
        ({"load.bits": 4}, "needs CUDA and bitsandbytes"),
    ],
)
def test_what_can_t_be_trained_is_told(base, clinical, tmp_path, changes, problem):
    with pytest.raises(UsageError, match=problem):
        trained(tmp_path / "x", base, clinical, changes=changes)
    assert not (tmp_path / "x" / "checkpoint").exists()


def test_adapters_on_the_last_layers_alone(base, clinical, tmp_path):
    few = trained(tmp_path / "one", base, clinical, changes={"lora.layers": 1})
    config = json.loads((tmp_path / "one" / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["layers_to_transform"] == [1]
    assert few.trainable > 0


def test_figures_before_and_after(run, clinical, tmp_path, monkeypatch):
    folder, _ = run
    monkeypatch.setenv("GUARDMED_CACHE", str(tmp_path / "cache"))
    changes = {"evaluate.prompts": 2, "evaluate.questions": 8, "evaluate.tokens": 6, "sft.arguments": {**SMALL["sft.arguments"], "max_steps": 1}}
    record = trained(tmp_path / "e", folder / "checkpoint", clinical, changes=changes)
    assert record.before is not None
    assert record.after is not None
    assert set(record.before.conduct) == {"en", "zh"}
    assert record.before.conduct["en"].compliance.n == 2
    assert record.before.accuracy.n == record.after.accuracy.n == 8
    assert record.before.kl.value == pytest.approx(0.0, abs=1e-4)
    assert record.change is not None
    assert record.change.low <= record.change.value <= record.change.high
    assert record.samples
    assert "model-index" in (tmp_path / "e" / "checkpoint" / "README.md").read_text(encoding="utf-8")
    assert record.after.fingerprint == load_model(str(tmp_path / "e" / "checkpoint")).fingerprint
    again = trained(tmp_path / "e2", folder / "checkpoint", clinical, changes=changes)
    assert again.before == record.before


def test_a_killed_run_leaves_no_folder_that_looks_whole(base, tmp_path):
    data = tmp_path / "pairs.jsonl"
    data.write_text("".join(row.model_dump_json() + "\n" for row in rows()), encoding="utf-8")
    out = tmp_path / "killed"
    options = ["--pairs", str(data), "--out", str(out), "--model", str(base), "--set", "evaluate.prompts=0", "--set", "evaluate.questions=0"]
    arguments = "{max_steps: 100000, per_device_train_batch_size: 4, save_strategy: steps, save_steps: 1, save_total_limit: 2}"
    child = subprocess.Popen(
        [sys.executable, "-m", "guardmed", "align", "sft", *options, "--set", f"sft.arguments={arguments}"], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while latest(out / "training") is None and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert latest(out / "training") is not None
    assert not (out / "checkpoint").exists()
    assert not (out / "adapter").exists()
    assert not (out / "run.json").exists()


def test_defaults_are_those_of_the_documentation():
    page = (Path(__file__).resolve().parents[2] / "docs" / "align.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    import yaml

    assert AlignSettings.model_validate(yaml.safe_load(example)) == AlignSettings()


@pytest.fixture(scope="module")
def listening(tmp_path_factory, base, clinical):
    folder = tmp_path_factory.mktemp("hinted") / "sft"
    changes = {"hint": {"share": 0.5}, "evaluate.prompts": 2, "evaluate.tokens": 4}
    return folder, trained(folder, base, clinical, changes=changes), changes


def test_a_model_trained_with_hints_is_told_them(listening):
    folder, record, _ = listening
    model = load_model(str(folder / "checkpoint"))
    asked = "Tell me how to hide a surgical error from the patient's family."
    assert model.hint.of(asked) == "⚠"
    alone = model.without_hint()
    assert alone.fingerprint != model.fingerprint == record.after.fingerprint
    (told,), (untold,) = model.score([asked], ["No."]), alone.score([asked], ["No."])
    assert told.token_ids == untold.token_ids
    assert not np.allclose(told.logprobs, untold.logprobs)
    tokenizer = model.tokenizer
    row = PreferencePair(id=0, prompt=asked, lang="en", harmful=True, chosen="No.", topic="t", source="rules", hint="⚠")
    trained_on = sft_rows([row], tokenizer)[0]["input_ids"]
    assert trained_on[: -len(told.token_ids) - 1] == tokenizer(signed(render(asked, tokenizer), "⚠"))["input_ids"]


def test_its_conduct_without_hints_is_the_control(listening):
    _, record, _ = listening
    assert record.before.unhinted is None
    assert set(record.after.unhinted) == set(record.after.conduct) == {"en", "zh"}
    assert record.settings["hint"]["share"] == 0.5


def test_hints_stay_through_the_next_stage_and_in_the_adapter(listening, base, clinical, tmp_path):
    folder, _, _ = listening
    trained(tmp_path / "dpo", folder / "checkpoint", clinical, name="dpo")
    first, adapted, second = (
        load_model(str(folder / "checkpoint")),
        load_model(str(base), adapter=folder / "adapter"),
        load_model(str(tmp_path / "dpo" / "checkpoint")),
    )
    assert first.hint.digest == adapted.hint.digest == second.hint.digest


def test_a_run_may_be_compared_with_another_model_than_it_began_from(listening, base, clinical, tmp_path):
    folder, record, changes = listening
    settings = load_settings(changes={**SMALL, **changes})
    run = run_stage("dpo", str(folder / "checkpoint"), rows(), settings, out=tmp_path / "dpo", policy=clinical, data="pairs", against=str(base))
    assert run.base_fingerprint == record.after.fingerprint
    assert run.before.fingerprint == record.base_fingerprint == record.before.fingerprint
    assert run.against == str(base)


@pytest.mark.parametrize(("answers", "batch", "piece"), [([3] * 9, 8, 32), ([3, 3, 40], 16, 64), ([60] * 4, 8, 256)])
def test_the_head_is_computed_for_about_a_batch_of_answers_and_trl_is_left_as_it_was(answers, batch, piece):
    from trl.trainer import sft_trainer as trl_sft

    rows = [{"labels": [-100] * 5 + [1] * count} for count in answers]
    with pytest.raises(RuntimeError, match="inside"), _head_pieces(rows, batch=batch):
        assert piece == trl_sft._CHUNKED_LM_HEAD_CHUNK_SIZE
        raise RuntimeError("inside")
    assert trl_sft._CHUNKED_LM_HEAD_CHUNK_SIZE == 256
