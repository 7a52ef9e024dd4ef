"""Supervised fine-tuning on what the model should have said (TRL's ``SFTTrainer``)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guardmed.align.pairs import PreferencePair
from guardmed.align.settings import StageSettings
from guardmed.align.training import Trainee, arguments, trainer_of

DEFAULTS: dict[str, Any] = {
    "num_train_epochs": 1.0, "per_device_train_batch_size": 16, "learning_rate": 5e-4, "lr_scheduler_type": "linear", "warmup_steps": 0.03,
    "weight_decay": 0.0, "max_length": 512, "train_sampling_strategy": "sequential",
}  # fmt: skip
_IGNORED = -100
# Batches that are sorted together: more of them save more padding, fewer mix better.
_BLOCK = 16
# The constant of TRL that says how many answer tokens go through the head at once, and what that is a multiple of here.
_TRL_PIECE = "_CHUNKED_LM_HEAD_CHUNK_SIZE"
_PIECE = 32


def sft_rows(rows: Sequence[PreferencePair], tokenizer: Any) -> list[dict[str, list[int]]]:
    """Token ids and labels: the loss is on the answer alone, and an opening ends without its end.

    The tokens are those that generation sees: the prompt is rendered as for generation, and the answer follows it
    as its own tokens.
    """
    from guardmed.align.templates import ending, prompt_ids, rendered
    from guardmed.models.tokens import following

    closing = ending(tokenizer)
    out = []
    for row in rows:
        head = prompt_ids(row, tokenizer)
        text = rendered(row, tokenizer)[1] + row.chosen + (closing if row.whole else "")
        tail = following(text, tokenizer)
        if tail:
            out.append({"input_ids": [*head, *tail], "labels": [*[_IGNORED] * len(head), *tail]})
    return out


def of_like_length(rows: Sequence[dict[str, list[int]]], *, batch: int, seed: int) -> list[dict[str, list[int]]]:
    """Rows in an order drawn by the seed, in which those of one batch are of like length, so that little of it is padding.

    The order stands in the data, for a sampler that draws it anew can't be taken up in the middle of an epoch.
    """
    rng = random.Random(seed)
    drawn = rng.sample(list(rows), len(rows))
    batches: list[list[dict[str, list[int]]]] = []
    for at in range(0, len(drawn), _BLOCK * batch):
        block = sorted(drawn[at : at + _BLOCK * batch], key=lambda row: len(row["input_ids"]))
        batches += [block[start : start + batch] for start in range(0, len(block), batch)]
    whole = [one for one in batches if len(one) == batch]
    rng.shuffle(whole)
    # A batch that is not full goes last, or every one after it would be shifted.
    return [row for one in (*whole, *(one for one in batches if len(one) < batch)) for row in one]


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
    from trl import SFTConfig, SFTTrainer

    config = arguments(DEFAULTS, settings.arguments, SFTConfig, out=out, seed=seed)
    ordered = of_like_length(sft_rows(rows, trainee.tokenizer), batch=config.per_device_train_batch_size, seed=seed)
    with _head_pieces(ordered, batch=config.per_device_train_batch_size):
        return trainer_of(SFTTrainer, trainee, config, ordered, lora=lora, watch=watch)


@contextmanager
def _head_pieces(rows: Sequence[dict[str, list[int]]], *, batch: int) -> Iterator[None]:
    """Let TRL compute the head for about as many answer tokens at a time as a batch has.

    It fills every piece up to a constant of its own, 256; a batch of openings has 30, and the head of a small model is
    most of it. Where a newer TRL has no such constant, nothing changes but the time.
    """
    from trl.trainer import sft_trainer as trl_sft

    answers = sorted(sum(label != _IGNORED for label in row["labels"]) for row in rows)
    usual: int | None = getattr(trl_sft, _TRL_PIECE, None)
    if usual is None or not answers:
        yield
        return
    needed = batch * answers[len(answers) // 2]
    setattr(trl_sft, _TRL_PIECE, min(usual, -(-needed // _PIECE) * _PIECE))
    try:
        yield
    finally:
        setattr(trl_sft, _TRL_PIECE, usual)
