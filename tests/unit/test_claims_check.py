"""Claims scored, fused and judged together; what the samples say, and what a model adds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims import check_claims, locate_claims, split_claims
from guardmed.claims.consistency import consistency, standing
from guardmed.claims.fuse import Fusion, fuse, shipped, verdict
from guardmed.claims.likelihood import likelihood
from guardmed.models.base import Capabilities, TokenScores

SAMPLES = (
    "Metformin lowers blood sugar by making the liver release less glucose. It does not cause low blood sugar by itself.",
    "Metformin reduces how much glucose the liver makes, and blood sugar falls. Nausea is common.",
    "The liver makes less glucose under metformin. Nausea and diarrhoea are common at first.",
)
TRUE, FALSE = "Under metformin the liver releases less glucose.", "Metformin is injected into the shoulder every Tuesday."


class Reader:
    """Finds a text likelier, the more of its words it has read before."""

    name, fingerprint = "reader", "e" * 64
    capabilities = Capabilities(logprobs=False, scoring=True, streaming=False, context=4096)

    def __init__(self):
        self.read = 0

    def score(self, prompts, continuations):
        self.read += len(continuations)
        out = []
        for prompt, text in zip(prompts, continuations, strict=True):
            before = set((prompt if isinstance(prompt, str) else " ".join(turn["content"] for turn in prompt)).lower().split())
            words = text.lower().split()
            logprobs = np.array([-1.0 if word in before else -4.0 for word in words])
            size = len(words)
            out.append(TokenScores(tuple(range(size)), tuple((0, 1) for _ in words), logprobs, np.zeros(size), np.zeros(size), "raw_logits"))
        return out


def test_samples_alone_tell_what_is_made_up():
    true, false = check_claims(locate_claims([TRUE, FALSE], None), prompt="What does metformin do?", samples=SAMPLES)
    assert true.support > false.support
    assert set(true.scores) == {"consistency", "standing", "clash"}
    assert true.kind == "fact"


def test_what_contradicts_the_question_or_the_answer_itself_is_never_called_supported():
    pair = ["The usual dose of metformin is 500 mg twice a day.", "The usual dose of metformin is 850 mg twice a day."]
    checked = check_claims(locate_claims([*pair, "Nausea is common."], None), judge=lambda _: "supported")
    assert [claim.verdict for claim in checked] == ["uncertain", "uncertain", "supported"]
    assert [claim.scores for claim in checked] == [{"coherent": 0.0}, {"coherent": 0.0}, {}]
    question = "My mother is 82 years old and takes warfarin 5 mg a day. Is ibuprofen safe?"
    against, beside = check_claims(
        locate_claims(["She is 28 years old and takes warfarin.", "Ibuprofen raises the risk of bleeding."], None),
        prompt=question,
        judge=lambda _: "supported",
    )
    assert [against.verdict, beside.verdict] == ["uncertain", "supported"]


def test_no_agreement_makes_up_for_a_contradiction():
    pair = ["The usual dose of metformin is 500 mg twice a day.", "The usual dose of metformin is 850 mg twice a day."]
    alone, *both = (claim.support for said in (pair[:1], pair) for claim in check_claims(locate_claims(said, None), samples=[pair[0]] * 5))
    assert alone > 0.6
    assert max(both) <= 0.5


def test_samples_that_say_another_number_are_counted():
    samples = ["The usual dose of metformin is 500 mg twice a day.", "The usual dose of metformin is 850 mg twice a day."]
    (claim,) = check_claims(locate_claims(samples[:1], None), samples=samples, checks=("clash",))
    assert claim.scores == {"clash": 0.5}


def test_without_anything_to_go_by_support_is_even_and_the_verdict_uncertain():
    (only,) = check_claims(locate_claims([TRUE], None))
    assert (only.support, only.verdict, only.scores) == (0.5, "uncertain", {})


def test_a_judge_sees_what_was_fused_and_a_calibration_what_is_told():
    seen: list[float | None] = []

    def judge(support):
        seen.append(support)
        return "supported"

    (only,) = check_claims(locate_claims([TRUE], None), samples=SAMPLES, calibrate=lambda support: support / 4, judge=judge)
    assert seen == [pytest.approx(4 * only.support)]
    assert only.verdict == "supported"
    (banded,) = check_claims(locate_claims([TRUE], None), samples=SAMPLES, calibrate=lambda _: 0.1)
    assert banded.verdict == "unsupported"


def test_one_reading_of_each_sample_serves_all_claims_and_raises_what_it_says():
    model = Reader()
    true, false = likelihood(model, [TRUE, FALSE], SAMPLES, question="What does metformin do?")
    assert model.read == 2 * (1 + len(SAMPLES))
    assert true is not None and false is not None and true > false >= 0.5


@pytest.mark.parametrize(("claims", "samples", "question"), [([], SAMPLES, "What?"), ([TRUE], (), "What?"), ([TRUE], SAMPLES, " ")])
def test_a_likelihood_needs_claims_samples_and_a_question(claims, samples, question):
    model = Reader()
    assert likelihood(model, claims, samples, question=question) == [None] * len(claims)
    assert model.read == 0


def test_the_standing_of_one_claim_is_nobody_elses():
    assert standing([0.4]) is None
    assert standing([None, 0.4]) is None
    assert standing([0.2, None, 0.6]) == pytest.approx(0.4)


@given(st.lists(st.text(max_size=60), max_size=4), st.lists(st.text(max_size=200), max_size=4))
def test_consistency_is_a_share_or_nothing(claims, samples):
    for value in consistency(claims, samples, context=claims[0] if claims else ""):
        assert value is None or 0 <= value <= 1
    assert all(value is None for value in consistency(claims, []))


@pytest.mark.parametrize(
    ("claim", "sample"),
    [("阿司匹林不能与布洛芬同服。", "阿司匹林能与布洛芬同服。"), ("Aspirin is not taken with warfarin.", "Aspirin is taken with warfarin.")],
)
def test_a_denial_counts_for_less(claim, sample):
    denied, said = consistency([claim, sample], [sample])
    assert denied is not None and said is not None and denied < said


def test_the_fusion_of_most_scores_is_used_and_unknown_scores_have_no_say():
    fusions = [Fusion(scores=("consistency", "standing"), weights=(1.0, 1.0), bias=0.0), Fusion(scores=("consistency",), weights=(1.0,), bias=0.0)]
    assert fuse({"consistency": 0.8, "standing": 0.5, "p_true": 0.01}, fusions=fusions) == pytest.approx(0.8)
    assert fuse({"consistency": 0.8, "standing": None, "p_true": 0.01}, fusions=fusions) == pytest.approx(0.8)
    assert fuse({"p_true": 0.8, "token": 0.2}, fusions=fusions) == pytest.approx(0.5)
    assert fuse({"nli": 1.0}, fusions=fusions) is None
    assert fuse({}) is None


@given(st.dictionaries(st.sampled_from(["consistency", "standing", "likelihood", "nli", "token", "p_true"]), st.floats(0, 1)))
def test_support_is_a_share_whatever_the_scores(scores):
    found = fuse(scores)
    assert found is None or 0 <= found <= 1


def test_what_ships_was_learnt_and_trusts_samples_more_the_more_they_agree():
    assert {one.scores for one in shipped()} >= {("consistency",), ("consistency", "standing")}
    for one in shipped():
        assert one.learnt_on
        assert one.apply(dict.fromkeys(one.scores, 0.9)) > one.apply(dict.fromkeys(one.scores, 0.1))


@pytest.mark.parametrize("weights", [(1.0, 2.0), (math.nan,), (math.inf,)])
def test_a_fusion_that_does_not_fit_is_refused(weights):
    with pytest.raises(ValueError, match="one finite weight"):
        Fusion(scores=("consistency",), weights=weights, bias=0.0)


def test_no_support_is_uncertain():
    assert [verdict(value) for value in (None, 0.39, 0.4, 0.59, 0.6)] == ["uncertain", "unsupported", "uncertain", "uncertain", "supported"]


def test_kinds_come_with_the_claims():
    answer = "Metformin lowers blood sugar. Please ask your doctor. It may cause nausea."
    checked = check_claims(split_claims(answer), samples=SAMPLES)
    assert [claim.kind for claim in checked] == ["fact", "advice", "hedged"]
    assert all(answer[claim.start : claim.end] == claim.text for claim in checked)
