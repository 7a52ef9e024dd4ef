"""The shape of a decoder, read from its ``config.json`` without loading anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guardmed.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a config.json leaves unsaid: which weights there are, and defaults of the family's configuration class."""

    gated: bool = True
    qkv_bias: bool = False
    all_bias: bool = False
    fused: bool = False  # queries, keys and values in one layer
    block_norms: int = 2
    head_norms: bool = False
    layer_norm: bool = False
    positions: int | None = None  # rows of a learned table beyond max_position_embeddings; None where positions are rotary
    defaults: Mapping[str, int | bool] = field(default_factory=dict)


_GEMMA: dict[str, int | bool] = {"head_dim": 256, "tie_word_embeddings": True}
_GEMMA3 = _GEMMA | {"num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262208}
_TIED: dict[str, int | bool] = {"tie_word_embeddings": True}
_FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen3": Family(head_norms=True, defaults={"head_dim": 128}),
    "gemma": Family(defaults=_GEMMA),
    "gemma2": Family(block_norms=4, defaults=_GEMMA),
    "gemma3_text": Family(block_norms=4, head_norms=True, defaults=_GEMMA3),
    "biogpt": Family(gated=False, all_bias=True, layer_norm=True, positions=2, defaults=_TIED | {"max_position_embeddings": 1024}),
    "gpt2": Family(gated=False, all_bias=True, fused=True, layer_norm=True, positions=0, defaults=_TIED),
}
_OTHER_NAMES = {
    "num_hidden_layers": "n_layer",
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
}
# Experts, latent attention, state spaces: counted as Llama they would be wrong by far.
_OTHER_SHAPES = ("num_local_experts", "num_experts", "n_routed_experts", "kv_lora_rank", "state_size")


@dataclass(frozen=True)
class Linear:
    """A linear layer of a block; layers of one source read the same tensor."""

    inputs: int
    outputs: int
    bias: bool
    source: str

    @property
    def parameters(self) -> int:
        """With the bias."""
        return self.inputs * self.outputs + self.outputs * self.bias


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder, as far as memory depends on it."""

    name: str
    family: Family
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    tied: bool
    linears: tuple[Linear, ...]

    @property
    def linear_weights(self) -> int:
        """Of one block, without biases: what is quantised, and what is multiplied by."""
        return sum(linear.inputs * linear.outputs for linear in self.linears)

    @property
    def block(self) -> int:
        """Parameters of one block."""
        norms = self.family.block_norms * self.hidden + self.family.head_norms * 2 * self.head_dim
        return sum(linear.parameters for linear in self.linears) + norms * (2 if self.family.layer_norm else 1)

    @property
    def head(self) -> int:
        """Parameters of the output layer, and of the embeddings."""
        return self.vocabulary * self.hidden

    @property
    def outside(self) -> int:
        """Parameters of no block, without the output layer: embeddings, positions, the last norm."""
        return self.head + self.positions * self.hidden + self.hidden * (2 if self.family.layer_norm else 1)

    @property
    def backbone(self) -> int:
        """Parameters without the output layer."""
        return self.outside + self.layers * self.block

    @property
    def parameters(self) -> int:
        """All, tied ones once."""
        return self.backbone + (0 if self.tied else self.head)

    def adapter(self, rank: int, layers: int) -> int:
        """LoRA gives a layer of ``inputs`` and ``outputs`` ``rank * (inputs + outputs)`` weights (Hu et al., 2022, section 4.1)."""
        return layers * rank * sum(linear.inputs + linear.outputs for linear in self.linears)


def read_config(model: Path) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Raises
    ------
    ModelError
        There is none, or it is not a JSON object.
    """
    path = model / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.", mend="A plan needs the folder of a model in the format of transformers.") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not a JSON object.", mend="A plan needs the folder of a model in the format of transformers.")
    return config


def shape_of(source: Any) -> Shape:
    """The shape that a configuration describes.

    Parameters
    ----------
    source : mapping or transformers configuration
        Where there is a ``text_config``, only that model is counted. A family that is not listed is counted as Llama.

    Raises
    ------
    ModelError
        A size is missing, or the shape is not counted here (experts, latent attention, state spaces).
    """
    outer: Mapping[str, Any] = source if isinstance(source, Mapping) else source.to_dict()
    config: Mapping[str, Any] = outer.get("text_config") or outer
    model_type = str(config.get("model_type") or outer.get("model_type") or "llama")
    name = model_type if model_type in _FAMILIES else {"gemma3": "gemma3_text"}.get(model_type, "llama")
    family = _FAMILIES[name]
    unlike = next((key for key in _OTHER_SHAPES if config.get(key)), None)
    if unlike:
        raise ModelError(f"No plan can be made for a model of type {model_type!r}: it has {unlike}.", mend="Plans are for dense decoders with attention.")

    def find(key: str, default: int | None = None) -> int:
        for value in (config.get(key), config.get(_OTHER_NAMES.get(key, key)), outer.get(key), family.defaults.get(key), default):
            if value is not None:
                return int(value)
        raise ModelError(f"The configuration of the model has no {key}.", mend="Name the folder of a decoder, with the config.json it was published with.")

    hidden, heads = find("hidden_size"), find("num_attention_heads")
    kv_heads, head_dim = find("num_key_value_heads", heads), find("head_dim", hidden // heads)
    intermediate = find("intermediate_size", 4 * hidden)
    attention_bias = bool(find("attention_bias", 0)) or family.all_bias
    qkv_bias, mlp_bias = attention_bias or family.qkv_bias, bool(find("mlp_bias", 0)) or family.all_bias
    of_heads, of_kv = heads * head_dim, kv_heads * head_dim
    reads = (of_heads + 2 * of_kv,) if family.fused else (of_heads, of_kv, of_kv)
    return Shape(
        name=name,
        family=family,
        layers=find("num_hidden_layers"),
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=find("vocab_size"),
        positions=0 if family.positions is None else find("max_position_embeddings") + family.positions,
        tied=bool(find("tie_word_embeddings", 0)),
        linears=(
            *(Linear(hidden, outputs, qkv_bias, "attention") for outputs in reads),
            Linear(of_heads, hidden, attention_bias, "heads"),
            *(Linear(hidden, intermediate, mlp_bias, "mlp") for _ in range(2 if family.gated else 1)),
            Linear(intermediate, hidden, mlp_bias, "activation"),
        ),
    )
