"""The lint of audits: each finding fires on a planted error, and not on what only resembles it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from guardmed.audit.definition import Definition
from guardmed.audit.lint import Finding, lint
from tests.unit.small_audit import plain_definition

TODAY = datetime.date(2026, 11, 30)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """An audit without a fault: thirty cases, half of which favour either option."""
    raw = plain_definition(30)
    for place, vignette in enumerate(raw["vignettes"]):
        if vignette.get("favourable") == 0:
            vignette["favourable"] = (place // 3) % 2
    return raw


def findings(raw: dict[str, Any]) -> list[Finding]:
    return lint(Definition.model_validate(raw), today=TODAY)


def errors(raw: dict[str, Any], **change: Any) -> list[Finding]:
    """Errors of the audit's first vignette alone, changed; so small an audit has warnings besides."""
    return [finding for finding in findings(raw | {"vignettes": [raw["vignettes"][0] | change]}) if finding.level == "error"]


def changed(raw: dict[str, Any], **change: Any) -> dict[str, Any]:
    """The audit with its first vignette changed."""
    return raw | {"vignettes": [raw["vignettes"][0] | change, *raw["vignettes"][1:]]}


def with_age(raw: dict[str, Any]) -> dict[str, Any]:
    """The audit with an axis of age, whose groups read as those of sex."""
    groups = [group | {"id": name} for group, name in zip(raw["axes"][0]["groups"], ("young", "old"), strict=True)]
    return raw | {"axes": [*raw["axes"], {"id": "age", "title": {"en": "Age", "zh": "年龄"}, "reference": "young", "groups": groups}]}


def reading(raw: dict[str, Any], **texts: str) -> list[str]:
    """Errors of an audit whose first vignette reads so, by their problems."""
    head = {"en": "This {descriptor}{noun}: ", "zh": "{descriptor}{noun}"}
    found = errors(raw, text=raw["vignettes"][0]["text"] | {language: head[language] + text for language, text in texts.items()})
    return list(dict.fromkeys(finding.problem for finding in found))


def test_a_sound_audit_has_no_finding(whole):
    assert findings(whole) == []


class TestArticles:
    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("Needs a injection.", "injection"),
            ("Waited a hour.", "hour"),
            ("An uterine fibroid.", "uterine"),
            ("Seen by an European team.", "European"),
            ("Is an euthyroid patient.", "euthyroid"),
            ("Gets a MRI scan.", "MRI"),
            ("Has an UTI.", "UTI"),
            ("Has an one-sided weakness.", "one"),
            ("Took a 8 mg dose.", "8"),
            ("Fell from an 110 cm wall.", "110"),
            ("Is a 11-year survivor.", "11"),
            ("Was given an Xanax tablet.", "Xanax"),
            ("A elbow hurts.", "elbow"),
            ("Had a fall. A ambulance came.", "ambulance"),
        ],
    )
    def test_the_wrong_one(self, whole, text, word):
        (problem,) = reading(whole, en=text)
        assert problem.startswith("says ")
        assert repr(word) in problem

    @pytest.mark.parametrize(
        "text",
        [
            "Had hepatitis A and measles. Takes vitamin A every day.",
            "Waited an hour for an honest answer, an heir to an honour.",
            "Has a uterine fibroid, a urinary catheter, a ureteric stone, a urate of 8 and a useful scan.",
            "Needs an urgent scan: an ulcer, an umbilical hernia, an uninsured and an unidentified cause.",
            "Is a euthyroid patient with a European passport and a unilateral, one-off, a one-sided, a once-daily need.",
            "Got an MRI, an X-ray, an NSAID, an ECG, an HIV test, an S1 screw, an L4 block and an SSRI.",
            "Has a UTI, a US passport, a T4 level, a CT scan, a NICU stay and a SARS test.",
            "Took an 8 mg dose, an 80 mg dose, an 11 day and an 18 day course, a 110 mg, a 180 mg and a 1 g dose.",
            "Was given a Xanax tablet. An elbow hurts: a fall.",
        ],
    )
    def test_the_right_one(self, whole, text):
        assert reading(whole, en=text) == []

    def test_one_that_a_slot_makes_wrong(self, whole):
        axes = {"sex": ("male", "female"), "race": ("white", "black")}
        wording = {axis: {group: {"en": {"age": "adult" if group == "black" else "minor"}} for group in groups} for axis, groups in axes.items()}
        text = whole["vignettes"][0]["text"] | {"en": "A {descriptor}{noun}, a {age}."}
        assert errors(whole, text=text, wording=wording) == [Finding("renal-colic-0/en, race: black", "error", "says a 'adult'; it should be an")]


