"""Scoring a model on questions: the order of options, and the confidence that it states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.calibration.items import Item
from guardmed.calibration.scoring import option_probabilities, prompt_digest, rotated, stated, stated_rows
from tests.unit.scripted import Scripted

ITEM = Item(id="1", question="Which drug?", options=("aspirin", "heparin", "warfarin"), answer=1)
CHINESE = Item(id="2", question="哪种药？", options=("阿司匹林", "肝素"), answer=0, lang="zh")


class Partial(Scripted):
    """Believes in the right option, and likes the letter A whatever it stands for."""

    def choose(self, prompts, options, *, state=None, per_token=False):
        out = []
        for prompt, letters in zip(prompts, options, strict=True):
            lines = prompt.split("\n")[1 : 1 + len(letters)]
            out.append(np.array([2.0 * ("heparin" in line) + 3.0 * (place == 0) for place, line in enumerate(lines)]))
        return out


@given(st.integers(0, 10))
def test_a_rotated_item_is_the_same_question(turn):
    turned = rotated(ITEM, turn)
    assert turned.options[turned.answer] == ITEM.options[ITEM.answer]
    assert sorted(turned.options) == sorted(ITEM.options)


def test_averaging_over_orders_cancels_the_liking_for_a_letter():
    (once,) = option_probabilities(Partial(""), [ITEM], form="letters")
    (averaged,) = option_probabilities(Partial(""), [ITEM], form="letters", orders=3)
    assert once.argmax() == 0
    assert averaged.argmax() == ITEM.answer
    assert averaged.sum() == pytest.approx(1)
    assert averaged[0] == pytest.approx(averaged[2])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("B, 70", (1, 0.7)),
        ("The answer is C. Confidence: 85%", (2, 0.85)),
        ("选B，把握90%", (1, 0.9)),
        ("答案：Ａ，１００", (0, 1.0)),
        ("A (0)", (0, 0.0)),
        ("D, 101", None),
        ("E, 50", None),
        ("about 70 % sure", None),
        ("I don't know.", None),
        ("", None),
    ],
)
def test_stated_confidence(answer, expected):
    assert stated(answer, 4) == expected


def test_answers_that_can_not_be_read_are_counted_not_guessed():
    rows, unread = stated_rows(Scripted("A, 80"), [ITEM, CHINESE])
    assert unread == 0
    np.testing.assert_array_equal(rows.values, [0.8, 0.8])
    np.testing.assert_array_equal(rows.targets, [0, 1])
    assert rows.groups == ("en", "zh")
    assert stated_rows(Scripted("Heparin."), [ITEM, CHINESE])[1] == 2


def test_every_way_of_asking_has_its_own_digest():
    ways = [
        prompt_digest("option_likelihood"),
        prompt_digest("option_likelihood", "letters"),
        prompt_digest("claim_support"),
        prompt_digest("stated_confidence"),
    ]
    assert len(set(ways)) == 4
    assert ways[0] == prompt_digest("option_likelihood")
