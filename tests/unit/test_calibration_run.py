from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from guardmed.calibration.artifact import Artifact, ModelRef, load_artifact
from guardmed.calibration.fit import fit_temperature
from guardmed.calibration.maps import Platt, Temperature
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
        groups = tuple(("en", "zh")[index % 2] for index in range(580)) + ("rare",) * 20
        artifact = calibrate(class_rows(600, groups=groups), method="temperature", holdout=0.5, score_source="records").artifact
        assert set(artifact.groups) == {"en", "zh", "rare"}
        assert artifact.groups["rare"].refused == "10 rows to fit on; 100 are needed"
        assert [artifact.groups[name].rows for name in ("en", "zh")] == [{"fit": 145, "held_out": 145}] * 2
        assert artifact.groups["en"].method == "temperature"
        assert artifact.group_summary["groups"] == 2
        assert artifact.group_summary["worst"]["group"] in ("en", "zh")
        own = artifact.groups["en"].parameters["temperature"]
        np.testing.assert_array_equal(artifact.apply([[0.7, 0.3]], group="en"), Temperature(own).apply([[0.7, 0.3]]))
        np.testing.assert_array_equal(artifact.apply([[0.7, 0.3]], group="rare"), artifact.apply([[0.7, 0.3]]))

    def test_groups_that_hide_one_another_are_fitted_all_the_same(self) -> None:
        """The surer model is the one that is seldom right: together scores rank backwards, in each they don't."""
        generator = np.random.default_rng(0)
        parts = []
        for low, base in ((0.7, 0.15), (0.1, 0.75)):
            scores = low + 0.2 * generator.random(600)
            parts.append((scores, (generator.random(600) < base + (scores - low)).astype(np.float64)))
        rows = Rows(*(np.concatenate(part) for part in zip(*parts, strict=True)), ("sure",) * 600 + ("shy",) * 600)
        artifact = calibrate(rows, method="platt", holdout=0.5, score_source="records").artifact
        assert {group.method for group in artifact.groups.values()} == {"platt"}
        for group in artifact.groups.values():
            assert group.after["ece15"] < 0.1 < group.before["ece15"]
            assert group.after["auroc"] == group.before["auroc"]

    def test_rows_of_one_question_are_resampled_together(self) -> None:
        rows = class_rows(400)
        twice = Rows(np.repeat(rows.values, 5, axis=0), np.repeat(rows.targets, 5), questions=tuple(str(index // 5) for index in range(2000)))
        alone = Rows(twice.values, twice.targets)
        wide, narrow = (
            calibrate(each, method="temperature", holdout=0.5, score_source="records").artifact.intervals["after"]["nll"] for each in (twice, alone)
        )
        assert wide[1] - wide[0] > 1.6 * (narrow[1] - narrow[0])

    def test_auto_says_what_it_tried(self) -> None:
        artifact = calibrate(class_rows(1200), method="auto", holdout=0.5, score_source="records").artifact
        assert artifact.method in ("temperature", "vector")
        assert [one.method for one in artifact.candidates] == ["temperature", "vector"]

    def test_an_older_artifact_that_still_serves_and_one_that_does_not(self) -> None:
        older = calibrate(class_rows(2000), method="temperature", holdout=0.5, score_source="records").artifact
        same = calibrate(class_rows(2000, seed=1), method="temperature", holdout=0.5, score_source="records", older=older).artifact.drift
        moved = calibrate(class_rows(2000, seed=1, sharpen=5.0), method="temperature", holdout=0.5, score_source="records", older=older).artifact.drift
        assert same is not None
        assert not same.drifted
        assert moved is not None
        assert moved.drifted
        assert moved.nll_change[2] < 0


class TestSelective:
    def test_the_bound_holds_on_rows_never_seen(self) -> None:
        """Over many draws the true risk is over the target at most about as often as promised."""
        over = 0
        for seed in range(60):
            found = calibrate(score_rows(1200, seed), method="platt", holdout=0.5, score_source="records", target_risk=0.5).artifact
            assert found.selective is not None
            if found.selective.threshold is None:
                continue
            unseen = score_rows(5_000, seed + 1000)
            answered = found.apply(unseen.values) >= found.selective.threshold
            over += (1 - unseen.targets[answered]).mean() > 0.5
        assert over <= 6

    def test_a_risk_that_can_not_be_had_gives_no_threshold(self) -> None:
        found = calibrate(score_rows(400), method="platt", holdout=0.5, score_source="records", target_risk=0.01).artifact.selective
        assert found is not None
        assert (found.threshold, found.coverage) == (None, None)

    def test_coverage_and_risk_are_of_held_out_rows(self) -> None:
        rows = score_rows(2000)
        artifact = calibrate(rows, method="platt", holdout=0.5, score_source="records", target_risk=0.5).artifact
        held = rows.part(1000, 2000)
        answered = artifact.apply(held.values) >= artifact.selective.threshold  # type: ignore[union-attr, operator]
        assert artifact.selective.coverage == answered.mean()  # type: ignore[union-attr]
        assert artifact.selective.risk == pytest.approx(1 - held.targets[answered].mean())  # type: ignore[union-attr]


class TestWhatRowsMayBe:
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
        with pytest.raises(CalibrationError, match="another template"):
            artifact.model_copy(update={"prompt_digest": "x"}).check(fingerprint="abc", score_source="option_likelihood", prompt_digest="y")

    def test_of_unnamed_records_serves_no_model(self, artifact: Artifact) -> None:
        with pytest.raises(CalibrationError, match="unnamed records"):
            artifact.model_copy(update={"model": None}).check(fingerprint="abc", score_source="option_likelihood")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"temperature": -1.0}, "temperature"),
            ({"temperature": None}, "needs temperature"),
            ({"method": "platt", "temperature": None}, "needs slope, bias"),
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
