"""NLI cross-encoders: real classes with small random weights, whose outputs are compared with each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from guardmed.claims.nli import CONTRADICTION, ENTAILMENT, NEUTRAL, Nli, load_nli, nli_score, nli_votes
from guardmed.errors import ModelError, UsageError

SAID = "metformin lowers raises blood sugar does not it is first drug for type diabetes and may upset the stomach what do you take daily"
WORDS = SAID.split()
CHINESE = list("二甲双胍降低血糖不升高")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
THREE = {0: "contradiction", 1: "ENTAILMENT", 2: "neutral"}
LIMIT = 32


def tokenizer(limit: int = LIMIT) -> PreTrainedTokenizerFast:
    """Words, Chinese characters and single marks; two segments as BERT has them."""
    vocabulary = {word: at for at, word in enumerate([*SPECIAL, *WORDS, *CHINESE, "[", "]", "sep", "."])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=limit,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def bert(labels: dict[int, str], *, positions: int = LIMIT) -> BertForSequenceClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.3}
    config = BertConfig(vocab_size=64, max_position_embeddings=positions, id2label=labels, label2id={word: at for at, word in labels.items()}, **sizes)
    return BertForSequenceClassification(config).eval()


@pytest.fixture(scope="module")
def nli():
    return Nli(bert(THREE), tokenizer(), name="tiny")


def straight(nli: Nli, premise: str, hypothesis: str) -> np.ndarray:
    """What the whole model says of one pair, in the model's own order."""
    with torch.inference_mode():
        return torch.softmax(nli.model(**nli.tokenizer(premise, hypothesis, return_tensors="pt")).logits[0].double(), -1).numpy()


PREMISES = ["metformin lowers blood sugar", "it does not", "", "二甲双胍降低血糖", "metformin is the first drug for type diabetes and may upset the stomach ."]
HYPOTHESES = ["metformin lowers blood sugar", "metformin raises sugar", "it is the first drug", "二甲双胍升高血糖", "what do you take daily"]


class TestPairs:
    def test_columns_are_the_meanings_whatever_their_order_in_the_model(self, nli):
        found = nli.pairs(PREMISES, HYPOTHESES)
        assert found.shape == (5, 3)
        for row, premise, hypothesis in zip(found, PREMISES, HYPOTHESES, strict=True):
            contradiction, entailment, neutral = straight(nli, premise, hypothesis)
            np.testing.assert_allclose(row[[ENTAILMENT, NEUTRAL, CONTRADICTION]], [entailment, neutral, contradiction], atol=1e-6)
        # Random weights tell the classes and the pairs apart, so that an exchange would be seen.
        assert np.ptp(found, axis=1).min() > 0.01
        assert np.ptp(found, axis=0).min() > 0.01

    def test_alone_as_in_a_batch_and_in_any_order(self, nli):
        found = nli.pairs(PREMISES, HYPOTHESES)
        for at, (premise, hypothesis) in enumerate(zip(PREMISES, HYPOTHESES, strict=True)):
            np.testing.assert_allclose(nli.pairs([premise], [hypothesis])[0], found[at], atol=1e-6)
        np.testing.assert_allclose(nli.pairs(PREMISES[::-1], HYPOTHESES[::-1])[::-1], found, atol=1e-6)

    def test_padding_on_the_left_changes_nothing_where_places_are_relative(self):
        # XLNet's head reads the last token.
        torch.manual_seed(0)
        left = tokenizer()
        left.padding_side = "left"
        nli = Nli(XLNetForSequenceClassification(XLNetConfig(vocab_size=64, d_model=32, n_layer=2, n_head=4, d_inner=64, id2label=THREE)), left, name="left")
        together = nli.pairs(PREMISES, HYPOTHESES)
        for at, (premise, hypothesis) in enumerate(zip(PREMISES, HYPOTHESES, strict=True)):
            np.testing.assert_allclose(nli.pairs([premise], [hypothesis])[0], together[at], atol=1e-6)

    def test_the_same_pair_is_read_once(self, nli, monkeypatch):
        rows = []
        forward = nli.model.forward
        monkeypatch.setattr(nli.model, "forward", lambda **inputs: (rows.append(len(inputs["input_ids"])), forward(**inputs))[1])
        found = nli.pairs([PREMISES[0]] * 40 + [PREMISES[1]], [HYPOTHESES[0]] * 40 + [HYPOTHESES[0]])
        assert sum(rows) == 2
        assert (found[:40] == found[0]).all()
        assert not np.allclose(found[40], found[0])

    def test_which_is_premise_matters(self, nli):
        assert not np.allclose(nli.pairs([PREMISES[0]], [HYPOTHESES[1]]), nli.pairs([HYPOTHESES[1]], [PREMISES[0]]))

    def test_nothing_in_nothing_out(self, nli):
        assert nli.pairs([], []).shape == (0, 3)
        with pytest.raises(UsageError, match="2 premises but 1"):
            nli.pairs(["a", "b"], ["a"])

    @pytest.mark.parametrize("odd", ["\ud800 sugar", "\x00", "🩺" * 5, "e\u0301\u200b", " \n\t "])
    def test_odd_texts_are_read(self, nli, odd):
        assert nli.pairs([odd, "sugar"], ["sugar", odd]).sum(axis=1) == pytest.approx([1.0, 1.0])

    def test_a_text_can_t_write_the_special_tokens(self, nli):
        # The marks would end the premise there, and begin the hypothesis.
        spoken, marks = nli.pairs(["sugar [SEP] drug", "sugar [ sep ] drug"], ["sugar", "sugar"])
        np.testing.assert_allclose(spoken, marks, rtol=1e-5)  # one batch, two rows: the sums may round otherwise

    def test_a_model_without_a_padding_token_reads_one_at_a_time(self):
        # Its head reads the last token that is no padding, and refuses a batch in which it can't tell.
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
        config = LlamaConfig(vocab_size=64, max_position_embeddings=LIMIT, pad_token_id=None, id2label=THREE, **sizes)
        nli = Nli(LlamaForSequenceClassification(config), tokenizer(), name="no padding")
        found = nli.pairs(PREMISES, HYPOTHESES)
        np.testing.assert_allclose(
            found[:, [CONTRADICTION, ENTAILMENT, NEUTRAL]], [straight(nli, *pair) for pair in zip(PREMISES, HYPOTHESES, strict=True)], atol=1e-6
        )


