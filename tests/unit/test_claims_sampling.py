"""Samples: together with the greedy answer, stage by stage, and ended by a rule whose error is what it says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from guardmed.claims.sampling import STAGES, Stopping, answer_and_samples, draw, settled_when
from guardmed.errors import UsageError
from guardmed.models.base import Generation, Sampling
from guardmed.models.transformers_model import TransformersModel
from tests.unit.scripted import Scripted

WORDS = ["Question", "Answer", ":", "aspirin", "thins", "blood", "metformin", "lowers", "sugar", "statins", "cut", "fat", "what", "does", "do", "?"]
PROMPTS = ["what does aspirin do ?", "what does metformin do to sugar ?", "statins ?"]
WARM = Sampling(max_new_tokens=12, temperature=1.0, seed=5)


@pytest.fixture(scope="module")
def llama():
    """A Llama of the real class, with weights large enough for answers that don't repeat one word, and that end now and then."""
    torch.manual_seed(0)
    backend = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["<pad>", "<unk>", "</s>", *WORDS])}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", eos_token="</s>")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.4}
    config = LlamaConfig(vocab_size=len(WORDS) + 3, max_position_embeddings=128, bos_token_id=None, eos_token_id=2, pad_token_id=0, **sizes)
    return TransformersModel(LlamaForCausalLM(config), tokenizer, name="tiny llama")


def same_answer(one: Generation, other: Generation) -> None:
    assert (one.text, one.finish) == (other.text, other.finish)
    assert one.scores.token_ids == other.scores.token_ids
    assert one.scores.offsets == other.scores.offsets
    for field in ("logprobs", "entropies", "margins"):
        np.testing.assert_allclose(getattr(one.scores, field), getattr(other.scores, field), atol=1e-4)


class TestAnswerAndSamples:
    @pytest.mark.parametrize("prompt", PROMPTS)
    @pytest.mark.parametrize(
        "sampling",
        [
            WARM,
            replace(WARM, temperature=0.3, seed=None),
            replace(WARM, temperature=5.0, top_p=0.9, top_k=5),
            # What changes the order of tokens holds for the greedy answer too.
            replace(WARM, extra={"repetition_penalty": 2.0}),
            replace(WARM, extra={"min_new_tokens": 9}),
        ],
        ids=["warm", "cool", "hot and cut", "penalised", "long"],
    )
    def test_the_first_row_is_the_greedy_answer_alone(self, llama, prompt, sampling):
        alone = llama.generate([prompt], replace(sampling, temperature=0.0, top_p=1.0, top_k=0))[0][0]
        for n in (1, 2, 6):
            greedy, samples = answer_and_samples(llama, prompt, sampling, n)
            same_answer(greedy, alone)
            assert len(samples) == n

    @pytest.mark.parametrize("prompt", PROMPTS)
    def test_the_other_rows_are_samples(self, llama, prompt):
        greedy, samples = answer_and_samples(llama, prompt, replace(WARM, temperature=2.0), 8)
        assert len({one.text for one in samples}) > 4
        assert any(one.text != greedy.text for one in samples)
        # As unlikely as samples are, too.
        assert any(one.scores.logprobs.min() < -2.0 for one in samples)

    def test_a_rare_first_word_is_as_rare_as_in_samples_alone(self, llama):
        one = replace(WARM, max_new_tokens=1)
        together = [sample.text for sample in answer_and_samples(llama, PROMPTS[0], one, 400)[1]]
        alone = [sample.text for sample in llama.generate([PROMPTS[0]], replace(one, n=400))[0]]
        for word in set(alone):
            # Two shares of 400 differ by five standard errors in one of two million runs.
            assert abs(together.count(word) - alone.count(word)) < 5 * np.sqrt(2 * 400 * 0.25)
        assert len(set(alone)) > 2

    def test_the_prompt_is_read_once(self, llama, monkeypatch):
        read = []
        prefill = llama._body.prefill
        monkeypatch.setattr(llama._body, "prefill", lambda ids: (read.append(len(ids)), prefill(ids))[1])
        calls = []
        generate = llama.model.generate
        monkeypatch.setattr(llama.model, "generate", lambda **given: (calls.append(len(given["input_ids"])), generate(**given))[1])
        answer_and_samples(llama, PROMPTS[0], WARM, 3)
        assert len(read) == 1
        assert calls == [4]

    def test_a_processor_of_the_caller_s_is_kept(self, llama):
        class Never:
            def __call__(self, input_ids, scores):
                scores = scores.clone()
                scores[:, greedy_token] = -float("inf")
                return scores

        greedy_token = llama.generate([PROMPTS[0]], replace(WARM, temperature=0.0))[0][0].scores.token_ids[0]
        greedy, samples = answer_and_samples(llama, PROMPTS[0], replace(WARM, extra={"logits_processor": [Never()]}), 3)
        assert all(greedy_token not in one.scores.token_ids for one in (greedy, *samples))

    def test_a_seed_gives_the_same_again(self, llama):
        texts = [[one.text for one in answer_and_samples(llama, PROMPTS[1], replace(WARM, seed=seed), 4)[1]] for seed in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2]

    def test_other_models_are_asked_twice(self):
        model = Recording()
        greedy, samples = answer_and_samples(model, "what?", WARM, 3)
        assert [(asked.temperature, asked.n) for asked in model.asked] == [(0.0, 1), (1.0, 3)]
        assert all(not asked.extra for asked in model.asked)
        assert (greedy.text, [one.text for one in samples]) == ("answer 0", ["answer 1", "answer 2", "answer 3"])

    def test_without_samples_there_is_the_greedy_answer(self, llama):
        greedy, samples = answer_and_samples(llama, PROMPTS[0], WARM, 0)
        same_answer(greedy, llama.generate([PROMPTS[0]], replace(WARM, temperature=0.0))[0][0])
        assert samples == []

    def test_what_can_t_be_drawn_is_refused(self, llama):
        with pytest.raises(UsageError, match="temperature 0"):
            answer_and_samples(llama, "what ?", replace(WARM, temperature=0.0), 2)
        with pytest.raises(UsageError, match="n=-1"):
            answer_and_samples(llama, "what ?", WARM, -1)


