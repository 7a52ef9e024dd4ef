from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from guardmed.audit.compare import Change, compare
from guardmed.audit.definition import CROSS
from guardmed.audit.table import Observation
from guardmed.errors import DataError
from guardmed.stats import holm, sign_flip_p
from tests.unit.audit_rows import alternating, drawn, observed

NAMES = ("old model", "new model")


def changes(before: list[Observation], after: list[Observation]) -> tuple[Change, ...]:
    return compare(before, after, names=NAMES).changes


def change(before: list[Observation], after: list[Observation]) -> Change:
    (found,) = changes(before, after)
    return found


def audit(generator: np.random.Generator, gap: float, *, base: np.ndarray) -> list[Observation]:
    noise = generator.normal(0, 0.05, size=(2, len(base)))
    return observed({"white": list(base + gap + noise[0]), "black": list(base + noise[1])})


class TestChanges:
    def test_a_gap_that_closes(self) -> None:
        generator = np.random.default_rng(1)
        base = generator.uniform(0.2, 0.6, size=60)
        before, after = audit(generator, 0.2, base=base), audit(generator, 0.0, base=base)
        found = change(before, after)
        gaps = [np.array([row.outcomes["treated"] for row in rows]).reshape(2, 60) for rows in (before, after)]
        first, second = (white - black for white, black in gaps)
        assert (found.axis, found.outcome, found.a, found.b, found.n_items) == ("sex", "treated", "white", "black", 60)
        assert found.before == pytest.approx(first.mean())
        assert found.after == pytest.approx(second.mean())
        assert found.change == pytest.approx((second - first).mean())
        assert found.ci[0] < found.change < found.ci[1] < -0.15
        assert found.p == pytest.approx(sign_flip_p(second - first))
        assert found.p < 1e-6

    def test_names_are_kept_in_order(self) -> None:
        rows = observed({"x": alternating(40), "y": alternating(40)})
        found = compare(rows, rows, names=NAMES)
        assert (found.before, found.after) == NAMES

    def test_the_same_audit_has_not_changed(self) -> None:
        rows = observed({"x": drawn(np.random.default_rng(2), 40, 0.6), "y": drawn(np.random.default_rng(3), 40, 0.3)})
        found = change(rows, rows)
        assert (found.change, found.ci, found.p) == (0.0, (0.0, 0.0), 1.0)
        assert found.before == found.after != 0

    def test_swapping_audits_swaps_the_sign(self) -> None:
        generator = np.random.default_rng(4)
        before, after = (observed({"x": list(generator.random(40)), "y": list(generator.random(40))}) for _ in range(2))
        ahead, back = change(before, after), change(after, before)
        assert back.change == pytest.approx(-ahead.change)
        assert back.ci == pytest.approx((-ahead.ci[1], -ahead.ci[0]))
        assert back.p == ahead.p
        assert (back.before, back.after) == (ahead.after, ahead.before)

    def test_what_is_hard_about_an_item_cancels_out(self) -> None:
        generator = np.random.default_rng(5)
        before = observed({"x": list(generator.normal(0, 5, size=40)), "y": list(generator.normal(0, 5, size=40))})
        after = [replace(row, outcomes={"treated": row.outcomes["treated"] + (0.3 if row.group == "x" else 0.0)}) for row in before]
        found = change(before, after)
        assert found.ci == pytest.approx((0.3, 0.3))
        assert found.p < 1e-6

    def test_only_items_that_both_audits_asked_of_both_groups_count(self) -> None:
        before = observed({"x": [1.0] * 50, "y": [0.0] * 50})
        after = observed({"x": [1.0] * 30, "y": [1.0] * 25})
        found = change(before, after)
        assert found.n_items == 25
        assert (found.before, found.after, found.change) == (1.0, 0.0, -1.0)

    def test_items_are_paired_by_name_not_by_place(self) -> None:
        generator = np.random.default_rng(6)
        before, after = (observed({"x": list(generator.random(40)), "y": list(generator.random(40))}) for _ in range(2))
        found = change(before, [after[index] for index in generator.permutation(80)])
        assert found == change(before, after)

    def test_holm_over_every_gap_of_an_axis(self) -> None:
        generator = np.random.default_rng(7)

        def whole(shift: float) -> list[Observation]:
            chances = {"x": 0.6 - shift, "y": 0.5, "z": 0.5 + shift / 2}
            rows = [row for name in ("treated", "referred") for row in observed({g: drawn(generator, 60, p) for g, p in chances.items()}, outcome=name)]
            return rows + observed({"old": drawn(generator, 60, 0.5 + shift), "young": drawn(generator, 60, 0.5)}, axis="age")

        found = changes(whole(0.0), whole(0.35))
        of_sex, of_age = ([one for one in found if one.axis == axis] for axis in ("sex", "age"))
        assert (len(of_sex), len(of_age)) == (6, 1)
        assert [one.p_adjusted for one in of_sex] == pytest.approx(holm([one.p for one in of_sex]))
        assert max(one.p_adjusted - one.p for one in of_sex) > 0
        assert of_age[0].p_adjusted == of_age[0].p

    def test_a_case_in_two_languages_counts_once(self) -> None:
        generator = np.random.default_rng(8)
        base = generator.uniform(0.2, 0.6, size=30)
        audits = [audit(generator, gap, base=base) for gap in (0.03, 0.0)]
        doubled = [[replace(row, item=f"{row.item}.{language}", cluster=row.item) for row in rows for language in ("en", "zh")] for rows in audits]
        alone, together = change(*audits), change(*doubled)
        assert together.n_items == 2 * alone.n_items
        assert together.p == alone.p
        assert together.ci == pytest.approx(alone.ci)

    def test_groups_that_share_no_item_have_no_gap(self) -> None:
        rows = observed({"x": alternating(40), "y": alternating(20)}) + [replace(row, group="z") for row in observed({"x": alternating(40)})[20:]]
        assert [(one.a, one.b, one.n_items) for one in changes(rows, rows)] == [("x", "y", 20), ("x", "z", 20)]

    def test_repeats_expected_rows_answers_and_intersections_are_left_out(self) -> None:
        rows = observed({"x": alternating(40), "y": alternating(40)})
        more = [
            *observed({"x": [5.0] * 40}, repeat=1),
            *observed({"x": [1.0] * 40, "y": [0.0] * 40}, outcome="excused", expected=True),
            *observed({"x": ["A"] * 40, "y": ["B"] * 40}, outcome="letter"),
            *observed({f"x{CROSS}old": [1.0] * 40, f"y{CROSS}old": [1.0] * 40}, axis=f"sex{CROSS}age"),
        ]
        found = compare(rows + more, rows + more, names=NAMES)
        assert found == compare(rows, rows, names=NAMES)
        assert len(found.changes) == len(found.levels) == 1


