"""Which files a checkpoint's folder holds, and how they are opened: regular files only, within bounds."""

from __future__ import annotations

import io
import itertools
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

MAX_FILES = 20_000
MAX_DEPTH = 16
_MIB = 1 << 20
# Vocabularies and the indexes of the largest models take tens of megabytes; no other JSON of a checkpoint does.
_JSON_LIMIT = 32 * _MIB
_LARGE_JSON_LIMIT = 128 * _MIB
AGAIN = "Copy or download it again."
LINK = "Put the file itself in its place: cp -L resolves links."
REMOVE = "Remove it: a checkpoint needs none."


class Flaw(NamedTuple):
    """What is wrong with a file, and how to mend it."""

    problem: str
    mend: str


class BrokenError(Exception):
    """Ends the reading of a file that can't be read further."""

    def __init__(self, problem: str, mend: str = AGAIN) -> None:
        super().__init__(problem)
        self.flaw = Flaw(problem, mend)


class _RepeatedError(ValueError):
    """A JSON object gives the same key twice, and readers disagree on which counts."""


@dataclass(frozen=True)
class Entry:
    """A regular file of the folder.

    Attributes
    ----------
    name : str
        Its path in the folder, fit for printing.
    path : Path
        Where it lies, with links resolved.
    size : int
        In bytes.
    """

    name: str
    path: Path
    size: int

    @property
    def base(self) -> str:
        """Its name without the folders."""
        return self.name.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folders before its name, with a slash at the end; nothing at the top."""
        return self.name[: len(self.name) - len(self.base)]

    @property
    def suffix(self) -> str:
        """What its name ends with, in small letters."""
        return Path(self.base).suffix.lower()


def shown(text: str, limit: int = 120) -> str:
    """Text from a hostile file, safe to print: short, no control characters, no half characters."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii") for letter in text)


def walk(root: Path) -> tuple[list[Entry], list[tuple[str, Flaw]]]:
    """Every regular file under a folder, and what is wrong with whatever else lies there.

    Links are never followed out of the folder; a link inside it stands for the file it names, so
    that a file is looked at under each of its names.
    """
    entries: list[Entry] = []
    flaws: list[tuple[str, Flaw]] = []
    waiting = [(root, 0)]
    seen = 0
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                found = list(itertools.islice(listing, MAX_FILES + 1 - seen))
        except OSError as error:
            flaws.append((_name(str(folder), root), Flaw(f"can't be read: {error.strerror}", "Mend the folder's permissions.")))
            continue
        seen += len(found)
        if seen > MAX_FILES:
            flaws.append((".", Flaw(f"more than {MAX_FILES} files: this is not a checkpoint", "Name the folder of the model alone.")))
            break
        for item in found:
            name = _name(item.path, root)
            try:
                mode = item.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    if depth < MAX_DEPTH:
                        waiting.append((Path(item.path), depth + 1))
                    else:
                        flaws.append((name, Flaw(f"more than {MAX_DEPTH} folders deep, and was not looked into", REMOVE)))
                    continue
                entry = _linked(item.path, name, root) if stat.S_ISLNK(mode) else _regular(Path(item.path), name)
            except BrokenError as error:
                flaws.append((name, error.flaw))
            except (OSError, RuntimeError, ValueError) as error:
                flaws.append((name, Flaw(f"can't be read: {getattr(error, 'strerror', None) or error}", "Mend its permissions, or copy it again.")))
            else:
                entries += [entry] if entry else []
    return sorted(entries, key=lambda entry: entry.name), flaws


def _name(path: str, root: Path) -> str:
    # Names that are not UTF-8 come as half characters, which no report can hold.
    relative = os.fsencode(os.path.relpath(path, root)).decode("utf-8", "backslashreplace")
    return shown(relative.replace(os.sep, "/"), 400)


def _linked(path: str, name: str, root: Path) -> Entry | None:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(root):
        raise BrokenError("a symbolic link that leads out of the folder", LINK)
    try:
        mode = os.stat(target).st_mode  # noqa: PTH116 - as os.open below
    except OSError:
        raise BrokenError("a symbolic link that leads nowhere", LINK) from None
    return None if stat.S_ISDIR(mode) else _regular(target, name)


def _regular(path: Path, name: str) -> Entry:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenError("neither a file nor a folder (a device, pipe or socket), and was not opened", REMOVE)
    return Entry(name, path, status.st_size)


def opened(entry: Entry) -> io.BufferedReader:
    """Open a file for reading.

    It was a regular file when the folder was walked; should it have become something else since,
    opening it neither follows it nor waits for it.

    Raises
    ------
    BrokenError
        It can't be opened, or is no regular file now.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        handle = os.open(entry.path, flags)
    except OSError as error:
        raise BrokenError(f"can't be read: {error.strerror}", "Mend its permissions, or copy it again.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BrokenError("changed into something that is no file", "Scan a copy that nothing writes to.")
    return os.fdopen(handle, "rb")


def parsed(raw: bytes, what: str = "not JSON", *, constants: bool = True) -> Any:
    """The value of JSON bytes; a key that comes twice is an error.

    Parameters
    ----------
    raw : bytes
    what : str
        What to say of bytes that are none.
    constants : bool
        Whether NaN and Infinity may occur, which some configurations hold.

    Raises
    ------
    BrokenError
        It is not JSON.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=None if constants else _refused)
    except _RepeatedError as error:
        raise BrokenError(f"{what}: {error}", "Keep one of the two.") from None
    except (ValueError, RecursionError):
        raise BrokenError(what) from None


def read_json(entry: Entry) -> Any:
    """The value of a JSON file of bounded size.

    Raises
    ------
    BrokenError
        It is too large, can't be read, or is not JSON.
    """
    large = entry.base in ("tokenizer.json", "vocab.json") or entry.base.endswith(".index.json")
    limit = _LARGE_JSON_LIMIT if large else _JSON_LIMIT
    if entry.size > limit:
        raise BrokenError(f"larger than {limit // _MIB} MB, which no such file of a checkpoint is", REMOVE)
    with opened(entry) as file:
        return parsed(file.read(entry.size))  # no more than it had: a buffer is made for all that is asked for


def by_folder(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """Entries grouped by the folder they lie in."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.folder, []).append(entry)
    yield from sorted(groups.items())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RepeatedError(f"the key {shown(twice, 60)} comes twice")
    return value


def _refused(constant: str) -> Any:
    raise ValueError(constant)
