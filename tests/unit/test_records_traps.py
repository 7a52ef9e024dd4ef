"""Records that other tools write and that must neither be lost nor misread."""

from __future__ import annotations

import pytest

from guardmed.errors import DataError, ExecutionError
from guardmed.files import write_text
from guardmed.records import Record, read_records, write_records


class Text(Record):
    response: str


class Many(Record):
    claims: tuple[str, ...] = ()
    score: float | None = None


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
@pytest.mark.parametrize("text", ["one\rtwo", "[1]", '{"a": 1}', "", 'a,b\n"c"', "中文，好"])
def test_texts_come_back_as_they_were(tmp_path, suffix, text):
    path = tmp_path / f"a{suffix}"
    write_records(path, [{"id": "a", "response": text}, {"id": "b", "response": "x"}])
    assert [row.response for row in read_records(path, Text)] == [text, "x"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_of_later_rows_and_lists_are_kept(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_records(path, [{"id": "a"}, {"id": "b", "claims": ["x", "y"], "score": 0.5}])
    first, second = read_records(path, Many)
    assert (first.claims, first.score) == ((), None)
    assert (second.claims, second.score) == (("x", "y"), 0.5)


def test_ids_of_mixed_kinds_can_be_written(tmp_path):
    write_records(tmp_path / "a.parquet", [{"id": 1, "response": "x"}, {"id": "b", "response": "y"}])
    assert [row.id for row in read_records(tmp_path / "a.parquet", Text)] == ["1", "b"]


@pytest.mark.parametrize(
    "line", ['{"id": "a", "response": "\\ud83d"}', "[" * 100_000, '{"id": ' + "9" * 5000 + "}", '{"id": NaN, "response": "x"}', '{"id": true, "response": "x"}']
)
def test_lines_that_are_no_records_are_named(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "z", "response": "x"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_records(path, Text)


def test_whole_characters_beyond_the_first_plane_are_fine(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "response": "\\ud83d\\ude00"}\n', encoding="utf-8")
    assert read_records(path, Text)[0].response == "😀"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExecutionError, match="can't be written"):
        write_text(tmp_path / "file" / "below", "y")
