from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.errors import DataError, ExecutionError
from guardmed.files import atomic_folder, atomic_write, digest_bytes, digest_file, digest_value, read_json, writable, write_json, write_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


class TestAtomicWrite:
    @pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit])
    def test_the_old_file_stays_when_the_body_raises(self, tmp_path: Path, raised: type[BaseException]) -> None:
        path = tmp_path / "report.json"
        path.write_text("old")
        with pytest.raises(raised), atomic_write(path) as file:
            file.write("half of the new")
            raise raised
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_nothing_is_seen_before_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        with atomic_write(path) as file:
            file.write("new")
            file.flush()
            assert not path.exists()
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]

    def test_replaces_makes_folders_and_keeps_line_ends(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b.txt"
        write_text(path, "one\n")
        write_text(path, "剂量\r\ntwo\n")
        assert path.read_bytes() == "剂量\r\ntwo\n".encode()

    def test_binary(self, tmp_path: Path) -> None:
        with atomic_write(tmp_path / "x", binary=True) as file:
            file.write(b"\x00\xff")
        assert (tmp_path / "x").read_bytes() == b"\x00\xff"

    @pytest.mark.parametrize(("code", "told"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "can't be written")])
    def test_a_disk_error_names_the_file(self, tmp_path: Path, code: int, told: str) -> None:
        path = tmp_path / "x"
        path.write_text("old")
        with pytest.raises(ExecutionError, match=told) as caught, atomic_write(path):
            raise OSError(code, "no")
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 3
        assert path.read_text() == "old"


class TestAtomicFolder:
    def test_the_old_folder_stays_when_the_body_raises(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        path.mkdir()
        (path / "old").write_text("old")
        with pytest.raises(ValueError), atomic_folder(path) as beside:
            (beside / "new").write_text("new")
            raise ValueError
        assert [entry.name for entry in path.iterdir()] == ["old"]
        assert list(tmp_path.iterdir()) == [path]

    def test_replaces_the_whole_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "out"
        for name in ("old", "new"):
            with atomic_folder(path) as beside:
                (beside / name).write_text(name)
        assert [entry.name for entry in path.iterdir()] == ["new"]
        assert list(tmp_path.iterdir()) == [path]


class TestJson:
    def test_round_trip_in_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        write_json(path, {"药": [1, 2.5, None, True]})
        assert "药" in path.read_text(encoding="utf-8")
        assert path.read_bytes().endswith(b"}\n")
        assert read_json(path) == {"药": [1, 2.5, None, True]}

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_no_number_that_readers_disagree_on(self, tmp_path: Path, value: float) -> None:
        with pytest.raises(ValueError, match="JSON compliant"):
            write_json(tmp_path / "a.json", {"x": value})
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("content", "told"), [(b'{\n"a": }', "line 2: not JSON"), (b'"\xff"', "not UTF-8 .byte 1"), (b"", "line 1: not JSON")])
    def test_errors_name_the_place(self, tmp_path: Path, content: bytes, told: str) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=told):
            read_json(tmp_path / "a.json")

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            read_json(tmp_path / "none.json")
        with pytest.raises(DataError, match="is a folder"):
            read_json(tmp_path)


class TestDigests:
    def test_file_and_bytes_agree_with_hashlib(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 1000
        (tmp_path / "x").write_bytes(data)
        assert digest_file(tmp_path / "x") == digest_bytes(data) == hashlib.sha256(data).hexdigest()

    @given(st.dictionaries(st.text(max_size=6), JSON, max_size=5))
    def test_value_digest_ignores_key_order(self, value: dict[str, object]) -> None:
        assert digest_value(value) == digest_value(dict(reversed(value.items())))

    @given(JSON, JSON)
    def test_value_digest_tells_values_apart(self, a: object, b: object) -> None:
        assert (digest_value(a) == digest_value(b)) is (json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True))


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    writable(tmp_path / "a" / "b")
    writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExecutionError, match="can't be written"):
        writable(tmp_path / "file" / "out")
