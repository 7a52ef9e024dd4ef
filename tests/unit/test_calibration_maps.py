"""Calibration maps: monotone where they must be, indifferent to the order of classes, whole at 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from guardmed.calibration.choose import choose
from guardmed.calibration.fit import ENOUGH_SIGNAL, MIN_FLEXIBLE, fit, fit_beta, fit_histogram, fit_isotonic, fit_temperature, fit_vector, likelihood_ratio
from guardmed.calibration.groups import MIN_GROUP_ROWS, fit_groups
from guardmed.calibration.maps import METHODS, Beta, Isotonic, Platt, Temperature, map_of, parameters
from guardmed.errors import CalibrationError

SCORE_METHODS = ["platt", "beta", "isotonic", "histogram"]
SCORES = st_numpy.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


def scored(rows: int = 3000, seed: int = 0, power: float = 2.0):
    generator = np.random.default_rng(seed)
    scores = generator.random(rows)
    return scores, (generator.random(rows) < scores**power).astype(float)


def classes(rows: int = 3000, seed: int = 0, sharpen: float = 2.0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, 4)) * 1.5
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    probs = np.exp(logits * sharpen)
    return probs / probs.sum(axis=1, keepdims=True), labels.astype(float)


@pytest.mark.parametrize("method", SCORE_METHODS)
class TestScores:
    @given(more=SCORES)
    def test_never_falls_and_stays_a_probability(self, method, more):
        mapping = fit(method, *scored())
        grid = np.sort(np.concatenate([[0.0, 1.0], more]))
        found = mapping.apply(grid)
        # A histogram follows its bins, up and down.
        assert method == "histogram" or (np.diff(found) >= -1e-12).all()
        assert ((found >= 0) & (found <= 1)).all()

    def test_ties_stay_ties(self, method):
        scores, correct = scored()
        mapping = fit(method, scores.round(1), correct)
        assert len(set(mapping.apply(np.full(5, 0.3)).tolist())) == 1

    def test_scores_of_exactly_zero_and_one(self, method):
        scores, correct = scored()
        found = fit(method, (scores > 0.6) * 1.0 if method != "isotonic" else np.where(scores > 0.8, 1.0, scores), correct).apply([0.0, 1.0])
        assert np.isfinite(found).all()
        assert 0 < found[0] < found[1] < 1

    def test_is_nearer_to_the_truth(self, method):
        scores, correct = scored(20_000)
        found = fit(method, scores, correct).apply(np.array([0.2, 0.5, 0.8]))
        np.testing.assert_allclose(found, np.array([0.2, 0.5, 0.8]) ** 2, atol=0.07)

    def test_numbers_come_back(self, method):
        mapping = fit(method, *scored())
        assert map_of(method, parameters(mapping)) == mapping

    def test_scores_without_signal_are_refused(self, method):
        generator = np.random.default_rng(1)
        with pytest.raises(CalibrationError):
            fit(method, np.full(2000, 0.7), (generator.random(2000) < 0.5).astype(float))


@pytest.mark.parametrize("method", ["temperature", "vector"])
class TestClasses:
    def test_the_order_of_classes_does_not_matter(self, method):
        probs, labels = classes()
        order = np.array([2, 0, 3, 1])
        one = fit(method, probs, labels).apply(probs)
        other = fit(method, probs[:, order], np.argsort(order)[labels.astype(int)]).apply(probs[:, order])
        np.testing.assert_allclose(one[:, order], other, atol=1e-5)

    def test_rows_sum_to_one_and_zeros_stay(self, method):
        probs, labels = classes()
        padded = np.hstack([probs, np.zeros((len(probs), 1))])
        found = fit(method, padded, labels).apply(padded)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert found[:, 4].max() < 1e-6

    def test_random_labels_run_off_or_are_told_from_signal(self, method):
        probs, labels = classes(2000)
        assert likelihood_ratio(fit(method, probs, labels), probs, labels) > 100
        told = []
        for seed in range(10, 18):
            noise = np.random.default_rng(seed).integers(0, 4, 2000).astype(float)
            try:
                told.append(likelihood_ratio(fit_temperature(probs, noise), probs, noise))
            except CalibrationError as error:
                told.append(0.0)
                assert "no signal" in error.problem
        assert sum(ratio < ENOUGH_SIGNAL for ratio in told) >= 6

    def test_the_same_from_float32(self, method):
        probs, labels = classes()
        one, two = fit(method, probs, labels).apply(probs), fit(method, probs.astype(np.float32), labels).apply(probs)
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_vector_mends_a_bias_that_temperature_can_not():
    probs, labels = classes(6000)
    crooked = probs * np.array([4.0, 1.0, 1.0, 1.0])
    crooked /= crooked.sum(axis=1, keepdims=True)

    def loss(found):
        return -np.log(found[np.arange(len(labels)), labels.astype(int)]).mean()

    assert loss(fit_vector(crooked, labels).apply(crooked)) < loss(fit_temperature(crooked, labels).apply(crooked)) - 0.02
    assert choose(crooked, labels)[0] == "vector"


def test_vector_refuses_more_classes_than_it_knows():
    probs, labels = classes()
    with pytest.raises(CalibrationError, match="4 classes"):
        fit_vector(probs, labels).apply(np.full((2, 5), 0.2))


@pytest.mark.parametrize("fitter", [fit_isotonic, fit_histogram])
def test_step_functions_say_how_many_rows_they_need(fitter):
    with pytest.raises(CalibrationError, match=str(MIN_FLEXIBLE)):
        fitter(*scored(MIN_FLEXIBLE - 1))


def test_beta_is_the_identity_on_scores_that_hold():
    scores, correct = scored(50_000, power=1.0)
    mapping = fit_beta(scores, correct)
    assert (mapping.a, mapping.b) == pytest.approx((1, 1), abs=0.06)
    assert mapping.c == pytest.approx(0, abs=0.06)


def test_beta_keeps_no_negative_weight():
    generator = np.random.default_rng(3)
    scores = generator.random(3000)
    # Right most often in the middle: one of the two weights would be negative.
    correct = (generator.random(3000) < 0.3 + 0.5 * np.minimum(scores, 0.5)).astype(float)
    mapping = fit_beta(scores, correct)
    assert mapping.a >= 0
    assert mapping.b >= 0


@pytest.mark.parametrize(
    ("method", "numbers", "told"),
    [
        ("beta", {"a": 1.0, "b": 1.0}, "needs c"),
        ("temperature", {"temperature": -1.0}, "over 0"),
        ("platt", {"slope": 1.0, "bias": float("nan")}, "not finite"),
        ("isotonic", {"knots": [0.5, 0.1], "heights": [0.1, 0.2]}, "must rise"),
        ("histogram", {"edges": [0.5], "heights": [0.1]}, "fit the heights"),
        ("vector", {"weights": [1.0, 1.0], "biases": [0.0]}, "differ in length"),
    ],
)
def test_what_is_no_map(method, numbers, told):
    with pytest.raises(ValueError, match=told):
        map_of(method, numbers)


def test_every_method_has_a_map():
    assert set(METHODS) == {"temperature", "vector", "platt", "beta", "isotonic", "histogram"}


class TestChoose:
    def test_the_simplest_of_those_that_do_as_well(self):
        generator = np.random.default_rng(4)
        odds = generator.normal(size=4000) * 2
        scores = 1 / (1 + np.exp(-odds))
        correct = (generator.random(4000) < 1 / (1 + np.exp(-(0.5 * odds - 0.4)))).astype(float)
        method, candidates = choose(scores, correct)
        assert method == "platt"
        assert [one.method for one in candidates] == ["platt", "beta", "histogram", "isotonic"]
        assert all(one.nll is not None for one in candidates)

    def test_a_step_is_not_a_logistic(self):
        generator = np.random.default_rng(5)
        scores = generator.random(6000)
        correct = (generator.random(6000) < np.where(scores > 0.3, np.where(scores > 0.7, 0.9, 0.5), 0.48)).astype(float)
        assert choose(scores, correct)[0] in ("histogram", "isotonic")

    def test_with_few_rows_it_says_why_not_more(self):
        _, candidates = choose(*scored(300))
        assert {one.method for one in candidates if one.reason} == {"histogram", "isotonic"}

    def test_is_the_same_every_time(self):
        assert choose(*scored()) == choose(*scored())

    def test_what_can_not_be_calibrated_says_why(self):
        with pytest.raises(CalibrationError, match="are needed"):
            choose(*scored(12))


class TestGroups:
    def grouped(self, rows=150, groups=20, seed=0, spread=0.0):
        generator = np.random.default_rng(seed)
        names = np.repeat([f"g{index:02d}" for index in range(groups)], rows)
        slopes = np.repeat(0.6 + spread * generator.normal(size=groups), rows)
        biases = np.repeat(generator.normal(size=groups), rows)
        odds = generator.normal(size=rows * groups) * 1.5
        right = generator.random(rows * groups) < 1 / (1 + np.exp(-(slopes * odds + biases)))
        return 1 / (1 + np.exp(-odds)), right.astype(float), names

    def test_slopes_are_drawn_together_and_biases_are_not(self):
        values, targets, names = self.grouped()
        maps = fit_groups(values, targets, names).maps
        slopes = np.array([mapping.slope for mapping in maps.values()])
        biases = np.array([mapping.bias for mapping in maps.values()])
        assert len(maps) == 20
        assert np.abs(slopes - 0.6).max() < 0.2
        assert biases.std() > 0.5

    def test_groups_that_differ_keep_their_slopes(self):
        values, targets, names = self.grouped(rows=3000, groups=6, spread=0.3, seed=2)
        slopes = np.array([mapping.slope for mapping in fit_groups(values, targets, names).maps.values()])
        assert slopes.std() > 0.15

    def test_a_slope_stays_positive_so_that_ranks_stay(self):
        values, targets, names = self.grouped()
        flat = names == "g00"
        targets = targets.copy()
        targets[flat] = (values[flat] < np.median(values[flat])).astype(float)
        found = fit_groups(values, targets, names).maps["g00"]
        assert isinstance(found, Platt)
        assert found.slope > 0

    def test_small_groups_are_refused_by_name(self):
        values, targets, names = self.grouped()
        names = names.copy()
        names[-40:] = "few"
        found = fit_groups(values, targets, names)
        assert found.refused == {"few": f"40 rows to fit on; {MIN_GROUP_ROWS} are needed"}
        assert "few" not in found.maps

    def test_scores_that_rank_backwards_everywhere_are_refused(self):
        values, targets, names = self.grouped()
        with pytest.raises(CalibrationError, match="not righter"):
            fit_groups(values, 1 - targets, names)

    def test_class_probabilities_get_a_temperature_each(self):
        parts = [classes(800, seed=seed, sharpen=sharpen) for seed, sharpen in enumerate((1.5, 3.0))]
        found = fit_groups(np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts]), np.repeat(["a", "b"], 800)).maps
        assert found["a"].temperature == pytest.approx(1.5, rel=0.15)
        assert found["b"].temperature == pytest.approx(3.0, rel=0.15)


def test_maps_are_hashable_and_compare_by_their_numbers():
    assert Temperature(2.0) == Temperature(2.0)
    assert len({Beta(1, 1, 0), Beta(1, 1, 0), Isotonic((0.0, 1.0), (0.1, 0.9))}) == 2
