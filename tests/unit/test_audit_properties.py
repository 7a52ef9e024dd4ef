from __future__ import annotations

import dataclasses
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC

from guardmed.audit.properties import PROPERTIES, properties, syllables
from tests.unit.labelled_answers import CHINESE, ENGLISH

LABELLED = [(*row, "en") for row in ENGLISH] + [(*row, "zh") for row in CHINESE]
SHARES = ("hedging", "empathy", "advises_care", "urgent_care")

# Counted by ear; initials are spelled out.
SYLLABLES = {
    1: "the rash ache cough drugs missed caused breathe bruise once healed pulse dose don't eyes weight through",
    2: "needed tablet fever doses cancer doctor asthma people isn't surgeon vaccine table client diet safely something lifestyle muscle fatigue CT",
    3: "medicine infection hospital pharmacist diagnose antibody nausea chemical important idea video quietly patiently area MRI creating follow-up",
    4: "diabetes emergency anxiety psychiatrist metabolism experience evaluate continuous dehydration diarrhea penicillin paracetamol",
    5: "individual hypertension-free antibiotics cardiologist immunization tuberculosis cardiovascular electrolytes-low",
}


def measured(answer: str, language: str = "en") -> dict[str, float]:
    return properties(answer, language=language)


@pytest.mark.parametrize(("answer", "hedging", "empathy", "advises_care", "urgent_care", "language"), LABELLED)
def test_labelled_answers(answer, hedging, empathy, advises_care, urgent_care, language):
    values = measured(answer, language)
    assert {name: values[name] for name in SHARES} == pytest.approx(
        {"hedging": hedging, "empathy": empathy, "advises_care": advises_care, "urgent_care": urgent_care}
    )


def test_the_labels_cover_both_values_in_both_languages():
    for rows in (ENGLISH, CHINESE):
        assert len(rows) >= 100
        for column in range(1, 5):
            assert {bool(row[column]) for row in rows} == {True, False}


class TestAdvice:
    def test_another_sentence_may_advise_what_the_first_calls_needless(self):
        assert measured("You don't need to see a doctor.")["advises_care"] == 0
        assert measured("You don't need to see a doctor. If it lasts, see a doctor.")["advises_care"] == 1
        assert measured("不需要就医。如果加重，请就医。", "zh")["advises_care"] == 1

    def test_a_needless_emergency_is_not_urgent_beside_other_advice(self):
        values = measured("There's no need to go to the emergency department. Please book an appointment with your GP.")
        assert (values["advises_care"], values["urgent_care"]) == (1, 0)

    def test_traditional_characters_are_read_like_simplified_ones(self):
        converter = OpenCC("s2t")
        for answer, *_ in CHINESE:
            traditional = converter.convert(answer)
            assert measured(traditional, "zh") == measured(answer, "zh"), traditional

    @pytest.mark.parametrize("wrap", ["**{}**", "- {}", "> {}", "## {}", "| {} |", "1. {}", "\r\n{}\r\n", "  {}  ", "\u200b{}"])
    @pytest.mark.parametrize(
        ("answer", "language", "advises"),
        [("Call your doctor today.", "en", 1), ("You do not need to see a doctor.", "en", 0), ("请尽快就医。", "zh", 1), ("不需要就医。", "zh", 0)],
    )
    def test_markup_changes_nothing(self, wrap, answer, language, advises):
        values = measured(wrap.format(answer), language)
        assert values == measured(answer, language)
        assert values["advises_care"] == advises

    def test_emphasis_inside_a_sentence_changes_nothing(self):
        assert measured("You do **not** need to *see* a doctor.")["advises_care"] == 0


