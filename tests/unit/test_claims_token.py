"""Token scores of a claim: between 0 and 1, higher where the model was surer, and fair to long claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims.token import TOKEN_SCORES, token_score, token_scores
from guardmed.models.base import TokenScores
from guardmed.text import Span

LOG = st.floats(-50, 0)
TOKEN = st.tuples(LOG, st.floats(0, 12), st.floats(0, 60), st.integers(0, 200_000))


def scores(tokens) -> TokenScores:
    """Tokens of one character each, as log-probability, entropy, margin and rank."""
    logprobs, entropies, margins, ranks = (np.array(column, dtype=np.float64) for column in zip(*tokens, strict=True)) if tokens else [np.zeros(0)] * 4
    spans = tuple((at, at + 1) for at in range(len(tokens)))
    return TokenScores(tuple(range(len(tokens))), spans, logprobs, entropies, margins, "raw_logits", ranks.astype(np.int64))


def test_each_score_of_two_tokens():
    given = scores([(math.log(0.5), math.log(4), math.log(2), 0), (math.log(0.125), 0.0, math.log(4), 3), (-30.0, 9.0, 0.0, 99)])
    assert token_scores(given, Span(0, 2)) == pytest.approx(
        {
            "token_mean": 0.25,
            "token_min": 0.125,
            "token_low": 0.125,
            "token_entropy": 0.5,
            "token_margin": (0.5 + 0.75) / 2,
            "token_rank": (1 + 0.25) / 2,
        }
    )
    assert token_score(given, Span(0, 2)) == pytest.approx(0.25)


def test_the_lowest_tenth_is_of_tokens_not_of_one():
    given = scores([(math.log(0.9), 0, 1, 0)] * 28 + [(math.log(0.04), 0, 1, 0), (math.log(0.01), 0, 1, 0)])
    found = token_scores(given, Span(0, 30))
    assert found["token_min"] == pytest.approx(0.01)
    assert found["token_low"] == pytest.approx((0.9 * 0.04 * 0.01) ** (1 / 3))


@given(st.lists(TOKEN, min_size=1, max_size=40))
def test_all_lie_between_nothing_and_certainty(tokens):
    found = token_scores(scores(tokens), Span(0, len(tokens)))
    assert tuple(found) == TOKEN_SCORES
    assert all(0 <= value <= 1 for value in found.values())
    assert found["token_min"] <= found["token_low"] * (1 + 1e-12)
    assert found["token_low"] <= found["token_mean"] * (1 + 1e-12)


@given(st.lists(TOKEN, min_size=1, max_size=30), st.integers(2, 5))
def test_saying_it_again_as_surely_changes_nothing(tokens, times):
    """Length alone is no evidence: only the lowest tenth is coarser in a short claim."""
    once = token_scores(scores(tokens), Span(0, len(tokens)))
    again = token_scores(scores(tokens * times), Span(0, len(tokens) * times))
    for name in set(TOKEN_SCORES) - {"token_low"}:
        assert again[name] == pytest.approx(once[name], rel=1e-9, abs=1e-300)


@given(st.lists(TOKEN, min_size=1, max_size=20), st.data())
def test_a_surer_token_never_lowers_a_score(tokens, data):
    place = data.draw(st.integers(0, len(tokens) - 1))
    logprob, entropy, margin, rank = tokens[place]
    surer = [*tokens[:place], (logprob / 2, entropy / 2, margin * 2, rank // 2), *tokens[place + 1 :]]
    before, after = (token_scores(scores(row), Span(0, len(row))) for row in (tokens, surer))
    assert all(after[name] >= before[name] * (1 - 1e-12) for name in TOKEN_SCORES)


def test_tokens_outside_the_claim_do_not_count():
    inside, outside = (math.log(0.5), 1.0, 1.0, 1), (-9.0, 5.0, 0.1, 500)
    alone = token_scores(scores([inside] * 3), Span(0, 3))
    assert token_scores(scores([outside, *[inside] * 3, outside]), Span(1, 4)) == pytest.approx(alone)


def test_what_is_not_known_is_left_out():
    nothing = np.array([np.nan, np.nan])
    logprobs = np.log([0.5, 0.5])
    told = TokenScores((-1, -1), ((0, 1), (1, 2)), logprobs, nothing, np.array([np.nan, math.log(2)]), "api_logprobs")
    assert token_scores(told, Span(0, 2)) == pytest.approx({"token_mean": 0.5, "token_min": 0.5, "token_low": 0.5, "token_margin": 0.5})
    assert token_scores(told, Span(0, 1)).keys() == {"token_mean", "token_min", "token_low"}
    assert token_scores(TokenScores((1,), ((0, 1),), nothing[:1], nothing[:1], nothing[:1], "none"), Span(0, 1)) == {}


@pytest.mark.parametrize("span", [Span(3, 9), Span(1, 1)])
def test_without_tokens_there_is_no_score(span):
    given = scores([(-1.0, 1.0, 1.0, 1)] * 3)
    assert token_scores(given, span) == {}
    assert token_score(given, span) is None
    assert token_scores(scores([]), Span(0, 5)) == {}


def test_an_impossible_token_makes_a_claim_impossible():
    given = scores([(-math.inf, 0.0, math.inf, 5), (-0.1, 0.0, 1.0, 0)])
    found = token_scores(given, Span(0, 2))
    assert (found["token_mean"], found["token_min"]) == (0.0, 0.0)
    assert found["token_margin"] == pytest.approx((1 + 1 - math.exp(-1)) / 2)
