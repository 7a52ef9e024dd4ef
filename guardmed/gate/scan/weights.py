"""Reads safetensors headers with bounds of its own, looks for values that are no numbers, and checks the index of shards."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from guardmed.gate.scan.files import AGAIN, BrokenError, Entry, Flaw, opened, parsed, shown

# The format allows 100 MB; the largest models' shards need less than 2, and parsing takes many times the size.
MAX_HEADER = 16 << 20
_MAX_RANK = 64
_CHUNK = 4 << 20
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
# A value is no finite number where these bits, masked, have this value.
_NOT_FINITE: dict[str, tuple[str, int, int]] = {
    "F16": ("<u2", 0x7C00, 0x7C00), "BF16": ("<u2", 0x7F80, 0x7F80), "F32": ("<u4", 0x7F800000, 0x7F800000), "C64": ("<u4", 0x7F800000, 0x7F800000),
    "F64": ("<u8", 0x7FF << 52, 0x7FF << 52), "F8_E5M2": ("u1", 0x7C, 0x7C), "F8_E4M3": ("u1", 0x7F, 0x7F), "F8_E8M0": ("u1", 0xFF, 0xFF),
    "F8_E4M3FNUZ": ("u1", 0xFF, 0x80), "F8_E5M2FNUZ": ("u1", 0xFF, 0x80),
}  # fmt: skip
_SHARD = re.compile(r"^(.+)-\d{5,}-of-\d{5,}\.safetensors$")
_SAVE = "Save it again: model.save_pretrained(folder)."
_RETRAIN = "Go back to a checkpoint before the training diverged."


@dataclass(frozen=True)
class Tensor:
    """A tensor as a header describes it; ``start`` and ``end`` are places in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(entry: Entry) -> tuple[dict[str, Tensor], list[Flaw]]:
    """Tensors of a safetensors file, and what is wrong with their description.

    The format as its specification says: length, header, then tensors side by side, no gaps.

    Raises
    ------
    BrokenError
        There is no header.
    """
    with opened(entry) as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise BrokenError("truncated: no header")
        length = int.from_bytes(prefix, "little")
        if 8 + length > entry.size:
            raise BrokenError("the header is longer than the file")
        if length > MAX_HEADER:
            raise BrokenError(f"the header is longer than {MAX_HEADER >> 20} MB", "Save it in shards.")
        raw = file.read(length)
    header = parsed(raw, "the header is not JSON", constants=False)
    if not raw.startswith(b"{") or not isinstance(header, dict):
        raise BrokenError("the header is not JSON of an object")
    flaws = []
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        flaws.append(Flaw("the header's metadata is not text", _SAVE))
    tensors: dict[str, Tensor] = {}
    for name, described in header.items():
        try:
            tensors[name] = _tensor(name, described, 8 + length)
        except BrokenError as error:
            flaws.append(error.flaw)
    if not flaws:
        flaws += _layout(list(tensors.values()), 8 + length, entry.size)
    return tensors, flaws[:20]


def _tensor(name: str, described: Any, offset: int) -> Tensor:
    told = f"the tensor {shown(name)}"
    try:
        dtype, shape, (start, end) = described["dtype"], described["shape"], described["data_offsets"]
        bits = _BITS[dtype]
    except (KeyError, TypeError, ValueError):
        raise BrokenError(f"{told} is described wrongly", _SAVE) from None
    # True is an integer to Python, and 1.0 equals one; to a reader of the format they are neither.
    if not isinstance(shape, list) or len(shape) > _MAX_RANK or any(type(number) is not int for number in (*shape, start, end)):
        raise BrokenError(f"{told} is described wrongly", _SAVE)
    size = math.prod(shape) * bits
    if any(side < 0 for side in shape) or not 0 <= start <= end or size % 8 or end - start != size // 8:
        raise BrokenError(f"{told} has another size than its shape says", _SAVE)
    return Tensor(name, dtype, tuple(shape), offset + start, offset + end)


