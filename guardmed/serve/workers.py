"""A bounded queue in front of the model: who waits, who is answered together, who is sent away."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

from guardmed.guard import GuardedModel
from guardmed.models.base import Prompt
from guardmed.serve.errors import ApiError
from guardmed.serve.logs import told

log = logging.getLogger(__name__)
# Weight of the latest job in the guess of how long the next one takes.
_LATEST = 0.2


class Job:
    """One request to a guarded model; what comes of it arrives in the event loop, piece by piece.

    Parameters
    ----------
    guard : GuardedModel
    prompt : Prompt
    keywords : dict
        Of ``GuardedModel.generate``.
    streaming : bool
        Whether pieces are wanted before the whole.
    seconds : float
        From now until nobody waits any more.
    """

    def __init__(self, guard: GuardedModel, prompt: Prompt, keywords: dict[str, Any], *, streaming: bool, seconds: float) -> None:
        self.guard = guard
        self.prompt = prompt
        self.keywords = keywords
        self.streaming = streaming
        self.given_up = False
        self.context = contextvars.copy_context()
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds
        self._results: asyncio.Queue[Any] = asyncio.Queue()

    @property
    def kin(self) -> Hashable | None:
        """What jobs have in common that can be answered together; None if this one can't.

        Only the likeliest answer is the same alone and in company: samples depend on their neighbours.
        """
        alone = self.streaming or self.keywords["temperature"] > 0
        return None if alone else (id(self.guard), tuple(sorted(self.keywords.items(), key=lambda item: item[0])))

    def put(self, result: object) -> None:
        """Hand a piece, the answer or an error over, from the thread that works on it."""
        if not self.given_up:
            # The loop may have been closed, when nobody waits there any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._results.put_nowait, result)

    async def next(self) -> Any:
        """The next result; raises it where it is an error."""
        try:
            result = await asyncio.wait_for(self._results.get(), max(0.0, self._until - self._loop.time()))
        except TimeoutError:
            self.give_up()
            mend = "Ask for fewer tokens, or try again later."
            raise ApiError(504, f"There was no answer within {self._seconds:g} s. {mend}", code="time_limit") from None
        if isinstance(result, Exception):
            raise result
        return result

    def give_up(self) -> None:
        """Nobody waits any more: it is not begun, or ends at its next piece."""
        self.given_up = True


class Workers:
    """Threads that work on jobs in the order of their arrival.

    Parameters
    ----------
    perform : callable
        Works on jobs that are answered together, and hands over what comes of each.
    threads : int
        1 for a model that does one thing at a time.
    waiting : int
        Jobs that may wait.
    batch : int
        Most jobs to be answered together.
    """

    def __init__(self, perform: Callable[[Sequence[Job]], None], *, threads: int, waiting: int, batch: int) -> None:
        self._perform = perform
        self._count = threads
        self._most = threads + waiting
        self._batch = batch
        self._queue: deque[Job] = deque()
        self._change = threading.Condition()
        self._at_work = 0
        self._pace = 1.0
        self._threads: list[threading.Thread] = []
        self._closed = True

    def start(self) -> None:
        """Start the threads."""
        self._closed = False
        # They are no reason to stay: a thread may hang on a server that does not answer.
        self._threads = [threading.Thread(target=self._work, name=f"guardmed-serve-{number}", daemon=True) for number in range(self._count)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin nothing more; what runs may finish."""
        with self._change:
            self._closed = True
            self._queue.clear()
            self._change.notify_all()

    @property
    def waiting(self) -> int:
        """Jobs that nobody works on yet."""
        return len(self._queue)

    @property
    def working(self) -> bool:
        """Whether jobs are taken."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> None:
        """Put a job at the end of the queue.

        Raises
        ------
        ApiError
            The queue is full: 429, with when to come back.
        """
        with self._change:
            if len(self._queue) + self._at_work >= self._most:
                self._forget()
            if len(self._queue) + self._at_work >= self._most:
                wait = len(self._queue) * self._pace / self._count
                raise ApiError(429, "Too many requests are waiting. Try again in a while.", code="queue_full", retry_after=wait)
            self._queue.append(job)
            self._change.notify()

    def _forget(self) -> None:
        """Jobs that nobody waits for any more make room."""
        kept = [job for job in self._queue if not job.given_up]
        self._queue.clear()
        self._queue.extend(kept)

    def _work(self) -> None:
        while jobs := self._take():
            started = time.monotonic()
            try:
                jobs[0].context.run(self._perform, jobs)
            except Exception as error:  # noqa: BLE001 - a thread that ends would leave everybody waiting
                log.error("a job failed: %s", told(error))
                for job in jobs:
                    job.put(ApiError(500, "The server failed. Try again.", code="server_error"))
            finally:
                with self._change:
                    self._at_work -= len(jobs)
                    self._pace += _LATEST * ((time.monotonic() - started) / len(jobs) - self._pace)

    def _take(self) -> list[Job]:
        """The next job and those that can be answered with it; none when there will be no more."""
        with self._change:
            while True:
                self._change.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return []
                self._forget()
                if self._queue:
                    break
            first = self._queue.popleft()
            jobs = [first, *(job for job in self._queue if first.kin is not None and job.kin == first.kin)][: self._batch]
            for job in jobs[1:]:
                self._queue.remove(job)
            self._at_work += len(jobs)
            return jobs
