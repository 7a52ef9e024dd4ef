from __future__ import annotations

import numpy as np
import pytest

from guardmed.audit.analyse import MIN_GROUP, Observation, OutcomeResult, Settings, analyse
from guardmed.stats import holm, mcnemar_exact, paired_difference


def observed(values: dict[str, list[float]], *, axis: str = "sex", expected: bool = False) -> list[Observation]:
    """One observation for each group and item, from each group's values in item order."""
    return [
        Observation(item=f"v{index}", axis=axis, group=group, outcomes={"treated": value}, expected=expected)
        for group, own in values.items()
        for index, value in enumerate(own)
    ]


def one(rows: list[Observation], settings: Settings | None = None) -> OutcomeResult:
    (outcomes,) = analyse(rows, settings or Settings()).values()
    return outcomes["treated"]


def alternating(count: int) -> list[float]:
    return [float(index % 2) for index in range(count)]


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
        assert found.items_needed is not None
        assert found.items_needed > 34

    def test_a_planted_gap_fails(self) -> None:
        female = [0.0 if index % 3 == 0 else 1.0 for index in range(150)]
        found = one(observed({"male": [1.0] * 150, "female": female}))
        assert found.verdict == "fail"
        (pair,) = found.pairs
        assert (pair.a, pair.b, pair.n_pairs) == ("male", "female", 150)
        assert pair.gap == pytest.approx(1 / 3)
        assert pair.flip_rate == pytest.approx(1 / 3)
        assert pair.p == pytest.approx(mcnemar_exact(50, 0))
        assert pair.ci == pytest.approx((paired_difference(50, 0, 150).low, paired_difference(50, 0, 150).high))

    def test_a_planted_gap_of_probabilities_fails(self) -> None:
        base = np.random.default_rng(1).uniform(0.3, 0.9, size=120)
        found = one(observed({"insured": list(base), "uninsured": list(base - 0.15)}))
        assert found.verdict == "fail"
        assert found.pairs[0].gap == pytest.approx(0.15)

    def test_significant_but_small_does_not_fail(self) -> None:
        base = np.random.default_rng(2).uniform(0.3, 0.9, size=200)
        found = one(observed({"insured": list(base), "uninsured": list(base - 0.01)}))
        assert found.pairs[0].p_adjusted < 0.05
        assert found.verdict == "pass"

    def test_large_but_not_significant_does_not_fail(self) -> None:
        found = one(observed({"male": [1.0] * 3 + [0.0] * 37, "female": [0.0] * 40}))
        assert found.pairs[0].gap == pytest.approx(0.075)
        assert found.verdict == "inconclusive"

    def test_under_thirty_pairs_nothing_is_judged(self) -> None:
        found = one(observed({"male": [1.0] * 20, "female": [0.0] * 20}))
        assert found.pairs[0].p_adjusted < 0.001
        assert found.verdict == "inconclusive"
        assert "20 pairs" in found.reason
        assert found.items_needed == MIN_GROUP
        assert all(group.suppressed for group in found.groups.values())

    def test_one_group_is_not_compared(self) -> None:
        found = one(observed({"male": [1.0] * 40}))
        assert found.verdict == "inconclusive"
        assert found.pairs == ()

    def test_no_bias_seldom_fails(self) -> None:
        failed = 0
        for seed in range(60):
            generator = np.random.default_rng(seed)
            chance = generator.uniform(0.1, 0.9, size=100)
            rows = observed({group: [float(value) for value in generator.random(100) < chance] for group in ("white", "black", "asian")})
            failed += one(rows).verdict == "fail"
        assert failed <= 3

    def test_a_planted_bias_is_mostly_found(self) -> None:
        failed = 0
        for seed in range(20):
            generator = np.random.default_rng(seed)
            rows = observed({"white": [float(v) for v in generator.random(150) < 0.8], "black": [float(v) for v in generator.random(150) < 0.5]})
            failed += one(rows).verdict == "fail"
        assert failed >= 18


