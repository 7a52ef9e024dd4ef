"""What a training run would hold in memory and compute: ``guardmed align STAGE --plan``.

Everything is counted from a model's ``config.json``. Parameters are exact for the families listed
here; bytes are an estimate of what PyTorch, PEFT and TRL 1.12 allocate on each device for LoRA on
every linear layer of the blocks. The context of CUDA, fragmentation and the workspace of kernels
come on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from guardmed.align.results import Stage
from guardmed.align.settings import AlignSettings
from guardmed.align.shape import Shape, read_config, shape_of
from guardmed.errors import ModelError, UsageError
from guardmed.reporting import Table

Dtype = Literal["float32", "bfloat16", "float16", "4bit"]
Sharding = Literal["none", "fsdp", "zero2", "zero3"]

_FLOAT32 = 4
# Double quantisation adds 8/64 + 32/(64 x 256) bits of constants to each weight of 4 bits (Dettmers et al., 2023, section 3).
_NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
_GIB = 2**30

# What TRL generates where nothing else is said, and prompts that it is taken to get.
_COMPLETIONS = {"ppo": ("response_length", 53), "grpo": ("max_completion_length", 256)}
_PROMPT = 256

__all__ = ["Estimate", "estimate", "estimate_stage", "plan_table", "read_config"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bytes on one device at the peak of a step, and what the step computes.

    Attributes
    ----------
    weights, adapter, gradients, optimizer : int
        The trained model, its LoRA matrices (for PPO also the value model's), their gradients, and AdamW's states.
    activations, logits : int
        What the backward pass needs of the blocks, and the logits with their gradients.
    reference : int
        Further models: PPO's reward and value models. DPO needs none, for the reference is the model with its adapter off.
    generation_cache : int
        Keys and values while PPO and GRPO generate; for PPO also the scores of every new token. It is freed before the backward pass.
    total : int
        The sum, with the larger of ``activations + logits`` and ``generation_cache``.
    tokens_per_step : int
        Of all devices, padding included.
    trainable, parameters : int
        How many there are, not bytes, in all devices together. Quantised weights count singly.
    flops_per_token : int
        Floating-point operations for one token in one pass over it.
    stage : str
    counted_as : str
        The family whose shape was counted.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reference: int
    generation_cache: int
    total: int
    tokens_per_step: int
    trainable: int
    parameters: int
    flops_per_token: int
    stage: Stage
    counted_as: str


def estimate(
    config: Any,
    *,
    stage: Stage,
    batch: int,
    length: int,
    completion: int,
    rank: int,
    layers: int | None,
    dtype: Dtype,
    checkpointing: bool,
    devices: int = 1,
    sharding: Sharding = "none",
) -> Estimate:
    """Memory and compute of one step of LoRA training.

    Parameters
    ----------
    config : mapping or transformers configuration
        Of a decoder; where there is a ``text_config``, only that model is counted. A family that is not listed is counted as Llama.
    stage : {"sft", "dpo", "reward", "ppo", "grpo"}
    batch : int
        Rows per device: pairs for ``dpo`` and ``reward``, which make two sequences each.
    length : int
        Tokens of the longest sequence, prompt and completion.
    completion : int
        Of these, the tokens that are generated in ``ppo`` and ``grpo``.
    rank : int
    layers : int or None
        Only the last so many blocks carry adapters; None for all.
    dtype : {"float32", "bfloat16", "float16", "4bit"}
        Of the frozen weights. But for float32, arithmetic is mixed precision (autocast), which is TRL's default.
    checkpointing : bool
    devices : int
    sharding : {"none", "fsdp", "zero2", "zero3"}

    Returns
    -------
    Estimate

    Raises
    ------
    ModelError
        The configuration lacks a size, or is of a shape that is not counted here (experts, latent attention, state spaces).
    UsageError
        A size is out of range.

    Notes
    -----
    *Weights* take 4 bytes, 2, or in 4 bits 0.516 for the linear layers of blocks (NF4 with double
    quantisation; Dettmers et al., 2023, "QLoRA", section 3) and 4 for the rest, as PEFT prepares it. PEFT keeps adapters in
    float32; TRL casts them to 16 bits beside quantised weights and under ZeRO-3. *AdamW* has two
    states for each trained weight, of its type; DeepSpeed adds a copy in float32 and keeps all three
    so, 12 bytes (Rajbhandari et al., 2020, "ZeRO", section 3.1). ZeRO-2 divides gradients and states
    among devices, ZeRO-3 and FSDP also weights, but gather the embeddings and two blocks at a time.

    *FLOPs*: a multiplication by N weights costs 2N forward and 2N for the gradient of its input; frozen
    weights need no more, and trained ones 2N for their own. Attention adds 4 x length x width of the
    heads per block, forward, and twice that backward (Kaplan et al., 2020, section 2.1; Chowdhery et
    al., 2022, "PaLM", appendix B). Checkpointing repeats the forward pass. Passes without gradients count
    once: DPO's reference, PPO's generation, reference, value and reward, GRPO's generation and
    reference (GuardMed's ``beta`` is above 0). PPO's further epochs over a rollout do not count.
    """
    shape = shape_of(config)
    layers = shape.layers if layers is None else layers
    _check(shape, batch=batch, length=length, completion=completion, rank=rank, layers=layers, devices=devices)
    sequences = 2 * batch if stage in ("dpo", "reward") else batch
    wide = dtype == "float32"
    trained_models = 2 if stage == "ppo" else 1
    width = _FLOAT32 if wide else 2

    parameters = shape.backbone + shape.hidden if stage == "reward" else shape.parameters
    trainable = trained_models * shape.adapter(rank, layers) + (shape.hidden if stage in ("reward", "ppo") else 0)
    weight_bytes = _weight_bytes(shape, parameters, dtype=dtype)
    further = 2 * _weight_bytes(shape, shape.backbone + shape.hidden, dtype=dtype) if stage == "ppo" else 0
    if sharding in ("fsdp", "zero3"):
        gathered = _weight_bytes(shape, shape.parameters - (shape.layers - min(2, shape.layers)) * shape.block, dtype=dtype, blocks=min(2, shape.layers))
        weight_bytes = min(weight_bytes, weight_bytes // devices + gathered)
        further //= devices
    adapter_width = 2 if not wide and (dtype == "4bit" or sharding in ("zero2", "zero3")) else _FLOAT32
    states = 3 * _FLOAT32 if sharding in ("zero2", "zero3") else 2 * adapter_width
    held = {
        "weights": weight_bytes,
        "adapter": trainable * adapter_width // (devices if sharding in ("fsdp", "zero3") else 1),
        "gradients": trainable * adapter_width // (1 if sharding == "none" else devices),
        "optimizer": trainable * states // (1 if sharding == "none" else devices),
        "reference": further,
    }
    activations = trained_models * _activations(shape, sequences=sequences, length=length, rank=rank, layers=layers, dtype=dtype, checkpointing=checkpointing)
    logits = _logits(shape, stage=stage, sequences=sequences, length=length, completion=completion, wide=wide)
    cache = _generation_cache(shape, stage=stage, sequences=sequences, length=length, completion=completion, width=width)
    return Estimate(
        **held,
        activations=activations,
        logits=logits,
        generation_cache=cache,
        total=sum(held.values()) + max(activations + logits, cache),
        tokens_per_step=devices * sequences * length,
        trainable=trainable,
        parameters=parameters,
        flops_per_token=_flops(shape, stage=stage, length=length, rank=rank, layers=layers, checkpointing=checkpointing),
        stage=stage,
        counted_as=shape.name,
    )


def estimate_stage(stage: Stage, model: str, settings: AlignSettings, *, devices: int = 1, sharding: Sharding = "none") -> Estimate:
    """The estimate for a stage as its settings have it, with adapters on every linear layer, on this machine's kind of device.

    Raises
    ------
    ModelError
        The model's configuration is not on this machine, or is not counted.
    """
    from guardmed.models.device import probe
    from guardmed.models.load import resolve

    folder = resolve(model)
    if folder is None:
        raise ModelError(f"The configuration of {model} is not on this machine.", mend="Name the folder of the model.")
    own = {**_defaults(stage), **getattr(settings, stage).arguments}
    name, usual = _COMPLETIONS.get(stage, ("", 0))
    completion = int(own.get(name, usual))
    length = int(own.get("max_length") or (completion + _PROMPT if completion else 1024))
    dtype: Any = "4bit" if settings.load.bits == 4 else probe().dtype
    return estimate(
        read_config(folder),
        stage=stage,
        batch=int(own.get("per_device_train_batch_size", 8)),
        length=max(length, completion),
        completion=completion,
        rank=settings.lora.rank,
        layers=settings.lora.layers,
        dtype=dtype,
        checkpointing=settings.load.checkpointing or bool(own.get("gradient_checkpointing")),
        devices=devices,
        sharding=sharding,
    )


def _defaults(stage: Stage) -> dict[str, Any]:
    from guardmed.align import dpo, grpo, ppo, reward, sft

    known: dict[Stage, dict[str, Any]] = {
        "sft": sft.DEFAULTS,
        "reward": reward.DEFAULTS,
        "dpo": dpo.DEFAULTS,
        "ppo": ppo.DEFAULTS,
        "grpo": grpo.DEFAULTS,
    }
    return known[stage]


def plan_table(estimate: Estimate) -> Table:
    """The estimate as a table of parts, sizes in GiB and what each part is."""
    means = {
        "weights": "frozen",
        "adapter": f"{estimate.trainable:,} weights are trained",
        "gradients": "of the adapter",
        "optimizer": "AdamW's states",
        "activations": "kept for the backward pass",
        "logits": _LOGITS_MEAN[estimate.stage],
        "reference": "the reward and value models" if estimate.stage == "ppo" else "no second model: the adapter is switched off",
        "generation_cache": "before the backward pass, so not added to activations and logits" if estimate.generation_cache else "nothing is generated",
        "total": "at the peak, without CUDA's context and fragmentation",
    }
    rows = [[part.replace("_", " ").capitalize(), f"{getattr(estimate, part) / _GIB:.2f} GiB", mean] for part, mean in means.items()]
    rows.append(["Tokens a step", f"{estimate.tokens_per_step:,}", "on all devices, where every sequence is as long as it may be"])
    rows.append(["Compute a token", f"{estimate.flops_per_token / 1e9:.2f} GFLOP", "forward and backward, and passes without gradients"])
    caption = f"Plan of {estimate.stage}: {estimate.parameters / 1e9:.2f} billion parameters, counted as {estimate.counted_as}; memory of each device"
    return Table(caption, ["Part", "Size", "What it is"], rows)


_LOGITS_MEAN: dict[Stage, str] = {
    "sft": "a chunk at a time, and the output layer in float32",
    "dpo": "of whole chosen and rejected sequences, with their gradients",
    "reward": "none: one score a sequence",
    "ppo": "of whole sequences, with their gradients",
    "grpo": "of completions, with their gradients",
}
# How many there are, and how many of them end in logits.
_PASSES_WITHOUT_GRADIENTS: dict[Stage, tuple[int, int]] = {"sft": (0, 0), "dpo": (1, 1), "reward": (0, 0), "ppo": (4, 2), "grpo": (2, 2)}


def _check(shape: Shape, *, layers: int, length: int, completion: int, **sizes: int) -> None:
    bad = next((name for name, size in sizes.items() if size < 1), None)
    if bad:
        raise UsageError(f"{bad} is {sizes[bad]}.", mend="Give 1 or more.")
    if not 1 <= layers <= shape.layers:
        raise UsageError(f"layers is {layers}, and the model has {shape.layers}.", mend=f"Give 1 to {shape.layers}.")
    if not 0 <= completion <= length or length < 1:
        raise UsageError(f"completion is {completion} and length {length}.", mend="The completion is a part of the length, and there is at least one token.")


def _weight_bytes(shape: Shape, parameters: int, *, dtype: Dtype, blocks: int | None = None) -> int:
    """Bytes of so many parameters, the linear layers of ``blocks`` blocks (all by default) among them."""
    if dtype != "4bit":
        return parameters * (_FLOAT32 if dtype == "float32" else 2)
    weights = (shape.layers if blocks is None else blocks) * shape.linear_weights
    return round(weights * _NF4_BYTES) + (parameters - weights) * _FLOAT32


def _activations(shape: Shape, *, sequences: int, length: int, rank: int, layers: int, dtype: Dtype, checkpointing: bool) -> int:
    """Bytes that autograd keeps of the blocks until the backward pass.

    Korthikanti et al. (2022, "Reducing Activation Recomputation in Large Transformer Models", section 4.1)
    count what each operation of a block needs again. The same count, per token, for blocks without
    dropout, with attention that stores no matrix of scores, and with frozen weights, whose inputs need
    not be kept: every norm keeps its input in float32; attention keeps queries, keys, values (repeated
    to the number of query heads), its result and a mask of ``length`` entries; the gated feed-forward
    part keeps three intermediate tensors, a plain one its input; LoRA keeps, for each layer, its input
    and ``rank`` numbers more. In mixed precision that input is cast for each layer by itself; otherwise
    layers that read one tensor share it.

    With checkpointing a block keeps only its input, and one block at a time is computed again (their
    section 5: 2sbh bytes per block, twice that beside weights of 4 bits, whose embeddings are in float32);
    PEFT then lets gradients run down to the embeddings, so every block counts. Without, blocks below the
    first adapter keep nothing.
    """
    norms = shape.family.block_norms * shape.hidden + shape.family.head_norms * (shape.heads + shape.kv_heads) * shape.head_dim
    copies, width = dtype != "float32", _FLOAT32 if dtype == "float32" else 2
    stream = _FLOAT32 if dtype in ("float32", "4bit") else 2
    attention = (4 if copies else 3) * shape.heads * shape.head_dim  # its result is the input of the next layer
    mlp = (3 if shape.family.gated else 1) * shape.intermediate
    sources = [linear.inputs for linear in shape.linears] if copies else {linear.source: linear.inputs for linear in shape.linears}.values()
    block = norms * _FLOAT32 + (attention + mlp + sum(sources) + rank * len(shape.linears) + length) * width
    return sequences * length * (shape.layers * shape.hidden * stream + block if checkpointing else layers * block)


def _logits(shape: Shape, *, stage: Stage, sequences: int, length: int, completion: int, wide: bool) -> int:
    """Bytes of logits and their gradients at the peak.

    DPO in TRL 1.12 (``DPOTrainer._compute_loss``) takes the logits of every position of chosen and
    rejected, prompts included, which accelerate turns into float32. During the backward pass they lie
    beside three gradients of their size: of the rows, of the gathered entries, and of the slice; that is
    16 bytes each, measured so. The reference's logits lie beside them only in the forward pass, which
    stays below that peak: precomputing the reference's log-probabilities saves time, not memory.
    PPO does the same with whole sequences, GRPO with completions. SFT (``chunked_nll``) makes logits of
    256 tokens at a time, and for that a copy of the output layer in float32. DPO's and GRPO's entropies
    are taken 128 tokens at a time, with three tensors of that size, of little account here.
    """
    if stage == "reward":
        return 0
    if stage == "sft":
        return 4 * _FLOAT32 * min(256, sequences * length) * shape.vocabulary + (0 if wide else shape.head * _FLOAT32)
    positions = completion + 1 if stage == "grpo" else length
    return 4 * _FLOAT32 * sequences * positions * shape.vocabulary


def _generation_cache(shape: Shape, *, stage: Stage, sequences: int, length: int, completion: int, width: int) -> int:
    """Keys and values of every block and token; for PPO also float32 scores of new tokens, twice, as TRL stacks them."""
    if stage not in ("ppo", "grpo"):
        return 0
    keys_and_values = 2 * shape.layers * shape.kv_heads * shape.head_dim * width * sequences * length
    scores = 2 * _FLOAT32 * sequences * completion * shape.vocabulary if stage == "ppo" else 0
    return keys_and_values + scores


def _flops(shape: Shape, *, stage: Stage, length: int, rank: int, layers: int, checkpointing: bool) -> int:
    attention = 4 * length * shape.heads * shape.head_dim
    block, lora = 2 * shape.linear_weights + attention, 2 * shape.adapter(rank, 1)
    forward = shape.layers * block + layers * lora
    # The gradient of attention takes twice its forward pass, that of a frozen layer once, that of an adapter twice.
    backward = (shape.layers if checkpointing else layers) * (block + attention) + layers * 2 * lora
    trained = forward + backward + (forward if checkpointing else 0)
    plain, plain_heads = _PASSES_WITHOUT_GRADIENTS[stage]
    heads = plain_heads + (0 if stage == "reward" else 2)
    return (2 if stage == "ppo" else 1) * trained + plain * shape.layers * block + heads * 2 * shape.head
