from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

from guardmed.calibration.entities import EntityRecord, entity_rows, rule_hits, thresholds
from guardmed.calibration.run import Rows, calibrate
from guardmed.errors import CalibrationError, DataError, UsageError
from guardmed.files import write_json
from guardmed.records import read_records
from guardmed.stats import clopper_pearson

# Fields and values as openmed 3.1 writes them with EntityPrediction.to_dict.
NAME = {"text": "张伟", "label": "NAME", "confidence": 0.93, "start": 2, "end": 4, "metadata": {"detector_sources": ["ml", "locale_rule"]}}
MAIL = {"text": "a@example.org", "label": "email", "confidence": 0.85, "start": 9, "end": 22, "metadata": {"detector_sources": ["locale_rule"]}}


def entity(**fields) -> EntityRecord:
    return EntityRecord.model_validate({"label": "NAME", "confidence": 0.9, "correct": 1} | fields)


def scored(label: str, count: int, *, sure_from: float, seed: int = 0) -> Rows:
    """Every entity from a confidence on is right, of those below it a third."""
    generator = np.random.default_rng(seed)
    values = generator.random(count)
    return Rows(values, ((values >= sure_from) | (generator.random(count) < 1 / 3)).astype(np.float64), (label,) * count)


def joined(*parts: Rows) -> Rows:
    return Rows(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(group for part in parts for group in part.groups),
    )


def chosen(rows: Rows, **options):
    return thresholds(rows, **({"target_precision": 0.95, "canonical": str.upper} | options))


class TestRecords:
    def test_a_file_of_predictions_with_what_is_right(self, tmp_path):
        path = tmp_path / "entities.jsonl"
        lines = [
            NAME | {"correct": 1, "document": "a"},
            MAIL | {"correct": 0, "document": "a"},
            {"label": "日期", "confidence": 1, "correct": 0, "document": 2},
        ]
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        records = read_records(path, EntityRecord)
        assert [record.text for record in records] == ["张伟", "a@example.org", None]
        rows = entity_rows(records)
        assert rows.values.tolist() == [0.93, 1.0]
        assert rows.targets.tolist() == [1.0, 0.0]
        assert rows.groups == ("NAME", "日期")
        assert rows.questions == ("a", "2")
        assert rule_hits(records) == 1

    @pytest.mark.parametrize("wrong", [{"confidence": 1.01}, {"confidence": -0.1}, {"confidence": float("nan")}, {"correct": 2}, {"label": ""}])
    def test_what_is_no_confidence_is_refused_with_its_line(self, wrong, tmp_path):
        path = tmp_path / "entities.jsonl"
        path.write_text("".join(json.dumps(NAME | {"correct": 1} | more) + "\n" for more in ({}, wrong)), encoding="utf-8")
        with pytest.raises(DataError, match=f"line 2: {next(iter(wrong))}"):
            read_records(path, EntityRecord)

    @pytest.mark.parametrize(
        "metadata",
        [{"detector_sources": ["locale_rule"]}, {"source": "locale_rule"}, {"source": "safety_sweep"}, {"detector": "custom:deny"}],
    )
    def test_rules_have_no_confidence_to_fit(self, metadata):
        rule = entity(metadata=metadata, confidence=0.85, correct=0)
        assert rule.by_rule
        assert len(entity_rows([rule, entity()])) == 1
        with pytest.raises(CalibrationError, match="None of the 2 entities is the model's"):
            entity_rows([rule, rule])

    @pytest.mark.parametrize("metadata", [None, {}, {"detector_sources": []}, {"detector_sources": ["ml"]}, {"detector_sources": ["ml", "locale_rule"]}])
    def test_what_the_model_had_a_part_in_stays(self, metadata):
        assert not entity(metadata=metadata).by_rule

    def test_documents_are_named_everywhere_or_nowhere(self):
        assert entity_rows([entity(), entity()]).questions == ()
        with pytest.raises(DataError, match="1 of 2 entities name no document"):
            entity_rows([entity(document=1), entity()])
        # What a rule found has no row to name a document for.
        assert entity_rows([entity(document=1), entity(metadata={"source": "locale_rule"})]).questions == ("1",)


