from __future__ import annotations

import logging
import math
import sys
import threading
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest

from guardmed.claims.p_true import p_true
from guardmed.claims.token import token_score
from guardmed.errors import ExecutionError, ModelError, UsageError
from guardmed.models import Generation, LanguageModel, Sampling, load_model
from guardmed.models.load import resolve
from guardmed.models.server import ServerModel
from guardmed.text import Span
from tests.servers import Conduct, Failure, serving

KEY = "sk-never-show-this"
PROMPT = "my patient Jane has a rash"
NOW = {"Retry-After": "0.01"}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("GUARDMED_API_KEY", raising=False)


def token(text, logprob=-0.5, **top):
    return {"token": text, "logprob": logprob, "top": top or {text: logprob, "other": logprob - 1.0}}


def saying(text, **more):
    return lambda messages, body: {"text": text, **more}


def first_tokens(*entries):
    """Answers with these tokens, each a mapping of what could stand there; the first one was taken."""
    logs = [{key: math.log(p) for key, p in entry.items()} for entry in entries]
    listed = [{"token": next(iter(top)), "logprob": next(iter(top.values())), "top": top} for top in logs]
    return saying("".join(entry["token"] for entry in listed), logprobs=listed)


@contextmanager
def opened(answer, conduct=None, **options):
    with serving(answer, conduct) as url, closing(ServerModel("tiny", url, **options)) as model:
        yield model


def asked(conduct):
    """Bodies of the requests that were no probes."""
    return [body for body in conduct.bodies if body["messages"][-1]["content"] != "Hi"]


def test_it_is_a_language_model_that_load_model_opens():
    with serving(saying(" An answer. ", finish="length")) as url, closing(load_model(f"openai:org/tiny@v2@{url}")) as model:
        assert isinstance(model, LanguageModel)
        assert (model.model, model.name) == ("org/tiny@v2", f"openai:org/tiny@v2@{url}")
        [[answer]] = model.generate([PROMPT], Sampling())
    assert answer == Generation("An answer.", None, "length")
    assert resolve(f"openai:tiny@{url}") is None


def test_what_was_asked_for_reaches_the_server():
    conduct = Conduct(logprobs=False)
    sampling = Sampling(max_new_tokens=7, temperature=0.5, top_p=0.9, top_k=4, n=3, seed=11, stop=("\n\n",))
    conversation = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
    with opened(saying("ok"), conduct) as model:
        [answers] = model.generate([conversation], sampling)
    [body] = asked(conduct)
    assert [answer.text for answer in answers] == ["ok"] * 3
    assert body == {
        "model": "tiny", "messages": conversation, "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "n": 3, "seed": 33, "stop": ["\n\n"],
    }  # fmt: skip
    assert conduct.keys == {f"Bearer {KEY}"}


def test_a_local_server_gets_a_placeholder_for_the_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    conduct = Conduct()
    with opened(saying("ok"), conduct) as model:
        model.generate([PROMPT], Sampling())
    assert conduct.keys == {"Bearer none"}


def test_a_server_that_ignores_n_is_asked_until_there_are_enough():
    conduct = Conduct(honours_n=False)
    numbers = iter(range(100))
    with opened(lambda messages, body: {"text": str(next(numbers))}, conduct) as model:
        next(numbers)
        [answers] = model.generate([PROMPT], Sampling(n=3, temperature=1.0, seed=5))
    assert len({answer.text for answer in answers}) == 3
    assert [(body.get("n"), body["seed"]) for body in asked(conduct)] == [(3, 15), (2, 16), (None, 17)]


def test_answers_keep_the_order_of_their_prompts_and_flight_is_bounded():
    conduct = Conduct()

    def answer(messages, body):
        # The first prompts take longest.
        time.sleep(0.1 / (1 + int(messages[-1]["content"])) if messages[-1]["content"].isdigit() else 0)
        return {"text": "answer " + messages[-1]["content"]}

    with opened(answer, conduct, concurrency=3) as model:
        answers = model.generate([str(number) for number in range(12)], Sampling())
        assert model.generate([], Sampling()) == []
    assert [row[0].text for row in answers] == [f"answer {number}" for number in range(12)]
    assert conduct.most_in_flight == 3


