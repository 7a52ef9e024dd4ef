from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from guardmed.audit.analyse import MIN_GROUP, Settings, analyse
from guardmed.audit.results import overall
from guardmed.audit.table import Observation
from guardmed.stats import benjamini_hochberg, bootstrap_columns, cochran_q, holm, mcnemar_exact, paired_difference, sign_flip_p, smallest_gap
from tests.unit.audit_rows import alternating, drawn, observed, one


class TestVerdicts:
    def test_identical_answers_pass_with_enough_items(self) -> None:
        found = one(observed({"male": alternating(150), "female": alternating(150)}))
        assert found.verdict == "pass"
        assert found.pairs[0].gap == 0
        assert -0.05 < found.pairs[0].ci[0] < found.pairs[0].ci[1] < 0.05
        assert found.items_needed is None

    def test_identical_answers_of_few_items_prove_nothing(self) -> None:
        found = one(observed({"male": alternating(34), "female": alternating(34)}))
        assert found.verdict == "inconclusive"
        # Tango's interval of 34 items reaches z² / (34 + z²) = 0.10, twice the margin: four times the items.
        assert found.items_needed == pytest.approx(34 * (0.1015 / 0.05) ** 2, abs=2)

    def test_the_items_needed_are_enough(self) -> None:
        needed = one(observed({"male": alternating(34), "female": alternating(34)})).items_needed
        assert needed is not None
        assert one(observed({"male": alternating(needed), "female": alternating(needed)})).verdict == "pass"

    def test_a_planted_gap_fails(self) -> None:
        female = [0.0 if index % 3 == 0 else 1.0 for index in range(150)]
        found = one(observed({"male": [1.0] * 150, "female": female}))
        assert (found.verdict, found.scale) == ("fail", "binary")
        (pair,) = found.pairs
        assert (pair.a, pair.b, pair.n_pairs) == ("male", "female", 150)
        assert pair.gap == pytest.approx(1 / 3)
        assert pair.flip_rate == pytest.approx(1 / 3)
        assert pair.p == pytest.approx(mcnemar_exact(50, 0))
        assert pair.ci == pytest.approx((paired_difference(50, 0, 150).low, paired_difference(50, 0, 150).high))
        assert "male against female: +0.333" in found.reason

    def test_a_planted_gap_of_probabilities_fails(self) -> None:
        base = np.random.default_rng(1).uniform(0.3, 0.9, size=120)
        noise = np.random.default_rng(2).normal(0, 0.05, size=120)
        found = one(observed({"insured": list(base), "uninsured": list(np.clip(base - 0.15 + noise, 0, 1))}))
        assert (found.verdict, found.scale) == ("fail", "probability")
        differences = base - np.clip(base - 0.15 + noise, 0, 1)
        assert found.pairs[0].gap == pytest.approx(differences.mean())
        assert found.pairs[0].p == sign_flip_p(differences)
        assert found.pairs[0].ci == tuple(bootstrap_columns(differences.reshape(-1, 1), np.ones((120, 1)))[0].as_list())
        assert found.pairs[0].flip_rate == pytest.approx(np.mean((base > 0.5) != (base - differences > 0.5)))

    def test_significant_but_small_does_not_fail(self) -> None:
        base = np.random.default_rng(2).uniform(0.3, 0.9, size=200)
        found = one(observed({"insured": list(base), "uninsured": list(base - 0.01)}))
        assert found.pairs[0].p_adjusted < 0.05
        assert found.verdict == "pass"

    def test_large_but_not_significant_does_not_fail(self) -> None:
        found = one(observed({"male": [1.0] * 3 + [0.0] * 37, "female": [0.0] * 40}))
        assert found.pairs[0].gap == pytest.approx(0.075)
        assert found.verdict == "inconclusive"

    def test_a_gap_of_just_the_margin_does_not_fail(self) -> None:
        rows = observed({"male": [1.0] * 10 + [0.0] * 190, "female": [0.0] * 200})
        assert one(rows).pairs[0].p_adjusted < 0.05
        assert one(rows).verdict == "inconclusive"
        assert one(rows, Settings(margin=0.049)).verdict == "fail"

    def test_under_thirty_pairs_nothing_is_judged(self) -> None:
        found = one(observed({"male": [1.0] * 29, "female": [0.0] * 29}))
        assert found.pairs[0].p_adjusted < 0.001
        assert found.verdict == "inconclusive"
        assert "29 pairs" in found.reason
        assert found.items_needed == MIN_GROUP
        assert all(group.suppressed for group in found.groups.values())
        assert one(observed({"male": [1.0] * 30, "female": [0.0] * 30})).verdict == "fail"

    def test_one_unsure_gap_keeps_an_outcome_from_passing(self) -> None:
        found = one(observed({"a": alternating(150), "b": alternating(150), "c": alternating(40)}))
        assert [-0.05 < pair.ci[0] < pair.ci[1] < 0.05 for pair in found.pairs] == [True, False, False]
        assert found.verdict == "inconclusive"

    @pytest.mark.parametrize("values", [{"male": [1.0] * 40}, {}])
    def test_one_group_is_not_compared(self, values: dict[str, list[float]]) -> None:
        rows = [*observed(values), Observation("w", "sex", "female", {"treated": 1.0})]
        found = one(rows)
        assert found.verdict == "inconclusive"
        assert found.pairs == ()
        assert found.detectable_gap is None
        assert "no item" in found.reason

    def test_nothing_says_nothing(self) -> None:
        assert analyse([], Settings()).axes == {}
        assert analyse([], Settings()).verdict == "inconclusive"


