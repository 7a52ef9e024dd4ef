"""The teacher: a multilingual encoder of 12 layers, fine-tuned whole on the examples."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModel, AutoTokenizer

from intent.augment import wrapped
from intent.examples import Example, folded

Rows = Callable[[random.Random], list[list[int]]]
Loss = Callable[[NDArray[np.int64], torch.Tensor, torch.Tensor], torch.Tensor]

LONGEST = 96
BATCH = 32
EPOCHS = 2
RATE = 1e-4


class Teacher(nn.Module):
    """An encoder and a linear head on the mean and the maximum of its states."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.encoder = AutoModel.from_pretrained(encoder, add_pooling_layer=False)
        self.encoder.get_input_embeddings().weight.requires_grad_(False)
        self.head = nn.Linear(2 * self.encoder.config.hidden_size, 1)

    def forward(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, shape (rows,), and mean states, shape (rows, hidden)."""
        ids, mask = padded(rows, pad=self.tokenizer.pad_token_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = self.encoder(ids, attention_mask=mask).last_hidden_state.float()
        mean, most = pooled(states, mask)
        return self.head(torch.cat([mean, most], 1))[:, 0], mean

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(folded(text)[:500], truncation=True, max_length=LONGEST)["input_ids"]

    def wrap(self, pieces: list[int]) -> list[int]:
        """Pieces with the marks of beginning and end."""
        return [self.tokenizer.cls_token_id, *pieces[: LONGEST - 2], self.tokenizer.sep_token_id]


def padded(rows: list[list[int]], *, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros(len(rows), longest)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    return ids, mask


def pooled(states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and maximum over the places that are not padding."""
    weight = mask[..., None]
    return (states * weight).sum(1) / weight.sum(1), states.masked_fill(weight == 0, -1e4).max(1).values


def batches(lengths: list[int], size: int, chance: np.random.Generator) -> list[NDArray[np.int64]]:
    """Indices in batches of like lengths, in random order."""
    order = np.argsort(np.array(lengths) + chance.random(len(lengths)) * 8)
    out = [order[at : at + size] for at in range(0, len(order), size)]
    chance.shuffle(out)
    return out


def fit(model: Teacher, name: str, groups: list[dict], rows: Rows, loss: Loss, *, epochs: int) -> None:
    """Train in place: rows are written anew for every epoch, the rate rises for 100 steps and falls to nothing."""
    chance, words = np.random.default_rng(1), random.Random(1)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    first = rows(words)
    total = epochs * math.ceil(len(first) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min((step + 1) / 100, max(0.03, 1 - step / total)))
    started, step = time.time(), 0
    model.train()
    for epoch in range(epochs):
        now = rows(words) if epoch else first
        for batch in batches([len(row) for row in now], BATCH, chance):
            value = loss(batch, *model([now[index] for index in batch]))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            step += 1
            if step % 50 == 0:
                print(f"{name} {step} of {total}: loss {value.item():.3f}, {time.time() - started:.0f} s", flush=True)


def train_teacher(data: list[Example], encoder: str, folder: Path) -> Teacher:
    """Fine-tune, or load what was fine-tuned before from ``folder``."""
    torch.manual_seed(0)
    teacher = Teacher(encoder)
    file = folder / "teacher.pt"
    if file.is_file():
        teacher.load_state_dict(torch.load(file, weights_only=True))
        return teacher.eval()
    aims = torch.tensor([float(example.harmful) for example in data]) * 0.98 + 0.01
    groups = [
        {"params": [p for p in teacher.encoder.parameters() if p.requires_grad], "lr": RATE},
        {"params": teacher.head.parameters(), "lr": 10 * RATE},
    ]

    def loss(batch: NDArray[np.int64], logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits, aims[batch])

    fit(teacher, "teacher", groups, lambda words: [teacher.ids(wrapped(example, words)) for example in data], loss, epochs=EPOCHS)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(teacher.state_dict(), file)
    return teacher.eval()


@torch.no_grad()
def judged(teacher: Teacher, rows: list[list[int]]) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Logits and mean states of token rows, in their order."""
    logits = np.zeros(len(rows), dtype=np.float32)
    states = np.zeros((len(rows), teacher.encoder.config.hidden_size), dtype=np.float16)
    order = np.argsort([len(row) for row in rows], kind="stable")
    for at in range(0, len(order), 128):
        batch = order[at : at + 128]
        logit, mean = teacher([rows[index] for index in batch])
        logits[batch], states[batch] = logit.numpy(), mean.numpy().astype(np.float16)
    return logits, states
