"""Attacks by content: pickles, archives, arrays of objects and programs under whatever name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from guardmed.gate.scan import inspect_folder, scan

FUZZ = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def array(value: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()


def npy(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


CALL = b"cposix\nsystem\n(S'id'\ntR."
PICKLED = pickle.dumps(Runs())
TORCH = zipped({"archive/data.pkl": pickle.dumps({"w": 1}, 2), "archive/version": b"3\n", "archive/data/0": bytes(16)}, zipfile.ZIP_STORED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"a": np.ones(3, np.float32)}, folder / "model.safetensors")
    return folder


def told(folder: Path, file: str) -> str:
    return "; ".join(finding.problem for finding in scan(folder) if finding.file == file)


@pytest.mark.parametrize("name", ["notes.txt", "README.md", "vocab.txt", "tokenizer.model", "extra.json", "weights", ".hidden", "a.npy", "a.npz", "chat.jinja"])
@pytest.mark.parametrize(
    "content",
    [
        *(pickle.dumps(Runs(), protocol) for protocol in range(6)),
        *(pickle.dumps({"a": [1, 2.5, "x", None, True]}, protocol) for protocol in range(6)),
        CALL,
        CALL[:-1],
        CALL + b"rest",
        b"(S'id'\nios\nsystem\n.",
        b"N0" + CALL,
        b"N." + CALL,
        b"V\xff\xfe not ascii\n0" + CALL,
        b"S'unended\n0" + CALL,
        b"cposix\nsystem\np0\n0(S'id'\ntp1\n0g0\ng1\nR.",
        b"(cposix\nsystem\nS'id'\no.",
        b"V" + b"x" * (2 << 20) + b"\n0" + CALL,
    ],
)
def test_a_pickle_whatever_its_name(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert "pickle" in told(folder, name)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
@pytest.mark.parametrize("content", [PICKLED, pickle.dumps(Runs(), 0), CALL, TORCH, gzip.compress(PICKLED)])
def test_a_pickle_under_the_name_of_weights(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert "pickle" in told(folder, name)


@pytest.mark.parametrize(
    "content",
    [
        TORCH,
        zipped({"x.pkl": b""}),
        zipped({"deep/er/X.PKL": b"anything"}),
        zipped({"harmless.txt": PICKLED}),
        zipped({"a": gzip.compress(PICKLED)}),
        zipped({"o.npy": array(np.array([Runs()], object), allow_pickle=True)}),
        gzip.compress(PICKLED),
        gzip.compress(gzip.compress(pickle.dumps([1], 0))),
        gzip.compress(PICKLED)[:-9],
        bz2.compress(PICKLED),
        lzma.compress(PICKLED),
        lzma.compress(PICKLED, lzma.FORMAT_ALONE),
        zlib.compress(PICKLED),
        b"ZF" + hex(len(PICKLED)).ljust(19).encode() + zlib.compress(PICKLED),
        array(np.array([{"a": 1}], object), allow_pickle=True),
        npy(b"{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }\n"),
        npy(b"{'descr': 'O', 'fortran_order': False, 'shape': (), }\n"),
    ],
)
def test_a_pickle_inside(folder: Path, content: bytes) -> None:
    (folder / "extra.dat").write_bytes(content)
    assert "pickle, which runs code" in told(folder, "extra.dat") or "holds a pickle" in told(folder, "extra.dat")


def test_what_joblib_writes(folder: Path) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed: it comes with scikit-learn, of the extra dev")
    for name in ("plain.dat", "a.gz", "a.z", "a.xz", "a.bz2", "a.lzma"):
        joblib.dump({"w": np.ones(3)}, folder / name)
        assert "pickle" in told(folder, name), name


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        TORCH[:40],
        TORCH[:-10],
        TORCH[:-22] + b"PK\x05\x06" + b"\xff" * 18,
        zipped({"a": b"x"}).replace(b"PK\x01\x02", b"PK\x01\x03"),
        zipped({"a": b"x"}, zipfile.ZIP_BZIP2),
        zipped({"a": b"x"}, zipfile.ZIP_LZMA),
        zipped({str(number): b"" for number in range(3000)}),
        zipped({"ones.npy": array(np.ones(3))}),
        gzip.compress(b"words"),
        b"\x1f\x8b" + b"\xff" * 50,
        b"BZh9" + b"\xff" * 50,
        b"\xfd7zXZ\0" + b"\xff" * 50,
        b"7z\xbc\xaf\x27\x1c" + bytes(30),
        b"Rar!\x1a\x07" + bytes(30),
        b"\x28\xb5\x2f\xfd" + bytes(30),
        b"a.txt".ljust(257, b"\0") + b"ustar\x0000",
    ],
)
def test_archives_are_findings_however_broken(folder: Path, content: bytes) -> None:
    (folder / "data.bag").write_bytes(content)
    assert "an archive" in told(folder, "data.bag")


def test_bombs_take_no_memory(folder: Path) -> None:
    zeros = bytes(32 << 20)
    (folder / "bomb.zip").write_bytes(zipped({f"{i}.npy": zeros for i in range(2)}))
    nested = zeros
    for _ in range(8):
        nested = gzip.compress(nested, 1)
    (folder / "nested.gz").write_bytes(nested)
    (folder / "bomb.bz2").write_bytes(bz2.compress(zeros))
    (folder / "bomb.xz").write_bytes(lzma.compress(zeros))
    with open(folder / "hole.pt", "wb") as file:
        file.truncate(1 << 40)
    with open(folder / "hole.npz", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(1 << 40)
    del zeros, nested
    tracemalloc.start()
    found = {finding.file for finding in scan(folder)}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"bomb.zip", "nested.gz", "bomb.bz2", "bomb.xz", "hole.pt", "hole.npz"}
    assert peak < 24 << 20


class TestArrays:
    @pytest.mark.parametrize("value", [np.ones((2, 3)), np.array(1), np.array(["ab"]), np.zeros(2, [("a", "<f4"), ("b", "<i2")]), np.zeros((0, 4))])
    def test_numbers_are_sound(self, folder: Path, value: np.ndarray) -> None:
        np.save(folder / "a.npy", value)
        np.savez(folder / "b.npz", value=value, other=value)
        np.savez_compressed(folder / "c.npz", value)
        assert scan(folder) == []

    @pytest.mark.parametrize(
        "content",
        [
            b"\x93NUMPY",
            b"\x93NUMPY\x01\x00\xff\xff",
            array(np.ones(9))[:-1],
            npy(b"{" * 5000),
            npy(b"(" * 9000),
            npy(b"1"),
            npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (9" + b"9" * 50 + b",), }"),
            npy(b"{'descr': 'no', 'fortran_order': False, 'shape': (), }"),
            npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').system('false'), }"),
        ],
    )
    def test_damaged(self, folder: Path, content: bytes) -> None:
        (folder / "a.npy").write_bytes(content)
        assert "damaged" in told(folder, "a.npy")

    @pytest.mark.parametrize(("name", "content"), [("a.npy", b"words"), ("a.npz", array(np.ones(2))[:0]), ("a.npz", zipped({"a.npy": b"words"}))])
    def test_not_what_its_name_says(self, folder: Path, name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        assert told(folder, name)


@pytest.mark.parametrize(
    "name",
    [
        "modeling.py",
        "MODELING.PY",
        "x.pyc",
        "x.pyd",
        "x.pyx",
        "lib.so",
        "lib.so.1.2",
        "x.dll",
        "x.dylib",
        "x.sh",
        "x.bat",
        "x.ps1",
        "x.exe",
        "x.jar",
        "deep/x.py",
    ],
)
def test_code_by_its_name(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    assert told(folder, name) == "code that would run with the model"


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01\x01" + bytes(60),
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0",
        b"\xcf\xfa\xed\xfe" + bytes(28),
        b"\xca\xfe\xba\xbe" + bytes(28),
        b"\0asm\1\0\0\0",
        b"#!/bin/sh\nrm -rf /\n",
        b"\xa7\r\r\n" + bytes(12) + b"\xe3",
    ],
)
@pytest.mark.parametrize("name", ["notes.txt", "tokenizer.model", "model.safetensors"])
def test_code_by_its_content(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert told(folder, name) == "code that would run with the model"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"N", b".", b"carefully\ncopied", b"# A model\n", b"careful\nnow\nRead it.", b"c o\nd e\n. x", b"MZ is no program", b"1.0", b"x^2 + 1",
        b"I am\nnot one.", b"(c) 2024 Someone\nAll rights\nR.", b"\x80\x06", b"iabc\ndef\n", b"Some\nmore\nLines\nstart\nwith\nopcodes.", b"]\n[",
        "我想问。".encode(), b"PKware", b"\n\x0b\n\x05<unk>",
    ],
)  # fmt: skip
def test_words_are_no_pickles(folder: Path, content: bytes) -> None:
    (folder / "notes.txt").write_bytes(content)
    assert scan(folder) == []


@FUZZ
@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x93NUMPY\x01\x00", b"\x80\x04", b"BZh9", b"\xfd7zXZ\0", b"c", b"("]))
def test_random_bytes_never_raise(folder: Path, content: bytes, start: bytes) -> None:
    for name in ("x.npz", "x.json", "x.jinja", "model.safetensors", "m.gguf"):
        (folder / name).write_bytes(start + content)
    inspect_folder(folder)


@FUZZ
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    ),
    st.integers(0, 5),
)
def test_any_pickle_is_one(folder: Path, value: object, protocol: int) -> None:
    (folder / "x.txt").write_bytes(pickle.dumps(value, protocol))
    assert "pickle" in told(folder, "x.txt")


@FUZZ
@given(st.data())
def test_cut_archives_never_raise(folder: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([TORCH, gzip.compress(PICKLED), zipped({"a.npy": array(np.ones(3))}), array(np.ones(3))])))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(0, 255))
    (folder / "x.npz").write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    scan(folder)
