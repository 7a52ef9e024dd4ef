"""What ``guardmed serve`` adds to a request: a stub model that answers at once, so that all the time is the server's.

    OMP_NUM_THREADS=1 python benchmarks/serve_latency.py [--requests 1000] [--policy clinical] [--stream]

The server runs in a process of its own and is asked over one kept connection, one request after the other, with the
held-out prompts. Claims are checked by their tokens alone, so that no further answer is drawn. The rows: the whole
request as the client sees it; the server without the guard (a prompt without words, which the guard sends back at
once); the guard alone, called in this process with the same prompts and answers, by the clock and by processor time,
which other programs on the machine don't change. Last, the ratio of the whole to the guard alone, for any machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import re
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from guardmed.guard import GuardedModel, GuardSettings
from guardmed.models.base import Capabilities, Generation, TokenScores

PROMPTS = Path(__file__).parents[1] / "policies" / "prompts"
ANSWER = (
    "Metformin lowers blood sugar in type 2 diabetes. It is usually taken with meals, once or twice a day. The most common side effect is an upset stomach."
)
CHECKS = GuardSettings(checks=("token",))


class Stub:
    """Answers everything with one text, at once."""

    name, fingerprint = "stub", "0" * 64
    capabilities = Capabilities(logprobs=True, scoring=False, streaming=True, context=1 << 20)

    def __init__(self) -> None:
        spans = tuple(match.span() for match in re.finditer(r"\S+\s*", ANSWER))
        size = len(spans)
        self._answer = Generation(ANSWER, TokenScores((0,) * size, spans, np.full(size, -0.05), np.zeros(size), np.ones(size), "api_logprobs"), "stop")

    def generate(self, prompts, sampling) -> list[list[Generation]]:
        return [[self._answer] for _ in prompts]

    def stream(self, prompt, sampling) -> Iterator[str | Generation]:
        yield from re.findall(r"\S+\s*", ANSWER)
        yield self._answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--policy", default="clinical")
    parser.add_argument("--stream", action="store_true")
    arguments = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for file in sorted(PROMPTS.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(prompts)
    asked = [prompts[number % len(prompts)] for number in range(arguments.requests)]
    alone = _alone(asked, arguments.policy, stream=arguments.stream)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, arguments.policy))
    process.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", ours.recv())
        _ask(connection, asked[:20], stream=arguments.stream)
        before = _processor(connection)
        whole = _ask(connection, asked, stream=arguments.stream)
        spent = (_processor(connection) - before) / len(asked) * 1000
        without = _ask(connection, ["?!"] * len(asked), stream=arguments.stream)
    finally:
        process.terminate()
        process.join()
    print("| ms a request | n | p50 | p95 | p99 | worst |\n|---|---|---|---|---|---|")
    rows = {"whole request": whole, "server without guard": without, "guard alone": alone[0], "guard alone, processor time": alone[1]}
    for name, times in rows.items():
        print(f"| {name} | {len(times)} | " + " | ".join(f"{value:.2f}" for value in (*np.quantile(times, (0.5, 0.95, 0.99)), max(times))) + " |")
    ratios = [float(np.quantile(whole, q) / np.quantile(alone[0], q)) for q in (0.5, 0.99)]
    print(f"whole request over guard alone: {ratios[0]:.2f} at the median, {ratios[1]:.2f} at p99")
    print(f"processor time of the server: {spent:.2f} ms a request; the aim is 10 ms at p99")


def _ask(connection: http.client.HTTPConnection, prompts: list[str], *, stream: bool) -> list[float]:
    times = []
    for prompt in prompts:
        body = json.dumps({"model": "stub", "messages": [{"role": "user", "content": prompt}], "stream": stream})
        started = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        times.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, answer
        assert b'"guardmed":{"decision":' in answer
    return times


def _alone(prompts: list[str], policy: str, *, stream: bool) -> tuple[list[float], list[float]]:
    """Milliseconds of the guard for each prompt, by the clock and of the processor."""
    guard, times = GuardedModel(Stub(), policy=policy, settings=CHECKS), []
    for prompt in (*prompts[:20], *prompts):
        conversation = [{"role": "user", "content": prompt}]
        started = time.perf_counter(), time.process_time()
        _ = list(guard.stream(conversation)) if stream else guard.generate(conversation)
        times.append(((time.perf_counter() - started[0]) * 1000, (time.process_time() - started[1]) * 1000))
    return [clock for clock, _ in times[20:]], [processor for _, processor in times[20:]]


def _processor(connection: http.client.HTTPConnection) -> float:
    """Seconds of processor time the server has used."""
    connection.request("GET", "/metrics")
    return float(re.search(rb"^process_cpu_seconds_total (\S+)", connection.getresponse().read(), re.MULTILINE)[1])


def _serve(pipe: Connection, policy: str) -> None:
    from guardmed.serve import ServeSettings, Service
    from guardmed.serve.run import Server, listen

    settings = ServeSettings(name="stub", policy=policy, port=0, guard=CHECKS)
    with listen(settings) as opened:
        service = Service(settings, Stub(), keys={})
        Server(service, started=lambda: pipe.send(opened.getsockname()[1])).run(sockets=[opened])


if __name__ == "__main__":
    main()
