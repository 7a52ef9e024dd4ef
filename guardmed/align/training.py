"""What every stage of training has in common: the model it holds, its adapters, its arguments, and what it leaves behind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from guardmed.align.results import Point
from guardmed.align.settings import LoadSettings, LoraSettings
from guardmed.align.state import SafeState, latest, sharded
from guardmed.errors import ExecutionError, ModelError, UsageError
from guardmed.files import atomic_folder
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.models.hint import Hint, read_hint

STATES = "training"
# Keys of what a trainer logs that are no figures of learning.
_NO_FIGURES = frozenset({"total_flos", "train_runtime", "train_samples_per_second", "train_steps_per_second", "epoch"})


@dataclass
class Trainee:
    """A model that is to learn.

    Attributes
    ----------
    model : torch module
        In training, with adapters once :func:`trainer_of` has put them there.
    tokenizer : transformers tokenizer
        With a chat template.
    added : int
        Terms that the vocabulary was extended by.
    hint : Hint or None
        What it listens to, and is saved with.
    fingerprint : str
        Of the model as it was before; empty for a hub's in 4 bits.
    """

    model: Any
    tokenizer: Any
    added: int = 0
    hint: Hint | None = None
    fingerprint: str = ""

    @property
    def trainable(self) -> int:
        """Parameters that learn."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @property
    def parameters(self) -> int:
        """Parameters in all."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def load_trainee(spec: str, *, adapter: Path | None, settings: LoadSettings, terms: list[str] | None = None) -> Trainee:
    """Load a model to be trained.

    Raises
    ------
    ModelError
        There is no such model, or it can't be trained here.
    """
    from guardmed.align.templates import add_terms, give_template
    from guardmed.models import load_model

    if settings.bits == 4:
        model, tokenizer, folder = _in_four_bits(spec, adapter)
        hint, fingerprint = (read_hint(folder), fingerprint_folder(folder)) if folder else (None, "")
    else:
        loaded: Any = load_model(spec, adapter=adapter)
        if not hasattr(loaded, "tokenizer"):
            raise ModelError(f"{spec} can't be trained: its weights are not here.", mend="Name a folder, a hub id or reference.")
        model, tokenizer, hint, fingerprint = loaded.model, loaded.tokenizer, loaded.hint, loaded.fingerprint
    added = add_terms(model, tokenizer, terms) if terms else 0
    give_template(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.use_cache = False
    if settings.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return Trainee(model, tokenizer, added, hint, fingerprint)


def _in_four_bits(spec: str, adapter: Path | None) -> tuple[Any, Any, Path | None]:
    from importlib.util import find_spec

    import torch

    if not torch.cuda.is_available() or find_spec("bitsandbytes") is None:
        raise UsageError("4-bit loading needs CUDA and bitsandbytes.", mend="Set load.bits: 16, or install bitsandbytes on a machine with a GPU.")
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    from guardmed.models.load import reading_errors, resolve
    from guardmed.models.quiet import quiet

    if adapter is not None:
        raise UsageError("An adapter can't be merged into 4-bit weights.", mend="Merge it first, in 16 bits.")
    folder = resolve(spec)
    source = str(folder or spec)
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16)
    with quiet(), reading_errors(spec):
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModelForCausalLM.from_pretrained(source, quantization_config=config, use_safetensors=True, device_map={"": 0})
    return prepare_model_for_kbit_training(model), tokenizer, folder


def lora_config(trainee: Trainee, settings: LoraSettings) -> Any:
    """PEFT's configuration of the adapters; the embeddings of an extended vocabulary learn with them.

    Raises
    ------
    UsageError
        The model has fewer layers than adapters are asked for.
    """
    from peft import LoraConfig

    config = trainee.model.config.get_text_config()
    depth = int(config.num_hidden_layers)
    if settings.layers is not None and settings.layers > depth:
        raise UsageError(f"lora.layers is {settings.layers}; the model has {depth} layers.", mend="Lower it, or leave it out for all.")
    names = settings.targets[0] if len(settings.targets) == 1 and settings.targets[0] == "all-linear" else list(settings.targets)
    if settings.layers is not None and names == "all-linear":
        names = _linear_names(trainee.model)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=names,
        layers_to_transform=None if settings.layers is None else list(range(depth - settings.layers, depth)),
        modules_to_save=_embeddings(trainee.model) if trainee.added else None,
        ensure_weight_tying=bool(trainee.added and trainee.model.config.tie_word_embeddings),
    )


def _linear_names(model: Any) -> list[str]:
    """Names of the linear modules within layers: of all of them without the head."""
    import torch

    head = model.get_output_embeddings()
    return sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head})


def _embeddings(model: Any) -> list[str]:
    tables = [model.get_input_embeddings(), *([] if model.config.tie_word_embeddings else [model.get_output_embeddings()])]
    return sorted({name.rpartition(".")[2] for name, module in model.named_modules() if any(module is table for table in tables)})


def arguments(defaults: Mapping[str, Any], given: Mapping[str, Any], config: Any, *, out: Path, seed: int) -> Any:
    """A configuration of TRL: GuardMed's defaults, what was given on top, and what a run can't do without.

    Raises
    ------
    UsageError
        TRL has no such argument, or refuses its value.
    """
    import torch

    fixed = {"output_dir": str(out / STATES), "seed": seed, "data_seed": seed}
    taken = sorted(set(given) & {"output_dir", "seed", "data_seed"})
    if taken:
        raise UsageError(f"{', '.join(taken)} can't be set among the arguments.", mend="Use --out and seed.")
    common: dict[str, Any] = {
        "report_to": "none", "save_strategy": "no", "logging_steps": 1, "disable_tqdm": True, "use_cpu": not torch.cuda.is_available(),
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(), "dataloader_pin_memory": torch.cuda.is_available(),
        "remove_unused_columns": False, "max_grad_norm": 1.0,
    }  # fmt: skip
    # TRL recomputes activations by default; LoadSettings says whether to. The old name is deprecated where there is a new one.
    if any(field.name == "activation_checkpointing" for field in fields(config)):
        common |= {"gradient_checkpointing": None, "activation_checkpointing": False}
    else:
        common["gradient_checkpointing"] = False
    try:
        return config(**{**common, **defaults, **given, **fixed})
    except (TypeError, ValueError) as error:
        raise UsageError(f"TRL refuses its arguments: {error}.", mend=f"Those of {config.__name__} go under arguments.") from None


def trainer_of(
    base: Any, trainee: Trainee, config: Any, rows: Sequence[Any], *, lora: Any, watch: Any = None, model: Any = None, tokenizer: Any = None, **more: Any
) -> Any:
    """One of TRL's trainers, which keeps its state without pickles; the trainee becomes the model that it trains.

    Parameters
    ----------
    base : type
        TRL's trainer.
    trainee : Trainee
    config : object
        Of :func:`arguments`.
    rows : sequence of dict
    lora : peft.LoraConfig
    watch : transformers callback, optional
    model, tokenizer : optional
        In place of the trainee's.
    more : dict
        Whatever else that trainer takes.
    """
    from datasets import Dataset

    class Trainer(SafeState, base):  # type: ignore[misc]
        pass

    trainer = Trainer(
        model=model if model is not None else trainee.model,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer if tokenizer is not None else trainee.tokenizer,
        peft_config=lora,
        callbacks=[watch] if watch is not None else [],
        **more,
    )
    trainee.model = trainer.model
    return trainer


def train(trainer: Any, *, out: Path, resume: bool) -> None:
    """Run a trainer, from its newest whole state where it is to be resumed.

    Raises
    ------
    ExecutionError
        There is no state to resume from, or the loss is no number any more.
    UsageError
        The run is sharded, and is to be resumed.
    """
    if resume and sharded(trainer):
        raise UsageError("A sharded run can't be resumed: its states would be pickles.", mend="Run without --resume, or on one device.")
    state = latest(out / STATES) if resume else None
    if resume and state is None:
        raise ExecutionError(
            f"{out / STATES} holds no whole training state.", mend="Run without --resume; save states with arguments: {save_strategy: steps, save_steps: N}."
        )
    trainer.train(resume_from_checkpoint=str(state) if state else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not all(map(math.isfinite, losses)):
        raise ExecutionError("The loss became no number.", mend="Lower the learning rate, or train in float32.")


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep the bars of transformers and datasets off the terminal, where GuardMed's own stands."""
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar

    from guardmed.models.quiet import quiet

    disable_progress_bar()
    try:
        with quiet(), warnings.catch_warnings():
            # PEFT 0.21 reads a property that transformers 5.23 deprecates.
            warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated", category=FutureWarning)
            yield
    finally:
        enable_progress_bar()