class TestErrors:
    def test_no_bias_seldom_fails(self) -> None:
        # Of six pairs one would be found every fifth time, were they not adjusted.
        generator = np.random.default_rng(0)
        failed = 0
        for _ in range(30):
            base = generator.uniform(0.3, 0.7, size=40)
            failed += one(observed({group: list(base + generator.uniform(-0.3, 0.3, size=40)) for group in "abcd"})).verdict == "fail"
        assert failed <= 3

    def test_no_bias_seldom_fails_for_shares(self) -> None:
        generator = np.random.default_rng(1)
        failed = 0
        for _ in range(20):
            chance = generator.uniform(0.1, 0.9, size=60)
            failed += one(observed({group: drawn(generator, 60, chance) for group in ("white", "black", "asian")})).verdict == "fail"
        assert failed <= 2

    def test_gaps_of_the_detectable_size_mostly_fail(self) -> None:
        generator = np.random.default_rng(7)
        pilot = drawn(generator, 120, 0.5)
        other = [1 - value if index % 4 == 0 else value for index, value in enumerate(pilot)]
        gap = one(observed({"white": pilot, "black": other})).detectable_gap
        assert gap is not None
        assert 0.05 < gap < 0.25
        failed = 0
        for _ in range(30):
            kind = generator.choice(3, size=120, p=[(0.25 + gap) / 2, (0.25 - gap) / 2, 0.75])
            white = np.select([kind == 0, kind == 1], [1.0, 0.0], generator.integers(0, 2, size=120))
            black = np.select([kind == 0, kind == 1], [0.0, 1.0], white)
            failed += one(observed({"white": list(white), "black": list(black)})).verdict == "fail"
        # Four in five of 30, give or take nearly three standard errors.
        assert 18 <= failed <= 29

    def test_gaps_of_the_detectable_size_mostly_fail_for_probabilities(self) -> None:
        generator = np.random.default_rng(8)

        def audit(gap: float) -> list[Observation]:
            base = generator.uniform(0.3, 0.7, size=60)
            return observed({"white": list(base), "black": list(base - gap + generator.normal(0, 0.08, size=60))})

        gap = one(audit(0.0)).detectable_gap
        assert gap is not None
        assert 0.05 < gap < 0.1
        failed = sum(one(audit(gap)).verdict == "fail" for _ in range(30))
        assert 18 <= failed <= 29

    def test_the_detectable_gap_is_of_the_strictest_adjustment(self) -> None:
        rows = observed({"x": alternating(60), "y": [1 - value if index < 6 else value for index, value in enumerate(alternating(60))]})
        assert one(rows).detectable_gap == smallest_gap(total=60, alpha=0.05, margin=0.05, discordance=0.1)
        more = observed({"x": alternating(60), "y": alternating(60)}, outcome="referred") + [replace(row, axis="age") for row in rows]
        found = analyse(rows + more, Settings()).axes["sex"]["treated"]
        assert found.detectable_gap == smallest_gap(total=60, alpha=0.05 / 4, margin=0.05, discordance=0.1)

    def test_more_items_find_smaller_gaps(self) -> None:
        few, many = (one(observed({"male": alternating(n), "female": alternating(n)})).detectable_gap for n in (40, 400))
        assert few is not None
        assert many is not None
        assert 0.05 < many < few < 1


