"""Rows that begin alike get what they get alone, whatever kind of model reads them."""

from __future__ import annotations

import pytest
import torch
import transformers

from guardmed.models import kv
from guardmed.models.kv import Body, KVState

pytestmark = pytest.mark.integration

SIZE = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}
ATTENTION = {"intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
HEADS = SIZE | ATTENTION | {"head_dim": 8}
MAMBA = {"state_size": 8, "num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 97}
JAMBA = {
    "num_experts": 2, "num_experts_per_tok": 1, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
    "use_mamba_kernels": False, "mamba_d_state": 8, "pad_token_id": 0,
}  # fmt: skip
BART = {
    "vocab_size": 97, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "max_position_embeddings": 256,
    "is_decoder": True, "is_encoder_decoder": False,
}  # fmt: skip
# Class, configuration, and whether beginnings are read once.
KINDS = {
    "llama": ("Llama", HEADS, True),
    "gemma3": ("Gemma3", HEADS | {"sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"]}, True),
    "qwen2": ("Qwen2", SIZE | ATTENTION, True),
    "mistral": ("Mistral", HEADS | {"sliding_window": 12}, True),
    "bart": ("Bart", BART, False),
    "mamba": ("Mamba", MAMBA, False),
    "jamba": ("Jamba", SIZE | ATTENTION | JAMBA, False),
    "recurrent-gemma": ("RecurrentGemma", HEADS | {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16}, False),
}  # fmt: skip


def built(kind, dtype=torch.float32):
    name, settings, shares = KINDS[kind]
    config = getattr(transformers, f"{name}TextConfig" if name == "Gemma3" else f"{name}Config")(**settings)
    torch.manual_seed(0)
    return getattr(transformers, f"{name}ForCausalLM")(config).eval().to(dtype), shares


def rows():
    """Two families of unlike beginnings, both longer than a window, and a row by itself."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 97, (160,), generator=generator).tolist()
    return [ids[:40] + ids[100:108], ids[:40] + ids[120:123], ids[50:75] + ids[130:136], ids[50:75] + ids[140:150], ids[80:97]]


def direct(model, row):
    with torch.inference_mode():
        return torch.log_softmax(model(input_ids=torch.tensor([row]), use_cache=False).logits[0].float(), dim=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_families_gives_what_each_row_gives_alone(kind):
    model, shares = built(kind)
    body = Body(model)
    assert body.shares is shares
    told = rows()
    wanted = [[5, 17, 60]] * len(told)
    for row, found in zip(told, body.next_logprobs(told, wanted), strict=True):
        torch.testing.assert_close(found, direct(model, row)[-1, wanted[0]], atol=1e-3, rtol=0)
    for row, found in zip(told, body.reduced(told, [len(row) - 2 for row in told]), strict=True):
        expected = direct(model, row)[[-3, -2], row[-2:]]
        torch.testing.assert_close(found[:, 0].float(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "mamba", "jamba", "bart"])
def test_rows_that_continue_what_was_read(kind, monkeypatch):
    monkeypatch.setattr(kv, "BATCH_TOKENS", 12)
    model, shares = built(kind)
    body = Body(model)
    told = rows()[:2]
    state = body.prefill(told[0][:40]) if shares else KVState(tuple(told[0][:40]), None)
    for row, found in zip(told, body.next_logprobs(told, [[5, 17]] * 2, state=state), strict=True):
        torch.testing.assert_close(found, direct(model, row)[-1, [5, 17]], atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_told_from_a_wrong_answer(kind):
    model, shares = built(kind, torch.bfloat16)
    assert Body(model).shares is shares


def test_a_model_that_is_its_own_base():
    settings = HEADS | {"intermediate_size_mlp": 48, "num_local_experts": 2, "num_experts_per_tok": 1, "attention_chunk_size": 128}
    torch.manual_seed(0)
    model = transformers.Llama4ForCausalLM(transformers.Llama4TextConfig(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)  # experts start out as whatever memory held
    assert model.base_model is model
    body = Body(model)
    row = rows()[0]
    torch.testing.assert_close(body.next_logprobs([row], [[5]])[0], direct(model, row)[-1, [5]], atol=1e-3, rtol=0)
