"""The student: a small encoder that learns from the teacher, and the file it ships in."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from intent.augment import Augmenter, wrapped
from intent.examples import ROOT, Example, folded
from intent.teacher import Teacher, batches, judged, padded, pooled

PIECES = 24_000
INPUT, HIDDEN, INNER, HEADS, LAYERS, PLACES = 128, 256, 512, 4, 3, 128
VARIANTS = 5
EPOCHS = 5
BATCH = 128
RATE = 1e-3
PAD, UNKNOWN = 0, 1
_LATIN_OR_CHINESE = re.compile(r"▁?[a-z']+|▁?[㐀-䶿一-鿿]+|▁?[0-9.,?!;:，。？！、()（）%/+-]+|▁")


@dataclass(frozen=True)
class Vocabulary:
    """The student's pieces: a selection of the teacher's.

    Attributes
    ----------
    tokenizer : Tokenizer
    teacher : array of int, shape (pieces,)
        The teacher's number of each piece.
    vectors : array of shape (pieces, INPUT)
        The teacher's word vectors, on their main axes.
    """

    tokenizer: Tokenizer
    teacher: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(folded(text)[:500]).ids[:PLACES]


def choose_vocabulary(teacher: Teacher, data: list[Example], corpus: list[str]) -> Vocabulary:
    """The pieces of the examples, then those commonest in ordinary texts, then the most probable ones."""
    table = json.loads(teacher.tokenizer.backend_tokenizer.to_str())["model"]["vocab"]
    counts: Counter[int] = Counter()
    for texts, weight in (([example.text for example in data], 1000), (corpus, 1)):
        for text in texts:
            for piece in teacher.tokenizer(folded(text), add_special_tokens=False)["input_ids"]:
                counts[piece] += weight
    usable = [index for index, (piece, _) in enumerate(table) if _LATIN_OR_CHINESE.fullmatch(piece)]
    ranked = sorted(usable, key=lambda index: (-counts[index], -table[index][1]))[: PIECES - 2]
    chosen = np.array([teacher.tokenizer.pad_token_id, teacher.tokenizer.unk_token_id, *sorted(ranked)])
    pieces = [("<pad>", 0.0), ("<unk>", 0.0), *((table[index][0], table[index][1]) for index in chosen[2:])]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    words = teacher.encoder.get_input_embeddings().weight.detach().numpy()[chosen]
    weight = np.sqrt(np.array([counts[index] for index in chosen], dtype=np.float64) / 1000 + 1e-3)[:, None]
    centre = (words * weight).sum(0) / weight.sum()
    _, axes = np.linalg.eigh(((words - centre) * weight).T @ (words - centre))
    vectors = (words - centre) @ axes[:, ::-1][:, :INPUT]
    vectors[PAD] = 0
    return Vocabulary(tokenizer, chosen, (vectors / vectors.std()).astype(np.float32))


class Layer(nn.Module):
    """Self-attention and a feed-forward part, each normed before."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attend, self.norm_feed = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.attend, self.join = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.widen, self.narrow = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.drop = nn.Dropout(0.1)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows, places, _ = states.shape
        query, key, value = self.attend(self.norm_attend(states)).view(rows, places, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :].bool())
        states = states + self.drop(self.join(seen.transpose(1, 2).reshape(rows, places, HIDDEN)))
        # The sigmoid form of GELU costs numpy one exponential.
        wide = self.widen(self.norm_feed(states))
        return states + self.drop(self.narrow(wide * torch.sigmoid(1.702 * wide)))


