from __future__ import annotations

from pathlib import Path

import pytest

from guardmed.documents import read_yaml
from guardmed.errors import DataError, PolicyError
from guardmed.records import Frozen


class Part(Frozen):
    id: str
    limit: float


class Whole(Frozen):
    title: str
    parts: tuple[Part, ...] = ()


def put(folder: Path, text: str | bytes) -> Path:
    path = folder / "file.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_reads_into_the_model(tmp_path: Path) -> None:
    found = read_yaml(put(tmp_path, "title: 剂量上限\nparts:\n  - {id: a, limit: 4}\n"), Whole)
    assert found == Whole(title="剂量上限", parts=(Part(id="a", limit=4.0),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: a\ntitle: b\n", "line 2: the key 'title' stands twice"),
        ("title: a\nparts:\n  - {id: a, limit: 4, id: b}\n", "line 3: the key 'id' stands twice"),
        ("title: a\nparts: [\n", "line 3"),
        ("title: !!python/object/apply:os.system [id]\n", "line 1"),
        ("title: a\nparts:\n  - {id: warfarin, limit: high}\n", "warfarin: parts.0.limit"),
        ("title: a\nparts:\n  - {id: warfarin, limit: 1, unit: mg}\n", "warfarin: parts.0.unit"),
        ("parts: []\n", "title: Field required"),
        ("", "Input should be"),
        ("- a\n", "Input should be"),
        (b"title: \xff\n", "not UTF-8"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    path = put(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_yaml(path, Whole)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.mend


def test_missing_file_in_the_given_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="does not exist"):
        read_yaml(tmp_path / "none.yaml", Whole, error=PolicyError)
