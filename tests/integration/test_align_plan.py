"""Estimates against models of the real classes: parameters, adapters, and what autograd keeps."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    BioGptConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.pytorch_utils import Conv1D

from guardmed.align.plan import estimate

SMALL = {"num_hidden_layers": 3, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 96, "max_position_embeddings": 64}
GROUPED = SMALL | {"num_key_value_heads": 2}
CONFIGS = {
    "llama": LlamaConfig(**GROUPED),
    "llama-biased": LlamaConfig(**GROUPED, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "llama-wide-heads": LlamaConfig(**GROUPED, head_dim=16),
    "llama-7b": LlamaConfig(),
    "mistral": MistralConfig(**GROUPED),
    "mistral-7b": MistralConfig(),
    "qwen2": Qwen2Config(**GROUPED),
    "qwen2-7b": Qwen2Config(num_hidden_layers=28, hidden_size=3584, num_attention_heads=28, num_key_value_heads=4, intermediate_size=18944, vocab_size=152064),
    "qwen3": Qwen3Config(**GROUPED),
    "qwen3-8b": Qwen3Config(num_hidden_layers=36, num_key_value_heads=8, intermediate_size=12288, vocab_size=151936),
    "gemma": GemmaConfig(**GROUPED),
    "gemma-7b": GemmaConfig(),
    "gemma2": Gemma2Config(**GROUPED),
    "gemma3": Gemma3TextConfig(**GROUPED),
    "gemma3-12b": Gemma3TextConfig(num_hidden_layers=48, hidden_size=3840, num_attention_heads=16, num_key_value_heads=8, intermediate_size=15360),
    "biogpt": BioGptConfig(**SMALL),
    "biogpt-347m": BioGptConfig(),
    "gpt2": GPT2Config(n_layer=3, n_embd=32, n_head=4, n_inner=48, n_positions=64, vocab_size=96),
    "gpt2-124m": GPT2Config(),
}
TINY = [name for name, config in CONFIGS.items() if config.vocab_size == 96]


def plan(config, **changes):
    options = {"stage": "sft", "batch": 1, "length": 16, "completion": 8, "rank": 4, "layers": None, "dtype": "float32", "checkpointing": False}
    return estimate(config, **(options | changes))


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_those_of_the_model(name):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIGS[name])
    found = plan(CONFIGS[name])
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.counted_as == CONFIGS[name].model_type


def adapted(name, layers):
    """The model with adapters; PEFT takes layers only beside names, not beside ``all-linear``."""
    model = AutoModelForCausalLM.from_config(CONFIGS[name])
    targets, chosen = "all-linear", None
    if layers is not None:
        head = model.get_output_embeddings()
        targets = {path.rpartition(".")[2] for path, module in model.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not head}
        chosen = list(range(3 - layers, 3))
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets, layers_to_transform=chosen, fan_in_fan_out=name == "gpt2")
    return get_peft_model(model, lora)


@pytest.mark.parametrize("layers", [None, 2])
@pytest.mark.parametrize("name", TINY)
def test_adapters_are_those_of_peft(name, layers):
    with torch.device("meta"):
        model = adapted(name, layers)
    assert plan(CONFIGS[name], layers=layers).trainable == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "layers"), [("llama", None), ("qwen2", 1), ("gemma3", None), ("gemma3", 1)])
def test_activations_are_what_autograd_keeps(name, layers, dtype):
    """Tensors saved for the backward pass of the blocks, weights left out, each storage once."""
    torch.manual_seed(0)
    model = adapted(name, layers)
    for path, parameter in model.named_parameters():
        if "lora" not in path:  # adapters stay in float32 under mixed precision, too
            parameter.data = parameter.data.to(getattr(torch, dtype))
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage  # held, so that no other tensor gets its address
        return tensor

    tokens, mask = torch.randint(0, 96, (4, 64)), torch.ones(4, 64, dtype=torch.long)
    mask[0, :16] = 0  # without padding, attention need not repeat keys and values
    mixed = torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")
    with mixed, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.base_model.model.model(tokens, attention_mask=mask, use_cache=False)
    held = sum(storage.nbytes() for storage in kept.values())
    assert plan(CONFIGS[name], batch=4, length=64, layers=layers, dtype=dtype).activations == pytest.approx(held, rel=0.06)
