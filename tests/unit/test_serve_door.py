"""Who is let in, with what, and what is told about it afterwards."""

from __future__ import annotations

import json
import socket
import threading

import httpx
import openai
import pytest

from guardmed.guard import GuardedModel
from guardmed.guard.messages import say
from guardmed.policy import Policy
from guardmed.policy.load import load_pack
from guardmed.serve import Key
from tests.unit.scripted import Scripted
from tests.unit.served import CRISIS, GOOD, SAFE, served, until
from tests.unit.test_serve_load import Held

KEYS = {"sk-ward": Key(name="ward"), "sk-slow": Key(name="slow", requests_per_minute=2)}


@pytest.fixture(scope="module")
def locked(clinical):
    with served(Scripted(GOOD), policy=clinical, keys=KEYS) as one:
        yield one


@pytest.fixture(scope="module")
def plain(clinical):
    with served(Scripted(GOOD), policy=clinical) as one:
        yield one


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer sk-war", "Bearer sk-ward2", "Basic sk-ward", "sk-ward", "Bearer \xff"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/models", "/metrics", "/nowhere", "//v1/models"])
def test_without_a_key_nothing_is_answered(locked, header, path):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    response = httpx.request("POST" if "completions" in path else "GET", f"{locked.url}{path}", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/openapi.json"])
def test_what_is_about_nobody_needs_no_key(locked, path):
    assert httpx.get(f"{locked.url}{path}").status_code == 200


def test_openais_client_raises_and_answers_by_its_key(locked):
    body = {"model": "scripted", "messages": [{"role": "user", "content": SAFE}]}
    with pytest.raises(openai.AuthenticationError, match="no valid API key"):
        locked.openai("sk-other").chat.completions.create(**body)
    assert locked.openai("sk-ward").chat.completions.create(**body).choices[0].message.content == GOOD
    assert httpx.get(f"{locked.url}/metrics", headers={"Authorization": "bearer  sk-ward"}).status_code == 200


def test_a_key_has_its_own_rate(locked):
    statuses = [locked.chat(key="sk-slow").status_code for _ in range(4)]
    last = locked.chat(key="sk-slow")
    assert statuses == [200, 200, 429, 429]
    assert last.json()["error"]["code"] == "rate_limit"
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    assert locked.chat(key="sk-ward").status_code == 200


def test_a_key_has_its_own_policy(clinical):
    pack = load_pack("privacy-hipaa")
    other = Policy([pack])
    keys = {"sk-a": Key(name="a"), "sk-b": Key(name="b", policy="privacy-hipaa")}
    from guardmed.serve import ServeSettings, Service

    service = Service(
        ServeSettings(), Scripted(GOOD), keys={"0" * 64: keys["sk-a"], "1" * 64: keys["sk-b"]}, policies={"clinical": clinical, "privacy-hipaa": other}
    )
    assert other.digest[:12] in service.describe()
    with served(Scripted(GOOD), policy=clinical, keys=keys) as one:
        assert one.chat(CRISIS, key="sk-a").json()["guardmed"]["decision"] == "escalate"
        verdict = one.chat(CRISIS, key="sk-b").json()["guardmed"]
    assert verdict["policy_digest"] == other.digest
    assert not [rule for rule in verdict["rules"] if rule["id"] == "self-harm-crisis"]


def test_a_body_has_a_largest_size(clinical):
    with served(Scripted(GOOD), policy=clinical, limits={"body_bytes": 2048, "prompt_chars": 500}) as one:
        declared = one.chat("a" * 3000)
        chunked = httpx.post(f"{one.url}/v1/chat/completions", content=(b" " * 512 for _ in range(9)), headers={"Content-Type": "application/json"})
        long = one.chat("word " * 101)
        assert one.chat("What is a word? " * 30).status_code == 200
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert "2,048 bytes" in declared.json()["error"]["message"]
    assert (long.status_code, long.json()["error"]["code"]) == (400, "prompt_too_long")


def test_a_body_that_never_arrives_is_given_up(clinical, monkeypatch):
    monkeypatch.setattr("guardmed.serve.door._UPLOAD_SECONDS", 0.2)
    with served(Scripted(GOOD), policy=clinical) as one, socket.create_connection(("127.0.0.1", int(one.url.rpartition(":")[2]))) as wire:
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in wire.recv(4096).splitlines()[0]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "[::2]", "127.0.0.1.nip.io", "[", "a@b"])
@pytest.mark.parametrize("path", ["/", "/v1/models", "/healthz"])
def test_under_another_name_the_server_does_not_answer(plain, host, path):
    """A page of the web that points its own name at this machine gets nothing."""
    response = httpx.get(f"{plain.url}{path}", headers={"Host": host})
    assert response.status_code in (400, 421)
    assert "GuardMed" not in response.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000"])
