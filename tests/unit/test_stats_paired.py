from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from guardmed.stats import (
    bootstrap_columns,
    bootstrap_statistic,
    cochran_q,
    max_gap_p,
    mcnemar_exact,
    mcnemar_power,
    sign_flip_columns,
    sign_flip_p,
    signed_rank_p,
    smallest_gap,
)

STEPS = st.lists(st.integers(-4, 4), min_size=1, max_size=12)


def expanded_tail(clusters: int, confidence: float = 0.95) -> float:
    """Hesterberg's: the normal tail beyond what Student's t asks for, in units of the biased deviation."""
    t = scipy_stats.t.ppf(0.5 + confidence / 2, clusters - 1)
    return float(scipy_stats.norm.sf(math.sqrt(clusters / (clusters - 1)) * t))


class TestBootstrapColumns:
    @pytest.mark.parametrize(("clusters", "confidence"), [(8, 0.95), (30, 0.95), (30, 0.8), (400, 0.99)])
    def test_is_the_bootstrap_of_a_ratio_with_the_expanded_tail(self, clusters: int, confidence: float) -> None:
        generator = np.random.default_rng(clusters)
        sums, counts = generator.normal(size=(clusters, 2)), generator.integers(1, 4, size=(clusters, 2)).astype(float)
        found = bootstrap_columns(sums, counts, confidence=confidence, seed=7)
        for column, interval in enumerate(found):
            plain = bootstrap_statistic(
                lambda weights, column=column: weights @ sums[:, column] / (weights @ counts[:, column]),
                clusters,
                confidence=1 - 2 * expanded_tail(clusters, confidence),
                seed=7,
            )
            assert interval.as_list() == pytest.approx(plain.as_list(), abs=1e-9)

    def test_few_clusters_still_cover_the_truth(self) -> None:
        columns = np.random.default_rng(3).normal(0.3, 1.0, size=(15, 600))
        expanded = bootstrap_columns(columns, np.ones_like(columns), resamples=1000)
        inside = np.mean([interval.low <= 0.3 <= interval.high for interval in expanded])
        plain = np.mean([one.low <= 0.3 <= one.high for one in (bootstrap_statistic(lambda w, c=c: w @ c / 15, 15, resamples=1000) for c in columns.T)])
        assert 0.935 <= inside <= 0.975
        assert plain < 0.93

    def test_is_as_wide_as_students_t(self) -> None:
        columns = np.random.default_rng(4).normal(size=(20, 300))
        widths = [interval.high - interval.low for interval in bootstrap_columns(columns, np.ones_like(columns), resamples=1000)]
        student = 2 * scipy_stats.t.ppf(0.975, 19) * columns.std(axis=0, ddof=1) / math.sqrt(20)
        assert np.mean(widths / student) == pytest.approx(1.0, abs=0.03)

    def test_clusters_count_by_their_rows(self) -> None:
        # One cluster of ninety zeros against nine of one: the mean is near 0, not near 0.9.
        (interval,) = bootstrap_columns([[0.0]] * 9 + [[9.0]] * 9, [[90.0]] * 9 + [[9.0]] * 9, resamples=500)
        assert interval.low < 81 / 891 < interval.high < 0.3

    def test_clusters_without_a_column_say_nothing_about_it(self) -> None:
        values = np.random.default_rng(5).normal(2.0, 0.1, size=40)
        counts = (np.arange(40) % 2 == 0).astype(float)
        (interval,) = bootstrap_columns((values * counts).reshape(-1, 1), counts.reshape(-1, 1))
        assert interval.low < values[::2].mean() < interval.high
        assert 1.9 < interval.low < interval.high < 2.1

    def test_a_column_of_one_cluster_is_its_value_whenever_drawn(self) -> None:
        sums, counts = np.zeros((30, 2)), np.zeros((30, 2))
        sums[4, 0], counts[4, 0], counts[:, 1] = 1.5, 3.0, 1.0
        found = bootstrap_columns(sums, counts, resamples=300)
        assert found[0].as_list() == [0.5, 0.5]
        assert found[1].as_list() == [0.0, 0.0]

    def test_a_column_nobody_has_is_unknown(self) -> None:
        known, unknown = bootstrap_columns([[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]])
        assert [known.low, known.high] == [1.0, 2.0]
        assert math.isnan(unknown.low)
        assert math.isnan(unknown.high)

    def test_no_clusters_know_nothing(self) -> None:
        found = bootstrap_columns(np.zeros((0, 3)), np.zeros((0, 3)))
        assert len(found) == 3
        assert all(math.isnan(interval.low) and math.isnan(interval.high) for interval in found)

    def test_one_draw_serves_all_columns(self) -> None:
        generator = np.random.default_rng(6)
        sums, counts = generator.normal(size=(25, 3)), np.ones((25, 3))
        together = bootstrap_columns(sums, counts, resamples=400, seed=2)
        alone = [bootstrap_columns(sums[:, [column]], counts[:, [column]], resamples=400, seed=2)[0] for column in range(3)]
        mirrored = bootstrap_columns(-sums, counts, resamples=400, seed=2)
        for interval, own, other in zip(together, alone, mirrored, strict=True):
            assert interval.as_list() == pytest.approx(own.as_list(), abs=1e-12)
            assert interval.as_list() == pytest.approx([-other.high, -other.low], abs=1e-12)
        assert together != bootstrap_columns(sums, counts, resamples=400, seed=3)


