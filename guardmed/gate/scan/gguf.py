"""Reads a GGUF file's header with bounds: counts, strings, shapes and the places of its tensors."""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from guardmed.gate.scan.files import AGAIN, BrokenError, Entry, Flaw, opened, shown
from guardmed.gate.scan.weights import Tensor

# More than any model holds; each is at least eight bytes, so a file must be large to claim many.
_MAX_ITEMS = 4_000_000
_MAX_TENSORS = 100_000
_MAX_KEYS = 100_000
_MAX_STRING = 16 << 20
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_PLAIN = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
# Values and bytes of a block, for each kind of quantisation.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144),
    13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66),
    39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


@dataclass
class Header:
    """What a GGUF file says of itself.

    Attributes
    ----------
    values : dict
        Numbers and short texts by key; of an array its length.
    tensors : dict
        Those that are not quantised, whose values can be looked at.
    flaws : list of Flaw
    """

    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)


class _Reader:
    """Reads little-endian values, and never past the file's end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._items = 0

    @property
    def at(self) -> int:
        return self._file.tell()

    def number(self, kind: str) -> Any:
        data = self._file.read(struct.calcsize(kind))
        if len(data) < struct.calcsize(kind):
            raise BrokenError("truncated: the GGUF header goes on after the file's end")
        return struct.unpack(kind, data)[0]

    def text(self, *, keep: bool = True) -> str:
        length = self.number("<Q")
        if length > _MAX_STRING or self.at + length > self._size:
            raise BrokenError("a text in the GGUF header is longer than the file, or absurdly long")
        if keep:
            return self._file.read(length).decode("utf-8", "backslashreplace")
        self._file.seek(length, 1)
        return ""

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth > 2:
            raise BrokenError(f"a value in the GGUF header is of an unknown kind ({kind})")
        inner, length = self.number("<I"), self.number("<Q")
        if inner in _SCALARS:
            if self.at + length * struct.calcsize(_SCALARS[inner]) > self._size:
                raise BrokenError("a list in the GGUF header is longer than the file")
            self._file.seek(length * struct.calcsize(_SCALARS[inner]), 1)
            return length
        self._items += length
        if self._items > _MAX_ITEMS or self.at + length * 8 > self._size:
            raise BrokenError("a list in the GGUF header is longer than the file, or absurdly long")
        for _ in range(length):
            if inner == _STRING:
                self.text(keep=False)
            else:
                self.value(inner, depth + 1)
        return length


def read_gguf(entry: Entry) -> Header:
    """Read and check the header of a GGUF file.

    Raises
    ------
    BrokenError
        It can't be read to its end.
    """
    header = Header()
    with opened(entry) as file:
        reader = _Reader(file, entry.size)
        if file.read(4) != b"GGUF":
            raise BrokenError("not a GGUF file, whatever its name says")
        version = reader.number("<I")
        if version not in (2, 3):
            raise BrokenError("a GGUF file of an unknown version, or of the other byte order", "Convert it with a current llama.cpp.")
        tensors, keys = reader.number("<Q"), reader.number("<Q")
        if tensors > _MAX_TENSORS or keys > _MAX_KEYS or (tensors + keys) * 12 > entry.size:
            raise BrokenError("the GGUF header claims more tensors or keys than the file can hold")
        for _ in range(keys):
            key = reader.text()
            if key in header.values:
                header.flaws.append(Flaw(f"the key {shown(key)} comes twice in the GGUF header", "Write the file again."))
            header.values[key] = reader.value(reader.number("<I"))
        described = [_described(reader) for _ in range(tensors)]
        _place(header, described, reader.at, entry.size)
    return header


def _described(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name = reader.text()
    rank = reader.number("<I")
    if rank > 8:
        raise BrokenError(f"the tensor {shown(name)} has {rank} dimensions")
    return name, tuple(reader.number("<Q") for _ in range(rank)), reader.number("<I"), reader.number("<Q")


def _place(header: Header, described: list[tuple[str, tuple[int, ...], int, int]], at: int, size: int) -> None:
    """Check that every tensor lies in the file, aligned, and over no other."""
    align = header.values.get("general.alignment", 32)
    if type(align) is not int or not 8 <= align <= 1 << 20 or align % 8:
        header.flaws.append(Flaw(f"the GGUF alignment is {align!s:.20}", AGAIN))
        return
    start = -(-at // align) * align
    spans = []
    seen: set[str] = set()
    for name, shape, kind, offset in described:
        told = f"the tensor {shown(name)}"
        count = math.prod(shape)
        if name in seen:
            raise BrokenError(f"{told} comes twice")
        seen.add(name)
        if kind not in _BLOCKS:
            raise BrokenError(f"{told} is of an unknown kind ({kind})", "Convert it with a current llama.cpp.")
        values, width = _BLOCKS[kind]
        if count % values or offset % align or start + offset + count // values * width > size:
            raise BrokenError(f"{told} lies outside the file or is described wrongly")
        spans.append((start + offset, start + offset + count // values * width, name))
        if kind in _PLAIN:
            header.tensors[name] = Tensor(name, _PLAIN[kind], shape, *spans[-1][:2])
    spans.sort()
    for before, after in itertools.pairwise(spans):
        if after[0] < before[1]:
            raise BrokenError(f"the tensor {shown(after[2])} overlaps another")
