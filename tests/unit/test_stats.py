from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from guardmed.stats import (
    Interval,
    benjamini_hochberg,
    bootstrap_mean,
    bootstrap_statistic,
    clopper_pearson,
    holm,
    items_needed,
    mcnemar_exact,
    normal_quantile,
    paired_difference,
    sign_flip_p,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
PAIRS = st.integers(1, 300).flatmap(lambda total: st.integers(0, total).flatmap(lambda a: st.tuples(st.just(a), st.integers(0, total - a), st.just(total))))
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)
CONFIDENCE = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@pytest.mark.parametrize("p", [0.001, 0.025, 0.5, 0.8, 0.975])
def test_normal_quantile(p: float) -> None:
    assert normal_quantile(p) == pytest.approx(scipy_stats.norm.ppf(p), abs=1e-9)


@pytest.mark.parametrize(("low", "high", "inside"), [(-0.04, 0.04, True), (-0.05, 0.04, False), (-0.04, 0.05, False), (0.06, 0.08, False)])
def test_interval_inside_a_margin(low: float, high: float, inside: bool) -> None:
    assert Interval(low, high).inside(0.05) is inside
    assert Interval(low, high).as_list() == [low, high]


class TestProportions:
    @given(COUNTS, CONFIDENCE)
    def test_wilson_is_its_closed_form_and_holds_the_point(self, counts: tuple[int, int], confidence: float) -> None:
        successes, total = counts
        interval = wilson(successes, total, confidence=confidence)
        oracle = scipy_stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
        assert interval.low == pytest.approx(oracle.low, abs=1e-9)
        assert interval.high == pytest.approx(oracle.high, abs=1e-9)
        assert interval.low - 1e-12 <= successes / total <= interval.high + 1e-12
        assert 0 <= interval.low < interval.high <= 1

    @given(COUNTS, CONFIDENCE)
    def test_clopper_pearson_is_exact(self, counts: tuple[int, int], confidence: float) -> None:
        successes, total = counts
        interval = clopper_pearson(successes, total, confidence=confidence)
        oracle = scipy_stats.binomtest(successes, total).proportion_ci(confidence, method="exact")
        assert interval.low == pytest.approx(oracle.low, abs=1e-9)
        assert interval.high == pytest.approx(oracle.high, abs=1e-9)
        assert interval.low <= successes / total <= interval.high

    @given(COUNTS)
    def test_failures_mirror_successes(self, counts: tuple[int, int]) -> None:
        successes, total = counts
        for method in (wilson, clopper_pearson):
            one, other = method(successes, total), method(total - successes, total)
            assert one.low == pytest.approx(1 - other.high, abs=1e-9)

    @pytest.mark.parametrize("method", [wilson, clopper_pearson])
    def test_no_trials_say_nothing(self, method: object) -> None:
        assert method(0, 0) == Interval(0.0, 1.0)  # type: ignore[operator]


class TestMcNemar:
    @given(st.integers(0, 400), st.integers(0, 400))
    def test_is_the_binomial_test(self, a: int, b: int) -> None:
        assume(a + b > 0)
        assert mcnemar_exact(a, b) == pytest.approx(scipy_stats.binomtest(a, a + b).pvalue, rel=1e-6)
        assert mcnemar_exact(a, b) == mcnemar_exact(b, a)

    def test_no_discordant_pair_is_no_evidence(self) -> None:
        assert mcnemar_exact(0, 0) == 1.0


class TestPairedDifference:
    @given(PAIRS)
    def test_holds_the_point_and_is_antisymmetric(self, pairs: tuple[int, int, int]) -> None:
        a, b, total = pairs
        interval = paired_difference(a, b, total)
        mirrored = paired_difference(b, a, total)
        assert -1 <= interval.low <= (a - b) / total <= interval.high <= 1
        assert interval.low == pytest.approx(-mirrored.high, abs=1e-6)
        assert interval.high == pytest.approx(-mirrored.low, abs=1e-6)

    def test_one_discordant_pair_of_44(self) -> None:
        interval = paired_difference(0, 1, 44)
        assert interval.low == pytest.approx(-0.118, abs=0.002)
        assert interval.high == pytest.approx(0.059, abs=0.002)

    @pytest.mark.parametrize("total", [10, 34, 150, 1000])
    def test_identical_answers_keep_a_width(self, total: int) -> None:
        interval = paired_difference(0, 0, total)
        z2 = normal_quantile(0.975) ** 2
        assert interval.high == pytest.approx(z2 / (total + z2), abs=1e-6)

    @given(PAIRS)
    def test_more_confidence_is_wider(self, pairs: tuple[int, int, int]) -> None:
        narrow, wide = paired_difference(*pairs, confidence=0.8), paired_difference(*pairs, confidence=0.99)
        assert wide.low <= narrow.low + 1e-9
        assert narrow.high <= wide.high + 1e-9

    def test_no_pairs_say_nothing(self) -> None:
        assert paired_difference(0, 0, 0) == Interval(-1.0, 1.0)

    def test_covers_the_truth(self) -> None:
        generator = np.random.default_rng(5)
        inside = 0
        for a, b, _ in generator.multinomial(80, [0.2, 0.1, 0.7], size=400):
            interval = paired_difference(int(a), int(b), 80)
            inside += interval.low <= 0.1 <= interval.high
        assert 0.92 <= inside / 400 <= 0.985