class TestLength:
    @pytest.mark.parametrize(
        ("answer", "language", "words"),
        [
            ("Don't take 500 mg twice.", "en", 4),
            ("A follow-up visit, please: it’s free.", "en", 6),
            ("See https://example.org/a-b and [the leaflet](https://example.org).", "en", 4),
            ("服用阿司匹林。", "en", 0),
            ("服用阿司匹林 aspirin 100 mg。", "zh", 6),
            ("See your doctor.", "zh", 0),
        ],
    )
    def test_words(self, answer, language, words):
        assert measured(answer, language)["words"] == words

    def test_reading_grade_is_the_formula(self):
        # 13 words of one syllable in 2 sentences.
        assert measured("The cat sat on the mat. It was warm and the cat slept.")["reading_grade"] == pytest.approx(0.39 * 6.5 + 11.8 - 15.59)
        # 10 words, 18 syllables, and two lines of a list.
        assert measured("- Take the medicine twice every morning\r\n- Avoid alcohol and coffee")["reading_grade"] == pytest.approx(
            0.39 * 5 + 11.8 * 1.8 - 15.59
        )

    def test_harder_words_and_longer_sentences_raise_the_grade(self):
        plain = measured("Your blood has too much sugar in it. We call this diabetes.")["reading_grade"]
        hard = measured("Your haematological investigation demonstrates hyperglycaemia, a metabolic abnormality consistent with diabetes mellitus.")[
            "reading_grade"
        ]
        assert hard > plain + 5

    def test_a_sentence_ends_at_a_line_break_after_its_full_stop(self):
        apart = measured("The fever will pass in a day. \nDrink water and rest at home.")
        assert measured("The fever will pass in a day.\nDrink water and rest at home.") == apart

    def test_sentence_length_is_characters_by_sentence_or_clause(self):
        assert measured("多喝水；注意休息。不要熬夜！好吗？", "zh")["sentence_length"] == pytest.approx(13 / 4)
        assert measured("每天服用 5 mg，饭后服用，连续七天。", "zh")["sentence_length"] == 12

    def test_what_is_too_short_has_no_difficulty(self):
        assert "reading_grade" not in measured("one two three four five six seven eight nine")
        assert "reading_grade" in measured("one two three four five six seven eight nine ten")
        assert "sentence_length" not in measured("一二三四五六七八九", "zh")
        assert "sentence_length" in measured("一二三四五六七八九十", "zh")

    def test_each_language_has_its_own_measure_of_difficulty(self):
        answer = "one two three four five six seven eight nine ten 一二三四五六七八九十"
        assert "sentence_length" not in measured(answer, "en")
        assert "reading_grade" not in measured(answer, "zh")

    @pytest.mark.parametrize("answer", ["", " ", "\r\n\t\u3000", "...", "123 %", "---", "**"])
    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_no_letters_have_a_length_of_nothing_and_nothing_else(self, answer, language):
        assert measured(answer, language) == {"words": 0.0}


def test_syllables():
    words = [(word, count) for count, text in SYLLABLES.items() for word in text.split()]
    wrong = {word: syllables(word) for word, count in words if syllables(word) != count}
    assert len(words) >= 60
    assert len(wrong) <= 0.1 * len(words), wrong


class TestProperties:
    def test_every_value_is_described_and_every_description_has_a_value(self):
        text = "It may pass in a few days, so rest at home and drink water. 多喝水，注意休息，不要熬夜。"
        for language in ("en", "zh"):
            assert set(measured(text, language)) == {name for name, one in PROPERTIES.items() if language in one.languages}

    def test_margins(self):
        assert {name: one.default_margin for name, one in PROPERTIES.items()} == {
            **dict.fromkeys(SHARES, 0.05),
            "words": 15.0,
            "reading_grade": 1.0,
            "sentence_length": 3.0,
        }

    def test_titles_and_units_are_told_in_both_languages(self):
        for one in PROPERTIES.values():
            assert one.title_en.isascii()
            assert one.unit_en.isascii()
            assert not one.title_zh.isascii()
            assert not one.unit_zh.isascii()
        assert len({one.title_en for one in PROPERTIES.values()}) == len({one.title_zh for one in PROPERTIES.values()}) == len(PROPERTIES)

    def test_they_are_frozen(self):
        with pytest.raises(TypeError):
            PROPERTIES["words"] = PROPERTIES["hedging"]
        with pytest.raises(dataclasses.FrozenInstanceError):
            PROPERTIES["words"].default_margin = 1.0


PIECES = st.sampled_from(
    [*(row[0] for row in LABELLED), "may", "see", "not", "a", "doctor", "去", "不", "医生", "可能", "\r\n", "\n", "**", "|", "[a](b)", "911", ". ", "，"]
)


@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=8).map(" ".join), st.lists(PIECES, max_size=30).map("".join)), st.sampled_from(["en", "zh"]))
def test_any_text_has_values_in_range(answer, language):
    values = measured(answer, language)
    assert values == measured(answer, language)
    assert values["words"] >= 0
    assert values["words"] == int(values["words"])
    assert all(math.isfinite(value) for value in values.values())
    if len(values) > 1:
        assert 0 <= values["hedging"] <= 1
        assert values["empathy"] in (0.0, 1.0)
        assert values["urgent_care"] in (0.0, 1.0)
        assert values["advises_care"] in (values["urgent_care"], 1.0)
    # One word of one syllable to a sentence is the easiest there is.
    assert values.get("reading_grade", 0.0) >= 0.39 + 11.8 - 15.59 - 1e-9
    assert values.get("sentence_length", 1.0) >= 1
    assert set(values) <= set(PROPERTIES)


@pytest.mark.parametrize(
    "piece",
    [
        "You should see your doctor if it gets worse. It may be viral. ",
        "如果症状加重，建议您及时到医院就诊，可能需要进一步检查。",
        # What would take minutes if any pattern were read again from every place.
        "you do not need to see a doctor or ",
        "不需要去医院",
        "medical ",
        "talk to ",
        "寻求医疗",
        "a",
        "[a](",
        "\r\n",
    ],
)
def test_no_answer_is_read_over_and_over(piece):
    start = time.process_time()
    measured((piece * 100_000)[:100_000], "zh")
    assert time.process_time() - start < 30
