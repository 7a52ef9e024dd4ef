from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from guardmed.gate.scan import scan

WEIGHTS = {
    "linear.weight": np.ones((3, 4), np.float32),
    "scale": np.array(2.0, np.float16),
    "empty": np.zeros((0, 3), np.float32),
    "ids": np.arange(5, dtype=np.int64),
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "gemma3"}')
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}')
    (tmp_path / "README.md").write_text("# A model")
    (tmp_path / "merges.txt").write_text("a b\n")
    save_file(WEIGHTS, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path


def problems(folder: Path) -> dict[str, str]:
    return {finding.file: finding.problem for finding in scan(folder)}


def tensor(start: int, end: int, *, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - start) // 4] if shape is None else shape, "data_offsets": [start, end]}


def file_of(header: object, room: int) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(room)


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


class TestSound:
    def test_a_sound_checkpoint_has_no_findings(self, checkpoint: Path) -> None:
        assert scan(checkpoint) == []

    def test_an_adapter(self, checkpoint: Path) -> None:
        (checkpoint / "config.json").rename(checkpoint / "adapter_config.json")
        (checkpoint / "model.safetensors").rename(checkpoint / "adapter_model.safetensors")
        assert scan(checkpoint) == []

    def test_a_link_within_the_folder(self, checkpoint: Path) -> None:
        (checkpoint / "LICENSE").symlink_to("README.md")
        assert scan(checkpoint) == []

    @pytest.mark.parametrize("kind", ["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"])
    def test_every_numpy_type(self, checkpoint: Path, kind: str) -> None:
        save_file({"x": np.ones((2, 3), dtype=kind)}, checkpoint / "model.safetensors")
        assert scan(checkpoint) == []

    def test_brain_floats(self, checkpoint: Path) -> None:
        (checkpoint / "model.safetensors").write_bytes(file_of({"a": tensor(0, 6, shape=[3], dtype="BF16")}, 6))
        assert scan(checkpoint) == []

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.dictionaries(
            st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=6),
            st.lists(st.integers(0, 3), max_size=3),
            min_size=1,
            max_size=4,
        )
    )
    def test_whatever_safetensors_writes(self, checkpoint: Path, shapes: dict[str, list[int]]) -> None:
        save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, checkpoint / "model.safetensors")
        assert scan(checkpoint) == []