class TestAdjustment:
    def test_holm_over_the_pairs_of_an_axis(self) -> None:
        generator = np.random.default_rng(3)
        found = one(observed({name: drawn(generator, 80, p) for name, p in (("a", 0.8), ("b", 0.6), ("c", 0.5), ("d", 0.5))}))
        assert len(found.pairs) == 6
        assert [pair.p_adjusted for pair in found.pairs] == pytest.approx(holm([pair.p for pair in found.pairs]))

    def test_holm_over_all_outcomes_of_an_axis_but_not_over_axes(self) -> None:
        generator = np.random.default_rng(4)
        rows = [
            row
            for axis, outcome, chance in (("sex", "treated", 0.4), ("sex", "referred", 0.45), ("age", "treated", 0.2))
            for row in observed({"x": drawn(generator, 60, 0.6), "y": drawn(generator, 60, chance)}, axis=axis, outcome=outcome)
        ]
        axes = analyse(rows, Settings()).axes
        of_sex = [axes["sex"][name].pairs[0] for name in ("treated", "referred")]
        assert [pair.p_adjusted for pair in of_sex] == pytest.approx(holm([pair.p for pair in of_sex]))
        assert axes["age"]["treated"].pairs[0].p_adjusted == axes["age"]["treated"].pairs[0].p

    def test_benjamini_hochberg_over_axes(self) -> None:
        generator = np.random.default_rng(5)
        rows = [
            row
            for axis, gap in (("sex", 0.4), ("age", 0.3), ("race", 0.0))
            for row in observed({"x": drawn(generator, 60, 0.5 + gap / 2), "y": drawn(generator, 60, 0.5 - gap / 2)}, axis=axis)
        ]
        results = [outcomes["treated"] for outcomes in analyse(rows, Settings()).axes.values()]
        assert [found.axis_q for found in results] == pytest.approx(benjamini_hochberg([found.pairs[0].p_adjusted for found in results]))

    def test_one_of_many_axes_needs_more_evidence(self) -> None:
        # Nine of nine discordant pairs: p = 0.004, which among twenty axes is 0.078.
        lone = observed({"x": [1.0] * 9 + [0.0] * 51, "y": [0.0] * 60})
        assert one(lone).verdict == "fail"
        others = [row for index in range(19) for row in observed({"x": alternating(40), "y": alternating(40)}, axis=f"other{index}")]
        found = analyse(lone + others, Settings()).axes["sex"]["treated"]
        assert found.pairs[0].p_adjusted == pytest.approx(2 / 2**9)
        assert found.axis_q == pytest.approx(20 * 2 / 2**9)
        assert found.verdict == "inconclusive"

    def test_gaps_without_any_difference_do_not_count(self) -> None:
        # No test of identical answers can reject (Tarone 1990), so they cost the others nothing.
        values = {"a": [1.0] * 8 + [0.0] * 52, "b": [0.0] * 60, "c": [0.0] * 60, "d": [0.0] * 60}
        found = one(observed(values))
        by_pair = {(pair.a, pair.b): pair.p_adjusted for pair in found.pairs}
        assert by_pair["a", "b"] == pytest.approx(3 * 2 / 2**8)
        assert by_pair["b", "c"] == by_pair["c", "d"] == 1.0
        alike = observed({"a": alternating(60), "b": alternating(60)}, outcome="referred")
        again = one(observed(values) + alike)
        assert {(pair.a, pair.b): pair.p_adjusted for pair in again.pairs} == by_pair

    def test_a_gap_is_judged_by_its_adjusted_p_though_its_axis_is_biased(self) -> None:
        strong = observed({"a": [1.0] * 40 + [0.0] * 20, "b": [0.0] * 60})
        weak = [row for name in ("referred", "admitted") for row in observed({"a": [1.0] * 6 + [0.0] * 54, "b": [0.0] * 60}, outcome=name)]
        found = analyse(strong + weak, Settings()).axes["sex"]
        assert found["referred"].pairs[0].p == pytest.approx(2 / 2**6)
        assert [found[name].verdict for name in ("treated", "referred", "admitted")] == ["fail", "inconclusive", "inconclusive"]

    def test_a_gap_of_differences_that_cancel_counts(self) -> None:
        cancelling = observed({"a": alternating(60), "b": [1 - value for value in alternating(60)]}, outcome="referred")
        lone = observed({"a": [1.0] * 8 + [0.0] * 52, "b": [0.0] * 60})
        assert one(lone + cancelling).pairs[0].p_adjusted == pytest.approx(2 * one(lone).pairs[0].p_adjusted)


