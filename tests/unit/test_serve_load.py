"""Many at once: none lost, none unguarded, none waiting for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from guardmed.errors import UsageError
from guardmed.guard.messages import say
from tests.unit.scripted import Scripted
from tests.unit.served import CRISIS, GOOD, SAFE, Slow, served, until

MANY = 200
OVERDOSE = "You should take 9000 mg of ibuprofen every day, at once, {number} times."


class Numbered(Slow):
    """Answers each prompt with its own number; every fifth answer is dangerous."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.entered = 0
        self.let = threading.Event()
        self.let.set()

    def generate(self, prompts, sampling):
        with self._lock:
            self.entered += 1
        self.let.wait(30)
        super().generate(prompts, sampling)
        return [[self._numbered(prompt[-1]["content"])] for prompt in prompts]

    def _numbered(self, prompt: str):
        number = int(prompt.rpartition(" ")[2].rstrip("?"))
        return Scripted(self._text(number))._generation()

    def stream(self, prompt, sampling):
        yield from Scripted(self._text(int(prompt[-1]["content"].rpartition(" ")[2].rstrip("?")))).stream(prompt, sampling)

    @staticmethod
    def _text(number: int) -> str:
        return OVERDOSE.format(number=number) if number % 5 == 0 else f"Metformin lowers blood sugar in group {number}."


def prompt_of(number: int) -> str:
    return f"{CRISIS}, case {number}" if number % 7 == 0 else f"What does metformin do in group {number}?"


def decision_of(number: int) -> str:
    return "escalate" if number % 7 == 0 else "refuse" if number % 5 == 0 else "allow"


async def ask_all(url: str, *, stream: bool) -> list[tuple[str, dict]]:
    """Everybody at the same time, with OpenAI's client."""
    async with openai.AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0, timeout=300) as client:

        async def one(number: int) -> tuple[str, dict]:
            body = {"model": "scripted", "messages": [{"role": "user", "content": prompt_of(number)}]}
            if not stream:
                answer = await client.chat.completions.create(**body)
                return answer.choices[0].message.content, answer.guardmed
            text, verdict = "", {}
            async for chunk in await client.chat.completions.create(**body, stream=True):
                text += chunk.choices[0].delta.content or ""
                verdict = getattr(chunk, "guardmed", None) or verdict
            return text, verdict

        return await asyncio.gather(*(one(number) for number in range(MANY)))


def resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(("stream", "at_once"), [(False, 1), (True, 8)])
def test_of_200_at_once_none_is_lost_and_none_unguarded(clinical, at_once, stream):
    model = Numbered(seconds=0.005)
    held = []
    with served(model, policy=clinical, limits={"at_once": at_once, "seconds": 300}) as one:
        for _ in range(3):
            found = asyncio.run(ask_all(one.url, stream=stream))
            for number, (text, verdict) in enumerate(found):
                assert verdict["decision"] == decision_of(number), number
                assert "9000" not in text.split("\n(")[0]
                if decision_of(number) == "allow":
                    assert text == f"Metformin lowers blood sugar in group {number}."
            gc.collect()
            held.append(resident())
        until(lambda: one.service.active == 0)
        text = one.service.metrics.text().decode()
        assert one.service.workers.waiting == 0
        assert len(one.requests()) == 3 * MANY
    assert f'guardmed_requests_total{{route="/v1/chat/completions",status="200"}} {3 * MANY}.0' in text
    # The first round fills pools and caches; after it, what a round needs is given back.
    assert held[-1] - held[0] < 16 << 20, held
    assert model.most_inside <= at_once


def test_what_waits_together_is_answered_together_and_alike(clinical):
    model = Numbered(seconds=0)
    model.let.clear()
    with served(model, policy=clinical, limits={"batch": 4}) as one, ThreadPoolExecutor(9) as pool:
        first = pool.submit(one.chat, prompt_of(1))
        until(lambda: model.entered == 1)
        others = [pool.submit(one.chat, prompt_of(number)) for number in (2, 3, 4, 6, 8, 9)]
        sampled = pool.submit(one.chat, prompt_of(11), temperature=0.7)
        until(lambda: one.service.workers.waiting == 7)
        model.let.set()
        answers = [future.result().json() for future in [first, *others, sampled]]
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == [Numbered._text(number) for number in (1, 2, 3, 4, 6, 8, 9, 11)]
    assert sorted(model.batches) == [1, 1, 2, 4]
    assert model.most_inside == 1


