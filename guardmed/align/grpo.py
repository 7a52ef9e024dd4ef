"""Group relative policy optimisation (Shao et al., 2024, "DeepSeekMath"; TRL's ``GRPOTrainer``), with the guard's verdict as reward.

The reference policy is the model without its adapters. A group in which every answer gets the same reward teaches
nothing, so the model is warmed up by supervised training first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.align.rollout import answering, balanced
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments, trainer_of
from guardmed.align.verdict import VerdictReward
from guardmed.policy import Policy

# Two prompts a step with four answers each, and a hundred steps: what a CPU can do. On a GPU more of all three teaches more.
DEFAULTS: dict[str, Any] = {
    "max_steps": 100, "per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 48, "temperature": 1.0, "beta": 0.02,
    "learning_rate": 1e-4, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3, "weight_decay": 0.0,
}  # fmt: skip


def grpo_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, str]]:
    """Prompts in balance, rendered as for generation, and the ids that the reward knows them by."""
    from guardmed.align.templates import rendered

    return [{"prompt": rendered(row, tokenizer)[0], "id": str(row.id)} for row in balanced(rows)]


def grpo_trainer(
    trainee: Trainee, rows: Sequence[PreferencePair], settings: StageSettings, *, policy: Policy, lora: Any, out: Path, seed: int, watch: Any = None
) -> Any:
    """A trainer, ready to run; parameters as those of :func:`guardmed.align.sft.sft_trainer`, and the policy that judges answers."""
    from trl import GRPOConfig, GRPOTrainer

    config = arguments(DEFAULTS, settings.arguments, GRPOConfig, out=out, seed=seed)
    prompts, judge = grpo_rows(rows, trainee.tokenizer), VerdictReward(rows, policy)
    return trainer_of(GRPOTrainer, trainee, config, prompts, lora=lora, watch=watch, tokenizer=answering(trainee.tokenizer), reward_funcs=judge)