def every_sign(values: np.ndarray) -> float:
    """Two-sided p over all sign patterns."""
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(values))))
    return float(np.mean(np.abs(signs @ values) >= abs(values.sum()) - 1e-12 * np.abs(values).sum()))


class TestSignFlips:
    @settings(max_examples=60)
    @given(STEPS, st.sampled_from([1 / 700, 0.1, 1.0, 1e5 / 7]))
    def test_agrees_with_every_sign_pattern(self, steps: list[int], unit: float) -> None:
        values = np.array(steps, dtype=float)
        exact = every_sign(values)
        (p,) = sign_flip_columns((values * unit).reshape(-1, 1), permutations=4000)
        assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4000) + 1 / 4000)

    @settings(max_examples=200)
    @given(st.lists(st.floats(-1, 1), min_size=1, max_size=12), st.integers(0, 20))
    def test_the_bound_is_never_under_the_exact_tail(self, steps: list[float], seed: int) -> None:
        values = np.array(steps)
        # One flip alone gives 1/2 or 1, so what is smaller comes of the bound.
        p = sign_flip_p(values, permutations=1, seed=seed)
        assert p in (0.5, 1.0) or p >= every_sign(values) - 1e-9

    @given(STEPS)
    def test_the_unit_does_not_matter(self, steps: list[int]) -> None:
        values = np.array(steps) / 7
        assert len({sign_flip_p(values * unit, permutations=200) for unit in (1e-9, 1e-3, 1.0, 1e3, 1e5)}) == 1

    def test_the_bound_stands_in_where_no_flip_reaches(self) -> None:
        assert sign_flip_p([1.0] * 200, permutations=999) == pytest.approx(6.3574 * scipy_stats.norm.sf(math.sqrt(200)), rel=1e-6)
        # Of 30 clusters the bound is 2.7e-7; the exact p is 2 / 2**30, smaller still.
        assert 2 / 2**30 < sign_flip_p([1.0] * 30, permutations=999) == pytest.approx(6.3574 * scipy_stats.norm.sf(math.sqrt(30)), rel=1e-6)

    def test_a_bound_above_the_sampled_p_is_left_alone(self) -> None:
        # Eleven alike: z = 3.32 and a bound of 0.0029, over the one permutation in 1024 that is as extreme.
        p = sign_flip_p([1.0] * 11, permutations=500, seed=1)
        assert p in {1 / 501, 2 / 501, 3 / 501}

    def test_columns_share_their_flips(self) -> None:
        values = np.random.default_rng(8).normal(0.2, 1.0, size=(40, 5))
        values[:, 3] = 0.0
        values[:, 4] = -values[:, 0]
        together = sign_flip_columns(values, permutations=1000, seed=4)
        assert together == [sign_flip_p(column, permutations=1000, seed=4) for column in values.T]
        assert together[3] == 1.0
        assert together[4] == together[0]

    def test_without_bias_p_is_uniform(self) -> None:
        p_values = np.array(sign_flip_columns(np.random.default_rng(9).normal(size=(20, 1000)), permutations=1000))
        assert scipy_stats.kstest(p_values, "uniform").statistic < 0.05

    def test_no_clusters_are_no_evidence(self) -> None:
        assert sign_flip_columns(np.zeros((0, 2))) == [1.0, 1.0]


