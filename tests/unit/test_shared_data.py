"""Figures on the real data beside the project."""

from __future__ import annotations

import json

import numpy as np
import pytest

from guardmed.calibration.fit import fit_temperature
from guardmed.calibration.metrics import auroc
from guardmed.claims.consistency import consistency
from guardmed.policy import Stage


def rows(folder, name):
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize(("name", "temperature"), [("cifar10_lenet-5_probs", 1.3736), ("cifar10_wideresnet-16-4_probs", 2.0592)])
def test_temperatures_from_float32_are_the_float64_optimum(shared_data, name, temperature):
    data = np.load(shared_data / "calibration" / f"{name}.npz", allow_pickle=False)
    assert data["predictions"].dtype == np.float32
    assert fit_temperature(data["predictions"][:5000], data["ground_truth"].ravel()[:5000]).temperature == pytest.approx(temperature, rel=1e-3)


def test_consistency_ranks_claims_that_people_labelled(shared_data):
    scores, accurate = [], []
    for row in rows(shared_data, "claims/selfcheck_wikibio_en.jsonl"):
        scores += consistency(row["claims"], row["samples"], context=row["question"])
        accurate += [float(label == "accurate") for label in row["labels"]]
    assert len(scores) > 400
    assert auroc(np.array(scores), np.array(accurate)) > 0.75


def test_patients_questions_go_through(shared_data, clinical):
    asked = rows(shared_data, "prompts/patient_questions_zh.jsonl")
    stopped = [row["id"] for row in asked if clinical.check(row["prompt"], stage=Stage.INPUT).decision.stops]
    assert len(stopped) <= 0.02 * len(asked)
