"""Direct preference optimisation (Rafailov et al., 2023; TRL's ``DPOTrainer``).

The reference policy is the model without its adapters. A refusal must have some probability before it can be
preferred, so the model is warmed up by supervised training first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments, trainer_of
from guardmed.errors import DataError

DEFAULTS: dict[str, Any] = {
    "num_train_epochs": 1.0, "per_device_train_batch_size": 8, "learning_rate": 1e-4, "lr_scheduler_type": "linear", "warmup_steps": 0.1,
    "weight_decay": 0.0, "max_length": 512, "beta": 0.1, "precompute_ref_log_probs": False,
}  # fmt: skip


def preferences(rows: Sequence[PreferencePair]) -> list[PreferencePair]:
    """Rows with whole answers on both sides.

    Raises
    ------
    DataError
        There are none.
    """
    found = [row for row in rows if row.rejected is not None and row.whole]
    if not found:
        raise DataError("None of the pairs has a rejected answer.", mend="Make pairs with pairs.preferences above 0.")
    return found


def dpo_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, str]]:
    """Texts as TRL's preference trainers take them, rendered as for generation."""
    from guardmed.align.templates import ending, rendered

    closing = ending(tokenizer)
    out = []
    for row in rows:
        head, before = rendered(row, tokenizer)
        out.append({"prompt": head, "chosen": f"{before}{row.chosen}{closing}", "rejected": f"{before}{row.rejected}{closing}"})
    return out


def dpo_trainer(trainee: Trainee, rows: Sequence[PreferencePair], settings: StageSettings, *, lora: Any, out: Path, seed: int, watch: Any = None) -> Any:
    """A trainer, ready to run; parameters as those of :func:`guardmed.align.sft.sft_trainer`."""
    from trl import DPOConfig, DPOTrainer

    config = arguments(DEFAULTS, settings.arguments, DPOConfig, out=out, seed=seed)
    return trainer_of(DPOTrainer, trainee, config, dpo_rows(preferences(rows), trainee.tokenizer), lora=lora, watch=watch)
