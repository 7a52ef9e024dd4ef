from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.errors import PolicyError
from guardmed.policy.pattern import Matcher, Pattern, Phrasebook, any_of, phrase_to_regex
from guardmed.text import Span, sentences

TERMS = {"opioids": ["morphine", "oxy*", "<weak>"], "weak": ["codeine", "tramadol", "曲马多"]}


def found(phrase: str, text: str) -> list[str]:
    return [span.of(text) for span in Matcher([phrase_to_regex(phrase, TERMS)]).read(text).at(0)]


@pytest.mark.parametrize(
    ("phrase", "text", "expected"),
    [
        ("overdose on", "Can I OVERDOSE  on it?", ["OVERDOSE  on"]),
        ("overdose on", "overdose once", []),
        ("overdose on", "nonoverdose on", []),
        ("overdos*", "I overdosed, overdosing", ["overdosed", "overdosing"]),
        ("overdos*", "an over-dose", []),
        ("(how|where) to buy", "Where to buy? How to buy?", ["Where to buy", "How to buy"]),
        ("(how|where) to buy", "when to buy", []),
        ("kill (myself|my self|me)", "kill my self", ["kill my self"]),
        ("[please] help me", "please help me, help me", ["please help me", "help me"]),
        ("don't [ever] take", "Don't take, don't ever take", ["Don't take", "don't ever take"]),
        ("how ... die", "How can I quickly die", ["How can I quickly die"]),
        ("how ... die", "How is it. They die", []),
        ("how ... die", "how one two three four five six die", ["how one two three four five six die"]),
        ("how ... die", "how one two three four five six seven die", []),
        ("<opioids> tablets", "codeine tablets, OxyContin tablets", ["codeine tablets", "OxyContin tablets"]),
        ("<opioids> tablets", "morphines tablets", []),
        ("吃多少[片]安眠药", "吃多少安眠药？吃多少片安眠药？", ["吃多少安眠药", "吃多少片安眠药"]),
        ("怎么...自杀", "怎么才能自杀", ["怎么才能自杀"]),
        ("怎么...自杀", "怎么办。自杀", []),
        ("怎么...自杀", "怎么一二三四五六七八九十一二自杀", ["怎么一二三四五六七八九十一二自杀"]),
        ("怎么...自杀", "怎么一二三四五六七八九十一二三自杀", []),
        ("过量服用<weak>", "过量服用曲马多", ["过量服用曲马多"]),
        ("3.5 mg", "give 3.5 mg, not 325 mg", ["3.5 mg"]),
        ("co-codamol", "take co-codamol", ["co-codamol"]),
        ("a+b", "a+b aab", ["a+b"]),
    ],
)
def test_phrases(phrase: str, text: str, expected: list[str]) -> None:
    assert found(phrase, text) == expected


@pytest.mark.parametrize(
    ("phrase", "told"),
    [
        ("", "empty phrase"),
        ("  ", "empty phrase"),
        ("(a", "never closed"),
        ("[a", "never closed"),
        ("(a]", "never closed"),
        ("a)", "never opened"),
        ("<benzos>", "<benzos>, which does not exist"),
    ],
)
def test_broken_phrases(phrase: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told):
        phrase_to_regex(phrase, TERMS)


def test_a_word_list_that_contains_itself() -> None:
    with pytest.raises(PolicyError, match="nests word lists"):
        phrase_to_regex("<a>", {"a": ["x", "<a>"]})


@pytest.mark.parametrize("regex", [r"a(?=b)", r"(a)\1", "(", "a{1,5000}"])
def test_only_linear_time_syntax(regex: str) -> None:
    with pytest.raises(PolicyError, match="not valid"):
        Matcher([regex])


