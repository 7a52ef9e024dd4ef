"""ICD-10 codes: what is read from answers and files, validity, controls, and the written cases."""

from __future__ import annotations

import json

import pytest

from guardmed.errors import DataError
from guardmed.evaluate.codes import CodeTable, cut, found_codes, is_code, normal, tables
from guardmed.evaluate.icd import Coding, always, f1, load, validity
from guardmed.evaluate.selection import Selection

needs_tables = pytest.mark.skipif(not tables(), reason="the tables of ICD-10 (guardmed[eval]) are not installed")


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        ("E11.9", ["E11.9"]),
        ("The codes are I10, e11.9 and K358.", ["I10", "E11.9", "K35.8"]),
        ("主要诊断：Ｉ21.1；其次 E11.2†、N08.3*", ["I21.1", "E11.2", "N08.3"]),
        ("I10.x00x002", ["I10"]),
        ("S72.001A (CM) and I10 I10", ["S72.001A", "I10"]),
        ("vitamin b12, 10 mg, T4, CO2, COVID19", []),
        ("", []),
    ],
)
def test_codes_are_found_in_answers(answer, codes):
    assert found_codes(answer) == codes


def test_codes_are_written_one_way_and_cut():
    assert [normal(code) for code in ("e119", " K35.8 ", "I10", "I10.x00", "A09.9+")] == ["E11.9", "K35.8", "I10", "I10", "A09.9"]
    assert [cut("S72.001A", length) for length in (3, 4, 7)] == ["S72", "S72.0", "S72.001A"]
    assert [is_code(code) for code in ("E11.9", "I10", "E1.19", "")] == [True, True, False, False]


def test_micro_and_macro_f1_of_codes_and_categories():
    found = f1([("E11.9", "I10"), ("I10",)], [("E11.2", "I10"), ()], seed=0)
    assert found["micro_f1"].value == pytest.approx(2 * 1 / (2 * 1 + 1 + 2))
    assert found["macro_f1"].value == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found["category_micro_f1"].value == pytest.approx(2 * 2 / (2 * 2 + 0 + 1))
    assert found["micro_f1"].controls == always([("E11.9", "I10"), ("I10",)])
    assert found["micro_f1"].controls["most frequent code"] == pytest.approx(2 * 2 / (2 * 2 + 0 + 1))


def test_validity_is_a_share_of_the_codes_given():
    table = CodeTable("a table", {"I10"}.__contains__)
    figure = validity([["I10", "Z99.9"], [], ["I10"]], [table], seed=0)
    assert (figure.value, figure.n, figure.detail) == (pytest.approx(2 / 3), 2, "2 of 3, in a table")
    assert validity([["I10"]], [], seed=0) is None
    assert validity([[]], [table], seed=0) is None


@needs_tables
def test_the_tables_know_codes_with_and_without_a_point():
    who = tables()[0]
    assert all(who.holds(code) for code in ("I10", "E11.9", "J45.0"))
    assert not any(who.holds(code) for code in ("E11.65", "U99.9", "B12", "I", "J40-J47"))


@needs_tables
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_of_the_written_cases_stands_in_who_icd_10(language):
    cases = load(Selection(language=language))
    assert len(cases) >= 40
    assert all(tables()[0].holds(code) for one in cases for code in one.codes)


@pytest.mark.parametrize(
    "row", [{"text": "Asthma.", "codes": ["J45.0"]}, {"id": 7, "TEXT": "Asthma.", "LABELS": "J45.0;J450"}, {"case": "Asthma.", "icd10": "J45.0"}]
)
def test_shapes_of_cases(tmp_path, row):
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (one,) = Coding.of(Selection(language="en", data=str(path))).cases
    assert (one.text, one.codes) == ("Asthma.", ("J45.0",))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"codes": ["I10"]}, "text is missing"),
        ({"text": "a"}, "codes is not a list"),
        ({"text": "a", "labels": "4019"}, "labels: '4019' is not an ICD-10 code"),
    ],
)
def test_a_case_that_does_not_fit_is_named(tmp_path, row, said):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"text": "a", "codes": ["I10"]}\n' + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=rf"cases.jsonl, line 2: {said}"):
        load(Selection(language="en", data=str(path)))


@needs_tables
def test_a_code_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"text": "a", "codes": "I10, J45.7"}\n')
    with pytest.raises(DataError, match=r"line 1: codes: 'J45.7' stands in none of WHO ICD-10"):
        load(Selection(language="en", data=str(path)))
