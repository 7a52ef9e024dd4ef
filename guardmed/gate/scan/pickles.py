"""Tells from their content, whatever their names, files that are or hide pickles, archives or programs."""

from __future__ import annotations

import ast
import bz2
import io
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from guardmed.gate.scan.files import REMOVE, BrokenError, Entry, Flaw, opened

_HEAD = 1 << 20
_MAX_NEST = 4
_MAX_MEMBERS = 1000
_MAX_OPCODES = 200_000
_MAX_LINE = 1 << 16
_CODE = re.compile(r"\.(?:py[cdowxi]?|pyz|so(?:\.\d+)*|dll|dylib|a|o|ko|sh|bash|zsh|fish|csh|ksh|bat|cmd|ps1|exe|com|jar|class|wasm|js|vbs|pl|rb|lua)$")
_PICKLE_NAMES = {".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".dill"}
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"\xfd7zXZ", b"Rar!", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x5d\x00\x00")
_PROGRAMS = (
    b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm", b"\x1bLua", b"#!",
)  # fmt: skip
_SAFETENSORS = "Convert it where it was trained: model.save_pretrained(folder) writes safetensors."
_UNPACK = "Unpack it, and keep only what is no pickle."
CODE = Flaw("code that would run with the model", "Remove it: GuardMed runs no code that comes with a model.")
PICKLE = Flaw("a pickle or of a pickle's kind, which runs code when it is read", _SAFETENSORS)
_ARCHIVE = Flaw("an archive, which may hide a pickle", _UNPACK)
_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_GLOBALS = {"GLOBAL", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_TUPLES = {"TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_CALLS = {"REDUCE": "tuple", "NEWOBJ": "tuple", "NEWOBJ_EX": "tuple", "OBJ": "mark", "BUILD": "global"}


def disguises(entry: Entry, *, weights: bool) -> Iterator[Flaw]:
    """What a file turns out to be that a checkpoint must not hold; at most one flaw.

    Parameters
    ----------
    entry : Entry
    weights : bool
        Whether its name promises a format that is checked on its own; the name is no flaw then,
        and bytes that happen to look like an archive's are looked at more closely.
    """
    if _CODE.search(entry.base.lower()):
        yield CODE
        return
    with opened(entry) as file:
        head = file.read(_HEAD)
        if _program(head, file):
            yield CODE
        elif head.startswith(b"\x93NUMPY"):
            yield from _array(head, entry.size)
        elif not weights and (head.startswith(_ARCHIVES) or head[257:262] == b"ustar"):
            yield from _archive(entry, file, head)
        elif weights and head.startswith(b"PK\x03\x04"):
            yield Flaw(f"a zip archive under the name of {entry.suffix[1:]}, as torch.save writes: its pickle runs code when it is read", _SAFETENSORS)
        elif is_pickle(file):
            yield PICKLE if not weights else Flaw(f"a pickle under the name of {entry.suffix[1:]}, which runs code when it is read", _SAFETENSORS)
        elif _squeezed(head):
            yield Flaw("a compressed pickle, which runs code when it is read", _SAFETENSORS)
        elif _zip_at_end(file, entry.size):
            yield Flaw("a zip archive hides at its end", _UNPACK)
        elif entry.suffix in _PICKLE_NAMES:
            yield PICKLE
        elif entry.suffix in (".npy", ".npz"):
            yield Flaw(f"not a {entry.suffix[1:]} file, whatever its name says", REMOVE)


def is_pickle(file: BinaryIO) -> bool:
    """Whether a file begins as a pickle; reading opcodes runs nothing.

    Protocols 2 to 5 say so in their first two bytes. Protocols 0 and 1 are walked, more leniently
    than pickletools does, because an unpickler runs calls long before it meets an error: one call
    of something imported is enough, and so is plain data that ends just where the file does.
    Words that happen to begin like opcodes soon end in something that is none.
    """
    file.seek(0)
    if file.read(2) in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return True
    file.seek(0)
    have: set[str] = set()
    fresh, count = True, 0
    while count < _MAX_OPCODES:
        byte = file.read(1)
        opcode = _OPCODES.get(byte[0]) if byte else None
        if opcode is None or (fresh and opcode.stack_before):
            return False
        count += 1
        name = opcode.name
        if name == "STOP":
            if not file.read(1):
                return count > 1
            file.seek(-1, io.SEEK_CUR)
            fresh, have = True, set()  # whoever reads one may read the next
            continue
        fresh = False
        if (name == "INST" and "mark" in have) or (name in _CALLS and {"global", _CALLS[name]} <= have):
            return True
        have |= {kind for kind, names in (("global", _GLOBALS), ("tuple", _TUPLES), ("mark", {"MARK"})) if name in names}
        if not _skip(file, opcode):
            return False
    return True  # nothing else has so many opcodes in a row


def _skip(file: BinaryIO, opcode: Any) -> bool:
    """Step over an opcode's argument; False where it can't be one."""
    if opcode.arg is None:
        return True
    size = opcode.arg.n
    if opcode.name in ("GLOBAL", "INST"):
        return all(line.endswith(b"\n") and line.strip() and not re.search(rb"\s", line[:-1]) for line in (file.readline(_MAX_LINE), file.readline(_MAX_LINE)))
    if size == pickletools.UP_TO_NEWLINE:
        while line := file.readline(_MAX_LINE):
            if line.endswith(b"\n"):
                return True
        return False
    if size < 0:
        width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(size, 4)
        size = int.from_bytes(file.read(width), "little")
        if size >= 1 << 62:
            return False
    file.seek(size, io.SEEK_CUR)
    return True


def _program(head: bytes, file: BinaryIO) -> bool:
    if head.startswith(_PROGRAMS):
        return True
    if head[2:4] == b"\r\n" and 0x0B <= head[1] <= 0x0F:  # compiled Python
        return True
    if head[:2] == b"MZ" and len(head) >= 64:
        file.seek(int.from_bytes(head[60:64], "little"))
        return file.read(4) == b"PE\0\0"
    return False


def _array(head: bytes, size: int | None) -> Iterator[Flaw]:
    """NumPy's own format: numbers are data, objects are a pickle."""
    try:
        width = 2 if head[6] == 1 else 4
        length = int.from_bytes(head[8 : 8 + width], "little")
        if length > 10_000 or 8 + width + length > len(head):
            raise ValueError
        header = ast.literal_eval(head[8 + width : 8 + width + length].decode("latin-1").strip())
        kind = np.dtype([tuple(field) for field in header["descr"]] if isinstance(header["descr"], list) else header["descr"])
        count = 1
        for side in header["shape"]:
            count *= int(side)
        whole = 8 + width + length + count * kind.itemsize
    except Exception:  # noqa: BLE001 - whatever a hostile header raises, it describes no array
        yield Flaw("damaged: its NumPy header can't be read", "Save it again, or remove it.")
        return
    if kind.hasobject:
        yield Flaw("an array of Python objects, stored as a pickle, which runs code when it is read", "Save it as numbers, or remove it.")
    elif size is not None and whole != size:
        yield Flaw("damaged: its size is another than its NumPy header says", "Save it again, or remove it.")


class _Bounded(io.BufferedIOBase):
    """Refuses to read more at once than any honest archive's directory takes: zipfile reads what a file tells it to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def seekable(self) -> bool:
        return True

    def seek(self, at: int, whence: int = 0) -> int:
        return self._file.seek(at, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        data = self._file.read(_HEAD + 1 if size is None or size < 0 else min(size, _HEAD + 1))
        if len(data) > _HEAD:
            raise BrokenError("absurd sizes")
        return data


def _archive(entry: Entry, file: BinaryIO, head: bytes) -> Iterator[Flaw]:
    """An archive is a flaw, save one of NumPy arrays of numbers; a pickle in it is named."""
    if head.startswith(b"PK"):
        inside, arrays = _zipped(file)
        if inside is not None:
            yield Flaw(f"an archive that holds a pickle ({inside}), which runs code when it is read", _SAFETENSORS)
        elif not arrays or entry.suffix != ".npz":
            yield _ARCHIVE
    elif _squeezed(head):
        yield Flaw("an archive that holds a pickle, which runs code when it is read", _SAFETENSORS)
    else:
        yield _ARCHIVE


def _zipped(file: BinaryIO) -> tuple[str | None, bool]:
    """The first member that is a pickle, and whether all are arrays of numbers."""
    arrays = True
    try:
        with zipfile.ZipFile(_Bounded(file)) as archive:
            members = archive.infolist()
            for member in members[:_MAX_MEMBERS]:
                told = member.filename[-60:].encode("unicode_escape").decode("ascii")
                if member.filename.lower().endswith((".pkl", ".pickle")):
                    return told, False
                # Only these two can be read a little at a time.
                if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    arrays = False
                    continue
                with archive.open(member) as stream:
                    head = stream.read(_HEAD // 16)
                numpy = head.startswith(b"\x93NUMPY")
                if is_pickle(io.BytesIO(head)) or _squeezed(head) or (numpy and any("objects" in flaw.problem for flaw in _array(head, None))):
                    return told, False
                arrays = arrays and numpy and member.filename.endswith(".npy") and not any(_array(head, member.file_size))
            return None, arrays and 0 < len(members) <= _MAX_MEMBERS
    except Exception:  # noqa: BLE001 - a hostile archive may raise anything; it stays a flaw
        return None, False


def _squeezed(head: bytes, depth: int = 0) -> bool:
    """Whether a pickle comes out of compressed bytes, squeezed once or a few times over."""
    inner = _expanded(head)
    if not inner or depth >= _MAX_NEST:
        return False
    return is_pickle(io.BytesIO(inner)) or _squeezed(inner, depth + 1)


def _expanded(head: bytes) -> bytes:
    """The beginning of what was compressed; never more than a bounded part of it."""
    try:
        if head[:2] == b"\x1f\x8b":
            return zlib.decompressobj(31).decompress(head, _HEAD)
        if head[:1] == b"x" and len(head) > 2 and int.from_bytes(head[:2], "big") % 31 == 0:
            return zlib.decompressobj().decompress(head, _HEAD)
        if head[:4] == b"ZF0x":  # what joblib wrote before its version 0.10
            return zlib.decompressobj().decompress(head[head.index(b"x", 4) :], _HEAD)
        if head[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(head, _HEAD)
        if head[:6] == b"\xfd7zXZ\0" or head[:3] == b"\x5d\0\0":
            return lzma.LZMADecompressor(memlimit=64 << 20).decompress(head, _HEAD)
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, MemoryError):
        return b""
    return b""


def _zip_at_end(file: BinaryIO, size: int) -> bool:
    """Zip readers look at a file's end, so an archive may follow anything, even inside a last tensor."""
    file.seek(max(0, size - 65_557))
    tail = file.read(65_557)
    at = tail.rfind(b"PK\x05\x06")
    return at >= 0 and len(tail) - at >= 22 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail)
