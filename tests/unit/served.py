"""A guarded server on a real socket, in a thread, for tests; what it logs and counts can be looked at."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from openai import OpenAI

from guardmed.serve import Key, ServeSettings, Service
from guardmed.serve.logs import JsonLines
from guardmed.serve.run import Server, listen
from tests.unit.scripted import Scripted

GOOD = "Metformin lowers blood sugar in type 2 diabetes. It is usually taken with meals."
SAFE = "What is metformin used for?"
CRISIS = "I want to kill myself"


@dataclass
class Served:
    """A server that is up."""

    url: str
    service: Service
    server: Server
    logged: io.StringIO
    clients: list[OpenAI] = field(default_factory=list)

    @property
    def lines(self) -> list[dict]:
        """What it logged; a client in the same process logs there too."""
        lines = [json.loads(line) for line in self.logged.getvalue().splitlines()]
        return [line for line in lines if line["logger"].startswith(("guardmed", "uvicorn", "fastapi", "asyncio"))]

    def requests(self) -> list[dict]:
        """What it logged of requests."""
        return [line for line in self.lines if line["event"] == "request"]

    def openai(self, key: str = "none", **options) -> OpenAI:
        """OpenAI's own client, unchanged."""
        client = OpenAI(api_key=key, base_url=f"{self.url}/v1", **{"max_retries": 0, **options})
        self.clients.append(client)
        return client

    def chat(self, content: str = SAFE, *, key: str | None = None, timeout: float = 30, **body) -> httpx.Response:
        """One chat request, as it goes over the wire."""
        asked = {"model": "scripted", "messages": [{"role": "user", "content": content}], **body}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.post(f"{self.url}/v1/chat/completions", json=asked, headers=headers, timeout=timeout)


@contextmanager
def served(model, *, policy=None, keys: dict[str, Key] | None = None, **settings) -> Iterator[Served]:
    """A server of a model; ``policy`` is a compiled one that stands for ``clinical``."""
    wanted = ServeSettings.model_validate({"name": "scripted", "port": 0, **settings})
    digests = {hashlib.sha256(key.encode()).hexdigest(): owner for key, owner in (keys or {}).items()}
    service = Service(wanted, model, keys=digests, policies={"clinical": policy} if policy else None)
    up = threading.Event()
    opened = listen(wanted)
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setFormatter(JsonLines())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    server = Server(service, started=up.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, name="served")
    thread.start()
    assert up.wait(30)
    one = Served(f"http://127.0.0.1:{opened.getsockname()[1]}", service, server, logged)
    try:
        yield one
    finally:
        for client in one.clients:
            client.close()
        server.drain()
        thread.join(30)
        opened.close()
        root.removeHandler(handler)
        root.setLevel(level)
    assert not thread.is_alive()


def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait for what will happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


class Slow(Scripted):
    """Takes its time, and keeps count of who is in there."""

    def __init__(self, text: str = GOOD, *, seconds: float = 0.05, **options) -> None:
        super().__init__(text, **options)
        self.seconds = seconds
        self.inside = 0
        self.most_inside = 0
        self.batches: list[int] = []
        self._lock = threading.Lock()

    def generate(self, prompts, sampling):
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self.batches.append(len(prompts))
        time.sleep(self.seconds)
        try:
            return super().generate(prompts, sampling)
        finally:
            with self._lock:
                self.inside -= 1