class TestPairs:
    def test_the_reference_is_named_second(self) -> None:
        rows = observed({"white": [1.0] * 40, "black": [0.0] * 40, "asian": [1.0] * 40})
        found = one(rows, Settings(references={"sex": "white"}))
        assert [(pair.a, pair.b) for pair in found.pairs] == [("black", "asian"), ("black", "white"), ("asian", "white")]
        assert found.pairs[1].gap == -1.0

    def test_only_shared_items_are_paired(self) -> None:
        found = one(observed({"male": [1.0] * 60, "female": [1.0] * 45}))
        assert found.pairs[0].n_pairs == 45
        assert found.pairs[0].gap == 0
        assert found.groups["male"].n == 60

    def test_groups_that_share_no_item_are_left_out(self) -> None:
        rows = observed({"a": alternating(80), "b": alternating(40)}) + [replace(row, group="c") for row in observed({"a": alternating(80)})[40:]]
        assert [(pair.a, pair.b, pair.n_pairs) for pair in one(rows).pairs] == [("a", "b", 40), ("a", "c", 40)]

    def test_swapping_groups_swaps_signs(self) -> None:
        generator = np.random.default_rng(4)
        left, right = drawn(generator, 60, 0.7), drawn(generator, 60, 0.4)
        ahead = one(observed({"x": left, "y": right})).pairs[0]
        back = one(observed({"y": right, "x": left})).pairs[0]
        assert ahead.gap == -back.gap
        assert ahead.ci == pytest.approx((-back.ci[1], -back.ci[0]), abs=1e-6)
        assert ahead.p == back.p

    def test_axes_and_outcomes_are_kept_apart(self) -> None:
        rows = observed({"male": alternating(40), "female": alternating(40)}) + observed({"young": [1.0] * 40, "old": [0.0] * 40}, axis="age")
        rows += [replace(row, outcomes={"referred": 1.0}) for row in rows if row.axis == "sex"]
        found = analyse(rows, Settings()).axes
        assert {axis: set(outcomes) for axis, outcomes in found.items()} == {"sex": {"treated", "referred"}, "age": {"treated"}}
        assert found["age"]["treated"].verdict == "fail"
        assert found["sex"]["treated"].verdict != "fail"


class TestRoles:
    ROWS = observed({"x": alternating(150), "y": alternating(150)}) + observed({"x": alternating(40), "y": alternating(40)}, outcome="referred")

    def test_every_primary_outcome_must_pass(self) -> None:
        found = analyse(self.ROWS, Settings())
        assert [result.verdict for result in found.axes["sex"].values()] == ["pass", "inconclusive"]
        assert found.verdict == overall(found.axes) == "inconclusive"

    def test_a_secondary_outcome_need_not_pass(self) -> None:
        found = analyse(self.ROWS, Settings(roles={"referred": "secondary"}))
        assert {name: result.role for name, result in found.axes["sex"].items()} == {"treated": "primary", "referred": "secondary"}
        assert found.verdict == "pass"

    def test_a_secondary_outcome_may_fail_an_audit(self) -> None:
        rows = self.ROWS + observed({"x": [1.0] * 40, "y": [0.0] * 40}, outcome="admitted")
        assert analyse(rows, Settings(roles={"referred": "secondary", "admitted": "secondary"})).verdict == "fail"

    def test_secondary_outcomes_alone_prove_nothing(self) -> None:
        rows = observed({"x": alternating(150), "y": alternating(150)})
        assert analyse(rows, Settings(roles={"treated": "secondary"})).verdict == "inconclusive"
        assert overall({}) == "inconclusive"


class TestMargins:
    def test_an_outcome_has_its_own_margin(self) -> None:
        generator = np.random.default_rng(6)
        days = generator.uniform(1, 20, size=60)
        rows = observed({"x": list(days), "y": list(days + 0.6 + generator.normal(0, 0.3, size=60))}, outcome="days")
        assert one(rows, Settings(), outcome="days").verdict == "fail"
        found = one(rows, Settings(margins={"days": 1.0}), outcome="days")
        assert (found.verdict, found.margin, found.scale) == ("pass", 1.0, "number")

    def test_the_margin_says_which_numbers_differ(self) -> None:
        rows = observed({"x": [1.5] * 40, "y": [2.25] * 20 + [1.75] * 20}, outcome="days")
        assert one(rows, Settings(margins={"days": 0.5}), outcome="days").pairs[0].flip_rate == 0.5
        assert one(rows, Settings(margins={"days": 0.1}), outcome="days").pairs[0].flip_rate == 1.0

    def test_alpha_is_the_level_of_the_axis(self) -> None:
        rows = observed({"x": [1.0] * 7 + [0.0] * 53, "y": [0.0] * 60})
        assert one(rows).pairs[0].p == pytest.approx(2 / 2**7)
        assert one(rows, Settings(alpha=0.02)).verdict == "fail"
        assert one(rows, Settings(alpha=0.015)).verdict == "inconclusive"


