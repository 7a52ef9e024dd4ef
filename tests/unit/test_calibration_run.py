from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from guardmed.calibration.artifact import Artifact, ModelRef, load_artifact
from guardmed.calibration.fit import Platt, Temperature, fit_temperature
from guardmed.calibration.run import Rows, calibrate
from guardmed.errors import CalibrationError, DataError


def class_rows(count: int = 400, *, groups: tuple[str, ...] = (), sharpen: float = 2.0, seed: int = 0) -> Rows:
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(count, 4)) * 1.5
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) > generator.random((count, 1))).argmax(axis=1)
    probs = np.exp(logits * sharpen)
    return Rows(probs / probs.sum(axis=1, keepdims=True), labels.astype(np.float64), groups)


def score_rows(count: int = 400, seed: int = 0) -> Rows:
    generator = np.random.default_rng(seed)
    scores = generator.random(count)
    return Rows(scores, (generator.random(count) < scores * 0.6 + 0.1).astype(np.float64))


MODEL = ModelRef(name="reference", fingerprint="abc")


class TestCalibrate:
    def test_fits_the_first_rows_and_measures_the_last(self) -> None:
        rows = class_rows()
        result = calibrate(rows, method="temperature", holdout=0.25, score_source="records")
        assert result.artifact.rows == {"fit": 300, "held_out": 100}
        assert result.artifact.temperature == fit_temperature(rows.values[:300], rows.targets[:300]).temperature
        held = rows.part(300, 400)
        assert result.artifact.metrics["before"] == held.predictions(None).measure().as_dict()
        assert result.artifact.metrics["after"] == held.predictions(Temperature(result.artifact.temperature)).measure().as_dict()

    def test_held_out_rows_do_not_touch_the_fit(self) -> None:
        rows = class_rows()
        other = Rows(rows.values.copy(), rows.targets.copy())
        other.targets[300:] = (other.targets[300:] + 1) % 4
        one, two = (calibrate(each, method="temperature", holdout=0.25, score_source="records").artifact for each in (rows, other))
        assert one.temperature == two.temperature
        assert one.metrics["after"] != two.metrics["after"]
        assert one.data_digest != two.data_digest

    def test_overconfidence_is_mended(self) -> None:
        artifact = calibrate(class_rows(2000, sharpen=3.0), method="temperature", holdout=0.5, score_source="records").artifact
        assert artifact.metrics["after"]["ece15"] < 0.5 * artifact.metrics["before"]["ece15"]
        assert artifact.metrics["after"]["nll"] < artifact.metrics["before"]["nll"]
        assert artifact.metrics["after"]["accuracy"] == artifact.metrics["before"]["accuracy"]

    def test_platt_for_scores(self) -> None:
        artifact = calibrate(score_rows(2000), method="platt", holdout=0.5, score_source="claim_support").artifact
        assert artifact.temperature is None
        assert isinstance(artifact.map, Platt)
        assert artifact.metrics["after"]["ece15"] < artifact.metrics["before"]["ece15"]

    def test_is_the_same_every_time(self) -> None:
        one, two = (calibrate(class_rows(), method="temperature", holdout=0.5, score_source="records").artifact for _ in range(2))
        assert one == two

    def test_groups_with_enough_held_out_rows(self) -> None:
        groups = tuple(("en", "zh")[index % 2] for index in range(380)) + ("rare",) * 20
        artifact = calibrate(class_rows(groups=groups), method="temperature", holdout=0.5, score_source="records").artifact
        assert set(artifact.groups) == {"en", "zh"}
        assert sum(artifact.groups[name]["after"]["n"] for name in ("en", "zh")) == 180

    def test_rows_padded_with_zeros(self) -> None:
        rows = class_rows()
        padded = Rows(np.hstack([rows.values, np.zeros((400, 1))]), rows.targets)
        one, two = (calibrate(each, method="temperature", holdout=0.5, score_source="records").artifact for each in (rows, padded))
        assert one.temperature == pytest.approx(two.temperature, rel=1e-9)

    @pytest.mark.parametrize(
        ("count", "method", "holdout", "told"),
        [
            (400, "temperature", 0.0, "leaves nothing"),
            (400, "temperature", 1.0, "leaves nothing"),
            (400, "temperature", 0.05, "20 rows are held out"),
            (400, "temperature", 0.95, "20 rows are too few"),
            (400, "platt", 0.5, "takes score and correct"),
        ],
    )
    def test_what_can_not_be_done(self, count: int, method: str, holdout: float, told: str) -> None:
        with pytest.raises(CalibrationError, match=told) as caught:
            calibrate(class_rows(count), method=method, holdout=holdout, score_source="records")  # type: ignore[arg-type]
        assert caught.value.mend

    def test_temperature_takes_probs(self) -> None:
        with pytest.raises(CalibrationError, match="takes probs and label"):
            calibrate(score_rows(), method="temperature", holdout=0.5, score_source="records")


class TestArtifact:
    @pytest.fixture
    def artifact(self) -> Artifact:
        return calibrate(class_rows(), method="temperature", holdout=0.5, score_source="option_likelihood", model=MODEL).artifact

    def test_round_trip(self, artifact: Artifact, tmp_path: Path) -> None:
        artifact.save(tmp_path / "a.json")
        again = load_artifact(tmp_path / "a.json")
        assert again == artifact
        assert json.loads((tmp_path / "a.json").read_text())["schema_version"] == 1
        np.testing.assert_array_equal(again.apply([[0.7, 0.2, 0.1]]), artifact.apply([[0.7, 0.2, 0.1]]))

    def test_serves_only_its_model_and_kind_of_score(self, artifact: Artifact) -> None:
        artifact.check(fingerprint="abc", score_source="option_likelihood")
        with pytest.raises(CalibrationError, match="fingerprint is not this model's"):
            artifact.check(fingerprint="abd", score_source="option_likelihood")
        with pytest.raises(CalibrationError, match="not for claim_support"):
            artifact.check(fingerprint="abc", score_source="claim_support")

    def test_of_unnamed_records_serves_no_model(self, artifact: Artifact) -> None:
        with pytest.raises(CalibrationError, match="unnamed records"):
            artifact.model_copy(update={"model": None}).check(fingerprint="abc", score_source="option_likelihood")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"temperature": -1.0}, "temperature"),
            ({"temperature": None}, "needs temperature"),
            ({"method": "platt", "temperature": None}, "needs slope and bias"),
            ({"schema_version": 2}, "schema_version"),
            ({"kind": "gate"}, "kind"),
            ({"surprise": 1}, "surprise"),
        ],
    )
    def test_what_is_not_one(self, artifact: Artifact, tmp_path: Path, change: dict[str, object], told: str) -> None:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(artifact.model_dump(mode="json") | change))
        with pytest.raises(DataError, match=told):
            load_artifact(path)