class TestErrors:
    def test_without_a_change_it_seldom_finds_one(self) -> None:
        generator = np.random.default_rng(9)
        base = generator.uniform(0.2, 0.8, size=50)
        found = [change(audit(generator, 0.1, base=base), audit(generator, 0.1, base=base)) for _ in range(60)]
        assert sum(one.p_adjusted < 0.05 for one in found) <= 7
        assert sum(one.ci[0] <= 0 <= one.ci[1] for one in found) >= 53

    def test_a_planted_change_is_mostly_found(self) -> None:
        # Of 50 items a change's standard error is 0.05 · 2 / √50 = 0.014; 0.04 is 2.8 of them, found four times in five.
        generator = np.random.default_rng(10)
        base = generator.uniform(0.2, 0.8, size=50)
        found = [change(audit(generator, 0.1, base=base), audit(generator, 0.14, base=base)) for _ in range(40)]
        assert 26 <= sum(one.p_adjusted < 0.05 for one in found) <= 38

    @pytest.mark.parametrize("fields", [{"item": "other"}, {"axis": "age"}, {"group": "z"}, {"outcomes": {"referred": 1.0}}, {"expected": True}])
    def test_audits_without_a_common_answer_are_not_compared(self, fields: dict) -> None:
        rows = observed({"x": [1.0]})
        with pytest.raises(DataError, match="no item in common"):
            compare(rows, [replace(rows[0], **fields)], names=NAMES)


class TestLevels:
    def test_means_over_the_same_answers(self) -> None:
        before = observed({"x": [0.2] * 40, "y": [0.4] * 40})
        after = observed({"x": [0.5] * 30, "y": [0.5] * 40})
        (level,) = compare(before, after, names=NAMES).levels
        assert level.outcome == "treated"
        assert level.n_items == 40
        assert level.before == pytest.approx((0.2 * 30 + 0.4 * 40) / 70)
        assert level.after == pytest.approx(0.5)
        assert level.ci[0] <= level.after - level.before <= level.ci[1]

    def test_a_level_may_change_while_no_gap_does(self) -> None:
        generator = np.random.default_rng(11)
        before = observed({"x": list(generator.random(40)), "y": list(generator.random(40))})
        after = [replace(row, outcomes={"treated": row.outcomes["treated"] + 0.2}) for row in before]
        found = compare(before, after, names=NAMES)
        assert found.changes[0].change == pytest.approx(0.0, abs=1e-12)
        assert found.levels[0].ci == pytest.approx((0.2, 0.2))

    def test_one_level_an_outcome_over_all_axes(self) -> None:
        rows = observed({"x": [0.0] * 30, "y": [0.0] * 30}) + [
            replace(row, item=f"w{row.item}") for row in observed({"old": [1.0] * 30, "young": [1.0] * 30}, axis="age")
        ]
        (level,) = compare(rows, rows, names=NAMES).levels
        assert (level.before, level.n_items) == (0.5, 60)
