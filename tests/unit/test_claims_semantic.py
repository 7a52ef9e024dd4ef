"""Semantic entropy: meanings are a partition that no order changes, and entropies keep their bounds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardmed.claims.semantic import (
    SemanticEntropy,
    key,
    meanings,
    mutual_entailment,
    pairwise,
    same_key,
    semantic_entropy,
    sequence_logprob,
    similar,
)
from guardmed.errors import UsageError
from guardmed.models.base import Generation, TokenScores

ANSWERS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)
EQUAL = pairwise(lambda one, other: one == other)


def linked(*links: str):
    """A relation of single letters, by the pairs that mean the same."""
    return pairwise(lambda one, other: one + other in links or other + one in links)


def relations(seed: int):
    """Any symmetric relation of the letters, most of them not transitive."""
    return linked(*(one + other for one in "abcdefgh" for other in "abcdefgh" if one < other and random.Random(f"{seed}{one}{other}").random() < 0.5))


def texts(clusters, answers) -> list[list[str]]:
    return [sorted(answers[index] for index in cluster) for cluster in clusters]


class TestMeanings:
    @given(ANSWERS, st.integers(0, 99))
    def test_every_answer_is_in_one_cluster(self, answers, seed):
        found = meanings(answers, relations(seed))
        assert sorted(index for cluster in found for index in cluster) == list(range(len(answers)))
        assert all(found)
        assert [len(cluster) for cluster in found] == sorted((len(cluster) for cluster in found), reverse=True)

    @given(ANSWERS, st.integers(0, 99), st.randoms(use_true_random=False))
    def test_no_order_changes_them(self, answers, seed, order):
        shuffled = list(answers)
        order.shuffle(shuffled)
        same = relations(seed)
        assert texts(meanings(shuffled, same), shuffled) == texts(meanings(answers, same), answers)

    @given(ANSWERS, st.integers(0, 99))
    def test_identical_answers_are_never_parted(self, answers, seed):
        for cluster in meanings(answers, relations(seed)):
            inside = {answers[index] for index in cluster}
            assert not inside & {answers[index] for index in range(len(answers)) if index not in cluster}

    @given(ANSWERS, st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)))
    def test_an_equivalence_gives_its_classes(self, answers, classes):
        found = meanings(answers, pairwise(lambda one, other: classes.get(one, one) == classes.get(other, other)))
        assert {frozenset(texts) for texts in texts(found, answers)} == {
            frozenset(other for other in answers if classes.get(other, other) == classes.get(one, one)) for one in answers
        }
        assert len(found) == len({classes.get(one, one) for one in answers})

    @given(ANSWERS, st.integers(0, 99))
    def test_no_two_clusters_mean_mostly_the_same(self, answers, seed):
        same = relations(seed)
        found = meanings(answers, same)
        for at, one in enumerate(found):
            for other in found[at + 1 :]:
                links = same([(answers[i], answers[j]) for i in one for j in other])
                assert sum(links) * 2 <= len(links)

    def test_a_chain_is_not_one_meaning(self):
        # b is near a and c, which are not near each other.
        assert texts(meanings("abc", linked("ab", "bc")), "abc") == [["a", "b"], ["c"]]
        assert texts(meanings("cba", linked("ab", "bc")), "cba") == [["a", "b"], ["c"]]

    def test_one_missing_link_parts_nothing(self):
        assert meanings("abcd", linked("ab", "ac", "ad", "bc", "bd")) == ((0, 1, 2, 3),)

    def test_one_wrong_link_joins_nothing(self):
        assert meanings("abcd", linked("ab", "cd", "bc")) == ((0, 1), (2, 3))

    def test_half_is_not_most(self):
        assert texts(meanings("abc", linked("ab", "ac")), "abc") == [["a", "b"], ["c"]]

    def test_answers_given_often_weigh_more(self):
        # c is near b alone, of which there are three: most pairs of the joint cluster with c mean the same.
        assert texts(meanings("abbbc", linked("ab", "bc")), "abbbc") == [["a", "b", "b", "b", "c"]]
        assert texts(meanings("aaabc", linked("ab", "bc")), "aaabc") == [["a", "a", "a", "b"], ["c"]]

    def test_each_pair_is_asked_once_the_smaller_first(self):
        asked = []
        meanings(["c", "a", "b", "a", " c "], lambda pairs: (asked.extend(pairs), [False] * len(pairs))[1])
        assert asked == [("a", "b"), ("a", "c"), ("b", "c")]

    def test_one_direction_is_not_enough(self):
        assert len(meanings(["a", "b"], pairwise(lambda one, other: one < other))) == 2

    def test_without_answers_there_are_none(self):
        assert meanings([], EQUAL) == ()
        assert meanings(["", " ", "\n"], EQUAL) == ((0, 1, 2),)

    def test_many_answers(self):
        answers = [str(at % 40) for at in range(400)]
        assert len(meanings(answers, EQUAL)) == 40


LOGPROBS = st.floats(-50.0, 0.0)


class TestEntropy:
    @given(st.lists(st.tuples(st.sampled_from("abcdefgh"), LOGPROBS), min_size=1, max_size=12), st.integers(0, 99), st.randoms(use_true_random=False))
    def test_bounds_and_order(self, drawn, seed, order):
        same = relations(seed)
        found = semantic_entropy([text for text, _ in drawn], same, logprobs=[value for _, value in drawn])
        most = math.log(len(found.clusters))
        assert 0 <= found.discrete <= most <= math.log(len(drawn))
        assert 0 <= found.weighted <= most
        if len(found.clusters) == 1:
            assert found.discrete == found.weighted == 0
        order.shuffle(drawn)
        again = semantic_entropy([text for text, _ in drawn], same, logprobs=[value for _, value in drawn])
        assert again.discrete == pytest.approx(found.discrete)
        assert again.weighted == pytest.approx(found.weighted, abs=1e-9)

    def test_one_meaning_is_certain_and_as_many_as_answers_are_not(self):
        one = semantic_entropy(["a"] * 7, EQUAL, logprobs=[-1.0] * 7)
        assert (one.discrete, one.weighted, one.certainty) == (0.0, 0.0, 1.0)
        all_apart = semantic_entropy("abcd", EQUAL, logprobs=[-1.0] * 4)
        assert all_apart.discrete == pytest.approx(math.log(4))
        assert all_apart.weighted == pytest.approx(math.log(4))
        assert all_apart.certainty == pytest.approx(0.0)

    def test_the_numbers_by_hand(self):
        # Shares 3/4 and 1/4 of answers; probabilities 0.2 + 0.2 + 0.1 and 0.5.
        found = semantic_entropy("aaab", EQUAL, logprobs=np.log([0.2, 0.2, 0.1, 0.5]).tolist())
        assert found.clusters == ((0, 1, 2), (3,))
        assert found.discrete == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
        assert found.weighted == pytest.approx(math.log(2))

    def test_likelier_answers_weigh_more(self):
        likely, unlikely = (semantic_entropy("aab", EQUAL, logprobs=[-1.0, -1.0, value]).weighted for value in (-9.0, -1.5))
        assert likely < unlikely

    def test_the_level_of_log_probabilities_does_not_matter(self):
        low = semantic_entropy("aab", EQUAL, logprobs=[-1001.0, -1002.0, -1003.0])
        assert low.weighted == pytest.approx(semantic_entropy("aab", EQUAL, logprobs=[-1.0, -2.0, -3.0]).weighted)

    def test_an_impossible_answer_has_no_share(self):
        assert semantic_entropy("ab", EQUAL, logprobs=[-1.0, -math.inf]).weighted == 0

    @pytest.mark.parametrize("logprobs", [None, [None, -1.0], [math.nan, -1.0], [-math.inf, -math.inf]])
    def test_without_every_log_probability_there_is_no_weighted_entropy(self, logprobs):
        found = semantic_entropy("ab", EQUAL, logprobs=logprobs)
        assert found.weighted is None
        assert found.discrete == pytest.approx(math.log(2))

    def test_nothing_to_measure(self):
        assert semantic_entropy([], EQUAL) is None
        assert semantic_entropy([], EQUAL, logprobs=[]) is None
        assert semantic_entropy(["a"], EQUAL).certainty is None
        with pytest.raises(UsageError, match="2 answers but 1"):
            semantic_entropy("ab", EQUAL, logprobs=[-1.0])

    def test_how_many_others_agree(self):
        found = SemanticEntropy(((0, 2, 3), (1,)), 0.5, None)
        assert [found.agreeing(index) for index in range(4)] == [pytest.approx(2 / 3), 0.0, pytest.approx(2 / 3), pytest.approx(2 / 3)]
        assert SemanticEntropy(((0,),), 0.0, None).agreeing(0) is None
        with pytest.raises(UsageError, match="no answer 4"):
            found.agreeing(4)

    def test_the_log_probability_of_a_sequence_is_a_token_s(self):
        def generation(*logprobs: float) -> Generation:
            size = len(logprobs)
            return Generation("x", TokenScores(tuple(range(size)), ((0, 1),) * size, np.array(logprobs), np.zeros(size), np.zeros(size), "raw_logits"), "stop")

        assert sequence_logprob(generation(-1.0, -2.0, -6.0)) == pytest.approx(-3.0)
        assert sequence_logprob(generation()) is None
        assert sequence_logprob(generation(-1.0, math.nan)) is None
        assert sequence_logprob(Generation("x", None, "stop")) is None


class Entailing:
    """An NLI model that entails what it is told to: random weights know no meaning."""

    def __init__(self, *entailed: tuple[str, str]) -> None:
        self.entailed = entailed
        self.calls: list[list[tuple[str, str]]] = []

    def pairs(self, premises, hypotheses):
        self.calls.append(list(zip(premises, hypotheses, strict=True)))
        known = {True: [0.6, 0.3, 0.1], False: [0.3, 0.4, 0.3]}
        return np.array([[np.nan] * 3 if "long" in pair[1] else known[pair in self.entailed] for pair in self.calls[-1]]).reshape(-1, 3)


class TestMutualEntailment:
    def test_both_ways_or_not_at_all(self):
        nli = Entailing(("it cures", "it heals"), ("it heals", "it cures"), ("it cures all", "it cures"))
        same = mutual_entailment(nli)
        assert same([("it cures", "it heals"), ("it cures", "it cures all"), ("it cures", "no")]) == [True, False, False]
        assert len(nli.calls) == 1
        assert len(nli.calls[0]) == 6

    def test_the_question_stands_before_both(self):
        nli = Entailing()
        mutual_entailment(nli, "What?")([("this", "that")])
        assert nli.calls == [[("What? this", "What? that"), ("What? that", "What? this")]]

    def test_what_is_too_long_to_read_means_what_no_other_does(self):
        nli = Entailing(("long a", "long b"), ("long b", "long a"))
        assert mutual_entailment(nli)([("long a", "long b")]) == [False]

    def test_equal_keys_need_no_model(self):
        nli = Entailing()
        assert mutual_entailment(nli)([("Yes.", "yes"), ("yes", "no")]) == [True, False]
        assert nli.calls == [[("yes", "no"), ("no", "yes")]]

    def test_as_a_relation_of_meanings(self):
        nli = Entailing(("it cures", "it heals"), ("it heals", "it cures"))
        assert meanings(["it heals", "no", "it cures"], mutual_entailment(nli)) == ((0, 2), (1,))
        assert mutual_entailment(nli)([]) == []


class TestKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("B", "(b)."),
            ("The answer is B", "B"),
            ("Answer: metformin", "metformin"),
            ("正确答案是：二甲双胍。", "二甲双胍"),
            ("答：二甲双胍 片", "二甲双胍片"),
            ("500mg", "500 mg"),
            ("1,000 mg", "1000 MG"),
            ("0.50 mg", ".5 mg"),
            ("５００ｍｇ", "500 mg"),
            ("The left kidney", "left kidney"),
            ("≥ 5 %", "≥5%"),
            ("Rh +", "rh+"),
        ],
    )
    def test_written_another_way(self, one, other):
        assert same_key(one, other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("B", "C"),
            ("A", ""),
            ("hepatitis A", "hepatitis"),
            ("5 mg", "50 mg"),
            ("0.5 mg", "5 mg"),
            (".5 mg", "5 mg"),
            ("1,5 mg", "1,05 mg"),
            ("1.5 mg", "15 mg"),
            ("5 mg", "5 g"),
            ("5", "-5"),
            ("<5", ">5"),
            ("5", "5%"),
            ("Rh+", "Rh-"),
            ("Rh +", "Rh -"),
            ("yes", "no"),
            ("是", "不是"),
            ("左肾", "右肾"),
            ("!!!", "???"),
            ("✓", "✗"),
        ],
    )
    def test_said_otherwise(self, one, other):
        assert not same_key(one, other)

    @given(st.text(max_size=40))
    def test_any_text_has_one_and_it_is_stable(self, text):
        assert key(text) == key(f"  {text}\n")


def alike(one: str, other: str, **options: object) -> bool:
    both = similar(**options)([(one, other), (other, one)])
    assert both[0] == both[1]
    return both[0]


class TestSimilar:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Metformin 500 mg daily", "500 mg of metformin, daily"),
            ("It lowers blood sugar", "Metformin lowers the blood sugar."),
            ("Type II diabetes", "type 2 diabetes"),
            ("Ⅱ型糖尿病", "2型糖尿病"),
            ("250 mcg twice daily", "250 µg, 2 times daily"),
            ("every eight hours", "Every 8 h"),
            ("二甲双胍可以降低血糖", "二甲双胍能降血糖"),
            ("常见不良反应是腹泻", "腹泻是常见的不良反应"),
            ("阿莫西林", "阿莫西林胶囊"),
        ],
    )
    def test_the_same_in_other_words(self, one, other):
        assert alike(one, other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Metformin 500 mg daily", "Metformin 850 mg daily"),
            ("Metformin 500 mg once daily", "Metformin 500 g once daily"),
            ("Check the INR every week on warfarin", "Check the INR every 4 weeks on warfarin"),
            ("Metformin is the preferred first line drug", "Insulin is the preferred first line drug"),
            ("It lowers blood sugar", "It does not lower blood sugar"),
            ("Take it without food in the morning", "Take it with food in the morning"),
            ("The left lung is affected", "The right lung is affected"),
            ("hepatitis A virus infection", "hepatitis B virus infection"),
            ("acute hepatitis virus infection", "acute hepatitis C virus infection"),
            ("type I diabetes mellitus in adults", "type II diabetes mellitus in adults"),
            ("blood group Rh+ donor", "blood group Rh- donor"),
            ("二甲双胍降低血糖", "二甲双胍不降低血糖"),
            ("左侧肺部感染", "右侧肺部感染"),
            ("每日口服500毫克", "每日口服850毫克"),
            ("甲状腺功能亢进", "甲状腺功能减退"),
            ("aspirin", "aspirin and clopidogrel and a statin"),
            ("yes", "no"),
            ("the", "!"),
        ],
    )
    def test_something_else(self, one, other):
        assert not alike(one, other)

    def test_how_much_may_be_left_out(self):
        assert alike("metformin", "metformin hydrochloride", at_least=0.5)
        assert not alike("metformin", "metformin hydrochloride", at_least=0.51)
        assert alike("metformin daily", "daily metformin", at_least=1)
        with pytest.raises(UsageError, match=r"at_least=1\.5"):
            similar(at_least=1.5)

    def test_a_clash_parts_what_words_join(self):
        before, after = "insulin before metformin", "metformin before insulin"
        assert alike(before, after)
        assert not alike(before, after, clash=lambda one, other: one.split()[0] != other.split()[0])
        # One direction is enough, and an equal key is no excuse.
        assert not alike("yes", "Yes.", clash=lambda one, other: one == "yes")

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_any_texts_either_way(self, one, other):
        alike(one, other)
        assert alike(one, one)