@pytest.mark.parametrize("failure", [Failure(429, headers=NOW), Failure(500, headers=NOW), Failure(503, headers=NOW)], ids=["429", "500", "503"])
def test_what_passes_is_tried_again_when_the_server_says(failure):
    conduct = Conduct(first=[failure] * 3)
    with opened(saying("at last"), conduct) as model:
        started = time.monotonic()
        [[answer]] = model.generate([PROMPT], Sampling())
    assert answer.text == "at last"
    # Backing off without Retry-After would take over 2 s.
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("failure", [Failure(None), Failure(429, headers={"Retry-After": "0"})], ids=["dropped", "429"])
def test_without_a_time_to_wait_it_backs_off_and_tries_again(failure):
    with opened(saying("at last"), Conduct(first=[failure])) as model:
        assert model.generate([PROMPT], Sampling())[0][0].text == "at last"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "refuses the request"),
        (401, "does not accept the key"),
        (403, "accept the key"),
        (404, "no such model"),
        (429, "no more requests"),
        (500, "fails"),
    ],
)
def test_lasting_failures_name_the_server_and_neither_key_nor_prompt(status, says, caplog):
    def refuse(messages, body):
        raise Failure(status, message=f"Incorrect API key {KEY} for: {messages[-1]['content']}", headers=NOW)

    with caplog.at_level(logging.DEBUG), opened(refuse, max_retries=1) as model:
        with pytest.raises(ExecutionError) as caught:
            model.generate([PROMPT, PROMPT], Sampling())
        assert model.base_url in str(caught.value)
        assert KEY not in repr(model)
    shown = f"{caught.value!r} {caught.value}"
    assert says in shown and f"HTTP {status}" in shown
    assert KEY not in shown and "Jane" not in shown
    assert caught.value.mend and caught.value.__suppress_context__
    assert KEY not in caplog.text


def test_failures_without_a_status():
    with opened(saying("late"), Conduct(delay=0.4), timeout=0.1, max_retries=0) as model, pytest.raises(ExecutionError, match=r"within 0\.1 s") as caught:
        model.generate([PROMPT], Sampling())
    assert caught.value.mend
    with opened(saying("never"), Conduct(first=[Failure(None)]), max_retries=0) as model, pytest.raises(ExecutionError, match="hangs up"):
        model.generate([PROMPT], Sampling())
    # The server is gone.
    with closing(ServerModel("tiny", model.base_url, max_retries=0)) as model, pytest.raises(ExecutionError, match="can't be reached"):
        model.generate([PROMPT], Sampling())


def test_something_else_than_a_chat_server():
    with serving(saying("")) as url, closing(ServerModel("tiny", url.removesuffix("/v1"), max_retries=0)) as model:
        with pytest.raises(ExecutionError, match="BASE_URL"):
            model.generate([PROMPT], Sampling())
        assert model._listed == {}


def test_scores_follow_the_text():
    # A blank before, a character in two tokens, a closing mark that is not part of the text.
    rash = "疹".encode()
    tokens = [token(" "), token("No", -0.1), token(rash[:2], -0.2), token(rash[2:], -0.3), token(" here", -0.4), token("<|im_end|>", -0.9)]
    with opened(saying("No疹 here", logprobs=tokens)) as model:
        [[answer]] = model.generate([PROMPT], Sampling())
    scores = answer.scores
    assert scores.source == "api_logprobs"
    assert [answer.text[a:b] for a, b in scores.offsets] == ["No", "疹", "疹", " here"]
    assert scores.token_ids == (-1,) * 4
    np.testing.assert_allclose(scores.logprobs, [-0.1, -0.2, -0.3, -0.4])
    np.testing.assert_allclose(scores.margins, [1.0] * 4)
    assert np.isnan(scores.entropies).all()
    assert token_score(scores, Span(0, 2)) == pytest.approx(math.exp(-0.1))


def test_thoughts_before_the_answer_carry_no_scores_of_it():
    tokens = [token("Yes or"), token(" no?"), token("</think>"), token("\nYes", -0.7), token(".")]
    with opened(saying("Yes.", logprobs=tokens)) as model:
        [[answer]] = model.generate([PROMPT], Sampling())
    assert answer.scores.offsets == ((0, 3), (3, 4))
    assert answer.scores.logprobs[0] == -0.7


def test_margins_need_two_alternatives_and_scores_the_same_text():
    with opened(saying("ok", logprobs=[token("ok", -0.5, ok=-0.5)])) as model:
        [[answer]] = model.generate([PROMPT], Sampling())
    assert np.isnan(answer.scores.margins).all() and answer.scores.logprobs == [-0.5]
    with opened(saying("filtered", logprobs=[token("something"), token(" else")])) as model:
        assert model.generate([PROMPT], Sampling())[0][0].scores is None


@pytest.mark.parametrize(
    ("conduct", "tops"), [(Conduct(), [20]), (Conduct(most_alternatives=5), [20, 5]), (Conduct(logprobs=False), [20, 5])], ids=["20", "5", "none"]
)
def test_it_finds_out_once_what_the_server_lists(conduct, tops):
    with opened(saying("ok", logprobs=[token("ok")]), conduct) as model:
        given = [model.generate([PROMPT], Sampling())[0][0].scores is not None for _ in range(2)]
        capabilities = model.capabilities
    assert [body["top_logprobs"] for body in conduct.bodies if body["messages"][0]["content"] == "Hi"] == tops
    assert {body.get("top_logprobs") for body in asked(conduct)} == {2 if conduct.logprobs else None}
    assert given == [conduct.logprobs] * 2
    assert (capabilities.logprobs, capabilities.scoring, capabilities.streaming, capabilities.context) == (conduct.logprobs, False, True, 1 << 20)