class Recording(Scripted):
    """Numbers its answers, and keeps how it was asked."""

    def __init__(self) -> None:
        super().__init__("answer")
        self.asked: list[Sampling] = []
        self.given = 0

    def generate(self, prompts, sampling):
        self.asked.append(sampling)
        found = [[Generation(f"answer {self.given + at}", None, "stop") for at in range(sampling.n)] for _ in prompts]
        self.given += sampling.n
        return found


class TestDraw:
    def test_stages_draw_what_is_missing_and_keep_the_rest(self):
        model, told = Recording(), []
        found = draw(model, "what?", WARM, settled=lambda texts: (told.append(texts), False)[1])
        assert [asked.n for asked in model.asked] == [2, 3, 5]
        assert [one.text for one in found] == [f"answer {at}" for at in range(10)]
        # Nothing is asked after the last stage, where the answer would change nothing.
        assert told == [[f"answer {at}" for at in range(size)] for size in (2, 5)]

    @pytest.mark.parametrize("enough", [2, 5])
    def test_what_is_settled_ends_it(self, enough):
        model = Recording()
        found = draw(model, "what?", WARM, settled=lambda texts: len(texts) >= enough)
        assert len(found) == model.given == enough

    def test_each_stage_has_a_seed_of_its_own(self):
        seeds = {}
        for seed in range(50):
            model = Recording()
            draw(model, "what?", replace(WARM, seed=seed), settled=lambda _: False)
            seeds[seed] = [asked.seed for asked in model.asked]
            # A server asks for sample k under the seed times n plus k, as a signed 32-bit number.
            asked = [asked.seed * asked.n + at for asked in model.asked for at in range(asked.n)]
            assert len(set(asked)) == 10
            assert 0 <= min(asked) <= max(asked) < 1 << 31
        assert len(set(itertools.chain(*seeds.values()))) == 150

    def test_the_same_call_draws_the_same_and_a_shorter_one_its_beginning(self, llama):
        def texts(*stages: int, seed: int = 5) -> list[str]:
            return [one.text for one in draw(llama, PROMPTS[0], replace(WARM, temperature=2.0, seed=seed), stages=stages, settled=lambda _: False)]

        whole = texts(2, 5, 10)
        assert texts(2, 5, 10) == whole
        assert texts(2, 5) == whole[:5]
        assert texts(2, 5, 10, seed=6) != whole
        # Later stages are not the first one over again, as they would be under one seed.
        assert len(set(whole)) > 6

    def test_without_a_seed_none_is_made_up(self):
        model = Recording()
        draw(model, "what?", replace(WARM, seed=None), settled=lambda _: False)
        assert [asked.seed for asked in model.asked] == [None] * 3

    def test_it_goes_on_from_samples_that_are_there(self, llama):
        model = Recording()
        _, first = answer_and_samples(model, "what?", WARM, 2)
        told = []
        found = draw(model, "what?", WARM, settled=lambda texts: (told.append(len(texts)), False)[1], drawn=first)
        assert [one.text for one in found] == [f"answer {at}" for at in range(1, 11)]
        assert told == [2, 5]
        assert len({asked.seed for asked in model.asked[1:]}) == 3
        assert draw(model, "what?", WARM, settled=lambda _: True, drawn=first) == first
        # Three samples are no stage: nothing is asked before there are five.
        told.clear()
        assert len(draw(model, "what?", WARM, settled=lambda texts: (told.append(len(texts)), True)[1], drawn=found[:3])) == 5
        assert told == [5]
        assert draw(model, "what?", WARM, settled=lambda _: False, drawn=found) == found

    @pytest.mark.parametrize("stages", [(), (0, 2), (5, 2), (2, 2)])
    def test_stages_must_rise(self, stages):
        with pytest.raises(UsageError, match="don't rise"):
            draw(Recording(), "what?", WARM, stages=stages, settled=lambda _: True)
        with pytest.raises(UsageError, match="don't rise"):
            Stopping(stages=stages)

    def test_greedy_samples_are_refused(self):
        with pytest.raises(UsageError, match="temperature 0"):
            draw(Recording(), "what?", replace(WARM, temperature=0.0), settled=lambda _: False)