def test_one_prompt_that_breaks_a_batch_spoils_no_other(clinical):
    class Picky(Numbered):
        def generate(self, prompts, sampling):
            if any("group 3" in prompt[-1]["content"] for prompt in prompts):
                raise ValueError("out of memory")
            if any("group 4" in prompt[-1]["content"] for prompt in prompts):
                raise UsageError("The prompt is too long.", mend="Shorten it.")
            return super().generate(prompts, sampling)

    model = Picky(seconds=0)
    model.let.clear()
    with served(model, policy=clinical, limits={"batch": 8}) as one, ThreadPoolExecutor(9) as pool:
        first = pool.submit(one.chat, prompt_of(1))
        until(lambda: model.entered == 1)
        others = {number: pool.submit(one.chat, prompt_of(number)) for number in (2, 3, 4, 6)}
        until(lambda: one.service.workers.waiting == 4)
        model.let.set()
        assert first.result().status_code == 200
        found = {number: future.result() for number, future in others.items()}
    assert {number: response.status_code for number, response in found.items()} == {2: 200, 3: 200, 4: 400, 6: 200}
    assert found[3].json()["guardmed"]["stage"] == "check_failed"
    assert found[3].json()["choices"][0]["message"]["content"] == say("check_failed", "en")
    assert "Shorten it" in found[4].json()["error"]["message"]
    assert [found[number].json()["guardmed"]["decision"] for number in (2, 6)] == ["allow", "allow"]


class Held(Scripted):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__(GOOD)
        self.let = threading.Event()
        self.entered = 0

    def generate(self, prompts, sampling):
        self.entered += len(prompts)
        self.let.wait(30)
        return super().generate(prompts, sampling)


def test_a_full_queue_sends_away_with_a_time_to_come_back(clinical):
    model = Held()
    with served(model, policy=clinical, limits={"waiting": 2, "batch": 1}) as one, ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(one.chat) for _ in range(3)]
        until(lambda: one.service.workers.waiting == 2)
        turned_away = one.chat()
        streamed = one.chat(stream=True)
        assert httpx.get(f"{one.url}/healthz").status_code == 200
        assert "guardmed_waiting 2.0" in httpx.get(f"{one.url}/metrics").text
        model.let.set()
        assert [future.result().status_code for future in taken] == [200, 200, 200]
        assert one.chat().status_code == 200
    assert (turned_away.status_code, streamed.status_code) == (429, 429)
    assert 1 <= int(turned_away.headers["Retry-After"]) <= 60
    assert turned_away.json()["error"]["code"] == "queue_full"


def test_openais_client_comes_back_by_itself(clinical):
    model = Held()
    with served(model, policy=clinical, limits={"waiting": 0, "batch": 1}) as one, ThreadPoolExecutor(2) as pool:
        first = pool.submit(one.chat)
        until(lambda: model.entered == 1)
        again = pool.submit(one.openai(max_retries=5).chat.completions.create, model="scripted", messages=[{"role": "user", "content": SAFE}])
        until(lambda: any(line["status"] == 429 for line in one.requests()))
        model.let.set()
        assert first.result().status_code == 200
        assert again.result().choices[0].message.content == GOOD


def test_what_takes_too_long_is_an_error_and_what_nobody_waits_for_is_not_begun(clinical):
    model = Held()
    with served(model, policy=clinical, limits={"batch": 1, "seconds": 2}) as one, ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(one.chat) for _ in range(2)]
        with pytest.raises(httpx.ReadTimeout):
            one.chat(timeout=0.3)
        answers = [future.result() for future in slow]
        model.let.set()
        until(lambda: one.service.workers.waiting == 0)
        assert one.chat().status_code == 200
        until(lambda: len(one.requests()) == 4)
        statuses = sorted(line["status"] for line in one.requests())
    assert [answer.status_code for answer in answers] == [504, 504]
    assert "within 2 s" in answers[0].json()["error"]["message"]
    assert statuses == [200, 499, 504, 504]
    # The one at work, and the last one; those that waited in vain never reached the model.
    assert model.entered == 2