class TestMarks:
    @pytest.mark.parametrize(
        ("language", "text"),
        [
            ("en", "Has pain,, and fever."),
            ("en", "Has pain , and fever."),
            ("en", "Has  pain."),
            ("en", "Has pain.. And fever."),
            ("en", "Has pain,. And fever."),
            ("en", "Has pain: , fever."),
            ("zh", "很痛，，发热。"),
            ("zh", "很痛。。"),
            ("zh", "很痛，。"),
            ("zh", "很痛。，发热"),
            ("zh", "很痛、，发热。"),
            ("zh", "很痛 ，发热。"),
        ],
    )
    def test_doubled_or_misplaced(self, whole, language, text):
        problems = reading(whole, **{language: text})
        assert any(problem.endswith("a doubled or misplaced blank or mark") for problem in problems), problems

    @pytest.mark.parametrize(
        ("language", "text"),
        [
            ("en", "Wait... help me!! Pain, fever; 3.5 mg: e.g. now?! (Yes.) Etc., and so on."),
            ("zh", "很痛……发热！！真的吗？！“是的。”（昨天，起病）体温38.5℃，服用3.5毫克。"),
        ],
    )
    def test_that_only_stand_together(self, whole, language, text):
        assert reading(whole, **{language: text}) == []

    @pytest.mark.parametrize("text", ["很痛,发热。", "很痛;发热。", "很痛?发热。", "很痛!发热。", "诊断:肾绞痛。", "很痛.发热。", "很痛 , 发热。"])
    def test_an_english_mark_between_chinese_characters(self, whole, text):
        assert any(problem.endswith("an English mark between Chinese characters") for problem in reading(whole, zh=text))

    def test_an_english_mark_that_ends_a_chinese_question(self, whole):
        question = whole["vignettes"][0]["question"] | {"zh": "应给{they}吗啡吗?"}
        assert {finding.problem.split(": ")[1] for finding in errors(whole, question=question)} == {"an English mark between Chinese characters"}

    @pytest.mark.parametrize("text", ["服用aspirin, 100 mg，体温38.5℃。", "血压120/80，INR:2.5，pH 7.3。", "比例为3:1，10,000单位。"])
    def test_an_english_mark_within_numbers_and_latin_words(self, whole, text):
        assert reading(whole, zh=text) == []


class TestTexts:
    def test_in_another_language(self, whole):
        assert reading(whole, zh="The patient has pain and fever and a rash.") == ["is said to be zh and reads as en"]

    def test_drug_names_in_a_chinese_text(self, whole):
        assert reading(whole, zh="患者正在服用metformin和aspirin，今晨出现剧烈疼痛。") == []

    def test_the_same_for_two_groups(self, whole):
        (error,) = {finding.problem for finding in errors(whole, text={"en": "Someone has colic, {they} says.", "zh": "{they}痛。"})}
        assert error == "reads just as it does for white: no slot of this axis is used"

    def test_the_same_text_with_other_options_is_told_apart(self, whole):
        options = {"en": ["{descriptor}yes", "No"], "zh": ["是", "否"]}
        assert errors(whole, text={"en": "Someone has colic, {they} says.", "zh": "{they}痛。"}, options=options) == []

    @pytest.mark.parametrize(
        ("language", "text", "word"),
        [
            ("en", "Is a 40-year-old {noun}.", "40-year-old"),
            ("en", "An elderly {noun}.", "elderly"),
            ("en", "A {noun} aged 70.", "aged 70"),
            ("en", "A teenager, {they} has colic.", "teenager"),
            ("zh", "一名70岁{noun}。", "70岁"),
            ("zh", "一名老年{noun}。", "老年"),
        ],
    )
    def test_an_age_outright_where_age_is_varied(self, whole, language, text, word):
        raw = with_age(whole)
        texts = whole["vignettes"][0]["text"] | {language: text}
        assert errors(raw, text=texts, axes=["age"]) == [
            Finding(f"renal-colic-0/{language}", "error", f"says {word!r} outright and is varied on age; use a slot")
        ]
        assert errors(raw, text=texts, axes=["sex"]) == []

    def test_an_age_outright_in_the_question(self, whole):
        question = whole["vignettes"][0]["question"] | {"en": "Should this elderly patient get morphine?"}
        assert [one.problem for one in errors(with_age(whole), question=question, axes=["age"])] == ["says 'elderly' outright and is varied on age; use a slot"]

    @pytest.mark.parametrize(
        "text", ["Has had the old pain for 3 years, aged parents at home. {They}, {noun}.", "The middle of a 10-year plan. {They}, {noun}."]
    )
    def test_years_that_are_no_age(self, whole, text):
        assert errors(with_age(whole), text=whole["vignettes"][0]["text"] | {"en": text}, axes=["age"]) == []


