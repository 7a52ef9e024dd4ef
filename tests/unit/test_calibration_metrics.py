from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from guardmed.calibration.metrics import (
    Predictions,
    adaptive_ece,
    aurc,
    auroc,
    average_error,
    bin_index,
    brier_parts,
    classwise_ece,
    debiased_ece,
    ece,
    ece_floor,
    mce,
    risk_at_coverage,
)

Float = NDArray[np.float64]
ROWS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40).map(
    lambda rows: (np.array([confidence for confidence, _ in rows]), np.array([float(correct) for _, correct in rows]))
)


def array(*values: float) -> Float:
    return np.array(values, dtype=np.float64)


class TestBins:
    @pytest.mark.parametrize(("confidence", "index"), [(0.0, 0), (1e-9, 0), (1 / 15, 0), (1 / 15 + 1e-9, 1), (0.5, 7), (1.0, 14)])
    def test_a_bin_holds_its_upper_edge(self, confidence: float, index: int) -> None:
        assert bin_index(array(confidence))[0] == index

    @given(ROWS)
    def test_errors_are_in_order(self, rows: tuple[Float, Float]) -> None:
        confidence, correct = rows
        overall = abs(confidence.mean() - correct.mean())
        assert overall - 1e-12 <= ece(confidence, correct) <= mce(confidence, correct) + 1e-12 <= 1 + 1e-12
        assert overall - 1e-12 <= adaptive_ece(confidence, correct) <= 1

    def test_by_hand(self) -> None:
        # One bin: 0.9 three times, two right. Another: 0.1 once, wrong.
        confidence, correct = array(0.9, 0.9, 0.9, 0.1), array(1, 1, 0, 0)
        assert ece(confidence, correct) == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.1)
        assert mce(confidence, correct) == pytest.approx(0.9 - 2 / 3)

    def test_equal_confidences_stay_in_one_bin(self) -> None:
        correct = np.repeat([1.0, 0.0], [35, 15])
        assert adaptive_ece(np.full(50, 0.7), correct) == pytest.approx(0.0, abs=1e-12)

    def test_adaptive_bins_have_equal_mass(self) -> None:
        # All confidences lie in one equal-width bin, where over- and underconfidence cancel.
        confidence = np.linspace(0.94, 0.99, 150)
        correct = np.tile([1.0] * 29 + [0.0], 5)
        order = np.argsort(-correct, kind="stable")
        assert adaptive_ece(confidence, correct[order]) > 3 * ece(confidence, correct[order])

    def test_perfect_and_perfectly_wrong(self) -> None:
        assert ece(array(1, 1, 0, 0), array(1, 1, 0, 0)) == 0.0
        assert ece(array(1, 1, 0, 0), array(0, 0, 1, 1)) == 1.0


class TestRanking:
    @pytest.mark.parametrize(
        ("confidence", "correct", "expected"),
        [
            ((0.1, 0.9), (0, 1), 1.0),
            ((0.9, 0.1), (0, 1), 0.0),
            ((0.5, 0.5), (0, 1), 0.5),
            ((0.5, 0.5, 0.9), (0, 1, 1), 0.75),
            ((0.2, 0.4, 0.4, 0.8), (0, 1, 0, 1), 0.875),
            ((0.1, 0.9), (1, 1), None),
            ((0.1, 0.9), (0, 0), None),
        ],
    )
    def test_auroc(self, confidence: tuple[float, ...], correct: tuple[float, ...], expected: float | None) -> None:
        assert auroc(array(*confidence), array(*correct)) == (None if expected is None else pytest.approx(expected))

    @given(ROWS)
    def test_auroc_counts_every_pair(self, rows: tuple[Float, Float]) -> None:
        confidence, correct = rows
        right, wrong = confidence[correct > 0], confidence[correct == 0]
        if len(right) == 0 or len(wrong) == 0:
            assert auroc(confidence, correct) is None
        else:
            pairs = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()
            assert auroc(confidence, correct) == pytest.approx(pairs)

    @pytest.mark.parametrize(
        ("confidence", "correct", "expected"),
        [((0.9, 0.8, 0.1), (1, 1, 0), (0 + 0 + 1 / 3) / 3), ((0.1, 0.8, 0.9), (1, 1, 0), (1 + 1 / 2 + 1 / 3) / 3), ((0.5, 0.5), (1, 0), 0.5)],
    )
    def test_aurc(self, confidence: tuple[float, ...], correct: tuple[float, ...], expected: float) -> None:
        assert aurc(array(*confidence), array(*correct)) == pytest.approx(expected)

    @given(ROWS, st.randoms(use_true_random=False))
    def test_the_order_of_rows_does_not_matter(self, rows: tuple[Float, Float], random: object) -> None:
        confidence, correct = rows
        order = list(range(len(confidence)))
        random.shuffle(order)  # type: ignore[attr-defined]
        for figure in (ece, mce, adaptive_ece, aurc):
            assert figure(confidence[order], correct[order]) == pytest.approx(figure(confidence, correct), abs=1e-12)


