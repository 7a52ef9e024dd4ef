"""What a gate of a given size can tell apart: against brute force, simulation, and the sizes the presets rest on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from guardmed.gate.bounds import looks, one_sided, regression, settled, spent
from guardmed.gate.power import fail_chance, pass_chance, regression_chance, smallest_regression, spare

KINDS = ["max_rate", "min_rate"]
CHECKS = st.fixed_dictionaries(
    {
        "limit": st.sampled_from([0.02, 0.05, 0.1, 0.4, 0.82, 0.9]),
        "total": st.integers(1, 400),
        "kind": st.sampled_from(KINDS),
        "alpha": st.sampled_from([0.01, 0.05, 0.1]),
        "sequential": st.booleans(),
    }
)


def says(events: int, items: int, *, alpha: float, kind: str, limit: float) -> str | None:
    return settled(one_sided(events, items, alpha=alpha), kind=kind, limit=limit)  # type: ignore[arg-type]


class TestChances:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("limit", "rate"), [(0.1, 0.02), (0.1, 0.3), (0.5, 0.4), (0.8, 0.95)])
    def test_one_look_is_a_sum_over_counts(self, kind: str, limit: float, rate: float) -> None:
        total, expected = 90, {"pass": 0.0, "fail": 0.0, None: 0.0}
        for events in range(total + 1):
            expected[says(events, total, alpha=0.05, kind=kind, limit=limit)] += float(binom.pmf(events, total, rate))
        check = {"limit": limit, "total": total, "kind": kind, "alpha": 0.05, "sequential": False}
        assert pass_chance(rate, **check) == pytest.approx(expected["pass"], abs=1e-12)
        assert fail_chance(rate, **check) == pytest.approx(expected["fail"], abs=1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("limit", "rate"), [(0.1, 0.02), (0.1, 0.3), (0.5, 0.4), (0.8, 0.95)])
    def test_two_looks_are_a_sum_over_both_counts(self, kind: str, limit: float, rate: float) -> None:
        first, total = looks(60)
        expected = {"pass": 0.0, "fail": 0.0, None: 0.0}
        for early in range(first + 1):
            for late in range(total - first + 1):
                verdict = says(early, first, alpha=spent(0, total, 0.05), kind=kind, limit=limit)
                verdict = verdict or says(early + late, total, alpha=spent(1, total, 0.05), kind=kind, limit=limit)
                expected[verdict] += float(binom.pmf(early, first, rate) * binom.pmf(late, total - first, rate))
        check = {"limit": limit, "total": total, "kind": kind, "alpha": 0.05, "sequential": True}
        assert pass_chance(rate, **check) == pytest.approx(expected["pass"], abs=1e-12)
        assert fail_chance(rate, **check) == pytest.approx(expected["fail"], abs=1e-12)

    @pytest.mark.parametrize(("limit", "total", "kind", "rate"), [(0.05, 300, "max_rate", 0.025), (0.10, 600, "max_rate", 0.12), (0.82, 400, "min_rate", 0.86)])
    def test_four_looks_agree_with_the_procedure_itself(self, limit: float, total: int, kind: str, rate: float) -> None:
        runs, counts = 4000, {"pass": 0, "fail": 0, None: 0}
        seen = np.cumsum(np.random.default_rng(8).random((runs, total)) < rate, axis=1)
        for one in seen:
            found = (says(int(one[items - 1]), items, alpha=spent(look, total, 0.05), kind=kind, limit=limit) for look, items in enumerate(looks(total)))
            counts[next((verdict for verdict in found if verdict), None)] += 1
        check = {"limit": limit, "total": total, "kind": kind, "alpha": 0.05, "sequential": True}
        for chance, name in ((pass_chance, "pass"), (fail_chance, "fail")):
            expected = chance(rate, **check)
            assert 0 < expected < 1
            assert counts[name] / runs == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / runs))

    @pytest.mark.parametrize("sequential", [True, False])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("limit", [0.02, 0.05, 0.1, 0.82, 0.9])
    def test_at_the_limit_each_verdict_has_at_most_five_per_cent(self, limit: float, kind: str, sequential: bool) -> None:
        for total in [*range(50, 100, 7), *range(100, 801, 50)]:
            check = {"limit": limit, "total": total, "kind": kind, "alpha": 0.05, "sequential": sequential}
            assert pass_chance(limit, **check) <= 0.05
            assert fail_chance(limit, **check) <= 0.05

    @settings(max_examples=40)
    @given(check=CHECKS, rates=st.tuples(st.floats(0, 1), st.floats(0, 1)))
    def test_a_better_checkpoint_never_passes_less_or_fails_more(self, check: dict[str, object], rates: tuple[float, float]) -> None:
        better, worse = sorted(rates, reverse=check["kind"] == "min_rate")
        passed, failed = ([chance(rate, **check) for rate in (better, worse)] for chance in (pass_chance, fail_chance))  # type: ignore[arg-type]
        assert passed[0] >= passed[1] - 1e-9
        assert failed[0] <= failed[1] + 1e-9
        assert all(one + other <= 1 + 1e-9 for one, other in zip(passed, failed, strict=True))

    def test_a_perfect_and_a_hopeless_checkpoint(self) -> None:
        check = {"limit": 0.05, "total": 300, "kind": "max_rate", "alpha": 0.05, "sequential": True}
        assert (pass_chance(0.0, **check), fail_chance(0.0, **check)) == (1, 0)
        assert (pass_chance(1.0, **check), fail_chance(1.0, **check)) == (0, 1)

    def test_too_few_items_can_never_pass(self) -> None:
        check = {"limit": 0.05, "kind": "max_rate", "alpha": 0.05, "sequential": False}
        assert pass_chance(0.0, total=58, **check) == 0
        assert pass_chance(0.0, total=59, **check) == 1

    @pytest.mark.parametrize(
        "call",
        [
            lambda: pass_chance(1.1, limit=0.1, total=10, kind="max_rate", alpha=0.05, sequential=True),
            lambda: pass_chance(math.nan, limit=0.1, total=10, kind="max_rate", alpha=0.05, sequential=True),
            lambda: fail_chance(0.1, limit=-0.1, total=10, kind="max_rate", alpha=0.05, sequential=True),
            lambda: pass_chance(0.1, limit=0.1, total=0, kind="max_rate", alpha=0.05, sequential=False),
            lambda: spare(limit=0.1, total=10, kind="max_rate", alpha=0.05, sequential=False, chance=1.0),
        ],
    )
    def test_refuses_what_is_no_rate(self, call: Callable[[], object]) -> None:
        with pytest.raises(ValueError, match=r"rate|limit|total|chance"):
            call()


class TestFourPointsToSpare:
    """The fewest items with which a checkpoint four points better than the limit, or one without events, passes nine times in ten."""

    # From here on, whatever the number: just below, a lucky number of items may do as well.
    FEWEST = (
        ("max_rate", 0.02, 0.0, 160),
        ("max_rate", 0.03, 0.0, 104),
        ("max_rate", 0.05, 0.01, 188),
        ("max_rate", 0.10, 0.06, 454),
        ("min_rate", 0.80, 0.84, 832),
        ("min_rate", 0.82, 0.86, 760),
        ("min_rate", 0.85, 0.89, 649),
        ("min_rate", 0.90, 0.94, 436),
    )

    @pytest.mark.parametrize(("kind", "limit", "rate", "fewest"), FEWEST)
    def test_so_many_items_are_enough_and_one_less_is_not(self, kind: str, limit: float, rate: float, fewest: int) -> None:
        check = {"limit": limit, "kind": kind, "alpha": 0.05, "sequential": kind == "max_rate"}
        assert pass_chance(rate, total=fewest - 1, **check) < 0.9
        assert all(pass_chance(rate, total=fewest + more, **check) >= 0.9 for more in range(0, 120, 3))

    @pytest.mark.parametrize(("limit", "total"), [(0.05, 300), (0.10, 600)])
    def test_the_sizes_asked_for_have_it(self, limit: float, total: int) -> None:
        check = {"limit": limit, "total": total, "kind": "max_rate", "alpha": 0.05, "sequential": True}
        assert pass_chance(limit - 0.04, **check) >= 0.95
        assert spare(**check) <= 0.04


class TestSpare:
    @pytest.mark.parametrize(("kind", "limit"), [("max_rate", 0.05), ("max_rate", 0.1), ("min_rate", 0.82), ("min_rate", 0.9)])
    @pytest.mark.parametrize("sequential", [True, False])
    def test_is_where_nine_in_ten_begin(self, kind: str, limit: float, sequential: bool) -> None:
        check = {"limit": limit, "total": 500, "kind": kind, "alpha": 0.05, "sequential": sequential}
        found, away = spare(**check), -1 if kind == "max_rate" else 1
        assert found is not None
        assert pass_chance(limit + away * found, **check) >= 0.9
        assert pass_chance(limit + away * (found - 1e-4), **check) < 0.9

    def test_shrinks_with_items_and_grows_with_the_chance(self) -> None:
        check = {"limit": 0.1, "kind": "max_rate", "alpha": 0.05, "sequential": True}
        found = [spare(total=total, **check) for total in (100, 200, 400, 800)]
        assert found == sorted(found, reverse=True)
        assert spare(total=400, chance=0.5, **check) < spare(total=400, chance=0.99, **check)

    def test_none_where_a_perfect_checkpoint_would_not_pass(self) -> None:
        assert spare(limit=0.02, total=100, kind="max_rate", alpha=0.05, sequential=True) is None
        assert spare(limit=0.0, total=800, kind="max_rate", alpha=0.05, sequential=True) is None

    def test_none_is_needed_where_every_checkpoint_passes(self) -> None:
        assert spare(limit=1.0, total=800, kind="max_rate", alpha=0.05, sequential=False) == 0


def enumerated(change: float, *, total: int, margin: float, alpha: float, better: float) -> float:
    """Every split of the items into worse, better and the same, each judged by the gate's own test."""
    found = 0.0
    for worse in range(total + 1):
        for good in range(total + 1 - worse):
            judged = regression(worse, good, total, alpha=0.05)
            if judged.p < alpha and judged.change > margin + 1e-12:
                found += float(multinomial.pmf([worse, good, total - worse - good], total, [change + better, better, 1 - change - 2 * better]))
    return found


