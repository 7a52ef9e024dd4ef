"""Looks at a checkpoint's files before anything reads them as a model.

A safetensors file is a length, a JSON header and raw tensors; nothing in it can run. Everything
that could run code, or that isn't what it says it is, is a finding.
"""

from __future__ import annotations

import json
import math
import os
import pickletools
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guardmed.records import Frozen

MAX_HEADER = 100_000_000
_HEAD = 1 << 20
_WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8, "F8_E8M0": 1, "F4": 0.5,
}  # fmt: skip
_CODE = {".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".bat", ".exe", ".jar"}
_PICKLE_NAMES = {".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".npy"}
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"\xfd7zXZ", b"Rar!")


class Finding(Frozen):
    """One thing wrong with one file."""

    file: str
    problem: str


def scan(folder: Path) -> list[Finding]:
    """Everything wrong with a checkpoint's files; empty when nothing is."""
    return list(_findings(Path(folder)))


def _findings(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(file=folder.name, problem="there is no such folder")
        return
    root = folder.resolve()
    files = []
    for parent, folders, entries in os.walk(root):
        for name in [*folders, *entries]:
            path = Path(parent) / name
            if path.is_symlink() and path.suffix in _CODE:
                yield Finding(file=str(path.relative_to(root)), problem="code that would run with the model")
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                yield Finding(file=str(path.relative_to(root)), problem="a symbolic link that leads out of the folder")
        files += [Path(parent) / name for name in entries if not (Path(parent) / name).is_symlink()]
    names = {path.name for path in files}
    if "config.json" not in names and "adapter_config.json" not in names:
        yield Finding(file="config.json", problem="missing: this is not a checkpoint")
    if not any(path.suffix in (".safetensors", ".gguf") for path in files):
        yield Finding(file="*.safetensors", problem="missing: there are no weights")
    for path in sorted(files):
        for problem in _problems(path):
            yield Finding(file=str(path.relative_to(root)), problem=problem)


def _problems(path: Path) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        yield f"can't be read: {error.strerror}"
        return
    if path.suffix == ".safetensors":
        yield from _safetensors(path)
    elif path.suffix in _CODE:
        yield "code that would run with the model"
    elif head.startswith(_ARCHIVES):
        yield "an archive, which may hide a pickle"
    elif _pickled(head) or path.suffix in _PICKLE_NAMES:
        yield "a pickle or of a pickle's kind, which runs code when it is read"
    elif path.suffix == ".json":
        yield from _json(path)
    elif path.suffix == ".jinja":
        yield from _template(path.read_text(encoding="utf-8", errors="replace"))


def _pickled(head: bytes) -> bool:
    """Whether bytes begin as a pickle: protocols 2 to 5 by their number, 0 and 1 by reading them.

    Reading opcodes runs nothing; words that happen to begin like one don't go on to its end.
    """
    if head[:1] == b"\x80":
        return head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    try:
        count = sum(1 for _ in pickletools.genops(head))
    except Exception:  # noqa: BLE001 - whatever stops the reading, it is no whole pickle
        return False
    return count > 1


def _safetensors(path: Path) -> Iterator[str]:
    """The format as its specification says: length, header, then tensors side by side, no gaps."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            yield "truncated: no header"
            return
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER or 8 + length > size:
            file.seek(0)
            yield "a pickle under the name of safetensors" if _pickled(file.read(_HEAD)) else "the header is longer than the file"
            return
        raw = file.read(length)
    try:
        header = json.loads(raw)
        if not isinstance(header, dict):
            raise ValueError("not an object")
    except (ValueError, RecursionError):
        yield "the header is not JSON"
        return
    yield from _tensors({name: entry for name, entry in header.items() if name != "__metadata__"}, size - 8 - length)


def _tensors(header: dict[str, Any], room: int) -> Iterator[str]:
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        try:
            start, end = entry["data_offsets"]
            count = math.prod(int(side) for side in entry["shape"])
            width = _WIDTHS[entry["dtype"]]
            good = 0 <= start <= end and end - start == count * width and all(side >= 0 for side in entry["shape"])
        except (KeyError, TypeError, ValueError, OverflowError):
            yield f"the tensor {name} is described wrongly"
            continue
        if not good:
            yield f"the tensor {name} has another size than its shape says"
        spans.append((start, end, name))
    spans.sort()
    at = 0
    for start, end, name in spans:
        if start != at:
            yield f"the tensor {name} {'overlaps another' if start < at else 'leaves a gap'}"
            return
        at = end
    if at != room:
        yield "truncated: tensors are missing" if at > room else "holds data after its last tensor"


def _json(path: Path) -> Iterator[str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        yield "not JSON"
        return
    if not isinstance(value, dict):
        return
    if value.get("auto_map"):
        yield "asks for remote code (auto_map)"
    template = value.get("chat_template")
    named = [entry.get("template") for entry in template if isinstance(entry, dict)] if isinstance(template, list) else [template]
    for text in named:
        if isinstance(text, str):
            yield from _template(text)


def _template(text: str) -> Iterator[str]:
    """A template needs no name with two underscores, written out or escaped, and no attribute by name."""
    if "__" in text or re.search(r"\\x5f|\\u005f|\\137|\|\s*attr\b", text, re.IGNORECASE):
        yield "the chat template reaches for Python internals"
