"""The transformers model: what it gives is what the weights say, however it is asked."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
import torch

from guardmed.errors import ModelError, UsageError
from guardmed.models import LanguageModel, Sampling, load_model

pytestmark = pytest.mark.integration

EN = "What is metformin used for?"
ZH = "二甲双胍的作用是什么？"
GREEDY = Sampling(max_new_tokens=24)
# bfloat16 keeps eight bits; the same token read in another batch shape differs by so much.
TOLERANCE = 0.15


def direct_logprobs(model, prompt: str, answer_ids) -> np.ndarray:
    """Log-probabilities straight from the whole model, for comparison."""
    head = model._encode(prompt)
    ids = torch.tensor([head + list(answer_ids)])
    with torch.inference_mode():
        logits = model.model(ids, use_cache=False).logits[0].float()
    norm = torch.log_softmax(logits, dim=-1)
    return np.array([float(norm[len(head) - 1 + i, token]) for i, token in enumerate(answer_ids)])


def test_it_is_a_language_model(reference):
    assert isinstance(reference, LanguageModel)
    assert reference.capabilities.logprobs
    assert reference.capabilities.context == 32768
    assert len(reference.fingerprint) == 64


@pytest.mark.parametrize("prompt", [EN, ZH])
def test_recorded_scores_are_the_models_own(reference, prompt):
    answer = reference.generate([prompt], GREEDY)[0][0]
    assert answer.text
    np.testing.assert_allclose(answer.scores.logprobs, direct_logprobs(reference, prompt, answer.scores.token_ids), atol=TOLERANCE)
    assert answer.scores.source == "raw_logits"
    assert (answer.scores.entropies >= 0).all()


@pytest.mark.parametrize("prompt", [EN, ZH])
def test_tokens_cover_the_text(reference, prompt):
    answer = reference.generate([prompt], GREEDY)[0][0]
    covered = set()
    for start, end in answer.scores.offsets:
        assert 0 <= start <= end <= len(answer.text)
        covered |= set(range(start, end))
    assert covered == set(range(len(answer.text)))


def test_raw_scores_don_t_depend_on_temperature(reference):
    answer = reference.generate([EN], Sampling(max_new_tokens=12, temperature=0.7, top_p=0.9, seed=3))[0][0]
    np.testing.assert_allclose(answer.scores.logprobs, direct_logprobs(reference, EN, answer.scores.token_ids), atol=TOLERANCE)


def test_scoring_a_text_gives_what_generating_it_gave(reference):
    answer = reference.generate([EN], GREEDY)[0][0]
    scored = reference.score([EN], [answer.text])[0]
    assert scored.token_ids == answer.scores.token_ids
    np.testing.assert_allclose(scored.logprobs, answer.scores.logprobs, atol=TOLERANCE)
    assert scored.offsets == answer.scores.offsets


def test_a_batch_answers_as_each_alone(reference):
    together = [answers[0].text for answers in reference.generate([EN, ZH], Sampling(max_new_tokens=8))]
    alone = [reference.generate([prompt], Sampling(max_new_tokens=8))[0][0].text for prompt in (EN, ZH)]
    # bfloat16 may part ways at a near tie late in the text, never at its beginning.
    assert [a[:12] for a in together] == [b[:12] for b in alone]


def test_samples_share_a_prefill_and_follow_the_seed(reference):
    sampling = Sampling(max_new_tokens=10, temperature=1.0, n=4, seed=11)
    first, again = (reference.generate([EN], sampling)[0] for _ in range(2))
    assert [answer.text for answer in first] == [answer.text for answer in again]
    assert len({answer.text for answer in first}) > 1
    np.testing.assert_allclose(first[1].scores.logprobs, direct_logprobs(reference, EN, first[1].scores.token_ids), atol=TOLERANCE)


def test_choosing_gives_next_token_probabilities(reference):
    prompt = "Is aspirin an antibiotic? Answer Yes or No."
    chosen = reference.choose([prompt], [["Yes", "No"]])[0]
    for value, option in zip(chosen, ("Yes", "No"), strict=True):
        assert value == pytest.approx(reference.score([prompt], [option])[0].logprobs.sum(), abs=TOLERANCE)


def test_long_options_add_up_their_tokens(reference):
    options = ["It lowers blood sugar.", "It is an antibiotic against pneumonia."]
    chosen = reference.choose([EN], [options])[0]
    scored = reference.score([EN, EN], options)
    np.testing.assert_allclose(chosen, [s.logprobs.sum() for s in scored], atol=0.5)
    per_token = reference.choose([EN], [options], per_token=True)[0]
    np.testing.assert_allclose(per_token, [s.logprobs.mean() for s in scored], atol=TOLERANCE)


def test_the_cache_of_a_generation_gives_what_reading_again_gives(reference):
    answer = reference.generate([EN], GREEDY)[0][0]
    prompt = [{"role": "user", "content": EN}, {"role": "assistant", "content": answer.text}, {"role": "user", "content": "Is that true?"}]
    reused = reference.choose([prompt, prompt], [["Yes", "No"]] * 2, state=answer.state)
    read = reference.choose([prompt], [["Yes", "No"]])
    np.testing.assert_allclose(reused[0], read[0], atol=TOLERANCE)
    np.testing.assert_allclose(reused[0], reused[1], atol=1e-6)


def test_a_stream_adds_up_to_the_answer(reference):
    whole = reference.generate([ZH], GREEDY)[0][0]
    pieces = list(reference.stream(ZH, GREEDY))
    assert "".join(pieces[:-1]).strip() == pieces[-1].text == whole.text


def test_closing_a_stream_ends_the_generation(reference):
    stream = reference.stream(EN, Sampling(max_new_tokens=4000))
    next(stream)
    started = time.perf_counter()
    stream.close()
    assert time.perf_counter() - started < 30  # four thousand tokens would take minutes


def test_it_stops_before_asking_itself_the_next_question(reference):
    answer = reference.generate(["What is 2 + 2? Give only the number."], Sampling(max_new_tokens=60))[0][0]
    assert "\nQuestion:" not in answer.text


def test_stop_texts_end_an_answer(reference):
    answer = reference.generate([EN], Sampling(max_new_tokens=40, stop=("type",)))[0][0]
    assert answer.finish == "stop"
    assert "type" not in answer.text
    assert len(answer.scores.token_ids) == len(answer.scores.logprobs) == len(answer.scores.offsets)


def test_keywords_reach_generate_and_reserved_ones_don_t(reference):
    banned = reference.tokenizer(" drug", add_special_tokens=False)["input_ids"]
    answer = reference.generate([EN], Sampling(max_new_tokens=16, extra={"bad_words_ids": [banned]}))[0][0]
    assert " drug" not in answer.text
    with pytest.raises(UsageError, match="num_beams"):
        reference.generate([EN], Sampling(extra={"num_beams": 4}))


def test_a_prompt_longer_than_the_model_reads_is_named(reference):
    with pytest.raises(UsageError, match=r"tokens; with 5 for the answer"):
        reference.generate(["word " * 40_000], Sampling(max_new_tokens=5))


def test_a_chat_model_gets_its_template_once(tiny_llama):
    model = load_model(str(tiny_llama))
    ids = model._encode("Hello")
    assert ids.count(model.tokenizer.bos_token_id) == 1
    assert "<|user|>" in model.tokenizer.decode(ids)
    answer = model.generate(["Hello"], Sampling(max_new_tokens=5))[0][0]
    np.testing.assert_allclose(answer.scores.logprobs, direct_logprobs(model, "Hello", answer.scores.token_ids), atol=TOLERANCE)


def test_an_adapter_changes_the_answers_and_the_fingerprint(tiny_llama, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = load_model(str(tiny_llama))
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_llama), config).save_pretrained(tmp_path)
    adapted = load_model(str(tiny_llama), adapter=tmp_path)
    assert adapted.fingerprint != base.fingerprint
    assert not np.allclose(adapted.score(["Hello"], ["world"])[0].logprobs, base.score(["Hello"], ["world"])[0].logprobs)


def test_a_model_in_memory_is_wrapped(tiny_llama, clinical):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import guardmed

    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    guarded = guardmed.wrap(model, AutoTokenizer.from_pretrained(tiny_llama), policy=clinical)
    response = guarded.generate("What is aspirin?", max_new_tokens=4)
    assert response.decision in guardmed.Decision
    assert len(guarded.model.fingerprint) == 64
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    changed = guardmed.wrap(model, guarded.model.tokenizer, policy=clinical)
    assert changed.model.fingerprint != guarded.model.fingerprint


def test_loading_again_takes_no_conversion(reference):
    started = time.perf_counter()
    assert load_model("reference").fingerprint == reference.fingerprint
    assert time.perf_counter() - started < 20  # a conversion takes a minute


def copied(folder, tmp_path):
    target = tmp_path / "model"
    shutil.copytree(folder, target)
    return target


def test_bad_checkpoints_are_named_with_the_mend(tiny_llama, tmp_path):
    cases = {}
    truncated = copied(tiny_llama, tmp_path / "a")
    weights = truncated / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    cases["damaged"] = truncated
    missing = copied(tiny_llama, tmp_path / "b")
    (missing / "model.safetensors").unlink()
    cases["no weights"] = missing
    pickled = copied(missing, tmp_path / "c")
    torch.save({}, pickled / "pytorch_model.bin")
    cases["pickle"] = pickled
    empty = tmp_path / "d"
    empty.mkdir()
    cases["config.json"] = empty
    for words, folder in cases.items():
        with pytest.raises(ModelError, match=words) as caught:
            load_model(str(folder))
        assert caught.value.mend
    with pytest.raises(ModelError, match="no model 'nonesuch'"):
        load_model("nonesuch")
    with pytest.raises(ModelError, match="not a GGUF"):
        fake = tmp_path / "fake.gguf"
        fake.write_bytes(b"GGML" + bytes(100))
        load_model(str(fake))


def test_a_head_that_was_never_trained_is_refused(tiny_llama, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = copied(tiny_llama, tmp_path)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor for name, tensor in tensors.items() if "layers.1" not in name}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks the weights"):
        load_model(str(folder))


def test_it_says_what_it_computes_in_and_when_memory_runs_out(tiny_llama, monkeypatch):
    from guardmed.errors import ExecutionError

    model = load_model(str(tiny_llama))
    assert model.numerics == f"{model.model.device.type} {str(model.model.dtype).split('.')[1]}"

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.model.base_model, "forward", full)
    for ask in (lambda: model.choose(["Hi"], [["A", "B"]]), lambda: model.score(["Hi"], ["there"]), lambda: model.choose(["Hi"], [["one two three", "B"]])):
        with pytest.raises(ExecutionError, match="out of device memory"):
            ask()