def test_a_server_that_is_silent_about_log_probabilities_can_not_weigh():
    with opened(saying("ok")) as model:
        assert not model.capabilities.logprobs
        with pytest.raises(UsageError, match="gives no log-probabilities") as caught:
            model.choose([PROMPT], [["Yes", "No"]])
        assert "repeated answers" in caught.value.mend
        with pytest.raises(UsageError, match="can't score") as caught:
            model.score([PROMPT], ["ok"])
        assert caught.value.mend


def test_choosing_sums_the_tokens_that_begin_one_option():
    conduct = Conduct()
    tokens = {"Yes": 0.5, " yes": 0.1, "Y": 0.05, "YES.": 0.05, "No": 0.1, "no": 0.05, "Not": 0.05, "Maybe": 0.02}
    with opened(first_tokens(tokens), conduct) as model:
        [found] = model.choose([PROMPT], [["Yes", "No"]], per_token=True)
    np.testing.assert_allclose(np.exp(found), [0.7, 0.15])
    [body] = asked(conduct)
    assert (body["temperature"], body["top_logprobs"], body["max_tokens"]) == (0.0, 20, 3)


def test_options_that_differ_in_case_are_told_apart_and_ambiguous_tokens_count_for_none():
    with opened(first_tokens({"True": 0.4, "true": 0.2, "TRUE": 0.1, "F": 0.1, "false": 0.1, "正": 0.01})) as model:
        [found, chinese] = model.choose([PROMPT] * 2, [["True", "true", "False", "false"], ["正确", "对", "错误", "错"]])
    np.testing.assert_allclose(np.exp(found), [0.4, 0.2, 0.1, 0.1])
    np.testing.assert_allclose(np.exp(chinese), [0.01] * 4)
    with opened(first_tokens({"错": 0.6, "错误": 0.2, "Ma": 0.1, "Mal": 0.05})) as model:
        [chinese, english] = model.choose([PROMPT] * 2, [["错误", "错"], ["mild", "malignant"]])
    np.testing.assert_allclose(np.exp(chinese), [0.2, 0.6])
    np.testing.assert_allclose(np.exp(english), [0.05, 0.15])


def test_an_unlisted_option_gets_the_smallest_listed_probability():
    with opened(first_tokens({"Yes": 0.9, "Perhaps": 0.04, "It": 0.01})) as model:
        [found] = model.choose([PROMPT], [["Yes", "No"]])
    np.testing.assert_allclose(np.exp(found), [0.9, 0.01])


def test_where_no_option_is_listed_the_model_answers_none_of_them():
    with opened(first_tokens({"I": 0.9, "Sorry": 0.1})) as model:
        [found, empty] = model.choose([PROMPT] * 2, [["Yes", "No"], []])
    assert found.tolist() == [-math.inf, -math.inf] and empty.shape == (0,)


def test_blanks_and_marks_before_the_answer_are_stepped_over():
    with opened(first_tokens({"\n": 0.6, "A": 0.3, "So": 0.1}, {"**": 0.5, "B": 0.5}, {"A": 0.8, "B": 0.2})) as model:
        [found] = model.choose([PROMPT], [["A", "B", "C"]])
    np.testing.assert_allclose(np.exp(found), [0.3 + 0.3 * 0.8, 0.3 + 0.3 * 0.2, 0.1 + 0.3 + 0.3 * 0.2])


def test_p_true_works_through_a_server():
    with opened(first_tokens({"True": 0.6, "true": 0.2, "False": 0.15, "false": 0.05})) as model:
        assert p_true(model, PROMPT, "It is viral.", ["It is viral."]) == [pytest.approx(0.8)]


@pytest.mark.parametrize("option", ["", "  ", "two words", "高血压患者应首选"])
def test_options_that_one_token_can_not_tell_are_refused(option):
    with opened(first_tokens({"A": 1.0})) as model:
        with pytest.raises(UsageError, match="only a word or a letter") as caught:
            model.choose([PROMPT], [["A", option]])
        assert caught.value.mend
        with pytest.raises(UsageError, match="1 prompts but 0 lists"):
            model.choose([PROMPT], [])
        assert model.choose([], []) == []


