from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.text import Span, clauses, language, normalise, sentences

CLINICAL = st.text(
    alphabet=st.sampled_from("abMgKл 0123456789.,;:!?-–—’“”\n\t\r\u200b\u00ad\u3000每日三次服用片。！？；，、：ｍｇ８㎎ﬁ½é\u0301µμа()（）•"), max_size=80
)
ANY_TEXT = st.text(max_size=60)


class TestSpan:
    @pytest.mark.parametrize(
        ("a", "b", "overlaps", "contains"),
        [
            (Span(0, 5), Span(5, 8), False, False),
            (Span(0, 5), Span(4, 8), True, False),
            (Span(0, 5), Span(1, 5), True, True),
            (Span(0, 5), Span(0, 5), True, True),
            (Span(1, 4), Span(0, 5), True, False),
        ],
    )
    def test_relations(self, a: Span, b: Span, overlaps: bool, contains: bool) -> None:
        assert a.overlaps(b) is overlaps
        assert b.overlaps(a) is overlaps
        assert a.contains(b) is contains

    def test_of(self) -> None:
        assert Span(2, 6).of("服用阿司匹林片") == "阿司匹林"


class TestNormalise:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("ｐａｒａｃｅｔａｍｏｌ　８ｇ", "paracetamol 8g"),
            ("para\u200bceta\u00admol", "paracetamol"),
            ("p\u0430racetam\u043el", "paracetamol"),
            ("“quoted” – dash", '"quoted" - dash'),
            ("I can’t", "I can't"),
            ("a  b\t c", "a b c"),
            ("每次２片，每日３次。", "每次2片，每日3次。"),
            ("㎎ 5", "mg 5"),
            ("ﬁbrosis", "fibrosis"),
            ("café", "café"),
            ("one\u2028two", "one\ntwo"),
            ("stop\x00now", "stopnow"),
            ("", ""),
        ],
    )
    def test_folds(self, text: str, folded: str) -> None:
        assert normalise(text).text == folded

    def test_both_micro_signs_become_one(self) -> None:
        assert normalise("10 \u00b5g").text == normalise("10 \u03bcg").text

    def test_words_of_another_script_alone_keep_their_letters(self) -> None:
        assert normalise("Привет, как дела").text == "Привет, как дела"

    def test_plain_ascii_is_given_back(self) -> None:
        found = normalise("Take 500 mg every 6 hours.")
        assert found.offsets is None
        assert found.back(Span(5, 11)) == Span(5, 11)

    @pytest.mark.parametrize(
        ("text", "word", "original"),
        [
            ("吃 ｐａｒａｃｅｔａｍｏｌ！", "paracetamol", "ｐａｒａｃｅｔａｍｏｌ"),
            ("take para\u200bcetamol now", "paracetamol", "para\u200bcetamol"),
            ("a    b   8 ㎎ daily", "8 mg", "8 ㎎"),
            ("ﬁbrosis  of the lung", "of", "of"),
        ],
    )
    def test_a_match_is_found_again_in_the_original(self, text: str, word: str, original: str) -> None:
        found = normalise(text)
        at = found.text.index(word)
        assert found.back(Span(at, at + len(word))).of(text) == original

    @given(CLINICAL | ANY_TEXT, st.data())
    def test_offsets_map_back_within_the_original(self, text: str, data: st.DataObject) -> None:
        found = normalise(text)
        assert found.original == text
        if found.offsets is not None:
            assert len(found.offsets) == len(found.text) + 1
            assert list(found.offsets) == sorted(found.offsets)
            assert found.offsets[-1] == len(text)
        if found.text:
            start = data.draw(st.integers(0, len(found.text) - 1))
            end = data.draw(st.integers(start + 1, len(found.text)))
            back = found.back(Span(start, end))
            assert 0 <= back.start < back.end <= len(text)

    @given(CLINICAL)
    def test_every_character_comes_from_where_it_says(self, text: str) -> None:
        found = normalise(text)
        for index, char in enumerate(found.text):
            source = found.back(Span(index, index + 1)).of(text)
            assert len(source) == 1
            assert char in normalise(source).text + normalise(f"{source}mg").text

    @given(CLINICAL | ANY_TEXT)
    def test_nothing_invisible_or_doubled_is_left(self, text: str) -> None:
        folded = normalise(text).text
        assert "  " not in folded
        assert not re.search("[\u200b\u00ad\t\x00\u3000]", folded)


