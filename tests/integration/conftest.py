"""The real reference model, loaded once for all."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def reference():
    """Gemma 3 270M, converted into the cache on first use."""
    from guardmed.models import load_model

    return load_model("reference")


@pytest.fixture(scope="session")
def guarded(reference, clinical):
    from guardmed.guard import GuardedModel

    return GuardedModel(reference, policy=clinical)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory, reference):
    """A Llama of the real class with small random weights, saved with the reference tokenizer and a chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = reference.tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny-llama")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    template = "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder
