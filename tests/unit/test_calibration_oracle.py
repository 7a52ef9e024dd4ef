"""Figures held against the libraries that others use for them."""

from __future__ import annotations

import numpy as np
import pytest

from guardmed.calibration.fit import fit_beta, fit_isotonic, fit_platt, fit_temperature
from guardmed.calibration.maps import log_odds
from guardmed.calibration.metrics import Predictions, auroc, average_error, ece, mce

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def netcal_metrics() -> object:
    import importlib
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("netcal.metrics")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [40, 3000])
def test_binned_errors_are_netcals(netcal_metrics: object, seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    confidence = generator.beta(4, 2, size=rows)
    correct = (generator.random(rows) < confidence**1.5).astype(np.float64)
    assert ece(confidence, correct) == pytest.approx(netcal_metrics.ECE(15).measure(confidence, correct.astype(int)), abs=1e-6)  # type: ignore[attr-defined]
    assert mce(confidence, correct) == pytest.approx(netcal_metrics.MCE(15).measure(confidence, correct.astype(int)), abs=1e-6)  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(3))
def test_temperature_is_netcals(netcal_metrics: object, seed: int) -> None:
    from netcal.scaling import TemperatureScaling

    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(2000, 4)) * 3
    truth = np.exp(logits / 1.8)
    truth /= truth.sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) > generator.random((2000, 1))).argmax(axis=1)
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    oracle = TemperatureScaling()
    oracle.fit(probs, labels)
    assert fit_temperature(probs, labels).temperature == pytest.approx(1 / float(np.squeeze(oracle.temperature)), rel=0.005)


@pytest.mark.parametrize("decimals", [1, 12])
def test_auroc_is_scikit_learns(decimals: int) -> None:
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(decimals)
    confidence = generator.random(500).round(decimals)
    correct = (generator.random(500) < confidence).astype(np.float64)
    assert auroc(confidence, correct) == pytest.approx(roc_auc_score(correct, confidence), abs=1e-12)


def test_platt_is_scikit_learns_without_a_penalty_up_to_smoothing() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(9)
    scores = generator.random(5000) * 0.9 + 0.05
    correct = (generator.random(5000) < scores**2).astype(np.float64)
    oracle = LogisticRegression(C=1e9).fit(log_odds(scores)[:, None], correct)
    fitted = fit_platt(scores, correct)
    assert fitted.slope == pytest.approx(float(oracle.coef_[0, 0]), rel=0.01)
    assert fitted.bias == pytest.approx(float(oracle.intercept_[0]), abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_average_error_is_netcals(netcal_metrics: object, seed: int) -> None:
    generator = np.random.default_rng(seed)
    confidence = generator.beta(4, 2, size=800)
    correct = (generator.random(800) < confidence**1.5).astype(np.float64)
    assert average_error(confidence, correct) == pytest.approx(netcal_metrics.ACE(15).measure(confidence, correct.astype(int)), abs=1e-6)  # type: ignore[attr-defined]


def test_binned_errors_of_classes_are_netcals(netcal_metrics: object) -> None:
    generator = np.random.default_rng(4)
    probs = generator.dirichlet(np.ones(4) * 0.5, size=900)
    labels = (probs.cumsum(axis=1) > generator.random((900, 1))).argmax(axis=1)
    found = Predictions.from_classes(probs, labels).measure()
    assert found.ece15 == pytest.approx(netcal_metrics.ECE(15).measure(probs, labels), abs=1e-6)  # type: ignore[attr-defined]
    assert found.mce15 == pytest.approx(netcal_metrics.MCE(15).measure(probs, labels), abs=1e-6)  # type: ignore[attr-defined]
    assert found.ace15 == pytest.approx(netcal_metrics.ACE(15).measure(probs, labels), abs=1e-6)  # type: ignore[attr-defined]


def test_proper_scores_are_scikit_learns() -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    generator = np.random.default_rng(5)
    scores = generator.uniform(0.01, 0.99, size=700)
    correct = (generator.random(700) < scores).astype(np.float64)
    found = Predictions.from_scores(scores, correct).measure()
    assert found.brier == pytest.approx(brier_score_loss(correct, scores), abs=1e-9)
    assert found.nll == pytest.approx(log_loss(correct, scores), abs=1e-9)
    probs = generator.dirichlet(np.ones(3), size=700)
    labels = generator.integers(0, 3, size=700)
    assert Predictions.from_classes(probs, labels).measure().nll == pytest.approx(log_loss(labels, probs, labels=[0, 1, 2]), abs=1e-9)


def test_isotonic_is_scikit_learns_between_its_ends() -> None:
    from sklearn.isotonic import IsotonicRegression

    generator = np.random.default_rng(6)
    scores = generator.random(4000)
    correct = (generator.random(4000) < scores**2).astype(np.float64)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(scores, correct)
    grid = np.linspace(0.3, 0.9, 500)
    np.testing.assert_allclose(fit_isotonic(scores, correct).apply(grid), oracle.predict(grid), atol=1e-6)


def test_beta_is_a_logistic_on_two_logarithms() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(7)
    scores = generator.uniform(0.02, 0.98, size=6000)
    correct = (generator.random(6000) < scores**1.5).astype(np.float64)
    oracle = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(np.stack([np.log(scores), -np.log1p(-scores)], axis=1), correct)
    fitted = fit_beta(scores, correct)
    np.testing.assert_allclose([fitted.a, fitted.b, fitted.c], [*oracle.coef_[0], oracle.intercept_[0]], atol=0.03)
