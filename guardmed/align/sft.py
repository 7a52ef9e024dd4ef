"""Supervised fine-tuning on what the model should have said (TRL's ``SFTTrainer``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments

DEFAULTS: dict[str, Any] = {
    "num_train_epochs": 1.0, "per_device_train_batch_size": 16, "learning_rate": 5e-4, "lr_scheduler_type": "linear", "warmup_steps": 0.03,
    "weight_decay": 0.0, "max_length": 512, "train_sampling_strategy": "group_by_length",
}  # fmt: skip
_IGNORED = -100


def sft_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Token ids and labels: the loss is on the answer alone, and an opening ends without its end.

    The tokens are those that generation sees: the prompt is rendered as for generation, and the answer follows it
    as its own tokens.
    """
    from guardmed.align.templates import ending, prompt_ids
    from guardmed.models.prompting import lead, render

    closing = ending(tokenizer)
    out = []
    for row in rows:
        head = prompt_ids(row.prompt, tokenizer)
        text = lead(render(row.prompt, tokenizer)) + row.chosen + (closing if row.whole else "")
        tail = tokenizer(text, add_special_tokens=False)["input_ids"]
        if tail:
            out.append({"input_ids": [*head, *tail], "labels": [*[_IGNORED] * len(head), *tail]})
    return out


def sft_trainer(trainee: Trainee, rows: Sequence[PreferencePair], settings: StageSettings, *, lora: Any, out: Path, seed: int, watch: Any = None) -> Any:
    """A trainer, ready to run.

    Parameters
    ----------
    trainee : Trainee
        Gets its adapters here.
    rows : sequence of PreferencePair
    settings : StageSettings
    lora : peft.LoraConfig
    out : Path
        Folder of the run.
    seed : int
    watch : transformers callback, optional
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from guardmed.align.state import SafeState

    class Trainer(SafeState, SFTTrainer):  # type: ignore[misc]
        pass

    config = arguments(DEFAULTS, settings.arguments, SFTConfig, out=out, seed=seed)
    trainer = Trainer(
        model=trainee.model,
        args=config,
        train_dataset=Dataset.from_list(sft_rows(rows, trainee.tokenizer)),
        processing_class=trainee.tokenizer,
        peft_config=lora,
        callbacks=[watch] if watch is not None else [],
    )
    trainee.model = trainer.model
    return trainer
