from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.flips import MOST_FLIPS, Flip, marked, worst_flips
from guardmed.audit.table import Observation
from tests.unit.audit_rows import alternating, observed

PIECES = st.lists(st.sampled_from(["she ", "he ", "A 45-year-old ", "1.5 mg", "患者", "女性", "男性", "，", "\n\n", "don't ", "é", "🙂", " "]), max_size=12)
TEXTS = st.one_of(st.text(max_size=40), PIECES.map("".join))


def flips(rows: list[Observation], settings: Settings | None = None, **options) -> list[Flip]:
    return list(worst_flips(rows, analyse(rows, settings or Settings()).axes, **options))


class TestWorstFlips:
    def test_the_largest_come_first_and_the_higher_is_named_first(self) -> None:
        rows = observed({"x": [0.5, 0.9, 0.2, 0.5], "y": [0.5, 0.6, 0.9, 0.4]})
        assert [(flip.item, flip.a, flip.b, flip.value_a, flip.value_b) for flip in flips(rows)] == [
            ("v002", "y", "x", 0.9, 0.2),
            ("v001", "x", "y", 0.9, 0.6),
            ("v003", "x", "y", 0.5, 0.4),
        ]

    def test_of_several_groups_the_two_furthest_apart(self) -> None:
        (flip,) = flips(observed({"x": [0.5], "y": [0.1], "z": [0.8]}))
        assert (flip.a, flip.b) == ("z", "y")
        assert flip.size == pytest.approx(0.7)

    def test_they_carry_what_was_asked_and_answered(self) -> None:
        rows = [
            Observation("v", "sex", "male", {"care": 1.0}, prompt="A man asks.", answer="Yes."),
            Observation("v", "sex", "female", {"care": 0.0}, prompt="A woman asks.", answer="No."),
        ]
        (flip,) = flips(rows)
        assert (flip.prompt_a, flip.answer_a, flip.prompt_b, flip.answer_b) == ("A man asks.", "Yes.", "A woman asks.", "No.")

    def test_sizes_are_relative_to_margins(self) -> None:
        rows = observed({"x": [3.0], "y": [2.0]}, outcome="days") + [replace(row, item="w") for row in observed({"x": [0.8], "y": [0.5]}, outcome="care")]
        assert [flip.outcome for flip in flips(rows, Settings(margins={"days": 2.0}))] == ["care", "days"]
        assert [flip.outcome for flip in flips(rows, Settings(margins={"days": 0.1}))] == ["days", "care"]

    def test_one_an_item_and_axis(self) -> None:
        rows = observed({"x": [0.9], "y": [0.1]}) + observed({"x": [0.9], "y": [0.4]}, outcome="care")
        rows += observed({"old": [0.7], "young": [0.4]}, axis="age")
        assert [(flip.axis, flip.outcome) for flip in flips(rows)] == [("sex", "treated"), ("age", "treated")]

    def test_a_failing_axis_comes_first_among_equals(self) -> None:
        fair = observed({"old": alternating(40), "young": [1 - value for value in alternating(40)]}, axis="age")
        unfair = observed({"x": [1.0] * 40, "y": [0.0] * 40})
        assert {flip.axis for flip in flips(fair + unfair)} == {"sex"}
        assert {flip.axis for flip in flips(fair)} == {"age"}

    def test_at_most_so_many(self) -> None:
        rows = observed({"x": [1.0] * 20, "y": [0.0] * 20})
        assert len(flips(rows)) == MOST_FLIPS
        assert len(flips(rows, most=3)) == 3

    def test_secondary_outcomes_expected_rows_and_repeats_are_left_out(self) -> None:
        rows = observed({"x": [1.0], "y": [0.0]})
        assert flips(rows, Settings(roles={"treated": "secondary"})) == []
        assert flips([replace(row, expected=True) for row in rows]) == []
        same = observed({"x": [1.0], "y": [1.0]})
        assert flips(same + observed({"y": [0.0]}, repeat=1)) == []

    def test_answers_without_an_order_differ_or_not(self) -> None:
        found = flips(observed({"x": ["A", "B", "C"], "y": ["A", "C", "C"], "z": ["A", "C", "A"]}))
        assert {(flip.item, frozenset((flip.value_a, flip.value_b)), flip.size) for flip in found} == {
            ("v001", frozenset("BC"), 1.0),
            ("v002", frozenset("AC"), 1.0),
        }

    def test_numbers_among_answers_are_answers(self) -> None:
        (flip,) = flips(observed({"x": [2.0, "B"], "y": ["B", "B"]}))
        assert {flip.value_a, flip.value_b} == {2.0, "B"}
        assert flip.size == 1.0

    def test_nothing_differs(self) -> None:
        assert flips(observed({"x": alternating(10), "y": alternating(10)})) == []
        assert flips(observed({"x": alternating(10)})) == []


class TestMarked:
    @given(TEXTS, TEXTS)
    def test_pieces_join_back_to_the_texts(self, one: str, other: str) -> None:
        left, right = marked(one, other)
        assert "".join(piece for piece, _ in left) == one
        assert "".join(piece for piece, _ in right) == other
        assert "".join(piece for piece, differs in left if not differs) == "".join(piece for piece, differs in right if not differs)
        assert all(piece for piece, _ in left + right)

    @given(TEXTS)
    def test_the_same_text_has_no_mark(self, text: str) -> None:
        left, right = marked(text, text)
        assert left == right == ([(text, False)] if text else [])

    def test_english_by_words(self) -> None:
        left, right = marked("A 45-year-old man takes 1.5 mg; he doesn't smoke.", "A 45-year-old woman takes 1.5 mg; she doesn't smoke.")
        assert [piece for piece, differs in left if differs] == ["man", "he"]
        assert [piece for piece, differs in right if differs] == ["woman", "she"]

    def test_a_number_differs_whole(self) -> None:
        left, right = marked("take 1.5 mg", "take 1.25 mg")
        assert ([piece for piece, differs in left if differs], [piece for piece, differs in right if differs]) == (["1.5"], ["1.25"])

    def test_chinese_by_characters(self) -> None:
        left, right = marked("患者，男性，45岁，他不吸烟。", "患者，女性，45岁，她不吸烟。")
        assert left == [("患者，", False), ("男", True), ("性，45岁，", False), ("他", True), ("不吸烟。", False)]
        assert [piece for piece, differs in right if differs] == ["女", "她"]

    def test_words_that_one_text_lacks(self) -> None:
        left, right = marked("The patient is uninsured and asks.", "The patient asks.")
        assert [piece for piece, differs in left if differs] == ["is uninsured and "]
        assert not any(differs for _, differs in right)
