"""A real OpenAI-compatible HTTP server in a thread, answering whatever a test wants it to.

>>> def answer(messages, body):
...     return {"text": "Yes", "logprobs": [{"token": "Yes", "logprob": -0.1, "top": {"Yes": -0.1, "No": -2.4}}]}
>>> with serving(answer) as base_url:
...     ...
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[Sequence[Mapping[str, str]], Mapping[str, Any]], Mapping[str, Any]]
"""From the messages and the whole body to ``text`` and, if there are any, ``logprobs`` and ``finish``.

Each entry of ``logprobs`` has ``token`` (text, or bytes where a token holds a part of a character),
``logprob``, and ``top``, the log-probabilities of the likeliest tokens. An entry is sent with as many
of them as were asked for. A raised :class:`Failure` is sent as such.
"""


class Failure(Exception):
    """An HTTP error to answer with; ``status`` None drops the connection without a word."""

    def __init__(self, status: int | None, *, message: str = "told to fail", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


@dataclass
class Conduct:
    """How the server behaves, and what it saw."""

    first: list[Failure] = field(default_factory=list)  # answers to the first chat requests, used up one by one
    delay: float = 0.0  # seconds before an answer, and before each piece of a stream
    logprobs: bool = True  # False: refuses to be asked for any
    most_alternatives: int = 20  # refuses to be asked for more
    honours_n: bool = True  # False: one choice, whatever was asked for
    break_stream_after: int | None = None  # pieces
    listing: list[dict[str, Any]] | None = field(default_factory=list)  # None: there is no /models

    bodies: list[dict[str, Any]] = field(default_factory=list)  # of chat requests, also of those that failed
    keys: set[str] = field(default_factory=set)
    most_in_flight: int = 0
    hung_up: int = 0  # clients that went away in the middle of a stream
    pieces_sent: int = 0
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(answer: Answer, conduct: Conduct | None = None) -> Iterator[str]:
    """Base URL of a server that is up inside the block; errors of ``answer`` come out at its end."""
    errors: list[BaseException] = []

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # the block ends when every request has
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            import sys

            if not isinstance(error := sys.exception(), OSError) and error is not None:
                errors.append(error)

    class Handler(_Handler):
        reply = staticmethod(answer)
        how = conduct or Conduct()

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="test-server")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
    if errors:
        raise errors[0]


class _Handler(BaseHTTPRequestHandler):
    reply: Answer
    how: Conduct

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        if self.path != "/v1/models" or self.how.listing is None:
            self._fail(Failure(404))
        else:
            self._send(200, {"object": "list", "data": self.how.listing})

    def do_POST(self) -> None:
        how = self.how
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with how.lock:
            how.bodies.append(body)
            how.keys.add(self.headers.get("Authorization", ""))
            how.in_flight += 1
            how.most_in_flight = max(how.most_in_flight, how.in_flight)
            failure = how.first.pop(0) if how.first else None
        try:
            time.sleep(how.delay)
            if failure is not None:
                raise failure
            self._answer(body)
        except Failure as error:
            self._fail(error)
        finally:
            with how.lock:
                how.in_flight -= 1

    def _answer(self, body: dict[str, Any]) -> None:
        if self.path != "/v1/chat/completions":
            raise Failure(404)
        asked = body.get("top_logprobs", 0) if body.get("logprobs") else None
        if asked is not None and not self.how.logprobs:
            raise Failure(400, message="logprobs are not supported")
        if asked is not None and asked > self.how.most_alternatives:
            raise Failure(400, message=f"top_logprobs must be at most {self.how.most_alternatives}")
        count = body.get("n", 1) if self.how.honours_n else 1
        choices = [dict(self.reply(body["messages"], body)) for _ in range(count)]
        head = {"id": "chatcmpl-test", "created": int(time.time()), "model": body["model"]}
        if body.get("stream"):
            self._stream(head, choices[0], asked)
            return
        full = [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice["text"]},
                "logprobs": _content(choice, asked),
                "finish_reason": choice.get("finish", "stop"),
            }
            for index, choice in enumerate(choices)
        ]
        self._send(200, head | {"object": "chat.completion", "choices": full})

    def _stream(self, head: dict[str, Any], choice: Mapping[str, Any], asked: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        listed = (_content(choice, asked) or {}).get("content")
        pieces = [entry["token"] for entry in listed] if listed else re.findall(r"\s*\S+|\s+$", choice["text"])
        try:
            for index, piece in enumerate(pieces):
                if index == self.how.break_stream_after:
                    return
                time.sleep(self.how.delay)
                self._event(head, {"content": piece}, {"content": [listed[index]]} if listed else None, None)
                self.how.pieces_sent += 1
            self._event(head, {}, None, choice.get("finish", "stop"))
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.how.hung_up += 1

    def _event(self, head: dict[str, Any], delta: dict[str, Any], logprobs: Any, finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        self.wfile.write(f"data: {json.dumps(head | {'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode())
        self.wfile.flush()

    def _send(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in ({"Content-Type": "application/json", "Content-Length": str(len(data))} | dict(headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, failure: Failure) -> None:
        if failure.status is None:
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(failure.status, {"error": {"message": failure.message, "type": "test"}}, failure.headers)


def _content(choice: Mapping[str, Any], asked: int | None) -> dict[str, Any] | None:
    """The log-probabilities of a choice as the interface has them; None where there are none, or none were asked for."""
    if asked is None or choice.get("logprobs") is None:
        return None
    entries = []
    for entry in choice["logprobs"]:
        top = sorted(entry.get("top", {}).items(), key=lambda pair: -pair[1])[:asked]
        entries.append(_entry(entry["token"], entry["logprob"]) | {"top_logprobs": [_entry(*pair) for pair in top]})
    return {"content": entries}


def _entry(token: str | bytes, logprob: float) -> dict[str, Any]:
    data = token if isinstance(token, bytes) else token.encode()
    return {"token": data.decode(errors="replace"), "logprob": logprob, "bytes": list(data)}