class TestPairs:
    def test_holm_over_the_pairs_of_an_axis(self) -> None:
        generator = np.random.default_rng(3)
        found = one(observed({name: [float(v) for v in generator.random(80) < p] for name, p in (("a", 0.8), ("b", 0.6), ("c", 0.5), ("d", 0.5))}))
        assert len(found.pairs) == 6
        assert [pair.p_adjusted for pair in found.pairs] == pytest.approx(holm([pair.p for pair in found.pairs]))

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

    def test_swapping_groups_swaps_signs(self) -> None:
        generator = np.random.default_rng(4)
        left, right = ([float(v) for v in generator.random(60) < p] for p in (0.7, 0.4))
        ahead = one(observed({"x": left, "y": right})).pairs[0]
        back = one(observed({"y": right, "x": left})).pairs[0]
        assert ahead.gap == -back.gap
        assert ahead.ci == pytest.approx((-back.ci[1], -back.ci[0]), abs=1e-6)
        assert ahead.p == back.p

    def test_order_of_rows_does_not_matter(self) -> None:
        generator = np.random.default_rng(5)
        rows = observed({"x": list(generator.random(50)), "y": list(generator.random(50))})
        shuffled = rows[:1] + [rows[index + 1] for index in generator.permutation(len(rows) - 1)]
        one_way, other = one(rows), one(shuffled, Settings(references={"sex": "y"}))
        assert other.pairs == one_way.pairs

    def test_expected_differences_are_not_judged(self) -> None:
        same = observed({"male": alternating(150), "female": alternating(150)})
        right = [
            Observation(item=f"isotretinoin{index}", axis="sex", group=group, outcomes={"treated": value}, expected=True)
            for index in range(150)
            for group, value in (("male", 1.0), ("female", 0.0))
        ]
        assert one(same + right).verdict == "pass"
        assert one(same + [Observation(o.item, o.axis, o.group, o.outcomes) for o in right]).verdict == "fail"

    def test_axes_and_outcomes_are_kept_apart(self) -> None:
        rows = observed({"male": alternating(40), "female": alternating(40)}) + observed({"young": [1.0] * 40, "old": [0.0] * 40}, axis="age")
        rows += [Observation(o.item, o.axis, o.group, {"referred": 1.0}) for o in rows if o.axis == "sex"]
        found = analyse(rows, Settings())
        assert {axis: set(outcomes) for axis, outcomes in found.items()} == {"sex": {"treated", "referred"}, "age": {"treated"}}
        assert found["age"]["treated"].verdict == "fail"
        assert found["sex"]["treated"].verdict != "fail"


class TestNoise:
    def test_no_repeats_no_floor(self) -> None:
        assert one(observed({"male": [1.0] * 40, "female": [1.0] * 40})).pairs[0].self_flip_rate is None

    def test_self_flips_of_repeats(self) -> None:
        rows = [
            Observation(item=f"v{index}", axis="sex", group=group, outcomes={"treated": float(repeat == 1 and index % 4 == 0)}, repeat=repeat)
            for index in range(40)
            for group in ("male", "female")
            for repeat in (0, 1)
        ]
        found = one(rows)
        assert found.pairs[0].self_flip_rate == pytest.approx(0.25)
        assert found.pairs[0].gap == 0


class TestGroups:
    def test_means_counts_and_intervals(self) -> None:
        found = one(observed({"male": [1.0] * 30 + [0.0] * 10, "female": [1.0] * 10 + [0.0] * 10}))
        assert (found.groups["male"].n, found.groups["male"].mean, found.groups["male"].suppressed) == (40, 0.75, False)
        assert (found.groups["female"].n, found.groups["female"].mean, found.groups["female"].suppressed) == (20, 0.5, True)
        assert all(group.ci[0] < group.mean < group.ci[1] for group in found.groups.values())

    def test_more_items_find_smaller_gaps(self) -> None:
        few, many = (one(observed({"male": alternating(n), "female": alternating(n)})).detectable_gap for n in (40, 400))
        assert few is not None
        assert many is not None
        assert 0 < many < few
