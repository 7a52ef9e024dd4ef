"""What an audit describes without judging it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guardmed.audit.analyse import MIN_GROUP, Settings, analyse
from guardmed.audit.definition import CROSS
from guardmed.audit.results import Intersection
from guardmed.audit.table import Observation
from guardmed.calibration.metrics import debiased_ece, ece
from guardmed.stats import bootstrap_columns, max_gap_p
from tests.unit.audit_rows import alternating, observed

CELLS = tuple(f"{sex}{CROSS}{race}" for sex in ("female", "male") for race in ("black", "white", "asian"))


def crossed(values: np.ndarray, **fields) -> list[Observation]:
    """Answers of each cell, one column a cell."""
    return observed({cell: column.tolist() for cell, column in zip(CELLS, values.T, strict=True)}, axis=f"sex{CROSS}race", **fields)


def the_intersection(rows: list[Observation]) -> Intersection:
    (found,) = analyse(rows, Settings()).intersections
    return found


class TestIntersections:
    def test_cells_are_held_against_their_items(self) -> None:
        generator = np.random.default_rng(1)
        values = generator.uniform(0, 0.5, size=(40, 1)) + generator.uniform(0, 0.5, size=(40, 6))
        found = the_intersection(crossed(values))
        assert (found.axes, found.outcome) == (("sex", "race"), "treated")
        assert [CROSS.join(cell.groups) for cell in found.cells] == list(CELLS)
        deviations = values - values.mean(axis=1, keepdims=True)
        assert [cell.mean for cell in found.cells] == pytest.approx(values.mean(axis=0))
        assert [cell.deviation for cell in found.cells] == pytest.approx(deviations.mean(axis=0))
        assert [cell.ci for cell in found.cells] == [tuple(one.as_list()) for one in bootstrap_columns(deviations, np.ones_like(values))]
        assert found.p == max_gap_p(values)
        assert all(cell.n == 40 and not cell.suppressed for cell in found.cells)

    def test_shrinks_by_the_method_of_moments(self) -> None:
        generator = np.random.default_rng(2)
        found = the_intersection(crossed(generator.normal(size=(40, 6)) + [0.6, 0.0, 0.0, 0.0, 0.0, -0.2] * np.ones((40, 1))))
        means = np.array([cell.deviation for cell in found.cells])
        errors = np.array([cell.ci[1] - cell.ci[0] for cell in found.cells]) / 3.92
        spread = np.mean(means**2) - np.mean(errors**2)
        assert spread > 0
        assert [cell.shrunk for cell in found.cells] == pytest.approx(means * spread / (spread + errors**2))

    def test_chance_alone_is_drawn_to_nothing(self) -> None:
        generator = np.random.default_rng(3)
        told, shrunk = [], []
        for _ in range(12):
            found = the_intersection(crossed(generator.normal(size=(40, 6))))
            told += [cell.deviation for cell in found.cells]
            shrunk += [cell.shrunk for cell in found.cells]
        assert np.square(shrunk).mean() < 0.4 * np.square(told).mean()
        assert all(abs(less) <= abs(more) and less * more >= 0 for less, more in zip(shrunk, told, strict=True))

    def test_a_cell_that_is_apart_stays_apart(self) -> None:
        # Neither sex nor race alone shows it: the gap is only where the two meet.
        values = np.random.default_rng(4).uniform(0.4, 0.6, size=(60, 6))
        values[:, 0] -= 0.3
        found = the_intersection(crossed(values))
        assert found.cells[0].deviation == pytest.approx(-0.25, abs=0.02)
        assert found.cells[0].shrunk == pytest.approx(found.cells[0].deviation, rel=0.02)
        assert found.p < 0.001

    def test_small_cells_are_suppressed(self) -> None:
        rows = crossed(np.random.default_rng(5).random((MIN_GROUP, 6)))
        found = the_intersection([row for row in rows if row.group != CELLS[2] or row.item != "v003"])
        assert [cell.suppressed for cell in found.cells] == [False, False, True, False, False, False]
        assert found.cells[2].n == MIN_GROUP - 1

    def test_are_never_judged(self) -> None:
        values = np.zeros((60, 6))
        values[:, 0] = 1.0
        plain = observed({"female": alternating(150), "male": alternating(150)})
        found = analyse(plain + crossed(values), Settings())
        assert set(found.axes) == {"sex"}
        assert found.verdict == "pass"
        assert found.intersections[0].p < 0.001

    def test_only_of_primary_outcomes_with_an_order(self) -> None:
        values = np.random.default_rng(6).random((40, 6))
        rows = crossed(values) + crossed(values, outcome="length") + crossed(np.full((40, 6), "A"), outcome="letter")
        found = analyse(rows, Settings(roles={"length": "secondary"})).intersections
        assert [one.outcome for one in found] == ["treated"]

    def test_groups_that_are_no_cells_are_left_out(self) -> None:
        rows = crossed(np.random.default_rng(7).random((40, 6)))
        assert analyse([*rows, replace(rows[0], group="female")], Settings()).intersections == ()

    def test_expected_differences_are_no_part(self) -> None:
        rows = crossed(np.random.default_rng(8).random((40, 6)))
        right = [replace(row, item=f"w{row.item}", expected=True, outcomes={"treated": 100.0}) for row in rows[:40]]
        assert the_intersection(rows + right) == the_intersection(rows)


class TestExpected:
    def test_expected_differences_are_not_judged(self) -> None:
        same = observed({"male": alternating(150), "female": alternating(150)})
        right = [replace(row, item=f"w{row.item}", expected=True) for row in observed({"male": [1.0] * 150, "female": [0.0] * 150})]
        assert analyse(same + right, Settings()).verdict == "pass"
        assert analyse(same + [replace(row, expected=False) for row in right], Settings()).verdict == "fail"

    def test_are_told_by_vignette_axis_and_outcome(self) -> None:
        rows = [
            Observation(f"isotretinoin.{language}", "sex", group, {"care": value}, language=language, expected=True, cluster="isotretinoin")
            for language, group, value in (("en", "female", 0.2), ("en", "male", 0.8), ("zh", "female", 0.4), ("zh", "male", 1.0))
        ]
        rows.append(Observation("bleeding", "age", "old", {"care": 0.5}, expected=True))
        found = analyse(rows, Settings())
        assert [(one.vignette, one.axis, one.outcome) for one in found.expected] == [("isotretinoin", "sex", "care"), ("bleeding", "age", "care")]
        assert found.expected[0].groups == pytest.approx({"female": 0.3, "male": 0.9})
        assert all(not outcomes for outcomes in found.axes.values())
        assert found.verdict == "inconclusive"

    def test_leave_out_secondary_outcomes_answers_and_intersections(self) -> None:
        row = Observation("v", "sex", "female", {"care": 0.5, "length": 120.0, "letter": "A"}, expected=True)
        rows = [row, replace(row, axis=f"sex{CROSS}age", group=f"female{CROSS}old")]
        found = analyse(rows, Settings(roles={"length": "secondary"})).expected
        assert [(one.axis, one.outcome) for one in found] == [("sex", "care")]

    def test_a_judged_row_of_the_same_item_stays_judged(self) -> None:
        rows = observed({"male": alternating(40), "female": alternating(40)}) + observed(
            {"male": [9.0] * 40, "female": [1.0] * 40}, outcome="length", expected=True
        )
        found = analyse(rows, Settings())
        assert set(found.axes["sex"]) == {"treated"}
        assert {one.outcome for one in found.expected} == {"length"}


def answered(group: str, confidence: list[float], correct: list[float], *, axis: str = "sex") -> list[Observation]:
    return [
        Observation(f"v{index:03}", axis, group, {"confidence": sure, "correct": right})
        for index, (sure, right) in enumerate(zip(confidence, correct, strict=True))
    ]


class TestCalibration:
    def test_of_each_group_by_hand(self) -> None:
        rows = answered("x", [0.8] * 40, [1.0] * 24 + [0.0] * 16) + answered("y", [0.8] * 20, [1.0] * 16 + [0.0] * 4)
        found = analyse(rows, Settings()).calibration["sex"]
        assert (found["x"].n, found["x"].suppressed, found["y"].n, found["y"].suppressed) == (40, False, 20, True)
        assert (found["x"].confidence, found["x"].accuracy) == pytest.approx((0.8, 0.6))
        assert found["x"].ece == pytest.approx(0.2)
        assert found["y"].ece == pytest.approx(0.0, abs=1e-12)

    def test_plain_and_with_chance_taken_off(self) -> None:
        generator = np.random.default_rng(9)
        confidence = generator.uniform(0.3, 0.95, size=200)
        right = (generator.random(200) < confidence).astype(float)
        found = analyse(answered("x", list(confidence), list(right)) + answered("y", [0.5] * 3, [1.0] * 3), Settings()).calibration["sex"]["x"]
        assert found.ece == pytest.approx(ece(confidence, right))
        assert found.debiased_ece == pytest.approx(debiased_ece(confidence, right))
        assert 0 <= found.debiased_ece < found.ece

    def test_scores_beyond_one_are_no_confidence(self) -> None:
        rows = answered("x", [4.5] * 40, [1.0] * 40) + answered("y", [0.5] * 40, [1.0] * 40)
        assert set(analyse(rows, Settings()).calibration["sex"]) == {"y"}

    def test_needs_confidence_and_correctness(self) -> None:
        rows = observed({"x": alternating(40), "y": alternating(40)}, outcome="correct")
        assert analyse(rows, Settings()).calibration == {}
        halves = answered("x", [0.5] * 40, [0.5] * 40)
        assert analyse(halves, Settings()).calibration == {}

    def test_leaves_intersections_out(self) -> None:
        rows = answered(f"x{CROSS}old", [0.8] * 40, [1.0] * 40, axis=f"sex{CROSS}age")
        assert analyse(rows, Settings()).calibration == {}


class TestOverconfidence:
    def test_is_confidence_beyond_accuracy_and_pairs_like_any_outcome(self) -> None:
        generator = np.random.default_rng(10)
        right = (generator.random(120) < 0.8).astype(float)
        less = right * (generator.random(120) < 0.7)
        sure = generator.uniform(0.75, 0.85, size=120)
        found = analyse(answered("x", list(sure), list(right)) + answered("y", list(sure), list(less)), Settings()).axes["sex"]
        assert set(found) == {"confidence", "correct", "overconfidence"}
        assert found["confidence"].verdict == "pass"
        assert found["overconfidence"].verdict == "fail"
        assert found["overconfidence"].pairs[0].gap == pytest.approx(-(right - less).mean())
        assert found["overconfidence"].groups["y"].mean == pytest.approx((sure - less).mean())

    def test_needs_both_on_the_same_answer(self) -> None:
        rows = observed({"x": alternating(40)}, outcome="correct") + observed({"x": [0.7] * 40}, outcome="confidence")
        assert set(analyse(rows, Settings()).axes["sex"]) == {"correct", "confidence"}
        assert set(analyse(answered("x", [0.7] * 40, [0.5] * 40), Settings()).axes["sex"]) == {"correct", "confidence"}