def test_under_its_own_names_it_answers(plain, host):
    assert httpx.get(f"{plain.url}/v1/models", headers={"Host": host}).status_code == 200


def test_no_other_origin_may_read_and_none_can_post_without_asking(plain):
    url, page = f"{plain.url}/v1/chat/completions", {"Origin": "https://evil.example"}
    body = {"model": "scripted", "messages": [{"role": "user", "content": SAFE}]}
    preflight = httpx.options(url, headers={**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
    assert preflight.status_code == 405
    # What a page may send without asking is not JSON, and not read as such.
    simple = httpx.post(url, content=json.dumps(body), headers={**page, "Content-Type": "text/plain"})
    assert simple.status_code == 400
    assert httpx.post(url, content=json.dumps(body), headers=page).status_code == 400
    for response in (preflight, simple, httpx.post(url, json=body, headers=page)):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_a_named_origin_may_read(clinical):
    with served(Scripted(GOOD), policy=clinical, keys=KEYS, cors_origins=["https://ward.example"]) as one:
        url = f"{one.url}/v1/chat/completions"
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        allowed = httpx.options(url, headers={"Origin": "https://ward.example", **asked})
        other = httpx.options(url, headers={"Origin": "https://evil.example", **asked})
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, "https://ward.example")
    assert "Access-Control-Allow-Origin" not in other.headers


def test_logs_say_what_was_decided_and_never_what_was_said(clinical):
    secret = "my neighbour's codeword is heliotrope"
    with served(Scripted(f"The codeword {secret}."), policy=clinical, keys=KEYS) as one:
        one.chat(f"{SAFE} {secret}", key="sk-ward")
        one.chat(f"{CRISIS}, {secret}", key="sk-ward", stream=True)
        one.chat(f"{SAFE} {secret}", key="sk-ward", temperature=secret)
        one.chat(SAFE, key=f"sk-{secret}")
        httpx.get(f"{one.url}/v1/heliotrope?prompt=heliotrope", headers={"Authorization": "Bearer sk-ward"})
        one.service._guards["clinical"].model.raises = "generate"
        one.chat(f"{SAFE} {secret}", key="sk-ward")
        until(lambda: len(one.requests()) == 6)
    text = "\n".join(json.dumps(line) for line in one.lines)
    assert "heliotrope" not in text
    assert "sk-" not in text
    first, second, third, fourth, fifth, last = one.requests()
    assert (first["key"], first["route"], first["status"], first["policy"], first["language"]) == ("ward", "/v1/chat/completions", 200, "clinical", "en")
    assert (second["decision"], second["rules"], second["stream"]) == ("escalate", ["self-harm-crisis"], True)
    assert (third["status"], fourth["status"], fourth["key"]) == (400, 401, None)
    assert (fifth["status"], fifth["route"]) == (404, "other")
    assert (last["status"], last["decision"], last["stage"]) == (200, "refuse", "check_failed")
    assert len({line["id"] for line in one.requests()}) == 6
    assert all(line["ms"] > 0 for line in one.requests())


def test_whatever_breaks_in_the_server_itself_is_a_clean_500_without_its_message(clinical, monkeypatch):
    def broken(*_args, **_keywords):
        raise RuntimeError("heliotrope")

    with served(Scripted(GOOD), policy=clinical) as one:
        monkeypatch.setattr("guardmed.serve.app.Verdict.of", broken)
        whole, streamed = one.chat(), one.chat(stream=True)
        monkeypatch.undo()
        assert one.chat().status_code == 200
    assert (whole.status_code, whole.json()["error"]["code"]) == (500, "server_error")
    assert whole.headers["X-Request-Id"] in [line.get("id") for line in one.lines if line["event"] == "a request failed"]
    assert streamed.status_code == 200
    assert '"code": "server_error"' in streamed.text
    assert "[DONE]" not in streamed.text
    assert "heliotrope" not in whole.text + json.dumps(one.lines)


@pytest.mark.parametrize("stream", [False, True])
def test_whatever_the_guard_itself_raises_is_a_refusal(clinical, monkeypatch, stream):
    def broken(*_args, **_keywords):
        raise RuntimeError("heliotrope")

    with served(Scripted(GOOD), policy=clinical) as one:
        monkeypatch.setattr(GuardedModel, "_checked_prompt", broken)
        answer = one.openai().chat.completions.create(model="scripted", messages=[{"role": "user", "content": "二甲双胍是什么药？"}], stream=stream)
        if stream:
            chunks = list(answer)
            text, last = "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1]
        else:
            text, last = answer.choices[0].message.content, answer
        monkeypatch.undo()
    assert text == say("check_failed", "zh")
    assert (last.guardmed["decision"], last.guardmed["stage"], last.choices[0].finish_reason) == ("refuse", "check_failed", "content_filter")
    assert "heliotrope" not in json.dumps(one.lines)


def test_a_thread_outlives_what_breaks_in_it(clinical, monkeypatch):
    with served(Scripted(GOOD), policy=clinical) as one:
        monkeypatch.setattr("guardmed.serve.answers._alone", lambda job: 1 / 0)
        assert one.chat().status_code == 500
        monkeypatch.undo()
        assert one.chat().status_code == 200


def test_figures_count_decisions(clinical):
    with served(Scripted(GOOD), policy=clinical) as one:
        one.chat()
        one.chat(CRISIS)
        one.chat(CRISIS, stream=True)
        one.chat(n=2)
        until(lambda: len(one.requests()) == 4)
        response = httpx.get(f"{one.url}/metrics")
    lines = response.text.splitlines()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'guardmed_decisions_total{decision="allow",stage="answered"} 1.0' in lines
    assert 'guardmed_decisions_total{decision="escalate",stage="input"} 2.0' in lines
    assert 'guardmed_requests_total{route="/v1/chat/completions",status="400"} 1.0' in lines
    assert 'guardmed_request_seconds_count{route="/v1/chat/completions"} 4.0' in lines
    assert "guardmed_in_flight 1.0" in lines


def test_shutting_down_finishes_what_runs_and_takes_nothing_new(clinical):
    model = Held()
    with served(model, policy=clinical) as one:
        found: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: found.append(one.chat()))
        asking.start()
        until(lambda: model.entered == 1)
        one.server.drain()
        assert httpx.get(f"{one.url}/readyz").status_code == 503
        assert httpx.get(f"{one.url}/healthz").status_code == 200
        refused = one.chat()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert refused.headers["Connection"] == "close"
        assert int(refused.headers["Retry-After"]) >= 1
        model.let.set()
        asking.join()
        assert found[0].json()["guardmed"]["decision"] == "allow"
        until(lambda: one.server.should_exit)


def test_shutting_down_does_not_wait_for_ever(clinical):
    model = Held()
    with served(model, policy=clinical, limits={"shutdown_seconds": 0.2}) as one:
        failed: list[bool] = []

        def ask() -> None:
            try:
                failed.append(one.chat().status_code >= 500)
            except httpx.HTTPError:
                failed.append(True)

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: model.entered == 1)
        one.server.drain()
        asking.join(20)
        assert not asking.is_alive()
    assert failed == [True]
    model.let.set()


def test_spans_hang_together_and_hold_no_text(clinical, exporter):
    with served(Scripted(GOOD), policy=clinical) as one:
        exporter.clear()
        one.chat(f"{SAFE} heliotrope")
        one.chat(f"{CRISIS}, heliotrope", stream=True)
        one.chat(temperature="heliotrope")
    spans = exporter.get_finished_spans()
    requests = [found for found in spans if found.name == "guardmed.request"]
    assert [found.attributes["guardmed.decision"] for found in requests] == ["allow", "escalate"]
    roots = {found.context.trace_id for found in requests}
    assert {found.context.trace_id for found in spans} == roots
    assert "guardmed.model" in [found.name for found in spans]
    assert "heliotrope" not in "".join(found.to_json() for found in spans)