class TestAdjustments:
    @given(P_VALUES)
    def test_holm_is_at_least_p_and_keeps_the_order(self, p_values: list[float]) -> None:
        adjusted = holm(p_values)
        order = np.argsort(p_values, kind="stable")
        assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
        assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
        assert min(adjusted) == pytest.approx(min(1.0, min(p_values) * len(p_values)))

    @given(P_VALUES)
    def test_benjamini_hochberg_agrees_with_scipy_and_is_milder(self, p_values: list[float]) -> None:
        adjusted = benjamini_hochberg(p_values)
        assert adjusted == pytest.approx(scipy_stats.false_discovery_control(p_values), abs=1e-12)
        assert all(q <= h + 1e-12 for q, h in zip(adjusted, holm(p_values), strict=True))

    @pytest.mark.parametrize(
        ("p_values", "adjusted"),
        [([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.02], [0.02]), ([0.5, 0.9], [1.0, 1.0]), ([], [])],
    )
    def test_holm_by_hand(self, p_values: list[float], adjusted: list[float]) -> None:
        assert holm(p_values) == pytest.approx(adjusted)


class TestResampling:
    def test_bootstrap_is_seeded(self) -> None:
        values = np.random.default_rng(1).normal(size=60)
        assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
        assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)

    def test_bootstrap_is_near_the_normal_interval(self) -> None:
        values = np.random.default_rng(2).normal(1.0, 2.0, size=400)
        interval = bootstrap_mean(values, resamples=4000)
        half = 1.96 * values.std() / math.sqrt(400)
        assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
        assert interval.high == pytest.approx(values.mean() + half, abs=0.03)

    def test_equal_values_have_no_width(self) -> None:
        interval = bootstrap_mean([0.25] * 20)
        assert interval.low == pytest.approx(0.25)
        assert interval.high == pytest.approx(0.25)

    def test_nothing_gives_nothing(self) -> None:
        assert math.isnan(bootstrap_mean([]).low)

    def test_every_resample_draws_as_many_clusters(self) -> None:
        seen: list[tuple[int, int]] = []

        def statistic(weights: np.ndarray) -> np.ndarray:
            assert np.all(weights.sum(axis=1) == weights.shape[1])
            seen.append(weights.shape)
            return weights[:, 0]

        bootstrap_statistic(statistic, 10_000, resamples=1000)
        assert sum(rows for rows, _ in seen) == 1000
        assert {columns for _, columns in seen} == {10_000}
        assert max(rows for rows, _ in seen) * 10_000 <= 4_000_000

    def test_sign_flip_agrees_with_all_sign_patterns(self) -> None:
        values = np.array([0.9, 0.4, -0.1, 0.7, 0.3, 0.6, -0.2, 0.5])
        signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
        exact = float(np.mean(np.abs(values @ signs) >= abs(values.sum()) - 1e-12))
        assert sign_flip_p(values, permutations=20_000) == pytest.approx(exact, abs=0.01)
        assert sign_flip_p(values) == sign_flip_p(-values)
        assert sign_flip_p([*values, 0.0, 0.0], permutations=20_000) == pytest.approx(exact, abs=0.01)

    @pytest.mark.parametrize("values", [[], [0.0, 0.0]])
    def test_sign_flip_without_any_difference(self, values: list[float]) -> None:
        assert sign_flip_p(values) == 1.0

    def test_sign_flip_never_reaches_zero(self) -> None:
        assert 0 < sign_flip_p([1.0] * 200, permutations=999) < 1 / 1000


class TestPlanning:
    @pytest.mark.parametrize(
        ("low", "high", "limit", "total", "needed"),
        [(0.1, 0.3, 0.25, 50, 200), (0.1, 0.3, 0.4, 50, 51), (0.1, 0.3, 0.2, 50, 5000)],
    )
    def test_items_needed(self, low: float, high: float, limit: float, total: int, needed: int) -> None:
        assert items_needed(low, high, limit, total) == pytest.approx(needed, abs=1)
