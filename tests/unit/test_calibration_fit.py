from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from guardmed.calibration.fit import MIN_ROWS, fit_platt, fit_temperature
from guardmed.calibration.maps import Platt, Temperature, log_odds, log_probs
from guardmed.errors import CalibrationError

Float = NDArray[np.float64]
PROBS = st_numpy.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.floats(1e-6, 1.0)).map(
    lambda p: p / p.sum(axis=1, keepdims=True)
)
TEMPERATURE = st.floats(0.1, 10)


def softmax(logits: Float) -> Float:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def planted(temperature: float, *, rows: int = 20_000, classes: int = 5, seed: int = 0) -> tuple[Float, NDArray[np.int64]]:
    """Probabilities that are right once their logits are divided by a temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes)) * 2
    labels = (softmax(logits).cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    return softmax(logits * temperature), labels


def nll(probs: Float, labels: NDArray[np.int64], temperature: float) -> float:
    return float(-np.log(Temperature(temperature).apply(probs)[np.arange(len(labels)), labels]).mean())


class TestTemperature:
    @given(PROBS)
    def test_one_is_the_identity(self, probs: Float) -> None:
        np.testing.assert_allclose(Temperature(1.0).apply(probs), probs, rtol=1e-12, atol=1e-300)

    @given(PROBS, TEMPERATURE)
    def test_rows_sum_to_one_and_order_is_kept(self, probs: Float, temperature: float) -> None:
        out = Temperature(temperature).apply(probs)
        np.testing.assert_allclose(out.sum(axis=1), 1.0, rtol=1e-12)
        best = probs.argmax(axis=1)
        rows = np.arange(len(probs))
        np.testing.assert_allclose(out[rows, best], out.max(axis=1), rtol=1e-12)
        for before, after in zip(probs, out, strict=True):
            assert np.all(np.diff(after[np.argsort(before)]) >= -1e-15)

    @given(PROBS, TEMPERATURE, TEMPERATURE)
    def test_two_in_a_row_are_their_product(self, probs: Float, a: float, b: float) -> None:
        np.testing.assert_allclose(Temperature(b).apply(Temperature(a).apply(probs)), Temperature(a * b).apply(probs), rtol=1e-6, atol=1e-9)

    def test_hotter_is_less_confident(self) -> None:
        tops = [Temperature(t).apply([[0.7, 0.2, 0.1]])[0, 0] for t in (0.5, 1.0, 2.0, 10.0)]
        assert tops == sorted(tops, reverse=True)
        assert tops[0] == pytest.approx(0.49 / (0.49 + 0.04 + 0.01))

    @pytest.mark.parametrize("temperature", [0.05, 1.0, 2.0, 40.0])
    def test_exact_zeros_and_ones_survive(self, temperature: float) -> None:
        out = Temperature(temperature).apply([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
        assert np.all(np.isfinite(out))
        np.testing.assert_allclose(out, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], atol=1e-6)

    def test_anything_proportional_will_do(self) -> None:
        np.testing.assert_allclose(Temperature(2.0).apply([[7.0, 2.0, 1.0]]), Temperature(2.0).apply([[0.7, 0.2, 0.1]]))

    def test_float32_is_computed_in_float64(self) -> None:
        assert Temperature(1.5).apply(np.array([[0.3, 0.7]], dtype=np.float32)).dtype == np.float64


class TestFitTemperature:
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 1.37, 2.06, 3.0])
    @pytest.mark.parametrize("kind", [np.float64, np.float32])
    def test_recovers_what_was_planted(self, temperature: float, kind: type) -> None:
        probs, labels = planted(temperature)
        assert fit_temperature(probs.astype(kind), labels).temperature == pytest.approx(temperature, rel=0.02)

    @pytest.mark.parametrize("temperature", [0.6, 1.5, 4.0])
    @pytest.mark.parametrize("rows", [60, 1000])
    def test_is_the_optimum(self, temperature: float, rows: int) -> None:
        probs, labels = planted(temperature, rows=rows, classes=4, seed=rows)
        oracle = minimize_scalar(lambda t: nll(probs, labels, t), bounds=(0.02, 50), method="bounded", options={"xatol": 1e-9})
        assert fit_temperature(probs, labels).temperature == pytest.approx(oracle.x, rel=1e-3)

    def test_float32_gives_what_float64_gives(self) -> None:
        probs, labels = planted(2.0, rows=3000)
        assert fit_temperature(probs.astype(np.float32), labels).temperature == pytest.approx(fit_temperature(probs, labels).temperature, rel=1e-4)

    @pytest.mark.parametrize("scale", [0.5, 2.0])
    def test_scaling_the_logits_scales_the_temperature(self, scale: float) -> None:
        probs, labels = planted(1.5, rows=2000)
        scaled = softmax(np.log(probs) * scale)
        assert fit_temperature(scaled, labels).temperature == pytest.approx(scale * fit_temperature(probs, labels).temperature, rel=1e-6)

    def test_exact_zeros_where_the_label_is_not(self) -> None:
        probs, labels = planted(2.0, rows=2000)
        padded = np.hstack([probs, np.zeros((2000, 2))])
        assert fit_temperature(padded, labels).temperature == pytest.approx(fit_temperature(probs, labels).temperature, rel=1e-6)
        sure = probs.copy()
        sure[0] = np.eye(5)[labels[0]]
        assert fit_temperature(sure, labels).temperature == pytest.approx(2.0, rel=0.1)

    def test_lessens_the_loss(self) -> None:
        probs, labels = planted(3.0, rows=500)
        assert nll(probs, labels, fit_temperature(probs, labels).temperature) < nll(probs, labels, 1.0) - 0.05

    def test_too_few_rows(self) -> None:
        probs, labels = planted(1.5, rows=MIN_ROWS - 1)
        with pytest.raises(CalibrationError, match="29 rows are too few"):
            fit_temperature(probs, labels)

    def test_one_label_only(self) -> None:
        probs, labels = planted(1.5, rows=100)
        with pytest.raises(CalibrationError, match="same label"):
            fit_temperature(probs, np.zeros_like(labels))

    def test_all_right(self) -> None:
        _, labels = planted(1.5, rows=100, classes=3)
        with pytest.raises(CalibrationError, match="every row is predicted right"):
            fit_temperature(np.eye(3)[labels] * 0.85 + 0.05, labels)

    def test_worse_than_chance(self) -> None:
        _, labels = planted(1.5, rows=300, classes=3)
        with pytest.raises(CalibrationError, match="no signal"):
            fit_temperature(np.eye(3)[(labels + 1) % 3] * 0.85 + 0.05, labels)


class TestPlatt:
    @given(st.floats(0.05, 5), st.floats(-3, 3), st.lists(st.floats(0, 1), min_size=2, max_size=20))
    def test_is_monotone_and_within_0_and_1(self, slope: float, bias: float, scores: list[float]) -> None:
        out = Platt(slope, bias).apply(sorted(scores))
        assert np.all(np.diff(out) >= 0)
        assert np.all((out >= 0) & (out <= 1))

    @given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=20))
    def test_slope_one_is_the_identity(self, scores: list[float]) -> None:
        np.testing.assert_allclose(Platt(1.0, 0.0).apply(scores), scores, rtol=1e-9)

    def test_exact_zeros_and_ones_survive(self) -> None:
        out = Platt(1.3, -0.2).apply([0.0, 1.0])
        assert 0 < out[0] < 1e-6
        assert 1 - 1e-6 < out[1] < 1

    @pytest.mark.parametrize("kind", [np.float64, np.float32])
    def test_recovers_what_was_planted(self, kind: type) -> None:
        generator = np.random.default_rng(3)
        scores = generator.random(40_000) * 0.98 + 0.01
        correct = generator.random(40_000) < Platt(0.6, -0.5).apply(scores)
        fitted = fit_platt(scores.astype(kind), correct)
        assert fitted.slope == pytest.approx(0.6, rel=0.05)
        assert fitted.bias == pytest.approx(-0.5, abs=0.05)

    def test_is_the_optimum_of_the_smoothed_loss(self) -> None:
        generator = np.random.default_rng(4)
        scores = generator.random(200)
        correct = (generator.random(200) < scores).astype(float)
        up, down = correct.sum(), 200 - correct.sum()
        targets = np.where(correct > 0, (up + 1) / (up + 2), 1 / (down + 2))
        x = log_odds(scores)
        oracle = minimize(lambda t: float((np.logaddexp(0, t[0] * x + t[1]) - targets * (t[0] * x + t[1])).sum()), [1.0, 0.0], tol=1e-10)
        fitted = fit_platt(scores, correct)
        assert [fitted.slope, fitted.bias] == pytest.approx(oracle.x, rel=1e-3, abs=1e-4)

    def test_perfectly_separated_rows_stay_finite(self) -> None:
        scores = np.linspace(0.0, 1.0, 100)
        fitted = fit_platt(scores, scores > 0.5)
        assert 0 < fitted.slope < 100
        assert np.all(np.isfinite(fitted.apply(scores)))

    @pytest.mark.parametrize(
        ("scores", "correct", "told"),
        [
            (np.linspace(0, 1, 20), np.arange(20) % 2, "too few"),
            (np.linspace(0, 1, 100), np.arange(100) < 4, "4 right and 96 wrong"),
            (np.linspace(0, 1, 100), np.arange(100) >= 4, "96 right and 4 wrong"),
            (np.full(100, 0.7), np.arange(100) % 2, "Every score is the same"),
            (np.linspace(0, 1, 100), np.arange(100) < 50, "no signal"),
        ],
    )
    def test_what_can_not_be_calibrated(self, scores: Float, correct: Float, told: str) -> None:
        with pytest.raises(CalibrationError, match=told):
            fit_platt(scores, correct)


def test_logarithms_of_the_ends_are_finite() -> None:
    assert np.all(np.isfinite(log_probs([0.0, 1.0])))
    assert np.all(np.isfinite(log_odds([0.0, 1.0])))
    assert log_odds([0.5])[0] == pytest.approx(0.0, abs=1e-12)
    assert log_odds([0.2])[0] == pytest.approx(-log_odds([0.8])[0])
