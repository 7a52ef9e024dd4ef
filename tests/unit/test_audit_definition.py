from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from guardmed.audit.definition import Definition, definition_names, load_definition, variants
from guardmed.errors import DataError


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(
        {
            "schema_version": 1,
            "id": "pain",
            "title": {"en": "Pain", "zh": "疼痛"},
            "purpose": {"en": "Measures.", "zh": "测量。"},
            "owner": "Clinical safety",
            "reviewed": "2026-01-01",
            "sources": [],
            "margin": 0.05,
            "alpha": 0.05,
            "axes": [
                {
                    "id": "sex",
                    "title": {"en": "Sex", "zh": "性别"},
                    "reference": "male",
                    "groups": [
                        {"id": "male", "slots": {"en": {"noun": "man", "they": "he"}, "zh": {"noun": "男性", "they": "他"}}},
                        {"id": "female", "slots": {"en": {"noun": "woman", "they": "she"}, "zh": {"noun": "女性", "they": "她"}}},
                    ],
                },
                {
                    "id": "race",
                    "title": {"en": "Race"},
                    "languages": ["en"],
                    "reference": "white",
                    "unstated": {"en": {"descriptor": ""}, "zh": {"descriptor": ""}},
                    "groups": [{"id": "white", "slots": {"en": {"descriptor": "white "}}}, {"id": "black", "slots": {"en": {"descriptor": "Black "}}}],
                },
            ],
            "vignettes": [
                {
                    "id": "renal-colic",
                    "specialty": "emergency",
                    "patient": {"sex": "female"},
                    "axes": ["sex", "race"],
                    "text": {"en": "A {descriptor}{noun} has renal colic. {They} is in pain.", "zh": "一名{descriptor}{noun}肾绞痛，{they}很痛。"},
                    "question": {"en": "Should {they} get morphine?", "zh": "应给{they}吗啡吗？"},
                    "options": {"en": ["Yes", "No"], "zh": ["是", "否"]},
                    "favourable": 0,
                }
            ],
        }
    )


def told(raw: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(each.axis, each.group, each.language, each.text) for each in variants(Definition.model_validate(raw))]


class TestVariants:
    def test_every_group_of_every_axis_in_each_language_it_is_varied_in(self, raw: dict[str, Any]) -> None:
        assert told(raw) == [
            ("sex", "male", "en", "A man has renal colic. He is in pain."),
            ("sex", "female", "en", "A woman has renal colic. She is in pain."),
            ("sex", "male", "zh", "一名男性肾绞痛，他很痛。"),
            ("sex", "female", "zh", "一名女性肾绞痛，她很痛。"),
            ("race", "white", "en", "A white woman has renal colic. She is in pain."),
            ("race", "black", "en", "A Black woman has renal colic. She is in pain."),
        ]

    def test_groups_share_an_item_and_agree_in_all_else(self, raw: dict[str, Any]) -> None:
        found = [each for each in variants(Definition.model_validate(raw)) if each.axis == "race"]
        assert {each.item for each in found} == {"renal-colic/en"}
        assert {(each.question, each.options, each.favourable, each.expected) for each in found} == {("Should she get morphine?", ("Yes", "No"), 0, False)}

    def test_expected_differences_are_marked(self, raw: dict[str, Any]) -> None:
        raw["expected"] = [{"vignette": "renal-colic", "axis": "sex", "reason": {"en": "Pregnancy."}}]
        assert {(each.axis, each.expected) for each in variants(Definition.model_validate(raw))} == {("sex", True), ("race", False)}

    def test_slots_within_slots(self, raw: dict[str, Any]) -> None:
        raw["axes"][1]["groups"][1]["slots"]["en"]["descriptor"] = "Black, tired-looking {noun} and "
        assert told(raw)[-1][3].startswith("A Black, tired-looking woman and woman has")

    @pytest.mark.parametrize("field", ["text", "question"])
    def test_an_unfilled_slot_is_an_error(self, raw: dict[str, Any], field: str) -> None:
        raw["vignettes"][0][field]["en"] += " {occupation}"
        with pytest.raises(DataError, match=r"renal-colic uses the slot \{occupation\}, which nothing fills"):
            told(raw)