def test_streaming_gives_the_pieces_and_then_the_whole():
    tokens = [token(text) for text in (" Two", " words", ".", " \n", "")]
    with opened(saying(" Two words. \n", logprobs=tokens, finish="length")) as model:
        *pieces, whole = model.stream(PROMPT, Sampling())
        [[same]] = model.generate([PROMPT], Sampling())
    assert pieces == ["Two", " words", "."]
    assert whole == Generation("Two words.", whole.scores, "length")
    assert whole.scores.offsets == same.scores.offsets == ((0, 3), (3, 9), (9, 10))


def test_streaming_without_log_probabilities():
    with opened(saying("Two words."), Conduct(logprobs=False)) as model:
        assert list(model.stream(PROMPT, Sampling())) == ["Two", " words.", Generation("Two words.", None, "stop")]
        with pytest.raises(UsageError, match="Only one"):
            next(model.stream(PROMPT, Sampling(n=2, temperature=1.0)))


def test_hanging_up_ends_a_stream():
    conduct = Conduct(logprobs=False)
    with opened(saying("word " * 500), conduct) as model:
        model.capabilities  # noqa: B018 - probes
        conduct.delay = 0.01
        pieces = model.stream(PROMPT, Sampling())
        assert next(pieces) == "word"
        pieces.close()
    assert conduct.hung_up == 1 and conduct.pieces_sent < 100


def test_streams_that_fail():
    with opened(saying("Two words."), Conduct(break_stream_after=1)) as model:
        pieces = model.stream(PROMPT, Sampling())
        assert next(pieces) == "Two"
        with pytest.raises(ExecutionError, match="ended its answer early"):
            next(pieces)
    with opened(saying("ok"), Conduct(logprobs=False, first=[Failure(500, headers=NOW)]), max_retries=1) as model:
        assert next(model.stream(PROMPT, Sampling())) == "ok"


def test_fingerprint_and_context_follow_what_the_server_lists():
    def fingerprint(listing):
        with opened(saying("ok"), Conduct(listing=listing)) as model:
            assert len(model.fingerprint) == 64
            # The port is another each time.
            return model.base_url, model._listed, model.capabilities.context

    listed = {"id": "tiny", "object": "model", "root": "/weights/a", "max_model_len": 4096, "created": 1, "permission": [{"id": "1"}]}
    assert fingerprint([{"id": "other"}, listed])[1:] == ({"id": "tiny", "object": "model", "root": "/weights/a", "max_model_len": 4096}, 4096)
    assert fingerprint([{"id": "other"}])[1:] == fingerprint(None)[1:] == ({}, 1 << 20)
    with serving(saying("ok"), conduct := Conduct(listing=[listed])) as url:
        found = []
        for root in ("/weights/a", "/weights/a", "/weights/b"):
            conduct.listing = [listed | {"root": root, "created": time.time()}]
            with closing(ServerModel("tiny", url)) as model:
                found.append(model.fingerprint)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "spec",
    ["openai:", "openai:gpt", "openai:@http://localhost/v1", "openai:gpt@localhost:8000", "openai:gpt@ftp://host/v1", "openai:gpt@http://", "openai:gpt@http://:80/v1",
     "openai:gpt@http://host:99999/v1", "openai:gpt@http://host:x/v1", "openai:gpt@http://me:secret@host/v1", "openai:gpt@http://host/v1?key=secret"],
)  # fmt: skip
def test_specifications_that_can_not_be_understood(spec):
    with pytest.raises(UsageError) as caught:
        load_model(spec)
    assert "openai:MODEL@BASE_URL" in caught.value.mend
    assert "secret" not in str(caught.value)


def test_what_a_server_can_not_take():
    url = "http://localhost:1/v1"
    with pytest.raises(UsageError, match="adapter"):
        load_model(f"openai:tiny@{url}", adapter="somewhere")
    for option in ({"concurrency": 0}, {"max_retries": -1}, {"timeout": 0}):
        with pytest.raises(UsageError, match="out of range"):
            ServerModel("tiny", url, **option)
    with closing(ServerModel("tiny", url)) as model:
        with pytest.raises(UsageError, match="num_beams"):
            model.generate([PROMPT], Sampling(extra={"num_beams": 2}))
        with pytest.raises(UsageError, match="empty"):
            model.generate([" "], Sampling())


def test_an_odd_key_is_refused_without_showing_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n" + "é")
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        ServerModel("tiny", "http://localhost:1/v1")
    assert KEY not in str(caught.value)


def test_without_the_client_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModelError) as caught:
        load_model("openai:tiny@http://localhost:1/v1")
    assert caught.value.mend == "pip install 'guardmed[serve]'"


def test_no_thread_is_left_behind():
    before = threading.active_count()
    with opened(saying("ok")) as model:
        model.generate([PROMPT] * 4, Sampling())
    assert threading.active_count() == before
