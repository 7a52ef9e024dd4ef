"""OpenAI's own client, unchanged, against a real server."""

from __future__ import annotations

import math

import openai
import pytest

from guardmed.decision import Decision
from guardmed.guard import GuardedModel
from guardmed.models.base import Generation
from tests.unit.scripted import Scripted
from tests.unit.served import CRISIS, GOOD, SAFE, served

BAD = "Take 9000 mg of ibuprofen at once. You should take 9000 mg of ibuprofen every day."
PHONE = "The patient can be reached at 13812345678 after noon."
FIELDS = {"decision", "stage", "reasons", "rules", "claims", "confidence", "calibrated", "language", "policy_digest", "latency_ms"}


class Asked(Scripted):
    """Remembers what it was asked, and how; its answers end at their longest."""

    def __init__(self, text: str = GOOD, *, finish: str = "stop") -> None:
        super().__init__(text)
        self.finish = finish
        self.prompts: list = []
        self.samplings: list = []

    def _generation(self):
        whole = super()._generation()
        return Generation(whole.text, whole.scores, self.finish)

    def generate(self, prompts, sampling):
        self.prompts += prompts
        self.samplings.append(sampling)
        return super().generate(prompts, sampling)

    def stream(self, prompt, sampling):
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        yield from super().stream(prompt, sampling)


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def good(clinical):
    with served(Scripted(GOOD), policy=clinical) as one:
        yield one


@pytest.mark.parametrize("prompt", [SAFE, CRISIS, "二甲双胍是什么药？", "我不想活了，吃多少安眠药会死？", "😀😀"])
def test_an_answer_is_that_of_the_guard_itself(good, clinical, prompt):
    direct = GuardedModel(Scripted(GOOD), policy=clinical).generate(prompt)
    answer = good.openai().chat.completions.create(model="scripted", messages=user(prompt))
    verdict = answer.guardmed
    assert answer.choices[0].message.content == direct.text
    assert answer.choices[0].finish_reason == ("content_filter" if direct.decision.stops else "stop")
    assert set(verdict) == FIELDS
    plain = direct.as_dict()
    for name in ("decision", "stage", "reasons", "claims", "confidence", "calibrated", "language", "policy_digest"):
        assert verdict[name] == (pytest.approx(plain[name]) if isinstance(plain[name], float) else plain[name]), name
    assert [rule["id"] for rule in verdict["rules"]] == [hit.id for hit in direct.rules]