class TestArtifact:
    def test_it_is_calibrated_like_any_score(self):
        generator = np.random.default_rng(0)
        records = [
            entity(label=label, confidence=value, correct=int(generator.random() < value**power), document=at)
            for at, value in enumerate(generator.random(1000).tolist())
            for label, power in (("NAME", 2), ("姓名", 4))
        ]
        artifact = calibrate(entity_rows(records), method="platt", holdout=0.5, score_source="entity_confidence").artifact
        assert artifact.score_source == "entity_confidence"
        assert set(artifact.groups) == {"NAME", "姓名"}
        assert artifact.metrics["after"]["nll"] < artifact.metrics["before"]["nll"]


class TestThresholds:
    def test_each_label_has_its_own(self):
        found = chosen(joined(scored("name", 4000, sure_from=0.6), scored("date", 4000, sure_from=0.8, seed=1)))
        by_label = {one["label"]: one for one in found["groups"]}
        assert found["thresholds"] == {"*": {"NAME": {"*": by_label["NAME"]["threshold"]}, "DATE": {"*": by_label["DATE"]["threshold"]}}}
        # The confidences tried lie 0.05 apart.
        assert by_label["NAME"]["threshold"] == pytest.approx(0.6, abs=0.05)
        assert by_label["DATE"]["threshold"] == pytest.approx(0.8, abs=0.05)

    def test_the_bound_is_that_of_the_precision_on_the_rows_it_was_chosen_on(self):
        rows = scored("NAME", 4000, sure_from=0.6)
        (one,) = chosen(rows)["groups"]
        first, last = rows.split(0.5)
        kept = first.values >= one["threshold"]
        right, total = int(first.targets[kept].sum()), int(kept.sum())
        assert 0.95 <= one["precision_bound"] < right / total
        # One-sided at 5 %, shared among the 20 confidences tried.
        assert one["precision_bound"] == pytest.approx(clopper_pearson(right, total, confidence=1 - 2 * 0.05 / 20).low, abs=1e-9)
        kept = last.values >= one["threshold"]
        assert one["precision"] == last.targets[kept].mean()
        assert one["recall"] == last.targets[kept].sum() / last.targets.sum()
        assert one["rows"] == {"fit": 2000, "held_out": 2000}

    def test_a_higher_target_asks_for_more_confidence(self):
        rows = scored("NAME", 4000, sure_from=0.6)
        found = [chosen(rows, target_precision=target)["groups"][0] for target in (0.7, 0.9, 0.98)]
        assert [one["threshold"] for one in found] == sorted({one["threshold"] for one in found})
        assert [one["recall"] for one in found] == sorted({one["recall"] for one in found}, reverse=True)

    def test_the_target_holds_on_other_rows_as_surely_as_it_says(self):
        # Right with a probability equal to the confidence: the precision from t on is (1 + t) / 2, so 0.7 needs 0.4.
        found = []
        for seed in range(100):
            generator = np.random.default_rng(seed)
            values = generator.random(1000)
            rows = Rows(values, (generator.random(1000) < values).astype(np.float64), ("NAME",) * 1000)
            found.append(chosen(rows, target_precision=0.7)["groups"][0]["threshold"])
        assert sum(threshold < 0.4 for threshold in found) <= 5
        assert np.median(found) < 0.65

    def test_labels_that_openmed_holds_for_the_same_share_a_threshold(self):
        first, second = scored("NAME", 2000, sure_from=0.6), scored("姓名", 2000, sure_from=0.9, seed=1)
        together = chosen(joined(first, second), canonical=lambda label: "PERSON")
        assert set(together["thresholds"]["*"]) == {"PERSON"}
        assert together["groups"][0]["rows"] == {"fit": 2000, "held_out": 2000}

    def test_labels_without_enough_rows_are_named_and_left(self):
        rows = joined(scored("NAME", 4000, sure_from=0.6), scored("SSN", 40, sure_from=0.1), scored("AGE", 400, sure_from=2.0))
        found = chosen(rows)
        assert set(found["thresholds"]["*"]) == {"NAME"}
        assert set(found["refused"]) == {"SSN", "AGE"}
        assert found["refused"]["SSN"] == "20 rows to choose on; 30 are needed"
        assert "vouch for a precision of 0.95 at no confidence" in found["refused"]["AGE"]

    def test_few_rows_do_not_vouch_even_where_all_are_right(self):
        # ln(0.05 / 20) / ln(0.95) = 116.8
        assert chosen(scored("NAME", 236, sure_from=0.0))["groups"][0]["precision"] == 1.0
        with pytest.raises(CalibrationError, match=r"No label has a threshold\. NAME: 115 rows, 100\.0% of them right"):
            chosen(scored("NAME", 230, sure_from=0.0))

    @pytest.mark.parametrize("options", [{"target_precision": 1.0}, {"target_precision": 0.0}, {"holdout": 1.0}, {"confidence": 1.0}])
    def test_shares_out_of_range_are_refused(self, options):
        with pytest.raises(CalibrationError, match=f"{next(iter(options))}="):
            chosen(scored("NAME", 4000, sure_from=0.6), **options)

    def test_it_says_how_to_get_what_is_missing(self, monkeypatch):
        def missing(name):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])

        monkeypatch.setattr(importlib, "import_module", missing)
        with pytest.raises(UsageError, match=r'openmed is not installed\. Install it: pip install "guardmed\[openmed\]"'):
            thresholds(scored("NAME", 4000, sure_from=0.6), target_precision=0.95)