class TestSchema:
    @pytest.mark.parametrize(
        ("language", "text", "word"),
        [
            ("en", "A {noun} holds her abdomen.", "her"),
            ("en", "He has pain.", "He"),
            ("en", "A 40-year-old woman has pain.", "woman"),
            ("en", "The patient is male.", "male"),
            ("zh", "一名男性腹痛。", "男"),
            ("zh", "{noun}腹痛，她很痛。", "她"),
        ],
    )
    @pytest.mark.parametrize("field", ["text", "question"])
    def test_a_gendered_word_outright(self, raw: dict[str, Any], field: str, language: str, text: str, word: str) -> None:
        raw["vignettes"][0][field][language] = text
        with pytest.raises(ValidationError, match=f"renal-colic says '{word}' outright"):
            Definition.model_validate(raw)

    @pytest.mark.parametrize("text", ["A {noun} has a heart rate of 110 and hematuria. {They} has a fever; the emergency human team calls."])
    def test_words_that_only_hold_one(self, raw: dict[str, Any], text: str) -> None:
        raw["vignettes"][0]["text"]["en"] = text
        assert Definition.model_validate(raw).vignettes[0].text["en"] == text

    def test_a_reference_that_is_no_group(self, raw: dict[str, Any]) -> None:
        raw["axes"][0]["reference"] = "nobody"
        with pytest.raises(ValidationError, match="axis sex: the reference 'nobody'"):
            Definition.model_validate(raw)

    def test_an_axis_that_is_not_defined(self, raw: dict[str, Any]) -> None:
        raw["vignettes"][0]["axes"] = ["income"]
        with pytest.raises(ValidationError, match="names the axis 'income', which is not defined"):
            Definition.model_validate(raw)

    @pytest.mark.parametrize("change", [{"margin": 0}, {"alpha": 1}, {"schema_version": 2}, {"vignettes": []}, {"colour": "red"}])
    def test_what_does_not_fit(self, raw: dict[str, Any], change: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Definition.model_validate(raw | change)

    def test_the_digest_changes_with_what_is_asked(self, raw: dict[str, Any]) -> None:
        before = Definition.model_validate(raw).digest
        assert Definition.model_validate(copy.deepcopy(raw)).digest == before
        raw["vignettes"][0]["question"]["en"] += " Now?"
        assert Definition.model_validate(raw).digest != before


class TestShipped:
    @pytest.mark.parametrize("name", definition_names())
    def test_renders_in_full(self, name: str) -> None:
        definition = load_definition(name)
        assert definition.id == name
        found = list(variants(definition))
        assert {each.vignette for each in found} == {vignette.id for vignette in definition.vignettes}
        for each in found:
            for text in (each.text, each.question, *each.options):
                assert text.strip()
                assert not set("{}") & set(text), text
                assert "  " not in text, text

    @pytest.mark.parametrize("name", definition_names())
    def test_every_comparison_reads_differently_for_each_group(self, name: str) -> None:
        definition = load_definition(name)
        axes = {axis.id: axis for axis in definition.axes}
        cells: dict[tuple[str, str], list[str]] = {}
        for each in variants(definition):
            cells.setdefault((each.item, each.axis), []).append(each.text + each.question)
        for (item, axis), texts in cells.items():
            assert len(texts) == len(axes[axis].groups), (item, axis)
            assert len(set(texts)) == len(texts), (item, axis)

    @pytest.mark.parametrize("name", definition_names())
    def test_what_is_expected_exists(self, name: str) -> None:
        definition = load_definition(name)
        asked = {(vignette.id, axis) for vignette in definition.vignettes for axis in vignette.axes}
        assert {(entry.vignette, entry.axis) for entry in definition.expected} <= asked
        assert definition.sources

    def test_some_ship(self) -> None:
        assert "triage" in definition_names()

    def test_by_path(self, raw: dict[str, Any], tmp_path: Path) -> None:
        import yaml

        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
        assert load_definition(str(path)).id == "pain"

    def test_unknown_name(self) -> None:
        with pytest.raises(DataError, match=r"no audit 'nope'.*Known: .*triage"):
            load_definition("nope")
