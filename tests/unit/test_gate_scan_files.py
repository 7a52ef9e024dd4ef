"""Attacks through what lies in the folder: links, pipes, names, and files that can't be read."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import guardmed.gate.scan.files as scan_files
from guardmed.gate.scan import Finding, inspect_folder, scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"a": np.ones(3, np.float32)}, folder / "model.safetensors")
    return folder


def told(folder: Path, file: str) -> str:
    return "; ".join(finding.problem for finding in scan(folder) if finding.file == file)


class TestFolder:
    def test_special_files_are_not_opened(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        os.mkfifo(folder / "pipe.json")
        monkeypatch.chdir(folder)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("sock.safetensors")
            assert "not opened" in told(folder, "pipe.json")
            assert "not opened" in told(folder, "sock.safetensors")

    def test_a_device(self, folder: Path) -> None:
        (folder / "zero.safetensors").symlink_to("/dev/zero")
        assert told(folder, "zero.safetensors") == "a symbolic link that leads out of the folder"

    def test_a_link_to_a_pipe_inside(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        (folder / "link.json").symlink_to("pipe")
        assert "not opened" in told(folder, "link.json")

    def test_a_link_inside_is_looked_at_by_its_own_name(self, folder: Path) -> None:
        (folder / "words").write_text("{")
        (folder / "generation_config.json").symlink_to("words")
        assert told(folder, "generation_config.json") == "not JSON"

    def test_links_to_code(self, folder: Path) -> None:
        (folder / "words").write_text("x")
        (folder / "modeling.py").symlink_to("words")
        assert "code that would run" in told(folder, "modeling.py")

    def test_a_loop_and_a_link_to_nothing(self, folder: Path) -> None:
        (folder / "a").symlink_to("b")
        (folder / "b").symlink_to("a")
        (folder / "c").symlink_to("gone")
        (folder / "d").symlink_to(".")
        assert {finding.file: finding.problem for finding in scan(folder)} == dict.fromkeys("abc", "a symbolic link that leads nowhere")

    def test_through_a_link_out_and_back(self, folder: Path) -> None:
        (folder / "x").symlink_to("../model/config.json")
        (folder / "y").symlink_to("../../../../etc/passwd")
        assert [finding.file for finding in scan(folder)] == ["y"]

    def test_a_sibling_whose_name_begins_alike(self, folder: Path) -> None:
        (folder.parent / "model-secret").mkdir()
        (folder / "x").symlink_to(folder.parent / "model-secret")
        assert "out of the folder" in told(folder, "x")

    def test_the_folder_itself_may_be_a_link(self, folder: Path) -> None:
        (folder.parent / "alias").symlink_to("model")
        assert scan(folder.parent / "alias") == []

    def test_the_folder_is_a_loop_or_a_file(self, folder: Path) -> None:
        (folder.parent / "loop").symlink_to("loop")
        assert len(scan(folder.parent / "loop")) == 1
        assert len(scan(folder / "config.json")) == 1

    def test_names_that_are_not_text(self, folder: Path) -> None:
        with open(os.fsencode(folder) + b"/\xff\x1b\n.py", "wb"):
            pass
        (finding,) = scan(folder)
        assert finding.file == "\\xff\\x1b\\n.py"
        inspect_folder(folder).model_dump_json()

    def test_too_many_and_too_deep(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        deep = folder
        for _ in range(20):
            deep = deep / "d"
        deep.mkdir(parents=True)
        assert any("deep" in finding.problem for finding in scan(folder))
        monkeypatch.setattr(scan_files, "MAX_FILES", 5)
        for number in range(9):
            (folder / f"{number}.txt").write_text("x")
        assert "more than 5 files" in told(folder, ".")

    def test_what_cannot_be_read_blocks(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.open

        def refused(path, *rest, **more):
            if str(path).endswith("config.json"):
                raise PermissionError(13, "Permission denied")
            return real(path, *rest, **more)

        monkeypatch.setattr(os, "open", refused)
        result = inspect_folder(folder)
        assert [finding.problem for finding in result.findings] == ["can't be read: Permission denied"]
        assert list(result.manifest) == ["model.safetensors"]

    def test_a_folder_that_cannot_be_listed_blocks(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "closed").mkdir()
        real = os.scandir

        def refused(path):
            if str(path).endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "scandir", refused)
        assert told(folder, "closed") == "can't be read: Permission denied"

    def test_a_file_that_becomes_a_link_is_not_followed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = scan_files.walk

        def swapped(root):
            found = real(root)
            (folder / "config.json").unlink()
            (folder / "config.json").symlink_to("/etc/passwd")
            return found

        monkeypatch.setattr("guardmed.gate.scan.scanner.walk", swapped)
        assert "can't be read" in told(folder, "config.json")

    def test_whatever_goes_wrong_blocks(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_entry):
            raise MemoryError

        monkeypatch.setattr("guardmed.gate.scan.scanner.read_header", broken)
        assert told(folder, "model.safetensors") == "can't be checked (MemoryError)"

    def test_the_order_is_the_same_every_time_and_every_finding_says_how_to_mend(self, folder: Path) -> None:
        for name in ("z.py", "b.pkl", "a/x.sh", "c.json"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("{")
        found = scan(folder)
        assert [finding.file for finding in found] == ["a/x.sh", "b.pkl", "c.json", "z.py"]
        assert found == scan(folder)
        assert all(finding.mend.endswith(".") for finding in found)
        assert json.loads(found[0].model_dump_json()) == {"file": "a/x.sh", "problem": found[0].problem, "mend": found[0].mend}
        with pytest.raises(ValueError, match="frozen"):
            Finding(file="a", problem="b").file = "c"
