"""Answers that were paid for: a journal on disk, so that a run killed at any moment goes on where it was.

It is also the cache between runs. What was asked is the key: a digest of the model's fingerprint,
the prompt, the decoding and the guard; so an answer is never taken for another's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guardmed.errors import ExecutionError
from guardmed.files import digest_value


class AnswerStore:
    """Answers by key, in memory, each batch written to a journal before it counts.

    Parameters
    ----------
    path : Path or None
        The journal, of one JSON object a line; None keeps nothing. A batch that a kill cut short, or
        of which a line is damaged, is dropped when the journal is opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._answers: dict[str, Any] = {}
        if path is not None and path.is_file():
            self._read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Any:
        return self._answers[key]

    def add(self, answers: Mapping[str, Any]) -> None:
        """Keep a batch: on disk first, whole and flushed, then in memory.

        Raises
        ------
        ExecutionError
            The disk is full, or the folder can't be written to.
        """
        if self._path is not None:
            # Each line says which of its batch it is, so that a batch cut short is known for one.
            lines = [
                json.dumps({"key": key, "value": value, "n": place, "of": len(answers), "sum": _sum(key, value)}, ensure_ascii=False, allow_nan=False) + "\n"
                for place, (key, value) in enumerate(answers.items(), start=1)
            ]
            data = "".join(lines).encode()
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise ExecutionError(f"{self._path} can't be written: {error.strerror}.", mend="Free some space; what is in it already is safe.") from error
        self._answers.update(answers)

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
        batch: dict[str, Any] = {}
        for line in data[:whole].splitlines():
            try:
                entry = json.loads(line)
                key, value, place, size = str(entry["key"]), entry["value"], int(entry["n"]), int(entry["of"])
                if entry["sum"] != _sum(key, value):
                    raise ValueError("the line was changed")
            except (ValueError, TypeError, KeyError):
                batch = {}  # the rest of its batch is asked again as well
                continue
            batch = {key: value} if place == 1 else {**batch, key: value}
            if place == size == len(batch):
                self._answers.update(batch)


def _sum(key: str, value: Any) -> str:
    """What shows that a line is as it was written."""
    return digest_value([key, value])[:16]


@contextmanager
def answer_store(folder: Path, name: str) -> Iterator[AnswerStore]:
    """The store of one model, held against other runs while it is open.

    Raises
    ------
    ExecutionError
        Another run is writing to it.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.lock").touch()
    except OSError as error:
        raise ExecutionError(f"{folder} can't be written: {error.strerror}.", mend="Set GUARDMED_CACHE to a folder that can be.") from error
    lock = FileLock(folder / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ExecutionError("Another run is asking this very model.", mend="Wait for it, or set GUARDMED_CACHE to another folder.") from None
    try:
        yield AnswerStore(folder / f"{name}.jsonl")
    finally:
        lock.release()
