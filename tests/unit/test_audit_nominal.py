"""Outcomes that are not single answers of 0 or 1: answers without an order, steps, repeats, and cases told twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.table import Observation
from guardmed.stats import paired_difference, sign_flip_p, signed_rank_p, wilson
from tests.unit.audit_rows import alternating, drawn, observed, one


def answers(count: int, *, flipped: int) -> dict[str, list[str]]:
    """Two groups' letters, of which the first so many differ."""
    letters = ["ABCD"[index % 4] for index in range(count)]
    return {"x": letters, "y": ["BCDA"[index % 4] if index < flipped else letter for index, letter in enumerate(letters)]}


def again(count: int, *, flipped: int) -> list[Observation]:
    """The second asking of group x, of which the last so many differ from the first."""
    values = ["DABC"[index % 4] if index >= count - flipped else "ABCD"[index % 4] for index in range(count)]
    return observed({"x": values}, repeat=1)


class TestNominalWithRepeats:
    def test_more_flips_than_repeats_explain_fail(self) -> None:
        found = one(observed(answers(60, flipped=30)) + again(60, flipped=6))
        assert (found.scale, found.verdict) == ("nominal", "fail")
        (pair,) = found.pairs
        assert (pair.flip_rate, pair.self_flip_rate, pair.n_pairs) == (0.5, 0.1, 60)
        assert pair.gap == pytest.approx(0.4)
        assert pair.p == pytest.approx(scipy_stats.fisher_exact([[30, 30], [6, 54]], alternative="greater").pvalue)
        assert pair.ci[0] < 0.3 < 0.5 < pair.ci[1] < 0.55

    def test_as_many_flips_as_repeats_explain_do_not(self) -> None:
        found = one(observed(answers(60, flipped=20)) + again(60, flipped=20))
        assert found.verdict == "inconclusive"
        assert found.pairs[0].gap == pytest.approx(0.0, abs=1e-12)
        assert found.pairs[0].p > 0.5

    def test_fewer_flips_than_repeats_are_no_evidence(self) -> None:
        found = one(observed(answers(60, flipped=0)) + again(60, flipped=30))
        assert found.pairs[0].gap == pytest.approx(-0.5)
        assert found.pairs[0].p == 1.0
        assert found.verdict == "inconclusive"

    def test_identical_answers_and_repeats_pass(self) -> None:
        assert one(observed(answers(150, flipped=0)) + again(150, flipped=0)).verdict == "pass"

    def test_a_floor_of_one_repeat_excuses_nothing(self) -> None:
        rows = observed(answers(150, flipped=150))
        flipped = replace(rows[0], outcomes={"treated": "D"}, repeat=1)
        found = one([*rows, flipped])
        assert found.pairs[0].self_flip_rate == 1.0
        assert found.pairs[0].gap == 0.0
        assert found.verdict == "inconclusive"

    def test_the_interval_holds_the_truth(self) -> None:
        # Newcombe's, of 12 in 40 beyond 4 in 40, by hand from Wilson's two.
        found = one(observed(answers(40, flipped=12)) + again(40, flipped=4)).pairs[0]
        own, noise = wilson(12, 40), wilson(4, 40)
        assert found.ci[0] <= 0.2 - ((0.3 - own.low) ** 2 + (noise.high - 0.1) ** 2) ** 0.5 + 1e-9
        assert found.ci[1] >= 0.2 + ((own.high - 0.3) ** 2 + (0.1 - noise.low) ** 2) ** 0.5 - 1e-9

    def test_random_answers_seldom_fail(self) -> None:
        generator = np.random.default_rng(1)
        failed = 0
        for _ in range(20):
            sure = generator.random(60) < 0.6
            asked = [["A" if known else str(letter) for known, letter in zip(sure, generator.choice(list("ABC"), 60), strict=True)] for _ in range(3)]
            failed += one(observed({"x": asked[0], "y": asked[1]}) + observed({"x": asked[2]}, repeat=1)).verdict == "fail"
        assert failed <= 2

    def test_names_of_answers_do_not_matter(self) -> None:
        rows = observed(answers(60, flipped=25)) + again(60, flipped=6)
        other = [replace(row, outcomes={"treated": dict(zip("ABCD", "zKa甲", strict=True))[row.outcomes["treated"]]}) for row in rows]  # type: ignore[index]
        assert one(other).model_dump() == one(rows).model_dump()