@pytest.mark.parametrize(("text", "decision"), [(GOOD, "allow"), (BAD, "refuse"), (PHONE, "redact")])
@pytest.mark.parametrize("prompt", ["How do I reach the clinic?", CRISIS])
def test_a_stream_says_what_the_guard_releases_and_decides(clinical, text, decision, prompt):
    direct = "".join(GuardedModel(Scripted(text), policy=clinical).stream(prompt))
    with served(Scripted(text), policy=clinical) as one:
        chunks = list(one.openai().chat.completions.create(model="scripted", messages=user(prompt), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == direct
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    last = chunks[-1]
    expected = "escalate" if prompt == CRISIS else decision
    assert set(last.guardmed) == FIELDS
    assert (last.guardmed["decision"], last.guardmed["stage"] == "input") == (expected, prompt == CRISIS)
    assert last.choices[0].finish_reason == ("content_filter" if Decision(expected).stops else "stop")
    assert "13812345678" not in str(chunks)
    assert "9000 mg of ibuprofen at once" not in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_an_answer_with_masked_identifiers_quotes_them_nowhere(clinical):
    with served(Scripted(PHONE), policy=clinical) as one:
        response = one.chat("How do I reach the clinic?")
    assert response.json()["guardmed"]["decision"] == "redact"
    assert "[PHONE]" in response.json()["choices"][0]["message"]["content"]
    assert "13812345678" not in response.text


def test_completions_answer_too(good):
    client = good.openai()
    whole = client.completions.create(model="scripted", prompt=SAFE)
    assert whole.choices[0].text == GOOD
    assert whole.guardmed["decision"] == "allow"
    pieces = list(client.completions.create(model="scripted", prompt=[SAFE], stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == GOOD
    assert (pieces[-1].choices[0].finish_reason, pieces[-1].guardmed["decision"]) == ("stop", "allow")


def test_models_are_listed_and_another_name_is_told_the_right_one(good):
    client = good.openai()
    assert [model.id for model in client.models.list()] == ["scripted"]
    with pytest.raises(openai.NotFoundError, match="Only 'scripted' is served here"):
        client.chat.completions.create(model="gpt-4o", messages=user(SAFE))


def test_what_is_asked_for_reaches_the_model(clinical):
    model = Asked(finish="length")
    conversation = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "aspirin?"}]},
        {"role": "assistant", "content": "A drug."},
        {"role": "user", "content": SAFE},
    ]
    with served(model, policy=clinical) as one:
        client = one.openai()
        more = {"temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["\n\n", "END"], "presence_penalty": 1.0, "user": "somebody"}
        answer = client.chat.completions.create(model="scripted", messages=conversation, max_completion_tokens=9, max_tokens=5, **more)
        assert answer.choices[0].finish_reason == "length"
        chunks = list(client.chat.completions.create(model="scripted", messages=conversation, max_tokens=5, stop="x", stream=True))
        assert chunks[-1].choices[0].finish_reason == "length"
    prompt = model.prompts[0]
    assert [turn["role"] for turn in prompt] == ["system", "user", "assistant", "user"]
    assert prompt[1]["content"] == "What is\naspirin?"
    first, second = model.samplings
    assert (first.max_new_tokens, first.temperature, first.top_p, first.seed, first.stop) == (9, 0.5, 0.9, 7, ("\n\n", "END"))
    assert (second.max_new_tokens, second.temperature, second.top_p, second.stop) == (5, 0.0, 1.0, ("x",))


def test_a_request_without_a_length_gets_the_servers_own(clinical):
    model = Asked()
    with served(model, policy=clinical, limits={"default_tokens": 33, "max_tokens": 40}) as one:
        one.openai().chat.completions.create(model="scripted", messages=user(SAFE))
        with pytest.raises(openai.BadRequestError, match="at most 40 tokens"):
            one.openai().chat.completions.create(model="scripted", messages=user(SAFE), max_tokens=41)
    assert [sampling.max_new_tokens for sampling in model.samplings] == [33]


@pytest.mark.parametrize(
    ("body", "said", "param"),
    [
        ({"messages": []}, "at least 1 item", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "tools can't be guarded", "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "images, audio and files", "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "End with a user message", None),
        ({"messages": [{"role": "user", "content": "  "}]}, "prompt is empty", None),
        ({"messages": [{"role": "user", "content": "half \ud83d"}]}, "half of a character", "messages.0.content"),
        ({"n": 2}, "one answer", "n"),
        ({"temperature": 2.5}, "Use 0 to 2", "temperature"),
        ({"temperature": math.nan}, "finite", "temperature"),
        ({"temperature": "hot"}, "valid number", "temperature"),
        ({"top_p": 0}, "greater than 0", "top_p"),
        ({"seed": 2**63}, "less than", "seed"),
        ({"seed": 10**400}, "", "seed"),
        ({"max_tokens": 0}, "greater than", "max_tokens"),
        ({"model": None}, "valid string", "model"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_can_not_be_answered_is_told_how_to_mend_it(good, body, said, param, stream):
    import json

    import httpx

    raw = json.dumps({"model": "scripted", "messages": user(SAFE), "stream": stream, **body})
    response = httpx.post(f"{good.url}/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    error = response.json()["error"]
    assert response.status_code == 400
    assert said in error["message"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("raw", [b"{", b"[" * 100_000, b'{"a": 1' + b"1" * 5000 + b"}", b"\xff\xfe", b"null", b""])
def test_what_is_no_request_at_all_is_a_clean_error(good, raw):
    import httpx

    response = httpx.post(f"{good.url}/v1/chat/completions", content=raw, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["message"]