class TestPredictions:
    def test_from_classes_by_hand(self) -> None:
        found = Predictions.from_classes(array(0.7, 0.2, 0.1, 0.1, 0.3, 0.6).reshape(2, 3), np.array([0, 1])).measure()
        assert found.n == 2
        assert found.accuracy == 0.5
        assert found.mean_confidence == pytest.approx(0.65)
        assert found.brier == pytest.approx(((0.09 + 0.04 + 0.01) + (0.01 + 0.49 + 0.36)) / 2)
        assert found.nll == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2)
        assert found.auroc == 1.0

    def test_from_scores_by_hand(self) -> None:
        found = Predictions.from_scores(array(0.8, 0.4), array(1, 0)).measure()
        assert found.brier == pytest.approx((0.04 + 0.16) / 2)
        assert found.nll == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)

    def test_exact_zeros_and_ones_survive(self) -> None:
        scores = Predictions.from_scores(array(0, 1, 1, 0), array(0, 1, 0, 1)).measure()
        classes = Predictions.from_classes(array(0, 1, 1, 0).reshape(2, 2), np.array([0, 0])).measure()
        for found in (scores, classes):
            figures = found.as_dict()
            assert (figures.pop("classwise_ece15") is None) == (found is scores)
            assert all(value is not None and math.isfinite(value) for value in figures.values())
        assert scores.nll > 10

    def test_intervals_hold_the_figures_and_are_seeded(self) -> None:
        generator = np.random.default_rng(6)
        scores = generator.random(400)
        predictions = Predictions.from_scores(scores, (generator.random(400) < scores).astype(float))
        figures, intervals = predictions.measure().as_dict(), predictions.intervals(resamples=300)
        assert set(intervals) == {"ece15", "brier", "nll", "accuracy"}
        for name in ("brier", "nll", "accuracy"):
            low, high = intervals[name]
            assert low < figures[name] < high  # type: ignore[operator]
        assert predictions.intervals(resamples=300) == intervals
        assert predictions.intervals(resamples=300, seed=1) != intervals

    def test_copies_of_a_question_add_no_certainty(self) -> None:
        generator = np.random.default_rng(7)
        scores = generator.random(100)
        correct = (generator.random(100) < scores).astype(float)
        once = Predictions.from_scores(scores, correct).intervals()["brier"]
        many = Predictions.from_scores(np.repeat(scores, 9), np.repeat(correct, 9))
        clustered = many.intervals(clusters=np.repeat(np.arange(100), 9))["brier"]
        naive = many.intervals()["brier"]
        assert clustered == pytest.approx(once, rel=1e-9)
        assert naive[1] - naive[0] < 0.5 * (once[1] - once[0])


class TestNoise:
    def honest(self, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        confidence = generator.random(rows)
        return confidence, (generator.random(rows) < confidence).astype(float)

    def test_what_holds_has_the_ece_of_chance(self) -> None:
        found = [ece(*self.honest(300, seed)) for seed in range(60)]
        floor = ece_floor(self.honest(300)[0])
        assert floor == pytest.approx(float(np.mean(found)), rel=0.1)
        assert floor > 0.04

    def test_debiased_error_of_what_holds_is_near_zero_and_of_a_gap_is_the_gap(self) -> None:
        assert np.mean([debiased_ece(*self.honest(300, seed)) ** 2 for seed in range(60)]) < 0.001
        generator = np.random.default_rng(3)
        confidence = generator.uniform(0.5, 0.9, size=5000)
        assert debiased_ece(confidence, (generator.random(5000) < confidence - 0.2).astype(float)) == pytest.approx(0.2, abs=0.02)

    def test_parts_of_the_brier_score_add_up(self) -> None:
        confidence, correct = self.honest(4000)
        confidence = np.round(confidence * 15 + 0.5) / 15 - 0.5 / 15  # one value a bin: the identity is exact
        reliability, resolution, uncertainty = brier_parts(confidence, correct)
        assert reliability - resolution + uncertainty == pytest.approx(float(((confidence - correct) ** 2).mean()), abs=1e-9)

    def test_classwise_error_sees_what_the_top_class_hides(self) -> None:
        probs = np.tile([0.5, 0.3, 0.2], (3000, 1))
        labels = np.repeat([0, 1, 2], [1500, 300, 1200])
        assert ece(probs[:, 0], (labels == 0).astype(float)) == pytest.approx(0, abs=1e-9)
        assert classwise_ece(probs, labels) == pytest.approx((0 + 0.2 + 0.2) / 3, abs=1e-9)

    def test_average_error_counts_a_bin_of_one_row_as_one_of_many(self) -> None:
        confidence, correct = np.array([0.5] * 99 + [0.99]), np.array([1.0, 0.0] * 49 + [1.0, 0.0])
        assert average_error(confidence, correct) == pytest.approx((abs(0.5 - 50 / 99) + 0.99) / 2)

    def test_risk_at_coverage(self) -> None:
        confidence, correct = array(0.9, 0.8, 0.7, 0.6), array(1, 1, 0, 0)
        assert [risk_at_coverage(confidence, correct, share) for share in (0.5, 0.75, 1.0)] == [0, pytest.approx(1 / 3), 0.5]