class TestWilcoxon:
    @given(st.lists(st.integers(-3, 3), min_size=1, max_size=40).filter(any))
    def test_flips_the_signs_of_ranks_with_zeros_ranked(self, steps: list[int]) -> None:
        values = np.array(steps, dtype=float)
        assert signed_rank_p(values) == sign_flip_p(scipy_stats.rankdata(np.abs(values)) * np.sign(values))
        assert signed_rank_p(values) == pytest.approx(signed_rank_p(-values), abs=1e-12)

    def test_five_that_moved_one_way_can_t_reach_five_percent(self) -> None:
        # Every sign alike has a chance of 2 in 32, however many stayed; the normal score would say 0.025.
        assert signed_rank_p([1.0] * 5 + [0.0] * 25) == pytest.approx(2 / 32, abs=0.01)
        assert scipy_stats.wilcoxon([1.0] * 5 + [0.0] * 25, zero_method="pratt", method="asymptotic").pvalue < 0.03

    def test_is_near_the_exact_p_of_many_distinct_steps(self) -> None:
        values = np.random.default_rng(10).permutation(np.arange(1, 41)) * np.where(np.arange(40) % 3 == 0, -1.0, 1.0)
        assert signed_rank_p(values) == pytest.approx(scipy_stats.wilcoxon(values, method="exact").pvalue, abs=0.005)

    def test_zeros_count_as_agreement(self) -> None:
        moved = [1.0, 2.0, -1.0, 1.0, 3.0, 2.0, 1.0]
        ranks = scipy_stats.rankdata([*np.abs(moved), *[0.0] * 60])[: len(moved)]
        assert signed_rank_p([*moved, *[0.0] * 60]) == sign_flip_p([*(ranks * np.sign(moved)), *[0.0] * 60])

    @pytest.mark.parametrize("values", [[], [0.0], [0.0] * 40])
    def test_no_difference_is_no_evidence(self, values: list[float]) -> None:
        assert signed_rank_p(values) == 1.0


