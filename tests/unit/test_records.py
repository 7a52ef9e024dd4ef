from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardmed.errors import DataError, ExecutionError
from guardmed.records import Frozen, Record, read_records, write_records


class Answer(Record):
    response: str
    prompt: str | None = None
    score: float | None = None


class Tagged(Record):
    tags: tuple[str, ...]


# Neither empty nor like JSON, without lone surrogates or bare carriage returns: what every format can carry.
WORDS = st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), min_size=1, max_size=30).filter(
    lambda text: text[0] not in "[{"
)
OPTIONS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
    @OPTIONS
    @given(rows=st.lists(st.tuples(WORDS, WORDS, st.floats(0, 1)), min_size=1, max_size=5))
    def test_text_ids_and_values_come_back_in_order(self, tmp_path: Path, suffix: str, rows: list[tuple[str, str, float]]) -> None:
        given_rows = [{"id": name, "response": text, "score": score} for name, text, score in rows]
        path = tmp_path / f"rows{suffix}"
        write_records(path, given_rows)
        found = read_records(path, Answer)
        assert [(row.id, row.response, row.score) for row in found] == rows

    @pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
    @pytest.mark.parametrize("ids", [[7, 2**53 + 1], [0.5, 1.25], ["007", "1e3"]])
    def test_types_of_ids_are_kept(self, tmp_path: Path, suffix: str, ids: list[object]) -> None:
        path = tmp_path / f"rows{suffix}"
        write_records(path, [{"id": name, "response": "5"} for name in ids])
        found = read_records(path, Answer)
        assert [row.id for row in found] == ids
        assert [type(row.id) for row in found] == [type(name) for name in ids]
        assert all(row.response == "5" for row in found)

    def test_csv_keeps_ids_as_they_are_written(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        write_records(path, [{"id": "007", "response": "x"}, {"id": 12, "response": "y"}])
        assert [row.id for row in read_records(path, Answer)] == ["007", "12"]

    @pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
    def test_lists_and_late_columns(self, tmp_path: Path, suffix: str) -> None:
        class Late(Record):
            tags: tuple[str, ...] = ()

        path = tmp_path / f"rows{suffix}"
        write_records(path, [{"id": "a"}, {"id": "b", "tags": ["剂量", "x,y"]}])
        assert [row.tags for row in read_records(path, Late)] == [(), ("剂量", "x,y")]

    @pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
    def test_line_breaks_quotes_and_commas(self, tmp_path: Path, suffix: str) -> None:
        text = 'first\r\nsecond\rthird\n"quoted", 每日三次'
        path = tmp_path / f"rows{suffix}"
        write_records(path, [{"id": "a", "response": text}, {"id": "b", "response": "next"}])
        assert [row.response for row in read_records(path, Answer)] == [text, "next"]

    def test_models_are_written_as_their_fields(self, tmp_path: Path) -> None:
        class Out(Frozen):
            id: str
            decision: str

        path = tmp_path / "out.jsonl"
        write_records(path, [Out(id="a", decision="拒绝")])
        assert path.read_text(encoding="utf-8") == '{"id": "a", "decision": "拒绝"}\n'

    def test_parquet_with_real_list_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"id": [1], "tags": [["a", "b"]]}), path)
        assert read_records(path, Tagged)[0].tags == ("a", "b")


class TestReading:
    def test_blank_lines_and_byte_order_mark(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"id": 1, "response": "a"}\r\n\r\n{"id": 2, "response": "b"}')
        assert [row.id for row in read_records(path, Answer)] == [1, 2]

    def test_unknown_columns_are_let_through(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "\ufeffid,response,ward\n1,ok,ICU\n")
        assert read_records(path, Answer)[0].model_dump() == {"id": "1", "response": "ok", "prompt": None, "score": None}

    def test_empty_optional_cell_is_nothing(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "id,response,prompt,score\n1,ok,,0.5\n")
        row = read_records(path, Answer)[0]
        assert row.prompt is None
        assert row.score == 0.5

    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [
            ("a.jsonl", '{"id": 1, "response": "a"}\n{"id": 2}\n', "line 2: response"),
            ("a.jsonl", '{"id": 1, "response": "a"}\n{"id": 2,}\n', "line 2: not JSON"),
            ("a.jsonl", "[1, 2]\n", "line 1: a list, not an object"),
            ("a.jsonl", b'{"id": 1, "response": "a"}\n{"id": 2, "response": "\xff"}\n', "line 2: not UTF-8"),
            ("a.jsonl", '{"response": "a"}\n', "line 1: id"),
            ("a.jsonl", "\n\n", "holds no records"),
            ("a.csv", "id,response\n", "holds no records"),
            ("a.csv", 'id,response\n1,"a\nb"\n2\n', "line 4: response"),
            ("a.csv", b"id,response\n1,a\n2,\xff\n", "line 3: not UTF-8"),
            ("a.csv", "id,response,score\n1,a,high\n", "line 2: score"),
            ("a.parquet", "not parquet at all", "not a Parquet file"),
            ("a.xlsx", "", ".xlsx is not a records format"),
            ("a", "", "no suffix is not a records format"),
        ],
    )
    def test_errors_name_the_place(self, tmp_path: Path, name: str, content: str | bytes, told: str) -> None:
        path = write(tmp_path / name, content)
        with pytest.raises(DataError) as caught:
            read_records(path, Answer)
        assert told in str(caught.value)
        assert str(path) in str(caught.value)
        assert caught.value.mend
        assert caught.value.exit_code == 2

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            read_records(tmp_path / "none.jsonl", Answer)

    def test_folder(self, tmp_path: Path) -> None:
        (tmp_path / "folder.jsonl").mkdir()
        with pytest.raises(DataError, match="can't be read"):
            read_records(tmp_path / "folder.jsonl", Answer)

    def test_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO('{"id": "a", "response": "头痛"}\n'.encode())))
        assert read_records("-", Answer)[0].response == "头痛"

    def test_records_are_immutable(self, tmp_path: Path) -> None:
        row = read_records(write(tmp_path / "a.jsonl", '{"id": 1, "response": "a"}'), Answer)[0]
        with pytest.raises(ValueError, match="frozen"):
            row.response = "b"  # type: ignore[misc]


class TestWriting:
    def test_standard_output(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_records("-", [{"id": 1, "text": "每日"}, {"id": 2, "text": "b"}])
        assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"id": 1, "text": "每日"}, {"id": 2, "text": "b"}]

    def test_not_a_number_is_an_error_and_leaves_the_old_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", "old\n")
        with pytest.raises(ExecutionError, match="record 'b'"):
            write_records(path, [{"id": "a", "score": 0.5}, {"id": "b", "score": float("nan")}])
        assert path.read_text() == "old\n"
        assert list(tmp_path.iterdir()) == [path]

    def test_unknown_format(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="not a records format"):
            write_records(tmp_path / "a.txt", [{"id": 1}])
        assert not list(tmp_path.iterdir())