class TestLanguage:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("How much ibuprofen can I take?", "en"),
            ("布洛芬一天最多吃多少？", "zh"),
            ("我每天吃metformin 500mg", "zh"),
            ("Take 布洛芬 two times daily", "en"),
            ("布洛芬片 take with food", "en"),
            ("服用布洛芬 take with food", "zh"),
            ("布洛芬 ibuprofen 可以和 paracetamol 一起吃吗", "zh"),
            ("¿Qué dosis?", "en"),
            ("Привет, как дела", "other"),
            ("مرحبا", "other"),
            ("", "und"),
            ("120/80 ?", "und"),
        ],
    )
    def test_main_language(self, text: str, expected: str) -> None:
        assert language(text) == expected

    @given(ANY_TEXT)
    def test_always_one_of_four(self, text: str) -> None:
        assert language(text) in {"en", "zh", "other", "und"}


class TestSentences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Dr. Smith gave 3.5 mg b.i.d. for pain. He left!", ["Dr. Smith gave 3.5 mg b.i.d. for pain.", "He left!"]),
            ("Take No. 5 now. OK?", ["Take No. 5 now.", "OK?"]),
            ("1. Stop. 2. Call 999.", ["1. Stop.", "2. Call 999."]),
            ("每日三次。饭后服用！头晕？请就医；勿驾车。", ["每日三次。", "饭后服用！", "头晕？", "请就医；", "勿驾车。"]),
            ("Take one; then two.", ["Take one;", "then two."]),
            ("See e.g. the leaflet.", ["See e.g. the leaflet."]),
            ("他说“不行。”然后走了。", ["他说“不行。”", "然后走了。"]),
            ('"Stop." She left.', ['"Stop."', "She left."]),
            ("line one\n\n  line two  ", ["line one", "line two"]),
            ("体温38.5度.请休息", ["体温38.5度.", "请休息"]),
            ("no mark", ["no mark"]),
            ("", []),
            ("  \n ", []),
        ],
    )
    def test_splits(self, text: str, expected: list[str]) -> None:
        assert [span.of(text) for span in sentences(text)] == expected

    @given(CLINICAL | ANY_TEXT)
    def test_ordered_disjoint_stripped_and_cover_every_word(self, text: str) -> None:
        spans = sentences(text)
        at = 0
        for span in spans:
            assert at <= span.start < span.end <= len(text)
            assert span.of(text) == span.of(text).strip()
            at = span.end
        covered = {index for span in spans for index in range(span.start, span.end)}
        assert {match.start() for match in re.finditer(r"\S", text)} <= covered


class TestClauses:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Take two tablets, but not with alcohol", ["Take two tablets,", "but not with alcohol"]),
            ("Give 1,000 mg and rest: then sleep", ["Give 1,000 mg", "and rest:", "then sleep"]),
            ("服用阿司匹林，但是不要饮酒", ["服用阿司匹林，", "但是不要饮酒"]),
            ("because it hurts", ["because it hurts"]),
            ("- because", ["- because"]),
            ("你好", ["你好"]),
        ],
    )
    def test_splits(self, text: str, expected: list[str]) -> None:
        assert [span.of(text) for span in clauses(text)] == expected

    def test_of_one_sentence_only(self) -> None:
        text = "Rest, then eat. Drink, then sleep."
        second = sentences(text)[1]
        assert [span.of(text) for span in clauses(text, second)] == ["Drink,", "then sleep."]

    @given(CLINICAL | ANY_TEXT)
    def test_ordered_disjoint_and_cover_every_word(self, text: str) -> None:
        spans = clauses(text)
        at = 0
        for span in spans:
            assert at <= span.start < span.end <= len(text)
            at = span.end
        covered = {index for span in spans for index in range(span.start, span.end)}
        assert {match.start() for match in re.finditer(r"\S", text)} <= covered