class TestSafetensors:
    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"abc", "truncated: no header"),
            (b"", "truncated: no header"),
            (struct.pack("<Q", 500) + b"{}", "header is longer than the file"),
            (struct.pack("<Q", 2**63) + b"{}", "header is longer than the file"),
            (file_of(b"{", 0), "header is not JSON"),
            (file_of(b"[]", 0), "header is not JSON"),
            (file_of(b'{"a": "\xff"}', 0), "header is not JSON"),
            (file_of({"a": tensor(0, 8)}, 4), "truncated: tensors are missing"),
            (file_of({"a": tensor(0, 4)}, 8), "data after its last tensor"),
            (file_of({"a": tensor(0, 8), "b": tensor(4, 12)}, 12), "b overlaps another"),
            (file_of({"a": tensor(0, 4), "b": tensor(0, 4)}, 4), "b overlaps another"),
            (file_of({"a": tensor(0, 4), "b": tensor(8, 12)}, 12), "b leaves a gap"),
            (file_of({"a": tensor(4, 8)}, 8), "a leaves a gap"),
            (file_of({"a": tensor(0, 8, shape=[3])}, 8), "another size than its shape"),
            (file_of({"a": tensor(0, 4, shape=[-1, -1])}, 4), "another size than its shape"),
            (file_of({"a": tensor(4, 0, shape=[-1])}, 4), "another size than its shape"),
            (file_of({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, 4), "described wrongly"),
            (file_of({"a": {"dtype": "F32", "shape": [1]}}, 4), "described wrongly"),
            (file_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, "4"]}}, 4), "described wrongly"),
            (file_of({"a": 1}, 4), "described wrongly"),
            (pickle.dumps({"a": 1}), "a pickle under the name of safetensors"),
            (pickle.dumps(Runs()), "a pickle under the name of safetensors"),
            (pickle.dumps({"a": list(range(300))}, 0), "a pickle under the name of safetensors"),
        ],
    )
    def test_found(self, checkpoint: Path, content: bytes, told: str) -> None:
        (checkpoint / "model.safetensors").write_bytes(content)
        found = [finding for finding in scan(checkpoint) if told in finding.problem]
        assert [finding.file for finding in found] == ["model.safetensors"]

    def test_cut_anywhere(self, checkpoint: Path) -> None:
        whole = save(WEIGHTS)
        for size in range(len(whole)):
            (checkpoint / "model.safetensors").write_bytes(whole[:size])
            assert "model.safetensors" in problems(checkpoint), size

    def test_of_two_files_the_broken_one_is_named(self, checkpoint: Path) -> None:
        (checkpoint / "deep").mkdir()
        (checkpoint / "deep" / "b.safetensors").write_bytes(b"\0")
        assert list(problems(checkpoint)) == ["deep/b.safetensors"]


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [
            ("modeling_x.py", b"import os", "code that would run"),
            ("lib.so", b"\x7fELF", "code that would run"),
            ("setup.sh", b"rm -rf /", "code that would run"),
            ("pytorch_model.bin", pickle.dumps(Runs()), "a pickle"),
            ("pytorch_model.bin", pickle.dumps(Runs(), 2), "a pickle"),
            ("pytorch_model.bin", b"cposix\nsystem\n(S'id'\ntR.", "a pickle"),
            ("notes.txt", pickle.dumps({"a": 1}), "a pickle"),
            ("state.pkl", b"", "a pickle"),
            ("pytorch_model.bin", b"PK\x03\x04" + bytes(20), "an archive"),
            ("weights.gz", b"\x1f\x8b" + bytes(20), "an archive"),
            ("generation_config.json", b"{", "not JSON"),
            ("generation_config.json", b"\xff\xfe", "not JSON"),
            ("config.json", b'{"auto_map": {"AutoModel": "m.M"}}', "auto_map"),
            ("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["t.T", null]}}', "auto_map"),
            ("tokenizer_config.json", b'{"chat_template": "{{ \'\'.__class__.__mro__ }}"}', "reaches for Python internals"),
            ("chat_template.json", b'{"chat_template": "{{ x.__init__ }}"}', "reaches for Python internals"),
        ],
    )
    def test_found(self, checkpoint: Path, name: str, content: bytes, told: str) -> None:
        (checkpoint / name).write_bytes(content)
        found = scan(checkpoint)
        assert [finding.file for finding in found] == [name]
        assert told in found[0].problem

    def test_in_a_folder_below(self, checkpoint: Path) -> None:
        (checkpoint / "a" / "b").mkdir(parents=True)
        (checkpoint / "a" / "b" / "x.py").write_text("")
        assert list(problems(checkpoint)) == ["a/b/x.py"]

    @pytest.mark.parametrize("kind", ["file", "folder", "dangling", "relative"])
    def test_links_that_lead_out(self, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
        outside = tmp_path_factory.mktemp("outside")
        (outside / "secret.txt").write_text("x")
        target = {"file": outside / "secret.txt", "folder": outside, "dangling": outside / "none", "relative": Path("..") / ".." / "etc"}[kind]
        (checkpoint / "link").symlink_to(target)
        assert problems(checkpoint) == {"link": "a symbolic link that leads out of the folder"}

    def test_not_a_checkpoint(self, tmp_path: Path) -> None:
        assert set(problems(tmp_path)) == {"config.json", "*.safetensors"}

    @pytest.mark.parametrize("gone", ["config.json", "model.safetensors"])
    def test_a_part_is_missing(self, checkpoint: Path, gone: str) -> None:
        (checkpoint / gone).unlink()
        (problem,) = problems(checkpoint).values()
        assert problem.startswith("missing")

    def test_no_such_folder(self, tmp_path: Path) -> None:
        assert problems(tmp_path / "none") == {"none": "there is no such folder"}
