"""What a server is told, and what it refuses to start with."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from guardmed.errors import DataError, GuardMedError, UsageError
from guardmed.serve import Key, Limits, ServeSettings, load_keys, load_settings
from guardmed.serve.keys import Bucket, Keys
from guardmed.serve.run import listen
from tests.servers import serving

DIGEST = hashlib.sha256(b"sk-ward").hexdigest()


def test_options_outrank_the_file(tmp_path):
    file = tmp_path / "serve.yaml"
    file.write_text("model: openai:qwen@http://localhost:9/v1\nport: 9000\nlimits: {waiting: 7}\nguard: {checks: [token]}\n", encoding="utf-8")
    settings = load_settings(file, port=9001, policy=None)
    assert (settings.model, settings.port, settings.limits.waiting, settings.policy) == ("openai:qwen@http://localhost:9/v1", 9001, 7, "clinical")
    assert settings.guard.checks == ("token",)


def test_the_documentation_tells_the_defaults():
    text = (Path(__file__).resolve().parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    written = yaml.safe_load(re.search(r"```yaml\n(model: .*?)```", text, re.DOTALL)[1])
    assert set(written) | {"adapter", "trust_remote_code"} == set(ServeSettings.model_fields)
    assert set(written["limits"]) == set(Limits.model_fields)
    assert ServeSettings.model_validate(written) == ServeSettings()


@pytest.mark.parametrize("text", ["prot: 9000", "limits: {waiting: -1}", "port: 70000", "stream: words", "- model"])
def test_a_setting_that_does_not_fit_is_named(tmp_path, text):
    file = tmp_path / "serve.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(GuardMedError, match=re.escape(str(file))):
        load_settings(file)


def test_a_stream_of_sentences_can_t_do_what_needs_the_whole_answer(tmp_path):
    file = tmp_path / "serve.yaml"
    file.write_text("guard:\n  on_unsupported: cut\n")
    with pytest.raises(DataError, match="can't cut claims"):
        load_settings(file)
    file.write_text("guard:\n  on_unsupported: cut\nstream: answer\n")
    assert load_settings(file).guard.on_unsupported == "cut"


@pytest.mark.parametrize(
    ("model", "name"),
    [("reference", "reference"), ("openai:org/qwen@v2@http://10.0.0.1:8000/v1", "org/qwen@v2"), ("org/name", "org/name")],
)
def test_a_model_is_called_by_its_name_and_not_by_where_it_is(tmp_path, model, name):
    assert ServeSettings(model=model).model_name == name
    folder = tmp_path / "private" / "my-model"
    folder.mkdir(parents=True)
    assert ServeSettings(model=str(folder)).model_name == "my-model"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "server.example"])
def test_beyond_this_machine_it_wants_keys(tmp_path, host):
    with pytest.raises(UsageError, match="no API keys"):
        load_keys(ServeSettings(host=host))
    assert load_keys(ServeSettings(host=host, without_keys=True)) == {}
    file = tmp_path / "keys.yaml"
    file.write_text(f"{DIGEST}: {{name: ward, policy: clinical-strict}}\n", encoding="utf-8")
    assert load_keys(ServeSettings(host=host, keys=file)) == {DIGEST: Key(name="ward", policy="clinical-strict")}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_this_machine_it_needs_none(host):
    assert load_keys(ServeSettings(host=host)) == {}


@pytest.mark.parametrize("text", ["{}", "sk-ward: {name: ward}", f"{DIGEST}: ward", f"{DIGEST.upper()}: {{name: ward}}", f"{DIGEST}: {{name: ''}}"])
def test_a_file_of_keys_that_would_let_nobody_in_is_refused(tmp_path, text):
    file = tmp_path / "keys.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(GuardMedError, match=re.escape(str(file))):
        load_keys(ServeSettings(keys=file))


def test_every_key_is_compared_whichever_it_is(monkeypatch):
    """The first key costs as many comparisons as the last, or none."""
    owners = {hashlib.sha256(f"sk-{number}".encode()).hexdigest(): Key(name=str(number)) for number in range(5)}
    keys, compared = Keys(owners), []
    real = hmac.compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append(1) or real(a, b))
    for number, given in enumerate(["sk-0", "sk-4", "sk-nobody", ""]):
        compared.clear()
        found = keys.find(f"Bearer {given}")
        assert (found.name if found else None) == {0: "0", 1: "4"}.get(number)
        assert len(compared) == 5


def test_a_bucket_holds_a_minutes_requests_and_fills_again():
    now = [0.0]
    bucket = Bucket(3, clock=lambda: now[0])
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == pytest.approx(20)
    now[0] += 20
    assert bucket.take() == 0
    assert bucket.take() == pytest.approx(20)
    now[0] += 10_000
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_a_port_that_is_taken_is_told(tmp_path):
    with listen(ServeSettings(port=0)) as first:
        first.listen()
        with pytest.raises(UsageError, match="can't be listened at"):
            listen(ServeSettings(port=first.getsockname()[1]))
    with pytest.raises(UsageError, match=r"no address|can't be listened at"):
        listen(ServeSettings(host="192.0.2.1", without_keys=True))


@contextmanager
def started(*options: str, **environment: str):
    """The command itself, and the line it starts with."""
    code = "import sys, typer; from guardmed.cli.serve import serve; app = typer.Typer(); app.command()(serve); app()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_serves_says_where_logs_json_and_stops_when_told(monkeypatch):
    secret = "heliotrope"
    with (
        serving(lambda messages, body: {"text": f"Metformin lowers blood sugar, {secret}."}) as upstream,
        started("--model", f"openai:tiny@{upstream}", GUARDMED_API_KEY="sk-upstream") as process,
    ):
        line = process.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        assert line.startswith("GuardMed serves tiny at http://127.0.0.1:")
        assert "policy clinical" in line
        body = {"model": "tiny", "messages": [{"role": "user", "content": f"What is metformin? {secret}"}]}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
        assert answer.json()["guardmed"]["stage"] in ("answered", "claims")
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    import json

    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert "request" in events
    assert "shutting down" in events
    assert secret not in out + errors
    assert "sk-upstream" not in out + errors


def test_the_command_refuses_the_network_without_keys():
    with started("--host", "0.0.0.0") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "no API keys" in errors