class TestCochran:
    def test_by_hand(self) -> None:
        # Groups have 5, 3 and 1; items have 2, 1, 3, 2, 0 and 1. Q = 2 (3·35 − 81) / (27 − 19) = 6, and p = exp(−6 / 2).
        q, p = cochran_q([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
        assert q == pytest.approx(6.0)
        assert p == pytest.approx(math.exp(-3))

    @given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
    def test_of_two_groups_is_mcnemars_chi_square(self, only_a: int, only_b: int, both: int) -> None:
        q, p = cochran_q([[1, 0]] * only_a + [[0, 1]] * only_b + [[1, 1]] * both + [[0, 0]])
        assert q == pytest.approx((only_a - only_b) ** 2 / max(1, only_a + only_b))
        assert p == pytest.approx(scipy_stats.chi2.sf(q, 1) if only_a + only_b else 1.0)

    def test_items_alike_for_all_groups_are_no_evidence(self) -> None:
        assert cochran_q([[1, 1, 1], [0, 0, 0], [1, 1, 1]]) == (0.0, 1.0)

    def test_without_bias_it_rejects_as_often_as_it_says(self) -> None:
        generator = np.random.default_rng(11)
        p_values = [cochran_q(generator.random((60, 4)) < 0.4)[1] for _ in range(600)]
        assert 0.025 <= np.mean(np.array(p_values) < 0.05) <= 0.075


class TestMaxGap:
    def test_agrees_with_every_rearrangement(self) -> None:
        table = np.array([[0.9, 0.2, 0.4], [0.8, 0.5, 0.1], [0.6, 0.4, 0.5], [0.7, 0.9, 0.3]])
        sums = [np.sum(rows, axis=0) for rows in itertools.product(*(list(itertools.permutations(row)) for row in table))]
        exact = np.mean([np.ptp(total) >= np.ptp(table.sum(axis=0)) - 1e-12 for total in sums])
        assert 0.01 < exact < 0.5
        assert max_gap_p(table, permutations=20_000) == pytest.approx(exact, abs=0.012)

    def test_the_unit_does_not_matter(self) -> None:
        table = np.random.default_rng(17).integers(1, 30, size=(6, 3)) / 7
        assert len({max_gap_p(table * unit, permutations=500) for unit in (1e-9, 1e-3, 1.0, 1e3, 1e5)}) == 1

    def test_of_two_groups_is_the_sign_flip_test(self) -> None:
        table = np.random.default_rng(12).normal(size=(12, 2)) + np.array([0.5, 0.0])
        assert max_gap_p(table, permutations=20_000) == pytest.approx(every_sign(table[:, 0] - table[:, 1]), abs=0.012)

    def test_without_bias_p_is_uniform(self) -> None:
        generator = np.random.default_rng(13)
        p_values = [max_gap_p(generator.normal(size=(30, 1)) + generator.normal(size=(30, 4)), permutations=199, seed=seed) for seed in range(400)]
        assert scipy_stats.kstest(p_values, "uniform").statistic < 0.08

    def test_finds_one_group_apart(self) -> None:
        generator = np.random.default_rng(14)
        found = [max_gap_p(generator.normal(size=(60, 4)) + np.array([0.0, 0.0, 0.8, 0.0]), permutations=199, seed=seed) for seed in range(20)]
        assert np.mean(np.array(found) < 0.05) >= 0.9

    def test_is_never_zero_and_nothing_is_no_evidence(self) -> None:
        assert max_gap_p([[1.0, 0.0]] * 100, permutations=99) == 1 / 100
        assert max_gap_p([[0.5, 0.5, 0.5]] * 40) == 1.0
        assert max_gap_p(np.zeros((0, 3))) == max_gap_p(np.ones((40, 1))) == 1.0


def every_table(gap: float, total: int, discordance: float, alpha: float, margin: float) -> float:
    """The chance of being found, over every count of both kinds of discordant pairs."""
    only_a, only_b = (discordance + gap) / 2, (discordance - gap) / 2
    power = 0.0
    for a in range(total + 1):
        for b in range(total + 1 - a):
            if mcnemar_exact(a, b) < alpha and abs(a - b) > margin * total:
                ways = math.factorial(total) // (math.factorial(a) * math.factorial(b) * math.factorial(total - a - b))
                power += ways * only_a**a * only_b**b * (1 - discordance) ** (total - a - b)
    return power


class TestPower:
    @pytest.mark.parametrize(
        ("gap", "total", "discordance", "alpha", "margin"),
        [(0.3, 20, 0.4, 0.05, 0.0), (0.3, 20, 0.4, 0.05, 0.5), (0.0, 24, 0.6, 0.2, 0.0), (0.2, 40, 0.2, 0.05, 0.05), (0.25, 40, 0.5, 0.01, 0.2)],
    )
    def test_is_exact(self, gap: float, total: int, discordance: float, alpha: float, margin: float) -> None:
        found = mcnemar_power(gap, total=total, discordance=discordance, alpha=alpha, margin=margin)
        assert found == pytest.approx(every_table(gap, total, discordance, alpha, margin), abs=1e-9)

    @pytest.mark.parametrize(("gap", "margin"), [(0.15, 0.05), (0.12, 0.1)])
    def test_agrees_with_simulated_audits(self, gap: float, margin: float) -> None:
        drawn = np.random.default_rng(15).multinomial(150, [(0.3 + gap) / 2, (0.3 - gap) / 2, 0.7], size=2000)
        found = [mcnemar_exact(int(a), int(b)) < 0.05 and abs(a - b) / 150 > margin for a, b, _ in drawn]
        assert mcnemar_power(gap, total=150, discordance=0.3, alpha=0.05, margin=margin) == pytest.approx(np.mean(found), abs=0.035)

    @given(st.floats(0, 0.5), st.floats(0.01, 1), st.sampled_from([0.05, 0.01]))
    def test_is_a_chance_and_under_alpha_without_a_gap(self, gap: float, discordance: float, alpha: float) -> None:
        power = mcnemar_power(gap, total=80, discordance=discordance, alpha=alpha)
        assert 0 <= power <= 1 + 1e-9
        assert mcnemar_power(0.0, total=80, discordance=discordance, alpha=alpha) < alpha

    def test_discordance_is_at_least_the_gap(self) -> None:
        assert mcnemar_power(0.4, total=40, discordance=0.1, alpha=0.05) == mcnemar_power(0.4, total=40, discordance=0.4, alpha=0.05)
        assert mcnemar_power(0.0, total=40, discordance=0.0, alpha=0.05) == 0.0


class TestSmallestGap:
    @pytest.mark.parametrize(("total", "discordance", "margin"), [(40, 0.1, 0.05), (150, 0.3, 0.05), (150, 0.0, 0.05), (600, 0.2, 0.1)])
    def test_of_shares_is_where_power_reaches_four_in_five(self, total: int, discordance: float, margin: float) -> None:
        gap = smallest_gap(total=total, alpha=0.05, margin=margin, discordance=discordance)
        assert margin < gap < 1
        assert mcnemar_power(gap, total=total, discordance=discordance, alpha=0.05, margin=margin) >= 0.8
        assert mcnemar_power(gap - 1 / 2000, total=total, discordance=discordance, alpha=0.05, margin=margin) < 0.8

    def test_five_pairs_can_find_nothing(self) -> None:
        assert smallest_gap(total=5, alpha=0.05, margin=0.05, discordance=0.2) is None

    def test_of_numbers_by_hand(self) -> None:
        # Of 100 pairs with a deviation of 1 the mean's error is 0.1: (1.96 + 0.84) · 0.1, and beyond a margin of 0.5 + 0.84 · 0.1.
        assert smallest_gap(total=100, alpha=0.05, margin=0.05, spread=1.0) == pytest.approx(0.28016, abs=1e-4)
        assert smallest_gap(total=100, alpha=0.05, margin=0.5, spread=1.0) == pytest.approx(0.58416, abs=1e-4)
        assert smallest_gap(total=100, alpha=0.05, margin=0.05, spread=1.0, power=0.9) == pytest.approx(0.32415, abs=1e-4)

    def test_of_numbers_is_found_four_times_in_five(self) -> None:
        gap = smallest_gap(total=80, alpha=0.05, margin=0.2, spread=1.0)
        drawn = np.random.default_rng(16).normal(gap, 1.0, size=(80, 1000))
        p_values = np.array(sign_flip_columns(drawn, permutations=999))
        assert np.mean((p_values < 0.05) & (np.abs(drawn.mean(axis=0)) > 0.2)) == pytest.approx(0.8, abs=0.04)

    @given(st.integers(30, 300), st.floats(0, 0.5))
    @settings(max_examples=15)
    def test_grows_with_the_margin_and_with_a_stricter_level(self, total: int, discordance: float) -> None:
        plain = smallest_gap(total=total, alpha=0.05, margin=0.05, discordance=discordance)
        assert smallest_gap(total=total, alpha=0.001, margin=0.05, discordance=discordance) >= plain - 1e-3
        assert smallest_gap(total=total, alpha=0.05, margin=0.15, discordance=discordance) >= plain - 1e-3