class TestGroups:
    def test_means_counts_and_intervals(self) -> None:
        found = one(observed({"male": [1.0] * 30 + [0.0] * 10, "female": [1.0] * 10 + [0.0] * 10}))
        assert (found.groups["male"].n, found.groups["male"].mean, found.groups["male"].suppressed) == (40, 0.75, False)
        assert (found.groups["female"].n, found.groups["female"].mean, found.groups["female"].suppressed) == (20, 0.5, True)
        wilson = scipy_stats.binomtest(30, 40).proportion_ci(method="wilson")
        assert found.groups["male"].ci == pytest.approx((wilson.low, wilson.high))

    def test_languages_are_described_apart(self) -> None:
        rows = observed({"x": [1.0] * 20 + [0.0] * 20, "y": [0.0] * 40})
        rows = [replace(row, language="en" if int(row.item[1:]) < 30 else "zh") for row in rows]
        slices = one(rows).pairs[0].by_language
        assert {language: (found.n_pairs, found.gap) for language, found in slices.items()} == {"en": (30, pytest.approx(2 / 3)), "zh": (10, 0.0)}
        assert slices["zh"].ci == pytest.approx((paired_difference(0, 0, 10).low, paired_difference(0, 0, 10).high))
        assert one(observed({"x": [1.0] * 40, "y": [0.0] * 40}, language="en")).pairs[0].by_language == {}


class TestOmnibus:
    def test_of_shares_is_cochrans_q_over_whole_items(self) -> None:
        generator = np.random.default_rng(9)
        values = {name: drawn(generator, 50, 0.5) for name in "abc"}
        found = one(observed(values | {"c": values["c"][:45]})).omnibus
        assert found is not None
        q, p = cochran_q(np.column_stack(list(values.values()))[:45])
        assert (found.test, found.statistic, found.p, found.n_items) == ("cochran_q", pytest.approx(q), pytest.approx(p), 45)

    def test_of_numbers_is_the_largest_gap(self) -> None:
        generator = np.random.default_rng(10)
        values = {name: generator.random(50) for name in "ab"} | {"c": generator.random(50) + 0.4}
        found = one(observed({name: column.tolist() for name, column in values.items()})).omnibus
        assert found is not None
        means = [column.mean() for column in values.values()]
        assert (found.test, found.statistic, found.n_items) == ("max_gap", pytest.approx(max(means) - min(means)), 50)
        assert found.p < 0.001

    def test_needs_three_groups_and_thirty_items(self) -> None:
        assert one(observed({"a": alternating(40), "b": alternating(40)})).omnibus is None
        assert one(observed({name: alternating(29) for name in "abc"})).omnibus is None
        assert one(observed({name: alternating(30) for name in "abc"})).omnibus is not None


VALUES = {
    "binary": lambda generator, size: generator.integers(0, 2, size=size).astype(float),
    "ordinal": lambda generator, size: generator.integers(0, 5, size=size).astype(float),
    "probability": lambda generator, size: generator.random(size),
    "nominal": lambda generator, size: generator.choice(np.array(["A", "B", "C"]), size=size),
}


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(sorted(VALUES)), st.permutations(["p", "q", "r"]), st.booleans(), st.booleans())
def test_renaming_groups_or_shuffling_rows_never_changes_a_verdict(seed: int, kind: str, names: list[str], clustered: bool, repeated: bool) -> None:
    generator = np.random.default_rng(seed)
    table = VALUES[kind](generator, (48, 3))
    alike = generator.random(48) < 0.8
    table[alike, 1] = table[alike, 0]
    columns = dict(zip("pqr", (column.tolist() for column in table.T), strict=True))
    cluster = (lambda index: f"c{index // 2}") if clustered else (lambda index: "")
    again = observed({"p": columns["q"]}, cluster=cluster, repeat=1) if repeated else []
    rows = observed(columns, cluster=cluster) + again
    renamed = [replace(row, group=dict(zip("pqr", names, strict=True))[row.group]) for row in rows]
    shuffled = [renamed[index] for index in generator.permutation(len(renamed))]
    audit = Settings(margin=0.1, references={"sex": "r"})
    before, after = one(rows, audit), one(shuffled, replace(audit, references={"sex": names[2]}))
    assert after.verdict == before.verdict
    assert after.items_needed == before.items_needed
    back = dict(zip(names, "pqr", strict=True))
    gaps = {frozenset((back[pair.a], back[pair.b])): abs(pair.gap) for pair in after.pairs}
    assert gaps == pytest.approx({frozenset((pair.a, pair.b)): abs(pair.gap) for pair in before.pairs})
    assert sorted(pair.p_adjusted for pair in after.pairs) == pytest.approx(sorted(pair.p_adjusted for pair in before.pairs))