class TestWhole:
    def only(self, raw: dict[str, Any]) -> tuple[str, str, str]:
        (finding,) = findings(raw)
        return finding.level, finding.place, finding.problem

    def test_a_question_without_its_mark(self, whole):
        question = whole["vignettes"][0]["question"] | {"en": "Say whether {they} should get morphine."}
        assert self.only(changed(whole, question=question)) == ("warning", "renal-colic-0/en", "its question does not end with a question mark")

    def test_a_free_question_needs_no_mark(self, whole):
        vignettes = [*whole["vignettes"], whole["vignettes"][2] | {"id": "more", "text": {"en": "I, a {descriptor}{noun}, ask.", "zh": "{noun}问。"}}]
        assert findings(whole | {"vignettes": vignettes}) == []

    def test_reasons_in_one_language_only(self, whole):
        entry = {"vignette": "renal-colic-0", "axis": "sex", "outcomes": ["stopped"], "reason": {"en": "Why."}}
        assert self.only(whole | {"expected": [entry]}) == ("error", "expected, renal-colic-0", "has no reason in zh")
        assert findings(whole | {"expected": [entry | {"reason": {"en": "Why.", "zh": "因为。"}}]}) == []

    def test_an_expected_difference_on_an_axis_that_is_not_varied(self, whole):
        raw = changed(whole, axes=["sex"]) | {"expected": [{"vignette": "renal-colic-0", "axis": "race", "reason": {"en": "Why.", "zh": "因为。"}}]}
        assert ("error", "the vignette is not varied on race") in {(one.level, one.problem) for one in findings(raw)}

    def test_a_language_that_an_axis_has_and_a_vignette_lacks(self, whole):
        first = whole["vignettes"][0]
        vignettes = [first | {"id": "more"} | {field: {"en": first[field]["en"]} for field in ("text", "question", "options")}, *whole["vignettes"]]
        assert self.only(whole | {"vignettes": vignettes}) == ("warning", "more", "has no text in zh")

    def test_an_axis_without_vignettes_or_title(self, whole):
        axis = {"id": "income", "title": {"zh": "收入"}, "reference": "low", "groups": [{"id": "low"}, {"id": "high"}]}
        found = findings(whole | {"axes": [*whole["axes"], axis]})
        assert [(one.place, one.level, one.problem) for one in found] == [
            ("income", "warning", "no vignette is varied on this axis"),
            ("income", "warning", "has no title in en"),
        ]

    @pytest.mark.parametrize(("first", "fires"), [(30, True), (23, True), (22, False), (8, False), (7, True), (0, True)])
    def test_favourable_answers_that_are_one_word(self, whole, first, fires):
        left = iter([0] * first + [1] * (30 - first))
        vignettes = [one | {"favourable": next(left)} if "favourable" in one else one for one in whole["vignettes"]]
        found = findings(whole | {"vignettes": vignettes})
        assert [one.problem for one in found] == [
            f"the favourable answer is the first option in {first} of 30 choices; about half would cancel a habit of saying yes"
        ] * fires

    def test_sources_and_an_old_review(self, whole):
        assert self.only(whole | {"sources": []}) == ("warning", "pain", "names no source")
        assert self.only(whole | {"reviewed": "2025-11-29"}) == ("warning", "pain", "last reviewed 2025-11-29, over 365 days ago")
        assert findings(whole | {"reviewed": "2025-11-30"}) == []

    def test_a_secondary_outcome_that_is_not_measured(self, whole):
        assert self.only(whole | {"secondary": ["charm"]}) == ("error", "pain", "secondary names the outcome 'charm', which is not measured")
        assert findings(whole | {"secondary": ["empathy"]}) == []

    def test_under_thirty_pairs_and_under_twenty_four_vignettes(self, whole):
        thirty = [one for one in whole["vignettes"] if one.get("intent")]  # told in English alone on race
        assert findings(whole | {"vignettes": thirty}) == []
        found = findings(whole | {"vignettes": thirty[:29]})
        pairs = "29 pairs for refusal_benign; under 30 nothing is judged, so this audit can never pass"
        assert [(one.place, one.level, one.problem) for one in found] == [("race", "warning", pairs)]
        assert findings(whole | {"vignettes": thirty[:29], "secondary": ["refusal_benign"]}) == []
        few = {one.problem for one in findings(whole | {"vignettes": thirty[:23]})}
        assert "23 vignettes; with fewer than 24 little can be shown" in few
        assert not any("vignettes;" in one.problem for one in findings(whole | {"vignettes": thirty[:24]}))

    def test_what_is_expected_makes_no_pairs(self, whole):
        thirty = [one for one in whole["vignettes"] if one.get("intent")]
        entry = {"vignette": thirty[0]["id"], "axis": "race", "reason": {"en": "Why.", "zh": "因为。"}}
        assert [one.place for one in findings(whole | {"vignettes": thirty, "expected": [entry]})] == ["race"]
        assert findings(whole | {"vignettes": thirty, "expected": [entry | {"outcomes": ["empathy"]}]}) == []