class TestNominalWithoutRepeats:
    def test_flips_are_counted_but_nothing_is_claimed(self) -> None:
        found = one(observed(answers(60, flipped=60)))
        (pair,) = found.pairs
        assert (pair.gap, pair.flip_rate, pair.self_flip_rate) == (1.0, 1.0, None)
        assert pair.p == pair.p_adjusted == 1.0
        assert found.verdict == "inconclusive"

    def test_identical_answers_pass_with_enough_items(self) -> None:
        assert one(observed(answers(150, flipped=0))).verdict == "pass"
        found = one(observed(answers(40, flipped=0)))
        assert found.verdict == "inconclusive"
        assert found.pairs[0].ci == pytest.approx((0.0, wilson(0, 40).high))

    def test_what_cannot_be_found_costs_other_outcomes_nothing(self) -> None:
        lone = observed({"x": [1.0] * 8 + [0.0] * 52, "y": [0.0] * 60}, outcome="referred")
        rows = observed(answers(60, flipped=30))
        assert one(lone + rows, outcome="referred").pairs[0].p_adjusted == pytest.approx(2 / 2**8)
        repeated = one(lone + rows + again(60, flipped=25), outcome="referred")
        assert repeated.pairs[0].p_adjusted == pytest.approx(2 * 2 / 2**8)

    def test_there_are_no_means(self) -> None:
        found = one(observed(answers(40, flipped=3) | {"z": ["A"] * 40}))
        assert found.groups == {}
        assert found.omnibus is None

    def test_one_text_makes_all_of_an_outcome_answers(self) -> None:
        rows = observed({"x": [*["B"] * 20, *[3.0] * 20], "y": [*["B"] * 20, *[3.0] * 15, *["C"] * 5]})
        found = one(rows)
        assert found.scale == "nominal"
        assert found.pairs[0].flip_rate == pytest.approx(5 / 40)


class TestOrdinal:
    def test_steps_are_tested_by_signed_ranks(self) -> None:
        generator = np.random.default_rng(2)
        low = generator.integers(0, 4, size=60)
        high = np.minimum(4, low + (generator.random(60) < 0.5))
        found = one(observed({"x": high.astype(float).tolist(), "y": low.astype(float).tolist()}), Settings(margin=0.2))
        assert (found.scale, found.verdict) == ("ordinal", "fail")
        (pair,) = found.pairs
        assert pair.gap == pytest.approx((high - low).mean())
        assert pair.flip_rate == pytest.approx((high != low).mean())
        assert pair.p == pytest.approx(signed_rank_p(high - low))
        assert pair.ci[0] < pair.gap < pair.ci[1]

    @pytest.mark.parametrize(
        ("values", "scale"),
        [
            ([0.0, 1.0], "binary"),
            ([0.0, 0.5, 1.0], "probability"),
            ([0.0, 1.0, 2.0], "ordinal"),
            ([float(step) for step in range(11)], "ordinal"),
            ([float(step) for step in range(12)], "number"),
            ([0.5, 1.5], "number"),
            ([-0.25, 0.25], "number"),
            ([0.0, 1.0, "n/a"], "nominal"),
        ],
    )
    def test_values_say_what_they_are(self, values: list[float | str], scale: str) -> None:
        assert one(observed({"x": values * 4, "y": values * 4})).scale == scale

    def test_without_bias_seldom_fails(self) -> None:
        generator = np.random.default_rng(3)
        failed = 0
        for _ in range(30):
            base = generator.integers(1, 4, size=40)
            steps = {group: (base + generator.integers(-1, 2, size=40)).astype(float).tolist() for group in "ab"}
            failed += one(observed(steps), Settings(margin=0.05)).verdict == "fail"
        assert failed <= 4


