"""Figures held against the libraries that others use for them."""

from __future__ import annotations

import numpy as np
import pytest

from guardmed.calibration.fit import fit_platt, fit_temperature
from guardmed.calibration.maps import log_odds
from guardmed.calibration.metrics import auroc, ece, mce

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
