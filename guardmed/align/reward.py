"""A reward model: the trained model's family with a score in place of its output layer (Bradley-Terry; TRL's ``RewardTrainer``).

It is scored on pairs of topics that it never saw: how often the answer that should be preferred gets the higher score.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from guardmed.align.dpo import preferences
from guardmed.align.pairs import PreferencePair
from guardmed.align.results import Rate
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments, save_checkpoint, trainer_of
from guardmed.errors import DataError, ModelError, UsageError
from guardmed.files import atomic_folder
from guardmed.stats import wilson

REWARD = "reward"
DEFAULTS: dict[str, Any] = {
    "num_train_epochs": 1.0, "per_device_train_batch_size": 8, "learning_rate": 2e-4, "lr_scheduler_type": "linear", "warmup_steps": 0.05,
    "weight_decay": 0.0, "max_length": 512, "center_rewards_coefficient": 0.01,
}  # fmt: skip
_HELD_OUT = 0.1
_BATCH = 16


def hold_out(rows: Sequence[PreferencePair]) -> list[PreferencePair]:
    """Rows among whose validation rows are pairs of both kinds, dangerous and harmless.

    Where one is lacking, as no answers of the model were sampled there, a tenth of the topics of training pairs
    becomes validation. Which ones depends on their names alone.
    """
    pairs = [row for row in rows if row.rejected is not None and row.whole]
    if len({row.harmful for row in pairs if row.split == "validation"}) == 2:
        return list(rows)
    topics = sorted({row.topic for row in pairs if row.split == "train"}, key=lambda topic: hashlib.sha256(topic.encode()).digest())
    held = set(topics[: max(1, round(_HELD_OUT * len(topics)))]) if len(topics) > 1 else set()
    return [row.model_copy(update={"split": "validation"}) if row.topic in held else row for row in rows]


def reward_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Token ids of prompt and answer, chosen and rejected, as generation sees and gives them."""
    from guardmed.align.templates import ending, prompt_ids, rendered
    from guardmed.models.tokens import following

    closing = ending(tokenizer)
    out = []
    for row in rows:
        head, before = prompt_ids(row, tokenizer), rendered(row, tokenizer)[1]
        chosen, rejected = (following(f"{before}{text}{closing}", tokenizer) for text in (row.chosen, row.rejected))
        out.append({"chosen_ids": [*head, *chosen], "rejected_ids": [*head, *rejected]})
    return out


def reward_trainer(trainee: Trainee, rows: Sequence[PreferencePair], settings: StageSettings, *, lora: Any, out: Path, seed: int, watch: Any = None) -> Any:
    """A trainer, ready to run; parameters as those of :func:`guardmed.align.sft.sft_trainer`.

    The trainee becomes a sequence classifier on the same weights.

    Raises
    ------
    ModelError
        There is no such classifier of the model's family.
    DataError
        There are no pairs, or all are longer than ``max_length``.
    """
    from trl import RewardConfig, RewardTrainer

    config = arguments(DEFAULTS, settings.arguments, RewardConfig, out=out, seed=seed)
    tokens = reward_rows(preferences(rows), trainee.tokenizer)
    fitting = [row for row in tokens if config.max_length is None or max(map(len, row.values())) <= config.max_length]
    if not fitting:
        raise DataError(f"Every pair is longer than {config.max_length} tokens.", mend="Raise reward.arguments.max_length.")
    classifier = scorer(trainee.model, trainee.tokenizer)
    return trainer_of(RewardTrainer, trainee, config, fitting, lora=replace(lora, task_type="SEQ_CLS"), watch=watch, model=classifier)