class TestMatcher:
    def test_each_expression_keeps_its_number(self) -> None:
        occurrences = Matcher(["alpha", "beta", "gam+a"]).read("BETA gammma beta")
        assert [len(occurrences.at(index)) for index in range(3)] == [0, 2, 1]

    def test_places_are_in_characters(self) -> None:
        text = "头痛💊服用 Morphine 和é吗啡"
        (span,) = Matcher(["morphine"]).read(text).at(0)
        assert span.of(text) == "Morphine"
        (span,) = Matcher(["吗啡"]).read(text).at(0)
        assert span.of(text) == "吗啡"

    def test_no_expressions(self) -> None:
        Matcher([]).read("anything")

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_a_literal_is_found_where_it_stands(self, before: str, after: str) -> None:
        text = f"{before}吗啡zq7{after}"
        spans = Matcher(["吗啡zq7", "other"]).read(text).at(0)
        assert [span.start for span in spans if span.start == len(before)] == [len(before)]
        assert all(span.of(text).lower() == "吗啡zq7" for span in spans)

    def test_no_pattern_makes_it_hang(self) -> None:
        matcher = Matcher(["(a+)+b", "(a|a)*c"])
        started = time.perf_counter()
        occurrences = matcher.read("a" * 50_000)
        assert occurrences.at(0) == []
        assert occurrences.at(1) == []
        assert time.perf_counter() - started < 2


PHRASES = [
    "how ... die",
    "kill (myself|my self|me)",
    "[please] help me",
    "<opioids> tablets",
    "怎么...自杀",
    "吃多少[片]安眠药",
    "overdos*",
    "3.5 mg",
    "过量服用<weak>",
]
WORDS = [
    "how",
    "die",
    "kill",
    "myself",
    "my self",
    "help me",
    "oxycontin",
    "tablets",
    "overdosed",
    "3.5 mg",
    "怎么",
    "自杀",
    "吃多少",
    "安眠药",
    "过量服用",
    "曲马多",
]
TEXTS = st.lists(st.sampled_from([*WORDS, "KILL", ". ", "。", "? ", "\n", ", ", "；", "x"]), max_size=14).map(" ".join)


class TestLiterals:
    @given(TEXTS)
    def test_what_matches_holds_one_of_its_literals(self, text: str) -> None:
        for phrase in PHRASES:
            pattern = Phrasebook(TERMS).pattern(phrase)
            known = pattern.english or pattern.chinese
            if known is not None and Matcher([pattern.regex]).read(text).at(0):
                assert any(literal in text.lower() for literal in known)

    @given(TEXTS)
    def test_knowing_where_to_look_changes_nothing(self, text: str) -> None:
        patterns = [Phrasebook(TERMS).pattern(phrase) for phrase in PHRASES]
        patterns.append(any_of(patterns[:5]))
        known, plain = Matcher(patterns).read(text), Matcher([pattern.regex for pattern in patterns]).read(text)
        for window in [Span(0, len(text)), *sentences(text)]:
            for index in range(len(patterns) - 1):
                expected = [span for span in plain.at(index) if span.overlaps(window)]
                assert known.at(index, window) == expected
                assert not expected or known.within(window) >> index & 1
            assert bool(known.at(len(patterns) - 1, window)) == any(span.overlaps(window) for span in plain.at(len(patterns) - 1))

    def test_a_phrase_that_ends_sentences_is_looked_for_everywhere(self) -> None:
        pattern = Phrasebook({}).pattern("dr. (smith|jones)")
        assert [span.of("See Dr. Jones") for span in Matcher([pattern]).read("See Dr. Jones").at(0)] == ["Dr. Jones"]
        assert Phrasebook({}).pattern("really?").unknown

    def test_the_rarest_word_is_asked_for(self) -> None:
        assert Phrasebook({}).pattern("how (can|do) i overdose").english == {"overdose"}
        assert Phrasebook({}).pattern("怎么...安眠药").chinese == {"安眠药"}
        assert Phrasebook({}).pattern("[please] (help|aid) me").english == {"help", "aid"}

    def test_any_of_with_one_unknown_is_unknown(self) -> None:
        assert any_of([Pattern("a+"), Phrasebook({}).pattern("kill")]).unknown

    def test_letters_that_grow_when_lowered_keep_their_places(self) -> None:
        text = "İİİ kill İ."
        assert [span.of(text) for span in Matcher([Phrasebook({}).pattern("kill")]).read(text).at(0)] == ["kill"]
