"""Answers that were collected elsewhere: what a column may hold, and what is said of one that can't be read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.audit.collected import kept, loaded, read_observations
from guardmed.audit.report import write_report
from guardmed.audit.run import audit_model
from guardmed.audit.table import Observation
from guardmed.errors import DataError, UsageError
from guardmed.records import write_records

HEAD = {"item": "v1", "axis": "sex", "group": "male"}
FORMATS = [".jsonl", ".csv", ".parquet"]


def read(folder: Path, rows: list[dict[str, Any]], *, suffix: str = ".jsonl", outcomes: tuple[str, ...] = ()) -> list[Observation]:
    path = folder / f"in{suffix}"
    write_records(path, rows)
    return read_observations(path, outcomes=outcomes)


def outcomes_of(folder: Path, *rows: dict[str, Any], outcomes: tuple[str, ...] = (), suffix: str = ".jsonl") -> list[dict[str, Any]]:
    return [row.outcomes for row in read(folder, [HEAD | row for row in rows], suffix=suffix, outcomes=outcomes)]


class TestColumns:
    @pytest.mark.parametrize("suffix", FORMATS)
    def test_numbers_and_truth_values_in_every_format(self, tmp_path, suffix):
        found = outcomes_of(tmp_path, {"score": 0.5, "treated": True, "steps": 3}, {"score": -2.0, "treated": False, "steps": 4}, suffix=suffix)
        assert found == [{"score": 0.5, "treated": 1.0, "steps": 3.0}, {"score": -2.0, "treated": 0.0, "steps": 4.0}]

    @pytest.mark.parametrize("suffix", FORMATS)
    def test_groups_and_items_that_are_numbers(self, tmp_path, suffix):
        rows = read(tmp_path, [{"item": item, "axis": "age", "group": group, "ok": 1} for item, group in ((1, 30), (1, 70))], suffix=suffix)
        assert [(row.item, row.group) for row in rows] == [("1", "30"), ("1", "70")]

    @pytest.mark.parametrize("cell", ["true", "TRUE", " True ", "1", "1.0", "1e0"])
    def test_cells_of_a_table_that_say_one(self, tmp_path, cell):
        (tmp_path / "in.csv").write_text(f"item,axis,group,ok\nv1,sex,male,{cell}\n")
        assert read_observations(tmp_path / "in.csv")[0].outcomes == {"ok": 1.0}

    @given(number=st.floats(allow_nan=False, allow_infinity=False))
    def test_any_finite_number_comes_back_to_the_last_bit(self, tmp_path_factory, number):
        folder = tmp_path_factory.mktemp("numbers")
        for suffix in FORMATS:
            assert outcomes_of(folder, {"score": number}, suffix=suffix) == [{"score": number}]

    def test_an_empty_cell_is_no_outcome(self, tmp_path):
        (tmp_path / "in.csv").write_text("item,axis,group,ok,score\nv1,sex,male,1,\nv2,sex,male,,0.5\n")
        assert [row.outcomes for row in read_observations(tmp_path / "in.csv")] == [{"ok": 1.0}, {"score": 0.5}]
        assert outcomes_of(tmp_path, {"ok": 1, "score": None}, {"score": 0.5}) == [{"ok": 1.0}, {"score": 0.5}]

    def test_numbers_with_some_blanks_of_another_kind(self, tmp_path):
        assert outcomes_of(tmp_path, {"ok": 1, "score": "n/a"}, {"ok": 0, "score": 0.5}) == [{"ok": 1.0}, {"ok": 0.0, "score": 0.5}]

    @pytest.mark.parametrize("value", ["inf", "nan", "-Infinity"])
    def test_what_is_not_finite_is_no_number(self, tmp_path, value):
        assert outcomes_of(tmp_path, {"ok": 1, "score": value}, {"ok": 1, "score": 2}) == [{"ok": 1.0}, {"ok": 1.0, "score": 2.0}]

    def test_texts_and_lists_are_passed_over(self, tmp_path):
        found = outcomes_of(tmp_path, {"ok": 1, "note": "fine", "tags": [1, 2], "more": {"a": 1}}, {"ok": 0, "note": "bad", "tags": [], "more": {}})
        assert found == [{"ok": 1.0}, {"ok": 0.0}]


class TestAnswers:
    @pytest.mark.parametrize("name", ["answer", "choice", "decision", "label", "option", "prediction", "response"])
    def test_a_column_called_so_holds_answers(self, tmp_path, name):
        assert outcomes_of(tmp_path, {name: "A"}, {name: " B "}) == [{name: "A"}, {name: "B"}]

    def test_any_other_by_its_name(self, tmp_path):
        rows = [{"triage": "red", "ok": 1}, {"triage": "green", "ok": 0}]
        assert outcomes_of(tmp_path, *rows) == [{"ok": 1.0}, {"ok": 0.0}]
        assert outcomes_of(tmp_path, *rows, outcomes=("triage",)) == [{"triage": "red"}, {"triage": "green"}]

    def test_answers_that_are_numbers_are_numbers(self, tmp_path):
        assert outcomes_of(tmp_path, {"answer": "1"}, {"answer": 3}) == [{"answer": 1.0}, {"answer": 3.0}]

    def test_answers_of_which_some_are_numbers_are_answers(self, tmp_path):
        assert outcomes_of(tmp_path, {"answer": "1"}, {"answer": "none"}) == [{"answer": "1"}, {"answer": "none"}]

    @pytest.mark.parametrize(("levels", "taken"), [(12, True), (13, False)])
    def test_few_answers_but_not_many(self, tmp_path, levels, taken):
        rows = [{"answer": f"level {level}", "ok": 1} for level in range(levels)]
        assert ("answer" in outcomes_of(tmp_path, *rows)[0]) is taken

    @pytest.mark.parametrize(("length", "taken"), [(40, True), (41, False)])
    def test_short_answers_but_not_long_ones(self, tmp_path, length, taken):
        assert ("answer" in outcomes_of(tmp_path, {"answer": "x" * length, "ok": 1})[0]) is taken

    def test_thousands_of_levels_by_name_are_an_error(self, tmp_path):
        rows = [{"answer": f"free text {place}", "ok": 1} for place in range(3000)]
        with pytest.raises(UsageError, match=r"'answer' holds 3000 different texts\. An outcome is numbers, or at most 12 short answers"):
            outcomes_of(tmp_path, *rows, outcomes=("answer",))
        assert outcomes_of(tmp_path, *rows)[0] == {"ok": 1.0}

    def test_a_long_answer_is_shown_to_people(self, tmp_path):
        texts = [{"ok": 1, "response": f"A long answer, {place}. " * 9, "answer": "B"} for place in range(2)]
        rows = read(tmp_path, [HEAD | text for text in texts])
        assert [row.outcomes for row in rows] == [{"ok": 1.0, "answer": "B"}] * 2
        assert rows[1].answer.startswith("A long answer, 1.")
        assert read(tmp_path, [HEAD | texts[0] | {"answer_text": "Mine."}])[0].answer == "Mine."


class TestRows:
    @pytest.mark.parametrize(("yes", "no"), [("Yes", "no"), ("是", "否"), (" TRUE ", "False")])
    def test_yes_and_no_are_truth_values(self, tmp_path, yes, no):
        rows = read(tmp_path, [HEAD | {"group": group, "answer": text} for group, text in (("male", yes), ("female", no))])
        assert [row.outcomes["answer"] for row in rows] == [1.0, 0.0]

    @pytest.mark.parametrize("name", ["axis", "group"])
    def test_a_blank_group_or_axis_is_named(self, tmp_path, name):
        with pytest.raises(DataError, match=f"{name} is blank"):
            read(tmp_path, [HEAD | {name: " ", "ok": 1}])

    def test_one_case_in_two_languages_is_two_items_of_one_cluster(self, tmp_path):
        rows = read(tmp_path, [HEAD | {"ok": place, "language": language} for place, language in enumerate(("en", "zh"))])
        assert [(row.item, row.cluster, row.repeat) for row in rows] == [("v1/en", "v1", 0), ("v1/zh", "v1", 0)]

    def test_the_same_repeat_twice_is_an_error(self, tmp_path):
        with pytest.raises(DataError, match="repeat 1 of sex 'male' is there twice"):
            read(tmp_path, [HEAD | {"ok": 1, "repeat": 1}] * 2)

    def test_further_columns(self, tmp_path):
        row = HEAD | {"ok": 1, "language": "zh", "expected": True, "repeat": 3, "cluster": 7, "prompt": "问", "answer_text": "答", "id": "x"}
        assert read(tmp_path, [row]) == [Observation("v1", "sex", "male", {"ok": 1.0}, "zh", True, 3, "7", "问", "答")]

    def test_none_of_them_is_needed(self, tmp_path):
        assert read(tmp_path, [HEAD | {"ok": 1}]) == [Observation("v1", "sex", "male", {"ok": 1.0})]

    def test_repeats_are_counted_in_file_order_within_a_cell(self, tmp_path):
        cells = [("v1", "male"), ("v1", "female"), ("v1", "male"), ("v2", "male"), ("v1", "male"), ("v1", "female")]
        rows = read(tmp_path, [HEAD | {"item": item, "group": group, "ok": 1} for item, group in cells])
        assert [row.repeat for row in rows] == [0, 0, 1, 0, 2, 1]

    @pytest.mark.parametrize("missing", ["item", "axis", "group"])
    def test_a_record_without_its_place(self, tmp_path, missing):
        row = {name: value for name, value in HEAD.items() if name != missing} | {"ok": 1}
        with pytest.raises(DataError, match=rf"in\.jsonl, line 2: {missing}: Field required.*A record needs"):
            read(tmp_path, [HEAD | {"ok": 1}, row])

    def test_a_record_without_any_outcome(self, tmp_path):
        with pytest.raises(DataError, match=r"record 2 \(item 'v1'\): no outcome column\. Give at least one column of numbers"):
            read(tmp_path, [HEAD | {"ok": 1}, HEAD | {"note": "fine"}])

    def test_a_column_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match=r"has no column 'nope'\. Its further columns: ok, score"):
            outcomes_of(tmp_path, {"ok": 1, "score": 2}, outcomes=("ok", "nope"))

    def test_from_standard_input(self, monkeypatch):
        text = "".join(json.dumps(HEAD | {"item": item, "ok": 1}) + "\n" for item in ("v1", "v2"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert [row.item for row in read_observations("-")] == ["v1", "v2"]

    def test_only_some_axes(self):
        rows = [Observation("v1", axis, "a", {"ok": 1.0}) for axis in ("sex", "race", "sex")]
        assert kept(rows, []) == rows
        assert [row.axis for row in kept(iter(rows), ["sex"])] == ["sex", "sex"]
        with pytest.raises(UsageError, match=r"no axis 'age' in these records\. There are: sex, race"):
            kept(rows, ["sex", "age"])


class TestLoaded:
    def test_what_an_audit_wrote_beside_its_report_is_read_back_whole(self, tmp_path):
        from guardmed.audit import Definition, Interview
        from tests.unit.small_audit import Answering, plain_definition

        entry = {"vignette": "renal-colic", "axis": "sex", "groups": ["female"], "outcomes": ["care"], "reason": {"en": "Why.", "zh": "因为。"}}
        report, rows = audit_model(Interview(Answering()), Definition.model_validate(plain_definition() | {"expected": [entry]}))
        write_report(report, rows, tmp_path)
        assert loaded(tmp_path) == rows

    def test_a_folder_without_records(self, tmp_path):
        with pytest.raises(DataError, match=r"has no records\.jsonl\. Keep the folder"):
            loaded(tmp_path)
