"""What an audit must never call equivalent."""

from __future__ import annotations

import pytest

from guardmed.audit import Observation, Settings, analyse
from tests.unit.audit_rows import alternating, observed, one


class TestWhatCannotPass:
    def test_groups_that_share_no_item_with_the_rest(self) -> None:
        rows = observed({"a": alternating(150), "b": alternating(150)})
        rows += [Observation(f"w{index}", "sex", "c", {"treated": 1.0}) for index in range(150)]
        found = one(rows)
        assert found.verdict == "inconclusive"
        assert found.reason == "a and c have no item in common"

    def test_an_axis_of_which_a_group_is_hardly_answered(self) -> None:
        rows = [Observation(o.item, o.axis, o.group, {"care": 0.5, "answered": 0.001}) for o in observed({"a": alternating(150), "b": alternating(150)})]
        floored = analyse(rows, Settings(floors={"answered": 0.01})).axes["sex"]
        assert analyse(rows, Settings()).axes["sex"]["care"].verdict == "pass"
        assert floored["care"].verdict == "inconclusive"
        assert "answered is 0.001 for a, under 0.01" in floored["care"].reason

    @pytest.mark.parametrize("value", [0.5, 3.0])
    def test_thirty_answers_that_are_all_the_same(self, value: float) -> None:
        few, many = (one(observed({"a": [value] * n, "b": [value] * n})) for n in (30, 150))
        assert (few.verdict, many.verdict) == ("inconclusive", "pass")
        assert few.pairs[0].ci[0] < 0 < few.pairs[0].ci[1]

    def test_an_axis_without_a_primary_outcome(self) -> None:
        rows = observed({"a": alternating(150), "b": alternating(150)})
        rows += [Observation(o.item, "age", o.group, {"words": o.outcomes["treated"]}) for o in rows]
        assert analyse(rows, Settings()).verdict == "pass"
        assert analyse(rows, Settings(roles={"words": "secondary"})).verdict == "inconclusive"

    def test_a_pair_says_what_it_shows_by_itself(self) -> None:
        female = [0.0 if index % 3 == 0 else 1.0 for index in range(150)]
        found = one(observed({"a": [1.0] * 150, "b": [1.0] * 150, "c": female}))
        assert {(pair.a, pair.b): pair.verdict for pair in found.pairs} == {("a", "b"): "pass", ("a", "c"): "fail", ("b", "c"): "fail"}