def curve(trainer: Any) -> tuple[Point, ...]:
    """What a trainer logged, step by step."""
    points: dict[int, dict[str, float]] = {}
    for entry in trainer.state.log_history:
        step = int(entry.get("step", 0))
        values = {name: float(value) for name, value in entry.items() if isinstance(value, (int, float)) and name != "step" and name not in _NO_FIGURES}
        points.setdefault(step, {}).update({name: value for name, value in values.items() if math.isfinite(value)})
    return tuple(Point(step=step, values=values) for step, values in sorted(points.items()) if values)


def save_checkpoint(trainee: Trainee, out: Path, *, merged: bool = True) -> None:
    """Write ``adapter`` and ``checkpoint``, each whole or not at all; the checkpoint is a model that every command takes."""
    with atomic_folder(out / "adapter") as folder:
        # Embeddings that learn are among its modules; asking whether there are more would go over the network.
        trainee.model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
        trainee.tokenizer.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's own card is empty
        if trainee.hint:
            trainee.hint.save(folder)
    if not merged:
        return
    model = trainee.model.merge_and_unload()
    model.config.use_cache = True
    with atomic_folder(out / "checkpoint") as folder:
        model.save_pretrained(str(folder), safe_serialization=True)
        trainee.tokenizer.save_pretrained(str(folder))
        if trainee.hint:
            trainee.hint.save(folder)
