"""Proximal policy optimisation (Schulman et al., 2017; TRL's experimental ``PPOTrainer``) against a trained reward model.

The reference policy is the model without its adapters. The value model begins as the reward model and learns by
adapters of its own and its score. TRL keeps no state of it, so a run can't be taken up again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.align.reward import load_reward
from guardmed.align.rollout import answering, balanced
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments
from guardmed.errors import DataError, ExecutionError, UsageError

# Unfinished answers are not punished by default: refusals are short, so that would reward refusing.
DEFAULTS: dict[str, Any] = {
    "max_steps": 100, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "num_ppo_epochs": 2, "num_mini_batches": 1,
    "response_length": 48, "stop_token": "eos", "temperature": 1.0, "kl_coef": 0.05, "vf_coef": 0.1, "learning_rate": 1e-4,
    "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3, "weight_decay": 0.0, "num_sample_generations": 0,
}  # fmt: skip


def ppo_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Tokens of prompts in balance, as generation sees them."""
    from guardmed.align.templates import prompt_ids

    return [{"input_ids": prompt_ids(row, tokenizer)} for row in balanced(rows)]


def ppo_trainer(
    trainee: Trainee, rows: Sequence[PreferencePair], settings: StageSettings, *, reward: Path | None, lora: Any, out: Path, seed: int, watch: Any = None
) -> Any:
    """A trainer, ready to run; parameters as those of :func:`guardmed.align.sft.sft_trainer`, and the folder of a reward model.

    Raises
    ------
    UsageError, ModelError
        No reward model is named, its vocabulary is not the model's, or TRL refuses the sizes of batches.
    DataError
        There are fewer prompts than an update takes.
    """
    from accelerate import PartialState
    from datasets import Dataset
    from peft import inject_adapter_in_model

    ppo = _trl_ppo()
    config = arguments(DEFAULTS, settings.arguments, ppo.PPOConfig, out=out, seed=seed)
    prompts = ppo_rows(rows, trainee.tokenizer)
    each = config.per_device_train_batch_size * config.gradient_accumulation_steps
    if len(prompts) < each * PartialState().num_processes:
        raise DataError(
            f"There are {len(prompts)} prompts, and an update takes {each}.", mend="Lower ppo.arguments.per_device_train_batch_size, or make more pairs."
        )
    if config.max_steps > 0:  # which TRL's loop does not look at
        config.total_episodes = config.max_steps * each * PartialState().num_processes
    scorer, value = load_reward(reward), load_reward(reward)
    if scorer.config.get_text_config().vocab_size != trainee.model.config.get_text_config().vocab_size:
        raise UsageError("The reward model and the model to be trained have different vocabularies.", mend="Train the reward model from the same base.")
    inject_adapter_in_model(replace(lora, task_type="SEQ_CLS", modules_to_save=None), value)
    value.score.requires_grad_(True)
    try:
        trainer = _trainer_class(ppo.PPOTrainer)(
            model=trainee.model,
            ref_model=None,
            reward_model=scorer,
            value_model=value,
            args=config,
            train_dataset=Dataset.from_list(prompts),
            processing_class=answering(trainee.tokenizer),
            peft_config=lora,
            callbacks=[watch] if watch is not None else [],
        )
    except ValueError as error:
        raise UsageError(f"TRL refuses its arguments: {error}.", mend="See those of PPOConfig.") from None
    trainee.model = trainer.policy_model
    return trainer


def _trl_ppo() -> Any:
    """TRL's module, without its warning that it is experimental: the range of versions that GuardMed takes all have it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are importing from 'trl.experimental'")
        from trl.experimental import ppo
    return ppo


def _trainer_class(base: Any) -> type:
    """TRL's trainer, silent, with the policy as the model that callbacks see, and ending when one of them says so."""
    from transformers import TrainerCallback

    from guardmed.align.state import SafeState

    class End(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
            if control.should_training_stop and state.global_step < state.max_steps:
                raise _Ended

    class Trainer(SafeState, base):  # type: ignore[misc]
        def __init__(self, *, model: Any, callbacks: list[Any], **options: Any) -> None:
            self._usual_end = model.generation_config.eos_token_id
            super().__init__(model=model, callbacks=[*callbacks, End()], **options)
            self.callback_handler.model = self.policy_model
            self.accelerator.print = _silent

        def train(self, resume_from_checkpoint: str | None = None) -> None:
            if resume_from_checkpoint is not None:
                raise UsageError("A run of PPO can't be taken up again: TRL keeps no state of the value model.", mend="Run without --resume.")
            try:
                super().train()
            except _Ended:
                self.callback_handler.on_train_end(self.args, self.state, self.control)
            finally:
                self.policy_model.generation_config.eos_token_id = self._usual_end

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            super().log(logs, start_time)
            if not math.isfinite(logs.get("loss/policy_avg", 0.0)):
                raise ExecutionError("The loss became no number.", mend="Lower the learning rate, or train in float32.")

    return Trainer


class _Ended(Exception):
    """A callback ended training, which TRL's loop does not look for."""


def _silent(*_said: Any, **_how: Any) -> None:
    """What TRL prints on its way is not a result."""