class TestRegressionChance:
    @pytest.mark.parametrize(
        ("change", "margin", "alpha", "base_rate", "churn", "better"),
        [
            (0.2, 0.02, 0.05, 0.1, 0.05, 0.05),
            (0.3, 0.1, 0.01, 0.1, 0.03, 0.03),
            (0.0, 0.0, 0.05, 0.5, 0.2, 0.2),
            (0.3, 0.3, 0.2, 0.2, 0.0, 0.0),
            (0.2, 0.0, 0.25, 0.02, 0.5, 0.02),  # no more can turn good than were bad
            (0.5, 0.0, 0.0625, 0.45, 0.5, 0.05),  # nor more turn bad than were good
        ],
    )
    def test_is_a_sum_over_every_outcome(self, change: float, margin: float, alpha: float, base_rate: float, churn: float, better: float) -> None:
        found = regression_chance(change, total=20, margin=margin, alpha=alpha, base_rate=base_rate, churn=churn)
        assert found == pytest.approx(enumerated(change, total=20, margin=margin, alpha=alpha, better=better), abs=1e-10)

    def test_five_points_are_found_with_three_hundred_items(self) -> None:
        assert regression_chance(0.05, total=300, margin=0.02, alpha=0.05, base_rate=0.02) >= 0.95
        # Of four regression checks Holm leaves the smallest p a quarter of alpha.
        assert regression_chance(0.05, total=300, margin=0.02, alpha=0.0125, base_rate=0.02) >= 0.8

    def test_and_in_simulation(self) -> None:
        worse, better, _ = np.random.default_rng(2).multinomial(300, [0.06, 0.01, 0.93], size=3000).T
        judged = [regression(int(one), int(other), 300, alpha=0.05) for one, other in zip(worse, better, strict=True)]
        share = np.mean([one.p < 0.05 and one.change > 0.02 for one in judged])
        assert share >= 0.8
        assert share == pytest.approx(regression_chance(0.05, total=300, margin=0.02, alpha=0.05, base_rate=0.02), abs=0.02)

    @pytest.mark.parametrize("total", [50, 300, 800])
    @pytest.mark.parametrize("churn", [0.0, 0.01, 0.1])
    def test_no_change_is_found_at_most_with_alpha(self, total: int, churn: float) -> None:
        assert regression_chance(0.0, total=total, margin=0.0, alpha=0.05, base_rate=0.2, churn=churn) <= 0.05

    @settings(max_examples=50)
    @given(
        changes=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)),
        total=st.integers(1, 400),
        margin=st.sampled_from([0.0, 0.02, 0.05]),
        base_rate=st.sampled_from([0.0, 0.02, 0.2, 0.4]),
        churn=st.sampled_from([0.0, 0.01, 0.1]),
    )
    def test_a_larger_change_is_never_found_less(self, changes: tuple[float, float], total: int, margin: float, base_rate: float, churn: float) -> None:
        small, large = (regression_chance(one, total=total, margin=margin, alpha=0.05, base_rate=base_rate, churn=churn) for one in sorted(changes))
        assert 0 <= small <= large + 1e-9
        assert large <= 1

    @pytest.mark.parametrize(
        "call",
        [
            lambda: regression_chance(0.5, total=10, margin=0.0, alpha=0.05, base_rate=0.6),
            lambda: regression_chance(-0.1, total=10, margin=0.0, alpha=0.05, base_rate=0.1),
            lambda: regression_chance(0.1, total=0, margin=0.0, alpha=0.05, base_rate=0.1),
            lambda: regression_chance(0.1, total=10, margin=0.0, alpha=0.0, base_rate=0.1),
            lambda: smallest_regression(10, margin=0.0, alpha=0.05, base_rate=1.1),
            lambda: smallest_regression(10, margin=2.0, alpha=0.05, base_rate=0.1),
        ],
    )
    def test_refuses_what_cannot_be(self, call: Callable[[], object]) -> None:
        with pytest.raises(ValueError, match=r"change|items|base_rate|margin"):
            call()


