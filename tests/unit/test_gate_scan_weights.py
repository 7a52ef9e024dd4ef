"""Attacks on weights: headers, values, shards and GGUF files."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from guardmed.gate.scan import inspect_folder, scan

FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
KEYS = st.sampled_from(["dtype", "shape", "data_offsets", "a", "__metadata__"])
HEADERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
WEIGHTS = {"model.embed_tokens.weight": np.ones((8, 4), np.float32), "model.norm.weight": np.ones(4, np.float16)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"vocab_size": 8}')
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    return tmp_path


def told(folder: Path, file: str) -> list[str]:
    return [finding.problem for finding in scan(folder) if finding.file == file]


def file_of(header: object, data: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def described(dtype: object, shape: object, start: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


class TestHeader:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (
                file_of(b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}', b"x"),
                "comes twice",
            ),
            (file_of(b'{"a": {"dtype": "U8", "dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}', b"x"), "comes twice"),
            (file_of({"a": described("F32", [1.0], 0, 4)}, bytes(4)), "described wrongly"),
            (file_of({"a": described("U8", [True], 0, 1)}, b"x"), "described wrongly"),
            (file_of({"a": described("F32", "1", 0, 4)}, bytes(4)), "described wrongly"),
            (file_of({"a": described(["F32"], [1], 0, 4)}, bytes(4)), "described wrongly"),
            (file_of({"a": described("F32", [1], False, 4)}, bytes(4)), "described wrongly"),
            (file_of({"a": described("F32", [1] * 65, 0, 4)}, bytes(4)), "described wrongly"),
            (file_of({"a": described("F32", [2**62, 2**62], 0, 4)}, bytes(4)), "another size"),
            (file_of({"a": described("F4", [3], 0, 2)}, bytes(2)), "another size"),
            (file_of({"a": described("F32", [1], -4, 0)}, bytes(4)), "another size"),
            (file_of({"a": described("U8", [2**40], 0, 2**40)}, bytes(4)), "truncated"),
            (file_of(b'{"a": NaN}', b""), "not JSON"),
            (file_of(b'{"a": 1e999}', b""), "described wrongly"),
            (file_of(b' {"a": 1}', b""), "not JSON of an object"),
            (file_of(b"[" * 100_000, b""), "not JSON"),
            (file_of(b'{"a":' * 50_000, b""), "not JSON"),
            (file_of(b'{"a": ' + b"9" * 5000 + b"}", b""), "not JSON"),
            (file_of(b"", b""), "not JSON"),
            (file_of({"__metadata__": {"a": 1}}, b""), "metadata is not text"),
            (file_of({"__metadata__": []}, b""), "metadata is not text"),
            (bytes(200), "not JSON"),
            (b"\xff" * 200, "longer than the file"),
        ],
    )
    def test_found(self, folder: Path, content: bytes, words: str) -> None:
        (folder / "model.safetensors").write_bytes(content)
        assert any(words in problem for problem in told(folder, "model.safetensors"))

    def test_a_header_too_long_is_not_read(self, folder: Path) -> None:
        with open(folder / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", 90_000_000))
            file.truncate(100_000_000)
        assert told(folder, "model.safetensors") == ["the header is longer than 16 MB"]

    def test_names_of_tensors_are_safe_to_print(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(file_of(json.dumps({"\x1b[2J\ud800" + "a" * 500: 1}).encode(), b""))
        (problem,) = told(folder, "model.safetensors")
        assert "\x1b" not in problem
        assert len(problem) < 200
        problem.encode()

    @pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "C64"])
    def test_sound_types_that_numpy_lacks(self, folder: Path, dtype: str) -> None:
        size = {"BF16": 16, "F4": 4, "C64": 64}.get(dtype, 8)
        (folder / "model.safetensors").write_bytes(file_of({"a": described(dtype, [2, 4], 0, size)}, bytes(size)))
        assert scan(folder) == []

    @FUZZ
    @given(st.binary(max_size=300))
    @example(struct.pack("<Q", 2) + b"{}")
    def test_random_bytes_never_raise(self, folder: Path, content: bytes) -> None:
        (folder / "model.safetensors").write_bytes(content)
        scan(folder)

    @FUZZ
    @given(st.integers(0, 200), st.integers(0, 255))
    def test_a_changed_byte_never_raises(self, folder: Path, at: int, byte: int) -> None:
        content = bytearray(save(WEIGHTS))
        content[at % len(content)] = byte
        (folder / "model.safetensors").write_bytes(bytes(content))
        scan(folder)

    @FUZZ
    @given(HEADERS)
    def test_any_json_as_header_never_raises(self, folder: Path, header: object) -> None:
        (folder / "model.safetensors").write_bytes(file_of({"a": header}, bytes(8)))
        assert told(folder, "model.safetensors")


class TestValues:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("at", [0, 1, 30])
    def test_no_finite_number(self, folder: Path, value: float, kind: type, at: int) -> None:
        weights = np.ones(31, kind)
        weights[at] = value
        save_file({"good": np.full(5, np.finfo(kind).max, kind), "w": weights}, folder / "model.safetensors")
        assert told(folder, "model.safetensors") == ["NaN or infinite weights in the tensor w (1 of 31 values)"]

    @pytest.mark.parametrize(
        ("dtype", "bits", "bad"),
        [
            ("BF16", b"\x80\x7f", True), ("BF16", b"\x80\xff", True), ("BF16", b"\xc0\x7f", True), ("BF16", b"\x7f\x7f", False), ("BF16", b"\x7f\xff", False),
            ("F8_E4M3", b"\x7f", True), ("F8_E4M3", b"\xff", True), ("F8_E4M3", b"\x7e", False), ("F8_E4M3", b"\x80", False),
            ("F8_E5M2", b"\x7c", True), ("F8_E5M2", b"\xfd", True), ("F8_E5M2", b"\x7b", False),
            ("F8_E8M0", b"\xff", True), ("F8_E8M0", b"\xfe", False), ("F8_E4M3FNUZ", b"\x80", True), ("F8_E4M3FNUZ", b"\xff", False),
            ("F8_E5M2FNUZ", b"\x80", True), ("I8", b"\xff", False), ("U8", b"\x7f", False), ("I64", b"\xff" * 8, False), ("BOOL", b"\x01", False),
        ],
    )  # fmt: skip
    def test_bits(self, folder: Path, dtype: str, bits: bytes, bad: bool) -> None:
        (folder / "model.safetensors").write_bytes(file_of({"a": described(dtype, [2], 0, 2 * len(bits))}, bytes(len(bits)) + bits))
        assert bool(told(folder, "model.safetensors")) is bad

    def test_beyond_one_chunk(self, folder: Path) -> None:
        weights = np.zeros(3 << 20, np.float16)
        weights[-1] = np.nan
        save_file({"w": weights}, folder / "model.safetensors")
        assert "1 of 3145728" in told(folder, "model.safetensors")[0]

    def test_many_tensors_are_one_finding(self, folder: Path) -> None:
        save_file({f"w{i}": np.full(2, np.nan, np.float32) for i in range(9)}, folder / "model.safetensors")
        assert told(folder, "model.safetensors") == ["NaN or infinite weights in the tensor w0 (2 of 2 values) and 8 more tensors"]

    @FUZZ
    @given(st.lists(st.floats(width=32), min_size=1, max_size=9))
    def test_as_numpy_says(self, folder: Path, values: list[float]) -> None:
        save_file({"w": np.array(values, np.float32)}, folder / "model.safetensors")
        assert bool(told(folder, "model.safetensors")) is not bool(np.isfinite(values).all())


INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def sharded(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    (folder / "config.json").write_text("{}")
    for shard, name in zip(SHARDS, "ab", strict=True):
        save_file({name: np.ones(3, np.float32)}, folder / shard)
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 24}, "weight_map": dict(zip("ab", SHARDS, strict=True))}))
    return folder


class TestShards:
    def test_sound(self, sharded: Path) -> None:
        assert scan(sharded) == []

    @pytest.mark.parametrize(
        ("weight_map", "words"),
        [
            ({"a": SHARDS[0], "b": SHARDS[0]}, "lacks the tensor b"),
            ({"a": SHARDS[1], "b": SHARDS[0]}, "lacks the tensor b"),
            ({"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[1]}, "lacks the tensor c"),
            ({"a": SHARDS[0], "b": SHARDS[1], "c": "model-00003-of-00003.safetensors"}, "is missing"),
            ({"a": SHARDS[0], "b": "../other.safetensors"}, "leads out of the folder"),
            ({"a": SHARDS[0], "b": "/etc/passwd"}, "leads out of the folder"),
            ({"a": SHARDS[0], "b": 1}, "no weight_map"),
            ({}, "no weight_map"),
            ([], "no weight_map"),
            (None, "no weight_map"),
        ],
    )
    def test_found(self, sharded: Path, weight_map: object, words: str) -> None:
        (sharded / INDEX).write_text(json.dumps({"weight_map": weight_map}))
        assert any(words in problem for problem in told(sharded, INDEX))

    @pytest.mark.parametrize("content", ["[]", "1", "{", '{"weight_map": {"a": "x", "a": "y"}}'])
    def test_an_index_that_is_none(self, sharded: Path, content: str) -> None:
        (sharded / INDEX).write_text(content)
        assert told(sharded, INDEX)

    def test_a_tensor_the_index_does_not_name(self, sharded: Path) -> None:
        save_file({"b": np.ones(3, np.float32), "extra": np.ones(1, np.float32)}, sharded / SHARDS[1])
        assert told(sharded, INDEX) == [f"{SHARDS[1]} holds, against the index, the tensor extra"]

    def test_a_shard_too_many(self, sharded: Path) -> None:
        save_file({"c": np.ones(3, np.float32)}, sharded / "model-00003-of-00003.safetensors")
        assert told(sharded, "model-00003-of-00003.safetensors") == ["a shard that no index names"]

    def test_shards_without_an_index(self, sharded: Path) -> None:
        (sharded / INDEX).unlink()
        assert told(sharded, SHARDS[0]) == told(sharded, SHARDS[1]) == ["a shard that no index names"]

    def test_a_shard_is_missing(self, sharded: Path) -> None:
        (sharded / SHARDS[0]).unlink()
        assert "is missing" in told(sharded, INDEX)[0]

    def test_one_file_beside_the_shards(self, sharded: Path) -> None:
        save_file({"a": np.ones(3, np.float32)}, sharded / "model.safetensors")
        assert "disagree" in told(sharded, INDEX)[0]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(
    *, keys: dict[str, bytes] | None = None, tensors: list[bytes] | None = None, data: bytes = b"", version: int = 3, counts: tuple[int, int] | None = None
) -> bytes:
    keys, tensors = keys or {}, tensors or []
    head = b"GGUF" + struct.pack("<I", version) + struct.pack("<QQ", *(counts or (len(tensors), len(keys))))
    head += b"".join(text(key) + value for key, value in keys.items()) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def placed(name: str, shape: list[int], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)


def tokens(count: int) -> bytes:
    return struct.pack("<IIQ", 9, 8, count) + b"".join(text("t") for _ in range(count))


class TestGguf:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path

    def test_sound(self, folder: Path) -> None:
        keys = {"general.name": struct.pack("<I", 8) + text("x"), "tokenizer.ggml.tokens": tokens(3), "tokenizer.ggml.eos_token_id": struct.pack("<II", 4, 2)}
        (folder / "m.gguf").write_bytes(gguf(keys=keys, tensors=[placed("a", [4], 0, 0), placed("b", [32], 8, 32)], data=bytes(66)))
        assert scan(folder) == []

    def test_as_its_own_library_writes_it(self, folder: Path) -> None:
        library = pytest.importorskip("gguf", reason="gguf is not installed: pip install guardmed[reference]")
        writer = library.GGUFWriter(folder / "m.gguf", "llama")
        writer.add_token_list(["a", "b"])
        writer.add_chat_template("{{ messages }}")
        writer.add_tensor("w", np.ones((2, 3), np.float32))
        writer.add_tensor("v", np.ones(5, np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        assert scan(folder) == []

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"GGML" + bytes(100), "not a GGUF file"),
            (b"", "not a GGUF file"),
            (gguf(version=99), "unknown version"),
            (b"GGUF\0\0\0\3" + bytes(16), "other byte order"),
            (gguf(counts=(2**63, 0)), "more tensors or keys"),
            (gguf(counts=(0, 2**40)), "more tensors or keys"),
            (gguf(counts=(0, 2)), "truncated"),
            (gguf(keys={"a": struct.pack("<IQ", 8, 2**60)}), "absurdly long"),
            (gguf(keys={"a": struct.pack("<IIQ", 9, 0, 2**60)}), "longer than the file"),
            (gguf(keys={"a": struct.pack("<IIQ", 9, 8, 2**60)}), "longer than the file"),
            (gguf(keys={"a": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9}), "unknown kind"),
            (gguf(keys={"a": struct.pack("<I", 77)}), "unknown kind (77)"),
            (gguf(keys={"general.alignment": struct.pack("<II", 4, 0)}), "alignment"),
            (gguf(tensors=[placed("a", [4], 0, 0)], data=bytes(15)), "outside the file"),
            (gguf(tensors=[placed("a", [4], 0, 8)], data=bytes(64)), "outside the file"),
            (gguf(tensors=[placed("a", [31], 8, 0)], data=bytes(64)), "outside the file"),
            (gguf(tensors=[placed("a", [2**63, 2**63], 0, 0)], data=bytes(64)), "outside the file"),
            (gguf(tensors=[placed("a", [1], 999, 0)], data=bytes(64)), "unknown kind"),
            (gguf(tensors=[placed("a", [1] * 9, 0, 0)], data=bytes(64)), "9 dimensions"),
            (gguf(tensors=[placed("a", [4], 0, 0)] * 2, data=bytes(64)), "comes twice"),
            (gguf(tensors=[placed("a", [32], 0, 0), placed("b", [4], 0, 32)], data=bytes(128)), "overlaps"),
            (gguf(tensors=[placed("a", [1], 0, 0)], data=struct.pack("<f", float("nan"))), "NaN or infinite"),
            (gguf(keys={"tokenizer.chat_template": struct.pack("<I", 8) + text("{{ x.__class__ }}")}), "Python internals"),
            (gguf(keys={"tokenizer.ggml.tokens": tokens(2), "tokenizer.ggml.eos_token_id": struct.pack("<II", 4, 2)}), "eos_token_id is 2"),
        ],
    )
    def test_found(self, folder: Path, content: bytes, words: str) -> None:
        (folder / "m.gguf").write_bytes(content)
        assert any(words in problem for problem in told(folder, "m.gguf"))

    @FUZZ
    @given(st.data())
    def test_cut_or_changed_never_raises(self, folder: Path, data: st.DataObject) -> None:
        content = bytearray(gguf(keys={"tokenizer.ggml.tokens": tokens(3)}, tensors=[placed("a", [4], 0, 0)], data=bytes(16)))
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        (folder / "m.gguf").write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
        scan(folder)


def test_a_zip_inside_the_last_tensor(folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n.")
    hidden = (folder / "x.zip").read_bytes()
    (folder / "x.zip").unlink()
    (folder / "model.safetensors").write_bytes(file_of({"a": described("U8", [len(hidden)], 0, len(hidden))}, hidden))
    assert told(folder, "model.safetensors") == ["a zip archive hides at its end"]


def test_a_pickle_that_is_safetensors_too(folder: Path) -> None:
    payload = b"0cposix\nsystem\n(S'id'\ntR."
    raw = json.dumps({"a": described("U8", [len(payload)], 0, len(payload))}).encode()[:-1].ljust(ord("V") - 2) + b"\n}"
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", ord("V")) + raw + payload)
    assert told(folder, "model.safetensors") == ["a pickle under the name of safetensors, which runs code when it is read"]


def test_the_manifest_holds_every_file(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "notes.txt").write_text("abc")
    result = inspect_folder(folder)
    assert result.sound
    assert list(result.manifest) == ["config.json", "deep/notes.txt", "model.safetensors"]
    assert result.manifest["deep/notes.txt"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