def _layout(tensors: Sequence[Tensor], offset: int, size: int) -> Iterator[Flaw]:
    at = offset
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.end)):
        if tensor.start != at:
            yield Flaw(f"the tensor {shown(tensor.name)} {'overlaps another' if tensor.start < at else 'leaves a gap'}", _SAVE)
            return
        at = tensor.end
    if at != size:
        yield Flaw("truncated: tensors are missing", AGAIN) if at > size else Flaw("holds data after its last tensor", _SAVE)


def not_finite(entry: Entry, tensors: Mapping[str, Tensor]) -> Iterator[Flaw]:
    """Whether weights are NaN or infinite, read a few megabytes at a time; at most one flaw for a file."""
    bad: list[str] = []
    buffer = np.empty(_CHUNK, np.uint8)
    with opened(entry) as file:
        for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.name)):
            if tensor.dtype in _NOT_FINITE and (count := _count(file, tensor, buffer)):
                bad.append(f"the tensor {shown(tensor.name)} ({count} of {math.prod(tensor.shape)} values)")
    if bad:
        yield Flaw(f"NaN or infinite weights in {bad[0]}{f' and {len(bad) - 1} more tensors' if len(bad) > 1 else ''}", _RETRAIN)


def _count(file: io.BufferedReader, tensor: Tensor, buffer: np.ndarray[Any, np.dtype[np.uint8]]) -> int:
    kind, mask, value = _NOT_FINITE[tensor.dtype]
    bits = np.dtype(kind).type
    file.seek(tensor.start)
    left, count = tensor.end - tensor.start, 0
    while left:
        part = buffer[: min(left, _CHUNK)]
        if file.readinto(part.data) != len(part):
            raise BrokenError("truncated while it was read", "Scan a copy that nothing writes to.")
        left -= len(part)
        count += int(np.count_nonzero((part.view(kind) & bits(mask)) == bits(value)))
    return count


def index_flaws(entries: Sequence[Entry], headers: Mapping[str, Mapping[str, Tensor]], indexes: Mapping[str, Any]) -> Iterator[tuple[str, Flaw]]:
    """What is wrong between one folder's shards and the indexes that name them.

    Parameters
    ----------
    entries : sequence of Entry
        The folder's files.
    headers : mapping
        Tensors of each sound safetensors file, by its entry's name.
    indexes : mapping
        The value of each index that is JSON, by its entry's name.
    """
    there = {entry.base: entry for entry in entries if entry.suffix == ".safetensors"}
    named: set[str] = set()
    for entry in entries:
        if entry.name not in indexes:
            continue
        index = indexes[entry.name]
        places = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(places, dict) or not places or not all(isinstance(shard, str) for shard in places.values()):
            yield entry.name, Flaw("the index has no weight_map of shards", _SAVE)
            continue
        named |= set(places.values())
        single = entry.base.removesuffix(".index.json")
        if single in there and single not in places.values():
            yield entry.name, Flaw(f"there is {single} beside the shards, and readers disagree on which counts", "Remove one of the two.")
        yield from ((entry.name, flaw) for flaw in _placed(places, there, headers))
    for base, entry in there.items():
        if base not in named and _SHARD.match(base):
            yield entry.name, Flaw("a shard that no index names", "Save the model again into an empty folder.")


def _placed(places: Mapping[str, str], there: Mapping[str, Entry], headers: Mapping[str, Mapping[str, Tensor]]) -> Iterator[Flaw]:
    for shard in sorted(set(places.values())):
        if shard not in there:
            outside = "/" in shard or "\\" in shard
            yield Flaw(f"the index names {shown(shard)}, which {'leads out of the folder' if outside else 'is missing'}", AGAIN)
            continue
        if there[shard].name not in headers:
            continue  # broken, which is a finding of its own
        held = headers[there[shard].name]
        promised = {name for name, place in places.items() if place == shard}
        for names, told in ((promised - held.keys(), "lacks"), (held.keys() - promised, "holds, against the index,")):
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                yield Flaw(f"{shown(shard)} {told} the tensor {shown(min(names))}{more}", _SAVE)