class Student(nn.Module):
    """Word vectors of the teacher, widened, through a few layers; mean and maximum decide."""

    def __init__(self, vocabulary: Vocabulary, states: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.words = nn.Embedding.from_pretrained(torch.tensor(vocabulary.vectors), freeze=True)
        self.widen = nn.Linear(INPUT, HIDDEN)
        self.place = nn.Parameter(torch.randn(PLACES, HIDDEN) * 0.02)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(HIDDEN)
        self.head = nn.Linear(2 * HIDDEN, 1)
        self.likeness = nn.Linear(HIDDEN, states)
        self.drop = nn.Dropout(0.1)

    def forward(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, shape (rows,), and the teacher's states as the student imagines them."""
        ids, mask = padded(rows, pad=PAD)
        states = self.drop(self.widen(self.words(ids)) + self.place[: ids.shape[1]])
        for layer in self.layers:
            states = layer(states, mask)
        mean, most = pooled(self.norm(states), mask)
        return self.head(self.drop(torch.cat([mean, most], 1)))[:, 0], self.likeness(mean)


def train_student(teacher: Teacher, data: list[Example], folder: Path) -> Student:
    """Learn the teacher's verdicts and states on the examples and on ``VARIANTS`` variants of each."""
    torch.manual_seed(0)
    words = random.Random(2)
    vocabulary = choose_vocabulary(teacher, data, _corpus())
    file = folder / "judged.npz"
    plain = [vocabulary.ids(example.text) for example in data]
    order = sorted(vocabulary.tokenizer.get_vocab().items(), key=lambda item: item[1])
    ordinary = np.array([_LATIN_OR_CHINESE.fullmatch(piece) is not None for piece, _ in order])
    augmenter = Augmenter(vocabulary.vectors, ordinary)
    rows = [row or [UNKNOWN] for row in plain]
    for _ in range(VARIANTS):
        rows += [augmenter.exchanged(vocabulary.ids(wrapped(example, words))) or [UNKNOWN] for example in data]
    if file.is_file():
        with np.load(file) as kept:
            logits, states = kept["logits"], kept["states"]
    else:
        logits, states = judged(teacher, [teacher.wrap([int(vocabulary.teacher[piece]) for piece in row]) for row in rows])
        np.savez(file, logits=logits, states=states)
    centre, scale = states[: len(data)].astype(np.float32).mean(0), states[: len(data)].astype(np.float32).std()
    student = Student(vocabulary, states.shape[1])
    optimiser = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=RATE, weight_decay=0.05)
    total = EPOCHS * math.ceil(len(rows) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min((step + 1) / 300, max(0.02, 1 - step / total)))
    chance, started, step = np.random.default_rng(3), time.time(), 0
    # What people labelled pulls the teacher's verdict a little to its side.
    believed = 1 / (1 + np.exp(-logits))
    believed[: len(data)] = 0.7 * believed[: len(data)] + 0.3 * np.array([example.harmful for example in data])
    for _ in range(EPOCHS):
        for batch in batches([len(row) for row in rows], BATCH, chance):
            logit, imagined = student([rows[index] for index in batch])
            aim = torch.tensor((states[batch].astype(np.float32) - centre) / scale)
            verdict = nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(believed[batch]).float())
            loss = verdict + 0.5 * nn.functional.mse_loss(imagined, aim)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if step % 200 == 0:
                print(f"student {step} of {total}: verdict {verdict.item():.3f}, all {loss.item():.3f}, {time.time() - started:.0f} s", flush=True)
    return student.eval()


def save(student: Student, path: Path) -> None:
    """Write what the guard needs: matrices in 8 bits with a scale a row, vectors in 16, and the tokenizer."""
    out: dict[str, NDArray] = {"tokenizer": np.frombuffer(student.vocabulary.tokenizer.to_str().encode(), dtype=np.uint8)}
    for name, value in student.state_dict().items():
        if name.startswith("likeness"):
            continue
        array = value.numpy()
        if array.ndim == 2 and array.shape[0] > 1:
            scale = np.abs(array).max(axis=1, keepdims=True) / 127 + 1e-12
            out[name], out[f"{name}.scale"] = np.round(array / scale).astype(np.int8), scale.astype(np.float32)
        else:
            out[name] = array.astype(np.float32)
    np.savez_compressed(path, heads=np.int64(HEADS), **out)


def _corpus() -> list[str]:
    """Ordinary medical texts, for the choice of pieces alone."""
    shared = ROOT.parent / "shared" / "data" / "calibration"
    texts = []
    for name in ("medmcqa_en", "cmexam_zh", "pubmedqa_labelled_en"):
        if (shared / f"{name}.jsonl").is_file():
            rows = [json.loads(line) for line in (shared / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]
            texts += [" ".join([row["question"], *map(str, row["options"])]) for row in rows]
            texts += [row["long_answer"] for row in rows if "long_answer" in row]
    for folder in ("docs", "policies", "audits", "calibration/sets"):
        texts += [file.read_text(encoding="utf-8") for file in sorted((ROOT / folder).rglob("*")) if file.suffix in (".md", ".yaml", ".jsonl")]
    return texts
