"""The student: every other layer of the teacher, taught by it, and the file it ships in."""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from torch.nn.utils import parametrize

from intent.augment import wrapped
from intent.examples import ROOT, Example, folded
from intent.teacher import LONGEST, Teacher, fit, judged

PIECES = 12_000
# After Sanh et al., arXiv:1910.01108: the first and the last layer, and every other one between.
KEPT = (0, 2, 4, 7, 9, 11)
EPOCHS = 3
RATE = 1e-4
# Word vectors: levels to either side, and how many of a row share a scale. Layers: levels to either side, a scale for each output.
WORD_LEVELS, LAYER_LEVELS = (8, 32), 24
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


def train_student(teacher: Teacher, vocabulary: Vocabulary, data: list[Example], more: list[Example], encoder: str, folder: Path) -> Teacher:
    """Half of the layers learn the whole's verdicts and states, on the examples and on texts without a label."""
    torch.manual_seed(0)
    student = Teacher(encoder)
    student.load_state_dict(teacher.state_dict())
    student.encoder.encoder.layer = nn.ModuleList(student.encoder.encoder.layer[index] for index in KEPT)
    file = folder / "student.pt"
    if file.is_file():
        student.load_state_dict(torch.load(file, weights_only=True))
        return student.eval()
    everything = [*data, *more]
    logits, states = judged(teacher, [teacher.wrap(vocabulary.ids(example.text)) for example in everything])
    # What people labelled pulls the teacher's verdict to its side.
    believed = 1 / (1 + np.exp(-logits))
    believed[: len(data)] = 0.5 * believed[: len(data)] + 0.5 * np.array([example.harmful for example in data])
    scale = states.astype(np.float32).std()

    def loss(batch: NDArray[np.int64], logit: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        verdict = nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(believed[batch]).float())
        return verdict + 0.5 * nn.functional.mse_loss(mean / scale, torch.tensor(states[batch].astype(np.float32)) / scale)

    def rows(words: random.Random) -> list[list[int]]:
        return [student.wrap(vocabulary.ids(wrapped(example, words))) for example in everything]

    linear = [module for module in student.encoder.encoder.layer.modules() if isinstance(module, nn.Linear)]
    for module in linear:
        parametrize.register_parametrization(module, "weight", _Rounded(), unsafe=True)
    fit(student, "student", [{"params": [p for p in student.parameters() if p.requires_grad], "lr": RATE}], rows, loss, epochs=EPOCHS)
    for module in linear:
        parametrize.remove_parametrizations(module, "weight")
    torch.save(student.state_dict(), file)
    return student.eval()


class _Rounded(nn.Module):
    """A weight as it will be shipped; what is learned goes straight through to the weight itself."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (rounded(weight, LAYER_LEVELS) - weight).detach()


class Shipped(nn.Module):
    """The student as it is shipped: word vectors in whole numbers, one text at a time, pieces in and a logit out."""

    def __init__(self, student: Teacher, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.student = student
        embeddings = student.encoder.embeddings
        levels, scale = quantised(embeddings.word_embeddings.weight.detach().numpy()[vocabulary.teacher], *WORD_LEVELS)
        self.register_buffer("levels", torch.tensor(levels))
        self.register_buffer("scale", torch.tensor(scale))
        places = embeddings.position_embeddings.weight[: LONGEST + 2] + embeddings.token_type_embeddings.weight[:1]
        self.register_buffer("places", places.detach().half())
        with torch.no_grad():
            for layer in student.encoder.encoder.layer.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.copy_(rounded(layer.weight, LAYER_LEVELS))

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        rows, length = pieces.shape
        blocks = self.levels[pieces].float().reshape(rows, length, -1, WORD_LEVELS[1])
        words = (blocks * self.scale[pieces].float()[..., None]).flatten(2)
        states = self.student.encoder.embeddings.LayerNorm(words + self.places[:length].float())
        config = self.student.encoder.config
        for layer in self.student.encoder.encoder.layer:
            states = self._layer(layer, states, config.num_attention_heads)
        return self.student.head(torch.cat([states.mean(1), states.max(1).values], 1))[:, 0]

    @staticmethod
    def _layer(layer: nn.Module, states: torch.Tensor, heads: int) -> torch.Tensor:
        rows, length, width = states.shape
        own = layer.attention.self
        query, key, value = (part(states).reshape(rows, length, heads, width // heads).transpose(1, 2) for part in (own.query, own.key, own.value))
        seen = torch.softmax(query @ key.transpose(2, 3) * (width // heads) ** -0.5, -1) @ value
        states = layer.attention.output.LayerNorm(states + layer.attention.output.dense(seen.transpose(1, 2).reshape(rows, length, width)))
        return layer.output.LayerNorm(states + layer.output.dense(nn.functional.gelu(layer.intermediate.dense(states))))


def save(student: Teacher, vocabulary: Vocabulary, path: Path) -> None:
    """Write what the guard needs: the tokenizer, and the network with whole numbers for weights."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        shipped = Shipped(student, vocabulary).eval()
        axes = {"pieces": {0: "rows", 1: "length"}, "logit": {0: "rows"}}
        torch.onnx.export(
            shipped, (torch.tensor([[BEGIN, 9, 8, END]]),), plain, input_names=["pieces"], output_names=["logit"], dynamic_axes=axes, dynamo=False
        )
        # Seven bits: eight overflow on processors that add products in sixteen.
        quantize_dynamic(plain, small, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        out = {"tokenizer": vocabulary.tokenizer.to_str().encode(), "network": small.read_bytes()}
    np.savez_compressed(path, **{name: np.frombuffer(content, dtype=np.uint8) for name, content in out.items()})


def quantised(array: NDArray[np.float32], most: int, block: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Levels of -most to most, and the scale of each block; few levels compress well."""
    blocks = array.reshape(len(array), -1, block)
    scale = (np.abs(blocks).max(axis=2, keepdims=True) / most).astype(np.float16)
    levels = np.clip(np.round(blocks / np.maximum(scale.astype(np.float32), 1e-7)), -most, most)
    return levels.astype(np.int8).reshape(array.shape), scale[..., 0]


def rounded(weight: torch.Tensor, most: int) -> torch.Tensor:
    """Each row rounded to whole multiples of its largest weight over ``most``."""
    step = weight.detach().abs().amax(1, keepdim=True).clamp_min(1e-7) / most
    return torch.round(weight / step) * step


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
