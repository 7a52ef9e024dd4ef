"""One pass, everything kept: what is recorded of a token is the same however the token came about."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from guardmed.errors import ExecutionError, UsageError
from guardmed.models import Sampling, TokenScores, kv, recorder
from guardmed.models.recorder import Tap, middle_layers, reduce_logits
from guardmed.models.transformers_model import TransformersModel

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:?Ċ"
SPACE = "Ġ"
VOCABULARY = {piece: place for place, piece in enumerate(["<pad>", "<end>", SPACE, *LETTERS])}
# Blanks at either end and padding are no part of an answer; without them its tokens are those of its text.
NO_BLANKS = {"suppress_tokens": [0, VOCABULARY[SPACE], VOCABULARY["Ċ"]]}
ENDLESS = {"suppress_tokens": [1, *NO_BLANKS["suppress_tokens"]]}
TOLERANCE = 1e-4
ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 200, "head_dim": 8}
SIZE = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 0,
}
WINDOW = {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"] * 2, "final_logit_softcapping": 9.0}
KINDS = {
    "llama": ("Llama", SIZE | ATTENTION),
    "gemma": ("Gemma3", SIZE | ATTENTION | WINDOW),
    "gpt2": ("GPT2", {**{key: value for key, value in SIZE.items() if key != "hidden_size"}, "n_embd": 32, "n_head": 4, "n_positions": 200}),
}
LONG = "the same beginning that all of these questions have in common, as long as it takes: "
PROMPTS = ["how high?", LONG + "which dose?", LONG + "how often, and for how long?", "q"]
NAMES = ("logprobs", "entropies", "margins", "ranks", "hidden")


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE(vocab=VOCABULARY, merges=[], unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<end>", chat_template=template)


@pytest.fixture(scope="module")
def built():
    """Each kind of model once, with random weights that make some tokens far likelier than others."""
    kept: dict[str, TransformersModel] = {}

    def build(kind: str) -> TransformersModel:
        if kind not in kept:
            name, settings = KINDS[kind]
            config = getattr(transformers, f"{name}TextConfig" if name == "Gemma3" else f"{name}Config")(**settings)
            torch.manual_seed(1)
            model = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config).eval()
            kept[kind] = TransformersModel(model, tokenizer(), name=kind)
        return kept[kind]

    return build


@pytest.fixture(params=KINDS)
def model(built, request):
    return built(request.param).keeping_hidden()


def same(one: TokenScores, other: TokenScores) -> None:
    assert one.token_ids == other.token_ids
    assert one.offsets == other.offsets
    for name in NAMES:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


def straight(model: TransformersModel, prompt: str, ids) -> dict[str, np.ndarray]:
    """What the whole model says of an answer, from all of its logits and hidden states."""
    head = model._encode(prompt)
    with torch.inference_mode():
        out = model.model(torch.tensor([head + list(ids)]), use_cache=False, output_hidden_states=True)
    logits = out.logits[0, len(head) - 1 : -1].double()
    logprobs = torch.log_softmax(logits, dim=-1)
    chosen = logprobs[torch.arange(len(ids)), torch.tensor(ids, dtype=torch.long)]
    best = logits.topk(2, dim=-1).values
    return {
        "logprobs": chosen.numpy(),
        "entropies": -(logprobs.exp() * logprobs).sum(dim=-1).numpy(),
        "margins": (best[:, 0] - best[:, 1]).numpy(),
        "ranks": (logprobs > chosen[:, None]).sum(dim=-1).numpy(),
        "hidden": torch.stack([out.hidden_states[layer][0, len(head) :] for layer in middle_layers(model.model)], dim=1).numpy(),
    }


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_recorded_numbers_are_what_the_whole_model_says(model, temperature, monkeypatch):
    monkeypatch.setattr(recorder, "_BLOCK", 8)
    answers = model.generate(PROMPTS, Sampling(max_new_tokens=20, temperature=temperature, seed=4, extra=NO_BLANKS))
    for prompt, (answer,) in zip(PROMPTS, answers, strict=True):
        assert answer.scores.layers == (2, 3)
        assert answer.scores.hidden.dtype == np.float32
        assert answer.scores.ranks.dtype == np.int64
        for name, expected in straight(model, prompt, answer.scores.token_ids).items():
            np.testing.assert_allclose(getattr(answer.scores, name), expected, atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_generated_and_scored_alone_or_in_a_batch_is_the_same(model, temperature):
    sampling = Sampling(max_new_tokens=30, temperature=temperature, seed=9, extra=NO_BLANKS)
    together = [answers[0] for answers in model.generate(PROMPTS, sampling)]
    texts = [answer.text for answer in together]
    for prompt, answer, scored in zip(PROMPTS, together, model.score(PROMPTS, texts), strict=True):
        same(scored, answer.scores)
        same(model.score([prompt], [answer.text])[0], scored)
    if temperature == 0:
        for prompt, answer in zip(PROMPTS, together, strict=True):
            same(model.generate([prompt], sampling)[0][0].scores, answer.scores)
    else:
        assert max(np.concatenate([answer.scores.ranks for answer in together])) > 0


@pytest.mark.parametrize(
    "sizes",
    [
        {"HEAD_ROWS": 3},
        {"_AT_ONCE": {"cpu": 1}},
        # Families larger than a batch: what they share is read once, in one part or several, and continued by a few rows at a time.
        {"BATCH_TOKENS": 150},
        {"BATCH_TOKENS": 150, "_PREFILL_TOKENS": {"cpu": 7}},
        {"BATCH_TOKENS": 150, "_LENT_BYTES": {"cpu": 1}},
        {"BATCH_TOKENS": 12, "_PREFILL_TOKENS": {"cpu": 30}, "HEAD_ROWS": 1},
    ],
)
def test_how_much_is_done_at_once_changes_nothing(model, sizes, monkeypatch):
    prompts, texts = PROMPTS * 2, ["about so much.", "twice a day", "no", "x", "", "three times", "every,day", "a"]
    before, chosen = model.score(prompts, texts), model.choose(prompts, [["y", "n"]] * 8)
    for name, size in sizes.items():
        monkeypatch.setattr(recorder if name == "_AT_ONCE" else kv, name, size)
    for one, other in zip(model.score(prompts, texts), before, strict=True):
        same(one, other)
    for one, other in zip(model.choose(prompts, [["y", "n"]] * 8), chosen, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)
    assert before[4].hidden.shape == (0, 2, 32)


def test_the_text_and_its_scores_are_the_same_without_hidden_states(built, model):
    plain = built(model.name)
    first = plain.generate(["how high?"], Sampling(max_new_tokens=24, extra=NO_BLANKS))[0][0]
    assert first.scores.hidden is None
    assert first.scores.layers == ()
    middle = first.text[9]
    for sampling in (
        Sampling(max_new_tokens=24, extra=NO_BLANKS),
        Sampling(max_new_tokens=1, extra=NO_BLANKS),
        Sampling(max_new_tokens=24, stop=(middle,), extra=NO_BLANKS),
        # The first stop would begin before the second, had it been waited for.
        Sampling(max_new_tokens=24, stop=(first.text[8:11], middle), extra=NO_BLANKS),
        Sampling(max_new_tokens=24, temperature=1.3, seed=5),
        Sampling(max_new_tokens=24, temperature=1.3, seed=5, n=3),
    ):
        for one, other in zip(plain.generate(["how high?"], sampling)[0], model.generate(["how high?"], sampling)[0], strict=True):
            assert (one.text, one.finish) == (other.text, other.finish)
            assert one.scores.offsets == other.scores.offsets
            np.testing.assert_allclose(one.scores.logprobs, other.scores.logprobs, atol=TOLERANCE)
            assert other.scores.hidden.shape == (len(other.scores.token_ids), 2, 32)


def test_rows_that_end_early_keep_what_they_would_have_alone(model):
    sampling = Sampling(max_new_tokens=24, extra=ENDLESS)
    free = [answers[0].text for answers in model.generate(PROMPTS, sampling)]
    # One row ends at its third character, and so may others, each in its own place.
    stopped = Sampling(max_new_tokens=24, stop=(free[0][2],), extra=ENDLESS)
    answers = [answers[0] for answers in model.generate(PROMPTS, stopped)]
    assert len({len(answer.text) for answer in answers}) > 1
    for prompt, answer, text in zip(PROMPTS, answers, free, strict=True):
        assert answer.text == text.split(free[0][2])[0]
        assert answer.finish == ("stop" if free[0][2] in text else "length")
        for name, expected in straight(model, prompt, answer.scores.token_ids).items():
            np.testing.assert_allclose(getattr(answer.scores, name), expected, atol=TOLERANCE, rtol=TOLERANCE, err_msg=name)


def test_a_row_that_the_model_ends_keeps_every_token(model):
    text = model.generate(["how high?"], Sampling(max_new_tokens=24, extra=NO_BLANKS))[0][0].text
    # From the sixth token on, the end is all that may come.
    processor = transformers.LogitsProcessorList([transformers.ForcedEOSTokenLogitsProcessor(len(model._encode("how high?")) + 6, 1, device="cpu")])
    answer = model.generate(["how high?"], Sampling(max_new_tokens=24, extra={**NO_BLANKS, "logits_processor": processor}))[0][0]
    assert (answer.text, answer.finish) == (text[:5], "stop")
    same(answer.scores, model.score(["how high?"], [text[:5]])[0])


@pytest.mark.parametrize("stop", [(), ("zz",), "middle"])
def test_a_stream_shows_the_answer_and_no_token_more(model, stop):
    text = model.generate(["how high?"], Sampling(max_new_tokens=9, extra=NO_BLANKS))[0][0].text
    sampling = Sampling(max_new_tokens=9, stop=(text[4:6],) if stop == "middle" else stop, extra=NO_BLANKS)
    *pieces, answer = model.stream("how high?", sampling)
    assert "".join(pieces) == answer.text == (text[: text.find(text[4:6])] if stop == "middle" else text)
    assert len(answer.scores.hidden) == len(answer.text)


def test_an_answer_may_fill_the_context(model):
    room = model.capabilities.context - len(model._encode("q"))
    answer = model.generate(["q"], Sampling(max_new_tokens=room, extra=ENDLESS))[0][0]
    assert answer.finish == "length"
    same(answer.scores, model.score(["q"], [answer.text])[0])


def test_calls_side_by_side_record_their_own(model):
    sampling = Sampling(max_new_tokens=40, extra=NO_BLANKS)
    alone = {prompt: model.generate([prompt], sampling)[0][0].scores for prompt in PROMPTS[:2]}
    found: dict[str, TokenScores] = {}
    start = threading.Barrier(2)

    def work(prompt: str) -> None:
        start.wait()
        found[prompt] = model.generate([prompt], sampling)[0][0].scores

    threads = [threading.Thread(target=work, args=(prompt,)) for prompt in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for prompt, scores in alone.items():
        same(found[prompt], scores)


@pytest.mark.parametrize("lends", [True, False])
def test_a_cache_is_read_by_many_and_changed_by_none(model, lends, monkeypatch):
    """Whether rows borrow what was read, or copy it where the kind of cache is not known."""
    if not lends:
        monkeypatch.setattr(kv, "_LENDABLE", {})
        model = TransformersModel(model.model, model.tokenizer, name=model.name)
    assert model._body.shares
    assert model._body._lends is True
    answer = model.generate(["how high?"], Sampling(max_new_tokens=12, extra=NO_BLANKS))[0][0]
    kept = [(layer.keys.clone(), layer.values.clone(), layer.get_seq_length()) for layer in answer.state.cache.layers]
    after = [{"role": "user", "content": "how high?"}, {"role": "assistant", "content": answer.text}]
    prompts = [[*after, {"role": "user", "content": f"is it {what}?"}] for what in ("so", "true, or false", "right")]
    for options in (["y", "n"], ["yes", "no, never"]):
        fresh = model.choose(prompts, [options] * 3)
        for _ in range(2):
            for one, other in zip(model.choose(prompts, [options] * 3, state=answer.state), fresh, strict=True):
                np.testing.assert_allclose(one, other, atol=TOLERANCE)
    for layer, (keys, values, length) in zip(answer.state.cache.layers, kept, strict=True):
        assert torch.equal(layer.keys, keys)
        assert torch.equal(layer.values, values)
        assert layer.get_seq_length() == length


def test_what_is_lent_takes_no_memory_of_its_own(model):
    cache = model._body.prefill(model._encode(LONG)).cache
    lent = model._body._lent(cache, [0] * 9)
    for own, other in zip(lent.layers, cache.layers, strict=True):
        keys = torch.ones(9, *other.keys.shape[1:2], 2, other.keys.shape[3])
        joined, _ = own.update(keys, keys)
        assert joined.shape == (9, other.keys.shape[1], other.keys.shape[2] + 2, other.keys.shape[3])
        # Neither nine rows nor the two new tokens stay; and of a window no more than the window was kept.
        assert own.keys.data_ptr() == other.keys.data_ptr()
        assert other.keys.untyped_storage().nbytes() == other.keys.nbytes


def test_layers_are_chosen_by_depth_or_by_name(built):
    model = built("llama")
    assert middle_layers(model.model) == (2, 3)
    scores = model.keeping_hidden([1, 4]).score(["q"], ["abc"])[0]
    assert scores.layers == (1, 4)
    head = model._encode("q")
    with torch.inference_mode():
        out = model.model(torch.tensor([head + list(scores.token_ids)]), output_hidden_states=True)
        last = model.model.model.norm(torch.from_numpy(scores.hidden[:, 1]))
    np.testing.assert_allclose(scores.hidden[:, 0], out.hidden_states[1][0, len(head) :], atol=TOLERANCE)
    np.testing.assert_allclose(last, out.hidden_states[4][0, len(head) :], atol=TOLERANCE)


@pytest.mark.parametrize("layers", [[], [0], [5], [2, -1]])
def test_layers_that_are_not_there_are_named(built, layers):
    with pytest.raises(UsageError, match="1 to 4"):
        built("llama").keeping_hidden(layers)


def test_a_model_without_layers_to_be_found_says_so(built):
    class Flat(torch.nn.Module):
        config = built("llama").model.config

        @property
        def base_model(self):
            return self

    with pytest.raises(UsageError, match="can't be found"):
        Tap(Flat(), [1])


@pytest.mark.parametrize("name", ["stopping_criteria", "num_return_sequences", "prompt_lookup_num_tokens"])
def test_what_would_mix_up_the_rows_is_refused(built, name):
    with pytest.raises(UsageError, match=name):
        built("llama").generate(["q"], Sampling(max_new_tokens=2, extra={name: 2}))


def test_scores_made_the_old_way_still_work():
    three = np.zeros(3)
    scores = TokenScores((1, 2, 3), ((0, 1), (1, 2), (2, 3)), three, three, three, "raw_logits")
    assert scores.ranks.tolist() == [-1, -1, -1]
    assert scores.hidden is None
    assert scores.layers == ()
    with pytest.raises(ExecutionError, match="3 tokens"):
        TokenScores((1, 2, 3), scores.offsets, three, three, three, "raw_logits", np.zeros(2, dtype=np.int64))
    with pytest.raises(ExecutionError, match="3 tokens"):
        TokenScores((1, 2, 3), scores.offsets, three, three, three, "raw_logits", hidden=np.zeros((3, 2, 4), dtype=np.float32), layers=(1,))


LOGITS = st.one_of(st.floats(-60, 60, width=32), st.sampled_from([float("-inf"), 0.0, 3.0]))


@given(arrays(np.float32, st.tuples(st.integers(1, 7), st.integers(2, 9)), elements=LOGITS), st.data())
def test_four_numbers_of_any_logits(logits, data):
    logits[:, 0] = np.where(np.isfinite(logits).any(axis=1), logits[:, 0], 0.0)
    chosen = np.array([data.draw(st.integers(0, logits.shape[1] - 1)) for _ in logits])
    before = logits.copy()
    found = reduce_logits(torch.from_numpy(logits), torch.from_numpy(chosen)).double().numpy()
    assert (logits == before).all()
    wide = logits.astype(np.float64)
    logprobs = wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)
    picked = logprobs[np.arange(len(chosen)), chosen]
    probs = np.exp(logprobs)
    terms = np.multiply(probs, logprobs, out=np.zeros_like(probs), where=probs > 0)
    ordered = np.sort(wide, axis=1)
    np.testing.assert_allclose(found[:, 0], picked, atol=1e-4)
    np.testing.assert_allclose(found[:, 1], -terms.sum(axis=1), atol=1e-4)
    np.testing.assert_allclose(found[:, 2], ordered[:, -1] - ordered[:, -2], atol=1e-4)
    assert found[:, 3].tolist() == [int((row > row[pick]).sum()) for row, pick in zip(logits, chosen, strict=True)]