def verdict(rule: Stopping, agreeing: int, drawn: int) -> str:
    share = agreeing / drawn
    return "supported" if share >= rule.high else "unsupported" if share < rule.low else "uncertain"


def chance_of_another_verdict(rule: Stopping, share: float) -> float:
    """By every path a claim's count can take: the chance to stop with a verdict that all samples don't give."""
    total = rule.stages[-1]
    going, before, wrong = {0: 1.0}, 0, 0.0
    for stage in rule.stages[:-1]:
        reached: dict[int, float] = {}
        for count, chance in going.items():
            for more in range(stage - before + 1):
                reached[count + more] = reached.get(count + more, 0.0) + chance * binom.pmf(more, stage - before, share)
        going = {}
        for count, chance in reached.items():
            if rule.clear(count, stage):
                rest, said = total - stage, verdict(rule, count, stage)
                wrong += chance * sum(binom.pmf(more, rest, share) for more in range(rest + 1) if verdict(rule, count + more, total) != said)
            else:
                going[count] = chance
        before = stage
    return wrong


RULES = st.builds(
    lambda stages, limits, error: Stopping(stages=tuple(sorted(stages)), low=min(limits), high=max(limits), error=error),
    st.sets(st.integers(1, 12), min_size=1, max_size=4),
    st.tuples(st.sampled_from([0.0, 0.25, 0.4, 0.5]), st.sampled_from([0.5, 0.6, 0.75, 1.0])),
    st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.25, 0.5]),
)