def scorer(model: Any, tokenizer: Any) -> Any:
    """The sequence classifier of a model's family around the model's own weights, with a new score of one number.

    Raises
    ------
    ModelError
        The family has none.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = copy.deepcopy(model.config)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_token_id
    try:
        with torch.device("meta"):
            made = AutoModelForSequenceClassification.from_config(config)
        width, prefix = made.score.in_features, made.base_model_prefix
    except (ValueError, AttributeError):
        raise ModelError(f"There is no reward model of the family {config.model_type!r}.", mend="Train by DPO or GRPO, which need none.") from None
    setattr(made, prefix, getattr(model, prefix))
    score = torch.nn.Linear(width, 1, bias=False)
    torch.nn.init.normal_(score.weight, std=getattr(config.get_text_config(), "initializer_range", 0.02))
    made.score = score.to(model.device)
    return widened(made)


def widened(classifier: Any) -> Any:
    """A classifier whose score is computed, and learns, in float32: steps of a usual size vanish in bfloat16."""
    classifier.score.float()
    classifier.score.register_forward_pre_hook(_to_float32)
    return classifier


def _to_float32(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0].float(),)


def ranked_right(model: Any, tokenizer: Any, rows: Sequence[PreferencePair]) -> Rate | None:
    """Share of pairs whose chosen answer is scored above the rejected one, with its Wilson interval; None without pairs."""
    import torch

    pairs = [row for row in rows if row.rejected is not None and row.whole]
    if not pairs:
        return None
    tokens = sorted(reward_rows(pairs, tokenizer), key=lambda row: len(row["chosen_ids"]) + len(row["rejected_ids"]))
    model.eval()
    right = 0
    with torch.no_grad():
        for at in range(0, len(tokens), _BATCH):
            batch = tokens[at : at + _BATCH]
            sequences = [row[side] for side in ("chosen_ids", "rejected_ids") for row in batch]
            longest = max(map(len, sequences))
            ids = torch.tensor([[*row, *[tokenizer.pad_token_id] * (longest - len(row))] for row in sequences], device=model.device)
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in sequences], device=model.device)
            scores = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, 0].float()
            right += int((scores[: len(batch)] > scores[len(batch) :]).sum())
    interval = wilson(right, len(pairs))
    return Rate(n=len(pairs), value=right / len(pairs), low=interval.low, high=interval.high)


def save_reward(trainee: Trainee, out: Path) -> None:
    """Write ``adapter`` and ``reward``, each whole or not at all; the latter is the merged classifier, in safetensors."""
    save_checkpoint(trainee, out, merged=False)
    model = trainee.model.merge_and_unload()
    with atomic_folder(out / REWARD) as folder:
        model.save_pretrained(str(folder), safe_serialization=True)
        trainee.tokenizer.save_pretrained(str(folder))


def check_reward(folder: Path | None) -> Path:
    """The folder of a reward model, looked at before anything long begins.

    Raises
    ------
    UsageError
        None is named.
    ModelError
        The folder holds none.
    """
    from transformers import AutoConfig

    from guardmed.models.load import reading_errors
    from guardmed.models.quiet import quiet

    mend = "Name the folder reward that guardmed align reward wrote: --reward RUN/reward."
    if folder is None:
        raise UsageError("PPO needs a reward model.", mend=mend)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no reward model.", mend=mend)
    with quiet(), reading_errors(str(folder)):
        config = AutoConfig.from_pretrained(str(folder))
    if config.num_labels != 1 or not any(name.endswith("SequenceClassification") for name in config.architectures or ()):
        raise ModelError(f"{folder} holds no reward model: it does not give one score.", mend=mend)
    return folder


def load_reward(folder: Path | None) -> Any:
    """A reward model that :func:`save_reward` wrote, on this machine's device, frozen; errors as in :func:`check_reward`."""
    from transformers import AutoModelForSequenceClassification

    from guardmed.models.device import probe
    from guardmed.models.load import reading_errors
    from guardmed.models.quiet import quiet

    folder, placement = check_reward(folder), probe()
    with quiet(), reading_errors(str(folder)):
        model = AutoModelForSequenceClassification.from_pretrained(str(folder), dtype=placement.torch_dtype, use_safetensors=True)
    return widened(model.to(placement.device)).requires_grad_(False)