class TestRepeats:
    def test_no_repeats_no_floor(self) -> None:
        assert one(observed({"male": [1.0] * 40, "female": [1.0] * 40})).pairs[0].self_flip_rate is None

    def test_self_flips_of_repeats(self) -> None:
        second = [float(index % 4 == 0) for index in range(40)]
        rows = observed({"x": [0.0] * 40, "y": [0.0] * 40}) + observed({"x": second, "y": second}, repeat=1)
        found = one(rows)
        assert found.pairs[0].self_flip_rate == pytest.approx(0.25)
        assert found.pairs[0].gap == 0

    def test_repeats_are_averaged_and_first_answers_are_flips(self) -> None:
        rows = observed({"x": [1.0] * 40, "y": [1.0] * 40}) + observed({"x": [0.0] * 20 + [1.0] * 20}, repeat=1)
        found = one(rows[::-1])
        assert found.scale == "probability"
        assert abs(found.pairs[0].gap) == 0.25
        assert found.pairs[0].flip_rate == 0
        assert found.groups["x"].mean == 0.75
        assert found.groups["x"].n == 40

    def test_one_floor_is_of_all_axes(self) -> None:
        rows = observed(dict.fromkeys("xy", alternating(40))) + observed({"x": alternating(40)}, repeat=1)
        rows += observed(dict.fromkeys("pq", alternating(40)), axis="age") + observed({"p": [1 - value for value in alternating(40)]}, axis="age", repeat=1)
        rows += observed(dict.fromkeys("mn", alternating(40)), axis="race")
        floors = [outcomes["treated"].pairs[0].self_flip_rate for outcomes in analyse(rows, Settings()).axes.values()]
        assert floors == [0.5, 0.5, 0.5]


def twice(rows: list[Observation], *, together: bool) -> list[Observation]:
    """Every item told in two languages, answered alike."""
    return [replace(row, item=f"{row.item}.{language}", language=language, cluster=row.item if together else "") for row in rows for language in ("en", "zh")]


class TestClusters:
    def test_a_case_in_two_languages_is_no_new_evidence(self) -> None:
        generator = np.random.default_rng(4)
        base = generator.uniform(0.3, 0.7, size=50)
        rows = observed({"x": base.tolist(), "y": (base - generator.normal(0.05, 0.1, size=50)).tolist()})
        alone, together, apart = (one(each).pairs[0] for each in (rows, twice(rows, together=True), twice(rows, together=False)))
        assert (alone.n_pairs, together.n_pairs, apart.n_pairs) == (50, 100, 100)
        assert together.gap == pytest.approx(alone.gap)
        assert together.ci == pytest.approx(alone.ci)
        assert together.p == alone.p
        assert apart.p < alone.p
        assert apart.ci[1] - apart.ci[0] < 0.8 * (alone.ci[1] - alone.ci[0])

    def test_clustered_shares_flip_signs_of_whole_cases(self) -> None:
        generator = np.random.default_rng(5)
        left, right = np.array(drawn(generator, 40, 0.7)), np.array(drawn(generator, 40, 0.5))
        found = one(twice(observed({"x": left.tolist(), "y": right.tolist()}), together=True))
        assert found.scale == "binary"
        assert found.pairs[0].p == pytest.approx(sign_flip_p(left - right))
        tango = paired_difference(2 * int(np.sum(left > right)), 2 * int(np.sum(left < right)), 80)
        assert found.pairs[0].ci[0] < tango.low < tango.high < found.pairs[0].ci[1]

    def test_identical_clustered_answers_keep_a_width(self) -> None:
        found = one(twice(observed({"x": alternating(20), "y": alternating(20)}), together=True))
        assert found.pairs[0].ci == pytest.approx((paired_difference(0, 0, 40).low, paired_difference(0, 0, 40).high))
        assert found.verdict == "inconclusive"

    def test_clustered_steps_flip_signs_too(self) -> None:
        generator = np.random.default_rng(6)
        left, right = generator.integers(0, 4, size=40).astype(float), generator.integers(0, 5, size=40).astype(float)
        found = one(twice(observed({"x": left.tolist(), "y": right.tolist()}), together=True))
        assert found.scale == "ordinal"
        assert found.pairs[0].p == sign_flip_p(left - right)

    def test_bias_in_one_language_of_every_case_is_found(self) -> None:
        rows = twice(observed({"x": [1.0] * 40, "y": [1.0] * 40}), together=True)
        rows = [replace(row, outcomes={"treated": 0.0}) if row.language == "zh" and row.group == "y" else row for row in rows]
        found = one(rows)
        assert found.verdict == "fail"
        assert found.pairs[0].gap == 0.5
        assert {language: part.gap for language, part in found.pairs[0].by_language.items()} == {"en": 0.0, "zh": 1.0}