class TestSmallestRegression:
    @pytest.mark.parametrize(("total", "margin"), [(120, 0.02), (300, 0.02), (300, 0.05), (800, 0.02)])
    def test_is_where_eight_in_ten_begin(self, total: int, margin: float) -> None:
        found = smallest_regression(total, margin=margin, alpha=0.05, base_rate=0.02)
        assert found is not None
        assert found > margin
        assert regression_chance(found, total=total, margin=margin, alpha=0.05, base_rate=0.02) >= 0.8
        assert regression_chance(found - 1e-4, total=total, margin=margin, alpha=0.05, base_rate=0.02) < 0.8

    def test_shrinks_with_items_and_grows_with_churn(self) -> None:
        found = [smallest_regression(total, margin=0.02, alpha=0.05, base_rate=0.1) for total in (50, 100, 300, 800)]
        assert found == sorted(found, reverse=True)
        calm, restless = (smallest_regression(300, margin=0.02, alpha=0.05, base_rate=0.1, churn=churn) for churn in (0.0, 0.05))
        assert calm < restless

    def test_three_hundred_items_find_five_points(self) -> None:
        assert smallest_regression(300, margin=0.02, alpha=0.05, base_rate=0.02) <= 0.05

    def test_none_where_nothing_would_be_found(self) -> None:
        # Four items can't bring p under 0.05, and where all was bad nothing can get worse.
        assert smallest_regression(4, margin=0.0, alpha=0.05, base_rate=0.02) is None
        assert smallest_regression(300, margin=0.0, alpha=0.05, base_rate=1.0) is None