class TestStopping:
    @given(RULES, st.floats(0.0, 1.0))
    def test_the_error_is_what_it_says(self, rule, share):
        assert chance_of_another_verdict(rule, share) <= rule.error + 1e-12

    @given(RULES)
    def test_a_larger_error_settles_more(self, rule):
        wider = replace(rule, error=min(0.99, rule.error * 2 + 0.01))
        counts = [(count, stage) for stage in rule.stages for count in range(stage + 1)]
        assert {pair for pair in counts if rule.clear(*pair)} <= {pair for pair in counts if wider.clear(*pair)}

    @given(RULES)
    def test_without_error_only_what_can_t_change_is_settled(self, rule):
        exact = replace(rule, error=0.0)
        for stage in rule.stages[:-1]:
            for count in range(stage + 1):
                may_come = {verdict(rule, count + more, rule.stages[-1]) for more in range(rule.stages[-1] - stage + 1)}
                assert exact.clear(count, stage) == (may_come == {verdict(rule, count, stage)})

    def test_some_verdicts_can_t_change(self):
        assert [count for count in range(9) if Stopping(stages=(8, 10), error=0.0).clear(count, 8)] == [0, 1, 6, 7, 8]

    def test_what_the_default_settles(self):
        rule = Stopping()
        assert rule.stages == STAGES
        assert [count for count in range(3) if rule.clear(count, 2)] == []
        assert [count for count in range(6) if rule.clear(count, 5)] == [0, 4, 5]
        assert all(rule.clear(count, 10) for count in range(11))
        assert [count for count in range(3) if replace(rule, error=0.22).clear(count, 2)] == [2]
        assert [count for count in range(3) if replace(rule, error=0.4).clear(count, 2)] == [0, 2]
        assert not replace(rule, error=0.21).clear(2, 2)

    def test_a_count_of_no_stage_is_refused(self):
        for count, drawn in ((1, 3), (3, 2), (-1, 2)):
            with pytest.raises(UsageError, match="no count of the stages"):
                Stopping().clear(count, drawn)

    @pytest.mark.parametrize("wrong", [{"error": 1.0}, {"error": -0.1}, {"low": 0.7, "high": 0.6}, {"high": 1.1}])
    def test_out_of_range(self, wrong):
        with pytest.raises(UsageError, match="out of range"):
            Stopping(**wrong)

    def test_every_claim_has_to_be_clear(self):
        rule = Stopping()
        agree, split = [1, 1, 1, 1, 0.5], [1, 0, 1, 0, np.nan]
        assert rule.all_clear(np.array([agree, agree]).T)
        assert not rule.all_clear(np.array([agree, split]).T)
        # No claims: nothing to wait for.
        assert rule.all_clear(np.zeros((2, 0)))


class TestSettledWhen:
    def judge(self, told: list[list[str]]):
        return lambda texts: (told.append(texts), [["good" in text, "bad" not in text] for text in texts])[1]

    def test_each_text_is_judged_once(self):
        told: list[list[str]] = []
        settled = settled_when(self.judge(told), Stopping())
        assert not settled(["good", "good bad"])
        assert not settled(["good", "good bad", "good", "bad", "x"])
        assert told == [["good", "good bad"], ["bad", "x"]]
        assert settled(["good"] * 5)
        assert len(told) == 2

    def test_in_a_run(self):
        class Alike(Recording):
            def generate(self, prompts, sampling):
                return [[Generation("good", None, "stop") for _ in row] for row in super().generate(prompts, sampling)]

        assert len(draw(Alike(), "what?", WARM, settled=settled_when(self.judge([]), Stopping()))) == 5
        assert len(draw(Alike(), "what?", WARM, settled=settled_when(self.judge([]), Stopping(error=0.22)))) == 2
        assert len(draw(Recording(), "what?", WARM, settled=settled_when(lambda texts: [[int(text[-1]) % 2] for text in texts], Stopping()))) == 10

    def test_votes_of_another_shape_are_refused(self):
        for votes in ([0.5], [[1], [0]], 1.0):
            with pytest.raises(UsageError, match="votes for 1 samples"):
                settled_when(lambda _, votes=votes: votes, Stopping())(["a"])