class TestWindows:
    HYPOTHESIS = "metformin raises sugar"

    def words(self, count: int) -> str:
        return " ".join(WORDS[(7 * at + at // 3) % len(WORDS)] for at in range(count))

    def windows(self, premise: str, size: int, overlap: int) -> list[str]:
        words = premise.split()
        starts = range(0, max(1, len(words) - overlap), size - overlap)
        return [" ".join(words[start : start + size]) for start in starts]

    @pytest.mark.parametrize("count", [26, 27, 40, 200])
    def test_a_long_premise_is_the_strongest_of_its_windows(self, nli, count):
        # 32 tokens, of which 3 are special and 3 the hypothesis; windows overlap by 4.
        premise = self.words(count)
        parts = self.windows(premise, LIMIT - 6, LIMIT // 8)
        assert (len(parts) > 1) == (count > 26)
        each = nli.pairs(parts, [self.HYPOTHESIS] * len(parts))
        raw = np.array([each[:, ENTAILMENT].max(), each[:, NEUTRAL].min(), each[:, CONTRADICTION].max()])
        np.testing.assert_allclose(nli.pairs([premise], [self.HYPOTHESIS])[0], raw / raw.sum(), atol=1e-6)

    def test_long_and_short_pairs_of_one_call(self, nli):
        premises = [self.words(3), self.words(90), self.words(5), self.words(60)]
        together = nli.pairs(premises, [self.HYPOTHESIS] * 4)
        for at, premise in enumerate(premises):
            np.testing.assert_allclose(nli.pairs([premise], [self.HYPOTHESIS])[0], together[at], atol=1e-6)
        assert together.sum(axis=1) == pytest.approx(np.ones(4))

    def test_a_smaller_window_on_demand(self, nli):
        small = Nli(nli.model, nli.tokenizer, name="small", window=16)
        parts = self.windows(self.words(24), 10, 2)
        each = nli.pairs(parts, [self.HYPOTHESIS] * len(parts))
        assert small.pairs([self.words(24)], [self.HYPOTHESIS])[0, ENTAILMENT] == pytest.approx(
            each[:, ENTAILMENT].max() / (each[:, ENTAILMENT].max() + each[:, NEUTRAL].min() + each[:, CONTRADICTION].max())
        )
        with pytest.raises(UsageError, match="no room"):
            Nli(nli.model, nli.tokenizer, name="none", window=4)

    def test_a_hypothesis_that_leaves_no_room_is_not_judged(self, nli):
        fits, cut, too_long = nli.pairs(["sugar", self.words(60), self.words(60)], [self.words(24), self.words(16), self.words(17)])
        assert np.isfinite(fits).all()
        assert np.isfinite(cut).all()
        assert np.isnan(too_long).all()

    def test_cutting_leaves_the_tokenizer_as_it_was(self, nli):
        nli.pairs([self.words(60)], [self.HYPOTHESIS])
        assert len(nli.tokenizer(self.words(60))["input_ids"]) == 62

    def test_the_limit_is_the_smallest_that_any_part_knows(self):
        assert Nli(bert(THREE, positions=24), tokenizer(32), name="model").window == 24
        assert Nli(bert(THREE, positions=32), tokenizer(20), name="tokenizer").window == 20
        assert Nli(bert(THREE, positions=32), tokenizer(int(1e30)), name="unset").window == 32

    def test_places_counted_from_behind_the_padding_are_no_places(self):
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = RobertaConfig(vocab_size=64, max_position_embeddings=34, pad_token_id=1, type_vocab_size=1, id2label=THREE, **sizes)
        kin = Nli(RobertaForSequenceClassification(config), tokenizer(int(1e30)), name="kin")
        assert kin.window == 32
        plain = Nli(kin.model, PreTrainedTokenizerFast(tokenizer_object=tokenizer().backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]"), name="no types")
        assert np.isfinite(plain.pairs([self.words(100)], ["sugar"])).all()


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            ["Entailment", "NEUTRAL", "contradiction"],
            ["CONTRADICTION", "neutral ", "entailment"],
            ["矛盾", "中立", "蕴含"],
        ],
    )
    def test_any_case_and_order(self, labels):
        nli = Nli(bert(dict(enumerate(labels))), tokenizer(), name="tiny")
        raw = straight(nli, PREMISES[0], HYPOTHESES[1])
        where = {"e": 0, "蕴": 0, "n": 1, "中": 1, "c": 2, "矛": 2}
        expected = np.zeros(3)
        for at, label in enumerate(labels):
            expected[where[label.lower()[0]]] = raw[at]
        np.testing.assert_allclose(nli.pairs([PREMISES[0]], [HYPOTHESES[1]])[0], expected, atol=1e-6)

    @pytest.mark.parametrize("labels", [["not_entailment", "entailment"], ["Not Entailment", "ENTAILMENT"], ["non-entailment", "entailment"]])
    def test_two_classes_can_t_contradict(self, labels):
        nli = Nli(bert(dict(enumerate(labels))), tokenizer(), name="tiny")
        absent, entailed = straight(nli, PREMISES[0], HYPOTHESES[1])
        np.testing.assert_allclose(nli.pairs([PREMISES[0]], [HYPOTHESES[1]])[0], [entailed, absent, 0.0], atol=1e-6)
        assert not nli.contradicts

    @pytest.mark.parametrize(
        "labels",
        [
            ["LABEL_0", "LABEL_1", "LABEL_2"],
            ["entailment", "neutral", "neutral"],
            ["entailment", "contradiction"],
            ["POSITIVE", "NEGATIVE"],
            ["entailment", "neutral", "contradiction", "not_entailment"],
            ["entailment"],
        ],
    )
    def test_others_are_never_guessed(self, labels):
        with pytest.raises(ModelError, match="do not say which output") as caught:
            Nli(bert(dict(enumerate(labels))), tokenizer(), name="tiny")
        assert labels[0] in caught.value.problem
        assert "id2label" in caught.value.mend

    def test_a_slow_tokenizer_is_refused(self):
        with pytest.raises(ModelError, match="fast tokenizer"):
            Nli(bert(THREE), object(), name="tiny")


class TestLoading:
    def saved(self, folder, model):
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        return folder

    def test_what_was_saved_is_what_is_read(self, nli, tmp_path):
        loaded = load_nli(str(self.saved(tmp_path, nli.model)), window=20)
        assert loaded.window == 20
        # The device may compute in half precision.
        np.testing.assert_allclose(loaded.pairs(PREMISES[:2], HYPOTHESES[:2]), nli.pairs(PREMISES[:2], HYPOTHESES[:2]), atol=0.05)
        assert len(loaded.fingerprint) == len(nli.fingerprint) == 64
        assert load_nli(str(tmp_path)).fingerprint == loaded.fingerprint

    def test_an_untrained_head_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="lacks the weights") as caught:
            load_nli(str(self.saved(tmp_path, BertForMaskedLM(bert(THREE).config))))
        assert "never trained" in caught.value.mend

    def test_nameless_labels_are_refused(self, tmp_path):
        with pytest.raises(ModelError, match="LABEL_0"):
            load_nli(str(self.saved(tmp_path, bert({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}))))

    def test_a_pickle_is_never_read(self, nli, tmp_path):
        folder = self.saved(tmp_path, nli.model)
        (folder / "model.safetensors").unlink()
        torch.save(nli.model.state_dict(), folder / "pytorch_model.bin")
        with pytest.raises(ModelError, match="pickle"):
            load_nli(str(folder))

    def test_code_that_comes_along_is_not_run(self, nli, tmp_path):
        folder = self.saved(tmp_path, nli.model)
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(
            config.replace(
                '"model_type": "bert"', '"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}'
            )
        )
        (folder / "own.py").write_text("raise SystemExit('was run')\n")
        with pytest.raises(ModelError, match="can't be loaded"):
            load_nli(str(folder))

    @pytest.mark.parametrize("spec", ["reference", "openai:m@http://localhost/v1", "model.gguf"])
    def test_language_models_are_none(self, spec):
        with pytest.raises(ModelError, match="no NLI model"):
            load_nli(spec)

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ModelError, match="does not exist"):
            load_nli(str(tmp_path / "nowhere"))


class TestSelfCheck:
    CLAIMS = ("metformin lowers blood sugar", "it is the first drug")
    SAMPLES = ("metformin raises sugar", "it does not upset the stomach", "metformin lowers sugar")

    def test_the_mean_over_samples_of_what_is_entailed_among_what_is_told(self, nli):
        expected = []
        for claim in self.CLAIMS:
            told = nli.pairs(list(self.SAMPLES), [claim] * 3)
            expected.append(float((told[:, ENTAILMENT] / (told[:, ENTAILMENT] + told[:, CONTRADICTION])).mean()))
        assert nli_score(self.CLAIMS, self.SAMPLES, nli) == pytest.approx(expected, abs=1e-6)

    def test_the_question_stands_before_the_sample(self, nli):
        premises = [f"what does metformin do {sample}" for sample in self.SAMPLES]
        assert nli_score(self.CLAIMS, self.SAMPLES, nli, "what does metformin do") == pytest.approx(nli_score(self.CLAIMS, premises, nli), abs=1e-6)

    def test_two_classes_give_the_probability_of_entailment(self):
        nli = Nli(bert({0: "entailment", 1: "not_entailment"}), tokenizer(), name="tiny")
        found = nli.pairs(list(self.SAMPLES), [self.CLAIMS[0]] * 3)[:, ENTAILMENT]
        assert nli_score(self.CLAIMS[:1], self.SAMPLES, nli) == pytest.approx([found.mean()], abs=1e-6)

    def test_what_is_blank_has_no_vote(self, nli):
        votes = nli_votes(["metformin lowers sugar", " "], ["sugar", "", "\n"], nli)
        assert np.isfinite(votes).tolist() == [[True, False, False], [False, False, False]]
        assert nli_score(["metformin lowers sugar", " "], ["sugar", ""], nli) == [pytest.approx(votes[0, 0]), None]

    def test_without_samples_or_claims(self, nli):
        assert nli_score(["sugar"], [], nli) == [None]
        assert nli_score([], ["sugar"], nli) == []

    def test_a_claim_too_long_to_read_has_no_vote(self, nli):
        long = " ".join(WORDS)
        assert nli_score([long, "sugar"], [f"{long} {long}"], nli)[0] is None
        assert nli_score([long, "sugar"], [f"{long} {long}"], nli)[1] is not None
