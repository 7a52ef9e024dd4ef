"""Streams: nothing unchecked comes out, whatever breaks, and whoever leaves."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing

import httpx
import openai
import pytest

from guardmed.guard.messages import say
from guardmed.models import load_model
from guardmed.models.base import Generation
from tests.servers import Conduct, serving
from tests.unit.scripted import Scripted
from tests.unit.served import GOOD, SAFE, served, until

SENTENCES = "Metformin lowers blood sugar. It is taken with meals. It can upset the stomach. Ask about your kidneys first."


def asked(one, **more):
    return one.openai().chat.completions.create(model="scripted", messages=[{"role": "user", "content": SAFE}], stream=True, **more)


def parts(response: httpx.Response) -> list[dict]:
    return [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data: {")]


class Gated(Scripted):
    """Writes a word for each time it is let."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.let = threading.Semaphore(0)
        self.written = 0
        self.closed = False

    def stream(self, prompt, sampling):
        try:
            for word in self.text.split(" "):
                self.let.acquire()
                self.written += 1
                yield word + " "
            yield self._generation()
        finally:
            self.closed = True


def test_a_sentence_comes_out_when_the_next_one_begins_and_not_before(clinical):
    """Held back: the first sentence is whole only once a word of the second is there."""
    model = Gated(SENTENCES)
    with served(model, policy=clinical) as one:
        body = {"model": "scripted", "messages": [{"role": "user", "content": SAFE}], "stream": True}
        with closing(openai.OpenAI(api_key="none", base_url=f"{one.url}/v1", max_retries=0)) as client:
            got: list[str] = []

            def read() -> None:
                got.extend(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**body))

            reader = threading.Thread(target=read)
            reader.start()
            model.let.release(4)
            until(lambda: model.written == 4)
            time.sleep(0.2)
            assert "".join(got) == ""
            model.let.release(100)
            reader.join()
    assert "".join(got) == SENTENCES
    assert len([piece for piece in got if piece]) == 4


@pytest.mark.parametrize("broken_after", [0, 2, 7, 12])
def test_an_upstream_killed_in_mid_stream_is_a_clean_error_and_nothing_unchecked(clinical, monkeypatch, broken_after):
    """The other server hangs up between two words: what it had begun to say never comes out."""
    monkeypatch.setenv("GUARDMED_API_KEY", "none")
    conduct = Conduct(logprobs=False)
    with (
        serving(lambda messages, body: {"text": SENTENCES}, conduct) as url,
        closing(load_model(f"openai:tiny@{url}")) as model,
        served(model, policy=clinical) as one,
    ):
        conduct.break_stream_after = broken_after
        pieces = []
        with pytest.raises(openai.APIError, match="The model broke off") as caught:
            pieces.extend(chunk.choices[0].delta.content or "" for chunk in asked(one))
        assert caught.value.body["guardmed"]["stage"] == "check_failed"
        assert caught.value.body["guardmed"]["decision"] == "refuse"
        response = one.chat(stream=True)
        conduct.break_stream_after = None
        assert "".join(chunk.choices[0].delta.content or "" for chunk in asked(one)) == SENTENCES
        until(lambda: len(one.requests()) == 3)
        assert [line["stage"] for line in one.requests()] == ["check_failed", "check_failed", "answered"]
    assert response.status_code == 200
    assert "[DONE]" not in response.text
    assert next(part for part in parts(response) if "error" in part)["error"]["code"] == "model_failed"
    said = "".join(part["choices"][0]["delta"].get("content", "") for part in parts(response) if "choices" in part)
    # Whole sentences that were followed by more, then the guard's own words.
    begun = " ".join(SENTENCES.split(" ")[:broken_after])
    released, _, rest = said.partition(say("check_failed", "en"))
    assert rest == ""
    assert begun.startswith(released.strip())
    assert released.strip() == "" or released.strip().endswith(".")


@pytest.mark.parametrize("sentence", [0, 1, 3])
def test_a_check_that_raises_in_mid_stream_ends_in_the_refusal(clinical, monkeypatch, sentence):
    real, count = type(clinical).check, iter(range(100))

    def check(self, text, *, stage):
        if stage == "output" and next(count) >= 2 * sentence:
            raise ValueError(f"broken by {text}")
        return real(self, text, stage=stage)

    with served(Scripted(SENTENCES), policy=clinical) as one:
        monkeypatch.setattr(type(clinical), "check", check)
        chunks = list(asked(one))
        monkeypatch.undo()
        assert "Metformin" not in one.logged.getvalue()
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said.endswith(say("check_failed", "en"))
    assert said.count(".") - say("check_failed", "en").count(".") == sentence
    last = chunks[-1]
    assert (last.guardmed["decision"], last.guardmed["stage"], last.choices[0].finish_reason) == ("refuse", "check_failed", "content_filter")


def test_whole_answers_may_be_held_back_until_every_check_has_passed(clinical):
    with served(Scripted(GOOD, p_true=0.0001), policy=clinical, stream="answer") as one:
        chunks = list(asked(one))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == say("abstain", "en")
    assert chunks[-1].guardmed["decision"] == "abstain"
    assert chunks[-1].guardmed["confidence"] < 0.2


def test_a_client_that_leaves_frees_the_model(clinical):
    model = Gated(SENTENCES)
    with served(model, policy=clinical) as one:
        model.let.release(6)
        stream = asked(one)
        assert next(stream).choices[0].delta.role == "assistant"
        assert "blood sugar" in next(stream).choices[0].delta.content
        stream.close()
        until(lambda: one.service.active == 0)
        model.let.release(100)
        until(lambda: model.closed)
        assert model.written < len(SENTENCES.split(" "))
        assert one.chat().json()["guardmed"]["decision"] == "allow"


def test_a_stream_that_takes_too_long_ends_in_an_error(clinical):
    model = Gated(SENTENCES)
    with served(model, policy=clinical, limits={"seconds": 0.5}) as one:
        model.let.release(6)
        with pytest.raises(openai.APIError, match=r"no answer within 0\.5 s"):
            list(asked(one))
        model.let.release(100)
        until(lambda: model.closed)


def test_an_error_before_the_first_sentence_is_an_http_error(clinical):
    with served(Gated(SENTENCES), policy=clinical, limits={"seconds": 0.3}) as one:
        response = one.chat(stream=True)
        one.service.workers.close()
        assert response.status_code == 504
        assert response.json()["error"]["code"] == "time_limit"
        one.service._guards["clinical"].model.let.release(100)


def test_a_model_that_stops_without_an_end_is_whole(clinical):
    class Bare(Scripted):
        def stream(self, prompt, sampling):
            yield "It is taken with meals."
            yield Generation("It is taken with meals.", None, "stop")

    with served(Bare(GOOD), policy=clinical) as one:
        chunks = list(asked(one))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "It is taken with meals."
