"""The student: every other layer of the teacher, taught by it, and the file it ships in."""

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

from intent.augment import wrapped
from intent.examples import ROOT, Example, folded
from intent.teacher import BATCH, LONGEST, Teacher, batches, judged

PIECES = 12_000
# After Sanh et al., arXiv:1910.01108: the first and the last layer, and every other one between.
KEPT = (0, 2, 4, 7, 9, 11)
EPOCHS = 2
RATE = 1e-4
# Word vectors are whole numbers of this kind already, in the form they come in; the layers were trained on.
WORD_LEVELS, LAYER_LEVELS = (8, 32), (15, 64)
BEGIN, PAD, END, UNKNOWN = range(4)
_LATIN_OR_CHINESE = re.compile(r"▁?[a-z']+|▁?[㐀-䶿一-鿿]+|▁?[0-9.,?!;:，。？！、()（）%/+-]+|▁")


@dataclass(frozen=True)
class Vocabulary:
    """The student's pieces, a selection of the teacher's, and the teacher's number of each."""

    tokenizer: Tokenizer
    teacher: NDArray[np.int64]

    def ids(self, text: str) -> list[int]:
        """The teacher's numbers of a text's pieces."""
        return [int(self.teacher[piece]) for piece in self.tokenizer.encode(folded(text)[:500]).ids[:LONGEST]]


def choose_vocabulary(teacher: Teacher, data: list[Example]) -> Vocabulary:
    """The pieces of the examples, then those commonest in ordinary texts, then the most probable ones."""
    table = json.loads(teacher.tokenizer.backend_tokenizer.to_str())["model"]["vocab"]
    counts: Counter[int] = Counter()
    for texts, weight in (([example.text for example in data], 1000), (_corpus(), 1)):
        for text in texts:
            for piece in teacher.tokenizer(folded(text), add_special_tokens=False)["input_ids"]:
                counts[piece] += weight
    usable = [index for index, (piece, _) in enumerate(table) if _LATIN_OR_CHINESE.fullmatch(piece)]
    ranked = sorted(usable, key=lambda index: (-counts[index], -table[index][1]))[: PIECES - 4]
    special = [teacher.tokenizer.cls_token_id, teacher.tokenizer.pad_token_id, teacher.tokenizer.sep_token_id, teacher.tokenizer.unk_token_id]
    chosen = np.array([*special, *sorted(ranked)])
    tokenizer = Tokenizer(models.Unigram([(table[index][0], table[index][1]) for index in chosen], unk_id=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return Vocabulary(tokenizer, chosen)


def train_student(teacher: Teacher, vocabulary: Vocabulary, data: list[Example], encoder: str, folder: Path) -> Teacher:
    """Half of the layers learn the whole's verdicts and states."""
    torch.manual_seed(0)
    student = Teacher(encoder)
    student.load_state_dict(teacher.state_dict())
    student.encoder.encoder.layer = nn.ModuleList(student.encoder.encoder.layer[index] for index in KEPT)
    file = folder / "student.pt"
    if file.is_file():
        student.load_state_dict(torch.load(file, weights_only=True))
        return student.eval()
    logits, states = judged(teacher, [teacher.wrap(vocabulary.ids(example.text)) for example in data])
    # What people labelled pulls the teacher's verdict a little to its side.
    believed = 0.8 / (1 + np.exp(-logits)) + 0.2 * np.array([example.harmful for example in data])
    scale = states.astype(np.float32).std()
    chance, words = np.random.default_rng(3), random.Random(2)
    optimiser = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=RATE, weight_decay=0.01)
    total = EPOCHS * math.ceil(len(data) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min((step + 1) / 50, max(0.03, 1 - step / total)))
    started, step = time.time(), 0
    student.train()
    for _ in range(EPOCHS):
        rows = [student.wrap(vocabulary.ids(wrapped(example, words))) for example in data]
        for batch in batches([len(row) for row in rows], BATCH, chance):
            logit, mean = student([rows[index] for index in batch])
            verdict = nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(believed[batch]).float())
            loss = verdict + 0.5 * nn.functional.mse_loss(mean / scale, torch.tensor(states[batch].astype(np.float32)) / scale)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            if step % 50 == 0:
                print(f"student {step} of {total}: verdict {verdict.item():.3f}, all {loss.item():.3f}, {time.time() - started:.0f} s", flush=True)
    torch.save(student.state_dict(), file)
    return student.eval()


def save(student: Teacher, vocabulary: Vocabulary, path: Path) -> None:
    """Write what the guard needs: the tokenizer, and matrices as small whole numbers with a scale for each block of a row."""
    out: dict[str, NDArray] = {"tokenizer": np.frombuffer(vocabulary.tokenizer.to_str().encode(), dtype=np.uint8)}
    for key, value in student.state_dict().items():
        name = key.removeprefix("encoder.").replace("encoder.layer", "layers")
        array = value.float().numpy()
        if name == "embeddings.position_embeddings.weight":
            array = array[: LONGEST + 2] + student.state_dict()["encoder.embeddings.token_type_embeddings.weight"].float().numpy()[:1]
        elif "token_type" in name:
            continue
        if name == "embeddings.word_embeddings.weight":
            out[f"{name}.levels"], out[f"{name}.scale"] = quantised(array[vocabulary.teacher], *WORD_LEVELS)
        elif name.startswith("layers.") and array.ndim == 2:
            out[f"{name}.levels"], out[f"{name}.scale"] = quantised(array, *LAYER_LEVELS)
        else:
            out[name] = array.astype(np.float32 if array.ndim == 1 else np.float16)
    np.savez_compressed(path, heads=np.int64(student.encoder.config.num_attention_heads), **out)


def quantised(array: NDArray[np.float32], most: int, block: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Levels of -most to most, and the scale of each block; few levels compress well."""
    blocks = array.reshape(len(array), -1, block)
    scale = (np.abs(blocks).max(axis=2, keepdims=True) / most).astype(np.float16)
    levels = np.clip(np.round(blocks / np.maximum(scale.astype(np.float32), 1e-7)), -most, most)
    return levels.astype(np.int8).reshape(array.shape), scale[..., 0]


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
