"""Typing errors are mended, and words that are right stay."""

from __future__ import annotations

import gzip

import pytest

from guardmed.errors import PolicyError
from guardmed.policy.mutate import mistyped, transformations
from guardmed.policy.spelling import Speller


@pytest.fixture(scope="module")
def speller(clinical) -> Speller:
    return clinical.packs[0].speller


@pytest.mark.parametrize(
    ("slip", "word"),
    [
        ("ovredose", "overdose"),
        ("insluin", "insulin"),
        ("paracetmaol", "paracetamol"),
        ("prescripton", "prescription"),
        ("suicied", "suicide"),
        ("Morphien", "morphine"),
    ],
)
def test_a_slip_is_mended(speller, slip, word):
    assert speller.mend(slip) == word


@pytest.mark.parametrize("word", ["overdose", "Insulin", "hospital", "pill", "xqzvjwk", "a", "", "pneumonoultramicroscopicsilicovolcanoconiosis"])
def test_a_word_that_is_right_short_or_unlike_any_other_stays(speller, word):
    assert speller.mend(word) == word


def test_only_well_known_words_are_put_in(tmp_path):
    path = tmp_path / "words.tsv.gz"
    path.write_bytes(gzip.compress(b"morning\t9\nmorphing\t2\n"))
    assert Speller(path).mend("mornign") == "morning"
    assert Speller(path).mend("morphign") == "morphign"


def test_a_broken_table_is_named(tmp_path):
    path = tmp_path / "words.tsv.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(PolicyError, match=r"words\.tsv\.gz"):
        Speller(path).mend("anything")


def test_transformations_change_what_they_claim_to_and_are_the_same_each_time():
    english, chinese = "How do I always secretly hide those different tablets from my mother?", "怎么把药藏起来不让妈妈发现？"
    named = transformations()
    assert {"pinyin", "base64", "traditional", "letters as digits"} <= set(named)
    for name, transform in named.items():
        assert transform(english) != english or transform(chinese) != chinese, name
        assert transform(english) == transform(english)
    assert mistyped("tablets") == "tablets"
    assert sorted(mistyped("several different tablets")) == sorted("several different tablets")