@pytest.fixture
def openmed():
    return pytest.importorskip("openmed", reason="the optional package openmed is not installed: pip install guardmed[openmed]")


class TestWithOpenMed:
    def test_what_it_writes_of_an_entity_is_read(self, openmed):
        outputs = importlib.import_module("openmed.processing.outputs")
        made = outputs.EntityPrediction(text="张伟", label="NAME", confidence=0.93, start=2, end=4, metadata={"detector_sources": ["ml"]})
        record = EntityRecord.model_validate(made.to_dict() | {"correct": True})
        assert (record.text, record.label, record.confidence, record.start, record.end) == ("张伟", "NAME", 0.93, 2, 4)
        assert EntityRecord.model_validate(outputs.EntityPrediction("1", "AGE", 0.5).to_dict() | {"correct": 0}).metadata == {}

    @pytest.mark.parametrize(("language", "label", "its_own"), [("en", "patient", "PERSON"), ("zh", "dis", "CONDITION"), ("*", "MRN", "ID_NUM")])
    def test_it_loads_the_thresholds_under_its_own_labels(self, openmed, tmp_path, language, label, its_own):
        found = thresholds(scored(label, 4000, sure_from=0.6), target_precision=0.95, language=language, model_id="some/model")
        write_json(tmp_path / "thresholds.json", found)
        read = importlib.import_module("openmed.eval.calibrate").load_calibration_thresholds(tmp_path)
        asked = "fr" if language == "*" else language
        assert read.thresholds == {("some/model", its_own, language): found["groups"][0]["threshold"]}
        assert read.lookup(label, asked, model_id="some/model", default=0.7) == found["groups"][0]["threshold"]
        assert read.lookup("EMAIL", asked, model_id="some/model", default=0.7) == 0.7
        assert read.active_for(model_id="some/model", language=asked) == {its_own: found["groups"][0]["threshold"]}

    @pytest.mark.parametrize(
        ("language", "text", "sure", "unsure"), [("en", "Seen by Smith and Baker today.", "Smith", "Baker"), ("zh", "张伟和李娜今天来访。", "张伟", "李娜")]
    )
    def test_its_deidentify_redacts_from_the_threshold_on(self, openmed, monkeypatch, tmp_path, language, text, sure, unsure):
        path = tmp_path / "thresholds.json"
        found = thresholds(scored("NAME", 4000, sure_from=0.6), target_precision=0.95)
        write_json(path, found)
        limit = found["groups"][0]["threshold"]
        outputs = importlib.import_module("openmed.processing.outputs")

        def model(note, *_, **__):
            hits = [(sure, limit), (unsure, float(np.nextafter(limit, 0)))]
            entities = [outputs.EntityPrediction(word, "NAME", value, note.index(word), note.index(word) + len(word)) for word, value in hits]
            return outputs.PredictionResult(note, entities, "some/model", "2025-01-01T00:00:00")

        monkeypatch.setattr(importlib.import_module("openmed.core.pii"), "extract_pii", model)
        options = {"lang": language, "confidence_threshold": 0.0, "use_safety_sweep": False}
        with_thresholds = openmed.deidentify(text, calibration_thresholds_path=path, **options).deidentified_text
        assert sure not in with_thresholds
        assert unsure in with_thresholds
        assert unsure not in openmed.deidentify(text, **options).deidentified_text
