"""One contract for every backend: what a model says, scores and weighs is what its weights say, however it is asked."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from guardmed.errors import ExecutionError, UsageError
from guardmed.models import Generation, LanguageModel, Sampling, load_model
from guardmed.models.device import Placement
from guardmed.models.hint import FINE, HARM, HINT, Hint
from tests.integration.families import CONVERSATION, EN, EXACT, KINDS, LONG, PROMPTS, ZH, Backend, listed, refused, same, save, save_adapter, served
from tests.servers import Conduct, serving

pytestmark = pytest.mark.integration

LOCAL = ["llama3", "mistral", "qwen3", "gemma3", "biogpt", "plain", "adapter", "hint"]
REMOTE = ["server", "silent server"]  # with log-probabilities and without
GREEDY = Sampling(max_new_tokens=12)
OPTIONS = ["It lowers blood sugar.", "它降低血糖，随餐服用。", "Yes"]


@pytest.fixture(scope="module", autouse=True)
def _exact():
    """The same numbers on every machine: a processor with bfloat16 units would use them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("guardmed.models.load.probe", lambda: Placement("cpu", "float32", "exact"))
        yield


@pytest.fixture(scope="module")
def opened(tmp_path_factory, clinical):
    """Every backend by its name, made when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def made(name):
            kind = {"adapter": "llama3", "hint": "plain"}.get(name, "llama3" if name in REMOTE else name)
            folder, adapter = tmp_path_factory.mktemp("model"), None
            save(kind, folder)
            if name == "adapter":
                adapter = tmp_path_factory.mktemp("adapter")
                save_adapter(folder, adapter)
            if name == "hint":
                # Without a gap between them, every request gets a sign.
                Hint(clinical.packs[0].intent, 0.5, 0.5).save(folder)
            local = load_model(str(folder), adapter=adapter)
            found = Backend(name, local, local, KINDS[kind], folder, adapter)
            conduct = Conduct(logprobs=name == "server", honours_n=False, listing=[listed(local)])
            return replace(found, model=stack.enter_context(served(found, conduct))) if name in REMOTE else found

        yield made


@pytest.fixture
def backend(request, opened):
    return opened(request.param)


def of(*names):
    return pytest.mark.parametrize("backend", names, indirect=True)


every, weights, remote = of(*LOCAL, *REMOTE), of(*LOCAL), of(*REMOTE)
each_prompt = pytest.mark.parametrize("prompt", PROMPTS, ids=["English", "Chinese", "long", "conversation"])


def every_way(model, prompt, sampling):
    """All that can be asked of a model about a prompt."""
    return [
        lambda: model.generate([prompt], sampling),
        lambda: list(model.stream(prompt, sampling)),
        lambda: model.score([prompt], ["Yes"]),
        lambda: model.choose([prompt], [["Yes", "No"]]),
    ]


@every
def test_what_it_says_it_can_it_can_and_the_rest_it_refuses(backend):
    model, says = backend.model, backend.model.capabilities
    assert isinstance(model, LanguageModel)
    assert (says.logprobs, says.scoring, says.streaming) == (backend.name != "silent server", not backend.remote, True)
    assert says.context == backend.context
    [[answer]] = model.generate([EN], GREEDY)
    assert answer.text and (answer.scores is not None) == says.logprobs
    assert isinstance(list(model.stream(EN, GREEDY))[-1], Generation)
    if says.scoring:
        assert len(model.score([EN], ["Yes"])[0].logprobs) >= 1
    else:
        refused(lambda: model.score([EN], ["Yes"]))
        refused(lambda: model.generate([EN], replace(GREEDY, extra={"repetition_penalty": 1.2})))
        refused(lambda: model.choose([EN], [OPTIONS]))
        refused(lambda: load_model(model.name, adapter=backend.folder))
    if says.logprobs:
        assert model.choose([EN], [["Yes", "No"]])[0].shape == (2,)
    else:
        refused(lambda: model.choose([EN], [["Yes", "No"]]))


@every
def test_a_batch_answers_as_each_alone(backend):
    together = [answer for [answer] in backend.model.generate(PROMPTS, GREEDY)]
    assert len({answer.text for answer in together}) == len(PROMPTS)
    served = backend.local.generate(PROMPTS, replace(GREEDY, extra=backend.speaking)) if backend.remote else [None] * len(PROMPTS)
    for prompt, answer, said in zip(PROMPTS, together, served, strict=True):
        same(answer, backend.model.generate([prompt], GREEDY)[0][0])
        if said is not None:
            assert (answer.text, answer.finish) == (said[0].text, said[0].finish)
            np.testing.assert_allclose(answer.scores.logprobs if answer.scores else said[0].scores.logprobs, said[0].scores.logprobs, **EXACT)
        else:
            np.testing.assert_allclose(answer.scores.logprobs, backend.own(prompt, answer.scores.token_ids), **EXACT)


@weights
@each_prompt
def test_a_prompt_is_read_as_its_template_has_it(backend, prompt):
    tokenizer, kind, ids = backend.local.tokenizer, backend.kind, backend.encoded(prompt)
    if kind.begin:
        begin = tokenizer.convert_tokens_to_ids(kind.begin)
        assert ids[0] == begin and ids.count(begin) == 1
    text = "".join(tokenizer.decode(ids).split())
    if kind.template:
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        if backend.name == "mistral" and turns is CONVERSATION:
            # What it has no turn for stands before the first question.
            turns = [{"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}, *turns[2:]]
        assert ids == tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
        assert text.endswith("".join(kind.end.split()))
    else:
        ask, answer = ("问题：", "回答：") if prompt in (ZH, CONVERSATION) else ("Question:", "Answer:")
        said = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        sign = backend.local.hint.of(prompt) if backend.local.hint else ""
        assert text.endswith(ask + "".join(said.split()) + answer + sign)


@weights
@each_prompt
def test_scoring_a_text_gives_what_was_recorded_when_it_was_written(backend, prompt):
    sampling = Sampling(max_new_tokens=6, extra={"prefix_allowed_tokens_fn": backend.canonical(prompt)})
    [[answer]] = backend.model.generate([prompt], sampling)
    # In company, so that other rows are longer and shorter.
    scored = backend.model.score([LONG, prompt, EN], ["Yes", answer.text, OPTIONS[1]])[1]
    assert len(scored.token_ids) == 6 and (scored.token_ids, scored.offsets) == (answer.scores.token_ids, answer.scores.offsets)
    for found in (scored, answer.scores):
        np.testing.assert_allclose(found.logprobs, backend.own(prompt, scored.token_ids), **EXACT)
    np.testing.assert_allclose(scored.entropies, answer.scores.entropies, **EXACT)
    np.testing.assert_allclose(scored.margins, answer.scores.margins, **EXACT)


@weights
@each_prompt
def test_options_of_one_token_are_weighed_by_the_next_token(backend, prompt):
    tokenizer = backend.local.tokenizer
    texts = {token: tokenizer.decode([token]).strip() for token in backend.words}
    singles = {token: text for token, text in texts.items() if backend.tokens(prompt, text) == [token]}
    assert len(singles) >= 20
    [found, other] = backend.model.choose([prompt, LONG], [list(singles.values()), ["Yes", "No"]])
    assert 0.0 < np.exp(found).sum() <= 1.0 + 1e-6 and other.shape == (2,)
    np.testing.assert_allclose(found, backend.direct(prompt, [])[0][list(singles)], **EXACT)


@weights
def test_long_options_weigh_what_scoring_them_gives(backend):
    [found, reverse] = backend.model.choose([ZH, EN], [OPTIONS, OPTIONS[::-1]])
    scores = backend.model.score([ZH] * 3, OPTIONS)
    np.testing.assert_allclose(found, [score.logprobs.sum() for score in scores], **EXACT)
    np.testing.assert_allclose(reverse[::-1], [backend.own(EN, backend.tokens(EN, option)).sum() for option in OPTIONS], atol=1e-3, rtol=0)
    [means] = backend.model.choose([ZH], [OPTIONS], per_token=True)
    np.testing.assert_allclose(means, [score.logprobs.mean() for score in scores], **EXACT)


@of("server")
def test_a_server_weighs_words_by_its_first_tokens(backend):
    [[first]] = backend.model.generate([EN], replace(GREEDY, max_new_tokens=1))
    [found] = backend.model.choose([EN], [[first.text, "zzz"]])
    assert first.scores.logprobs[0] - 1e-4 <= found[0] < 0.0 and np.exp(found).sum() <= 1.0 and found[1] < found[0]


@of(*LOCAL, "server")
def test_what_was_read_for_an_answer_serves_the_questions_about_it(backend):
    [[answer]] = backend.model.generate([LONG], GREEDY)
    prompt = [{"role": "user", "content": LONG}, {"role": "assistant", "content": answer.text}, {"role": "user", "content": "Is that true?"}]
    for options in [["Yes", "No"]] if backend.remote else [["Yes", "No"], OPTIONS]:
        [kept] = backend.model.choose([prompt], [options], state=answer.state)
        np.testing.assert_allclose(kept, backend.model.choose([prompt], [options])[0], **EXACT)


@every
def test_samples_are_as_many_as_asked_for_and_follow_the_seed(backend):
    asked = Sampling(max_new_tokens=8, temperature=1.0, n=3, seed=5)
    first, again, other = (
        [[answer.text for answer in row] for row in backend.model.generate([LONG, ZH], sampling)] for sampling in (asked, asked, replace(asked, seed=6))
    )
    assert first == again != other
    assert [len(row) for row in first] == [3, 3] and all(len(set(row)) > 1 for row in first)
    [alone] = backend.model.generate([LONG], asked)
    assert len(alone) == 3 and len({answer.text for answer in alone}) > 1
    for answer in alone if not backend.remote else []:
        np.testing.assert_allclose(answer.scores.logprobs, backend.own(LONG, answer.scores.token_ids), **EXACT)


@every
def test_a_stop_text_ends_an_answer(backend):
    [[whole]] = backend.model.generate([EN], GREEDY)
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 3].strip()
    [[cut]] = backend.model.generate([EN], replace(GREEDY, stop=(stop,)))
    assert (cut.text, cut.finish) == (whole.text[: whole.text.find(stop)].rstrip(), "stop")
    assert cut.scores is None or len(cut.scores.offsets) == len(cut.scores.logprobs) < len(whole.scores.logprobs)


@weights
def test_every_stop_token_ends_its_own_row_and_no_other(backend):
    words, width = backend.words, max(len(backend.encoded(prompt)) for prompt in (EN, LONG))
    for stop in backend.local.tokenizer.convert_tokens_to_ids(list(backend.kind.stops)):
        extra = {"prefix_allowed_tokens_fn": lambda row, ids, stop=stop: [stop] if row == 0 and len(ids) == width + 3 else words}
        [[ended], [going]] = backend.model.generate([EN, LONG], Sampling(max_new_tokens=6, extra=extra))
        assert (ended.finish, going.finish) == ("stop", "length")
        assert (len(ended.scores.token_ids), len(going.scores.token_ids)) == (3, 6)
        for prompt, answer in ((EN, ended), (LONG, going)):
            assert not set(answer.scores.token_ids) - set(words)
            assert not any(mark in answer.text for mark in (*backend.kind.stops, *backend.kind.marks.values()))
            np.testing.assert_allclose(answer.scores.logprobs, backend.own(prompt, answer.scores.token_ids), **EXACT)


@every
@each_prompt
def test_a_stream_adds_up_to_the_answer(backend, prompt):
    *pieces, whole = backend.model.stream(prompt, replace(GREEDY, max_new_tokens=24))
    assert "".join(pieces) == whole.text and len(pieces) > 1 and all(pieces)
    same(whole, backend.model.generate([prompt], replace(GREEDY, max_new_tokens=24))[0][0])


@of("llama3", "mistral", "qwen3", "gemma3")
def test_a_stream_holds_back_blanks_that_end_it(backend):
    words, width, blank = backend.words, len(backend.encoded(EN)), backend.local.tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    extra = {"prefix_allowed_tokens_fn": lambda _row, ids: [blank] if len(ids) >= width + 4 else words}
    *pieces, whole = backend.model.stream(EN, Sampling(max_new_tokens=6, extra=extra))
    assert "".join(pieces) == whole.text == whole.text.strip() and len(whole.scores.token_ids) == 4


@weights
def test_closing_a_stream_ends_it(backend):
    words, steps, closing_now = backend.words, [], threading.Event()

    def allowed(_row, _ids):
        steps.append(1)
        # By then some text is out; the rest comes only once nobody listens.
        assert len(steps) != 40 or closing_now.wait(60)
        return words

    stream = backend.model.stream(EN, Sampling(max_new_tokens=150, extra={"prefix_allowed_tokens_fn": allowed}))
    assert next(stream)
    closing_now.set()
    stream.close()
    assert len(steps) < 120
    assert not any(thread.name == "guardmed-generate" for thread in threading.enumerate())


@remote
def test_closing_a_stream_hangs_up(backend):
    conduct = Conduct(logprobs=backend.name == "server", listing=[listed(backend.local)])
    with served(backend, conduct) as model:
        assert model.capabilities.logprobs == conduct.logprobs  # found out now, before the delay
        conduct.delay = 0.01
        stream = model.stream(EN, Sampling(max_new_tokens=150))
        assert next(stream)
        stream.close()
    assert conduct.hung_up == 1 and conduct.pieces_sent < 100


@every
@pytest.mark.parametrize("prompt", ["", " \n", [], [*CONVERSATION[:3], {"role": "user", "content": " "}], CONVERSATION[:3], [{"role": "user"}]])
def test_a_prompt_that_asks_nothing_is_refused(backend, prompt):
    for ask in every_way(backend.model, prompt, GREEDY):
        refused(ask)


@every
def test_a_prompt_is_read_up_to_the_context_and_refused_beyond(backend):
    room = backend.model.capabilities.context - 4
    short = len(backend.encoded("blood"))
    assert len(backend.encoded("blood blood blood")) == short + 2
    fits, beyond, far = ("blood" + " blood" * (room - short + more) for more in (0, 1, 300))
    assert len(backend.encoded(fits)) == room
    four = Sampling(max_new_tokens=4)
    [[answer]] = backend.model.generate([fits], four)
    assert answer.text
    refused(lambda: backend.model.generate([beyond], four), UsageError, ExecutionError)
    for ask in every_way(backend.model, far, four):
        refused(ask, UsageError, ExecutionError)


@of("server")
def test_a_fingerprint_follows_what_a_server_lists(backend):
    conduct, found = Conduct(), []
    with serving(lambda messages, body: {"text": "ok"}, conduct) as url:
        for listing in ([listed(backend.local)], [listed(backend.local)], [listed(backend.local, root="/others")], None):
            conduct.listing = listing
            with closing(load_model(f"openai:small@{url}")) as model:
                found.append(model.fingerprint)
    assert found[0] == found[1] and len(set(found)) == 3


@weights
def test_a_fingerprint_is_stable_and_changes_with_what_decides_the_answers(backend, tmp_path):
    def loaded(folder, adapter):
        return load_model(str(folder), adapter=adapter).fingerprint

    def changed_weight(folder):
        [file] = folder.glob("*.safetensors")
        tensors = load_file(file)
        name = min(tensors)
        tensors[name].view(-1)[0] += 1
        save_file(tensors, file, metadata={"format": "pt"})

    def changed_template(folder):
        file = folder / "chat_template.jinja"
        file.write_text((file.read_text(encoding="utf-8") if file.exists() else "{{ messages[-1]['content'] }}") + " ", encoding="utf-8")

    def changed_hint(folder):
        file = folder / HINT
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"above": 0.75}), encoding="utf-8")

    changes = [("folder", changed_weight), ("folder", changed_template)]
    changes += [("adapter", changed_weight)] if backend.adapter else []
    changes += [("folder", changed_hint)] if backend.name == "hint" else []
    seen = {backend.model.fingerprint}
    assert len(backend.model.fingerprint) == 64 and loaded(backend.folder, backend.adapter) in seen
    for number, (where, change) in enumerate([(None, None), *changes]):
        paths = {"folder": tmp_path / f"{number}", "adapter": tmp_path / f"{number}-adapter" if backend.adapter else None}
        for path, origin in ((paths["folder"], backend.folder), (paths["adapter"], backend.adapter)):
            if origin is not None:
                shutil.copytree(origin, path)
        if change is not None:
            change(paths[where])
        found = loaded(*paths.values())
        assert (found in seen) == (change is None)
        seen.add(found)


@of("adapter")
def test_an_adapter_adds_what_peft_adds(backend):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = backend.encoded(EN)
    base = AutoModelForCausalLM.from_pretrained(backend.folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        plain = base(torch.tensor([ids])).logits[0, -1].clone()
        apart = PeftModel.from_pretrained(base, backend.adapter)(torch.tensor([ids])).logits[0, -1]
        merged = backend.local.model(torch.tensor([ids])).logits[0, -1]
    torch.testing.assert_close(merged, apart, atol=1e-3, rtol=0)
    assert (merged - plain).abs().max() > 0.05


@of("hint")
def test_a_hint_is_the_first_sign_of_the_answer(backend):
    deaf = backend.local.without_hint()
    for prompt in PROMPTS:
        sign = backend.local.hint.of(prompt)
        assert sign in (HARM, FINE)
        head, tail = deaf._encode(prompt), backend.encoded(prompt)
        assert tail[: len(head)] == head and backend.local.tokenizer.decode(tail[len(head) :]).strip() == sign
    assert deaf.fingerprint != backend.local.fingerprint


@pytest.mark.parametrize(("by_tokenizer", "by_template"), [(True, True), (True, False), (False, True)])
def test_a_text_begins_once_whoever_writes_its_beginning(tmp_path, by_tokenizer, by_template):
    save("llama3", tmp_path)
    if not by_tokenizer:
        file = tmp_path / "tokenizer.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"post_processor": None}), encoding="utf-8")
    if not by_template:
        file = tmp_path / "chat_template.jinja"
        file.write_text(file.read_text(encoding="utf-8").removeprefix("{{ bos_token }}"), encoding="utf-8")
    model = load_model(str(tmp_path))
    for prompt in PROMPTS:
        ids = model._encode(prompt)
        assert ids[0] == model.tokenizer.bos_token_id and ids.count(ids[0]) == 1


def test_a_conversation_that_no_template_takes_is_refused(tmp_path):
    save("mistral", tmp_path)
    model = load_model(str(tmp_path))
    for ask in every_way(model, [CONVERSATION[1], CONVERSATION[3]], GREEDY):
        with pytest.raises(UsageError, match="take turns") as caught:
            ask()
        assert caught.value.mend
