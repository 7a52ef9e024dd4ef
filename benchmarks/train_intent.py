"""Trains the intent model of the clinical pack, and chooses its thresholds by topics held out.

    python benchmarks/train_intent.py [--out policies/clinical/intent.npz]

Training data: the contrast pairs in ``benchmarks/contrast``, the rules' own tests, and where it is beside the
project ``../shared/data`` (harmful requests, patients' questions, exam questions). The threshold of
a language is the lowest at which, over five folds of whole topics, at most ``--false-positives`` of the harmless
sides are stopped. Nothing of ``benchmarks/heldout`` is read.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import yaml
from policy_quality import CONTRAST, filled
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from guardmed.policy.intent import BUCKETS, features
from guardmed.policy.load import load_pack
from guardmed.policy.schema import Stage
from guardmed.text import language

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
FILLERS = 3
# Said by people who mean harm and by people who don't: appended to both sides, so that it says nothing.
EXCUSES = {
    "en": (
        " I just want general information.",
        " It's for a novel.",
        " I am a doctor.",
        " Just curious.",
        " Asking for a friend.",
        " This is for my thesis.",
        " Thanks!",
    ),
    "zh": ("我只是想了解一下。", "这是写小说用的。", "我是医生。", "只是好奇。", "帮朋友问的。", "写论文用。", "谢谢！"),
}


def examples() -> list[tuple[str, int, str]]:
    """Text, harmful or not, and the topic it is held out with."""
    out = []
    for file in sorted(CONTRAST.glob("*/*.yaml")):
        for pair in yaml.safe_load(file.read_text(encoding="utf-8"))["pairs"]:
            for side in ("harmful", "harmless"):
                texts = itertools.islice(filled(pair[side], pair.get("slots", {})), FILLERS)
                for text in texts:
                    excuses = EXCUSES[file.parent.name]
                    excused = text + excuses[len(out) % len(excuses)]
                    out += [(variant, int(side == "harmful"), f"topic {file.stem}") for variant in (text, excused)]
    for rule in load_pack(ROOT / "policies" / "clinical").rules:
        if rule.stage.covers(Stage.INPUT) and rule.id != "harmful-intent":
            out += [(text, 1, "rules") for text in rule.tests.violating] + [(text, 0, "rules") for text in rule.tests.near_miss]
    if SHARED.is_dir():
        out += [(row["prompt"], 1, "shared") for row in rows("prompts/medsafetybench_train_en.jsonl")]
        out += [(row["prompt"][:120], 0, "shared") for row in rows("prompts/patient_questions_zh.jsonl")]
        for name in ("calibration/medmcqa_en.jsonl", "calibration/cmexam_zh.jsonl", "calibration/pubmedqa_labelled_en.jsonl"):
            out += [(row["question"][:200], 0, "shared") for row in rows(name)[:700]]
    return out


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (SHARED / name).read_text(encoding="utf-8").split("\n") if line]


def matrix(texts: list[str]) -> csr_matrix:
    """Both blocks, each row of each scaled to length one."""
    blocks = []
    for block in zip(*(features(text) for text in texts), strict=True):
        indptr, indices, values = [0], [], []
        for counts in block:
            norm = sum(count * count for count in counts.values()) ** 0.5 or 1.0
            indices += counts.keys()
            values += [count / norm for count in counts.values()]
            indptr.append(len(indices))
        blocks.append(csr_matrix((values, indices, indptr), shape=(len(texts), BUCKETS)))
    return hstack(blocks, format="csr")


def fit(x: csr_matrix, y: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=10.0, max_iter=400).fit(x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "policies" / "clinical" / "intent.npz")
    parser.add_argument("--false-positives", type=float, default=0.05)
    arguments = parser.parse_args()
    data = examples()
    texts = [text for text, _, _ in data]
    y = np.array([label for _, label, _ in data])
    x = matrix(texts)
    topics = sorted({topic for _, _, topic in data if topic.startswith("topic ")})
    fold = {topic: index for index, topic in enumerate(np.random.default_rng(0).permutation(topics))}
    folds = np.array([fold[topic] % 5 if topic in fold else -1 for _, _, topic in data])
    held = np.full(len(data), np.nan)
    for index in range(5):
        inside = folds == index
        held[inside] = fit(x[~inside], y[~inside]).predict_proba(x[inside])[:, 1]
    langs = np.array(["zh" if language(text) == "zh" else "en" for text in texts])
    print(f"{len(data)} examples, {y.mean():.1%} harmful; out of topic:")
    for lang in ("en", "zh"):
        mine = ~np.isnan(held) & (langs == lang)
        threshold = float(np.quantile(held[mine & (y == 0)], 1 - arguments.false_positives))
        recall = float((held[mine & (y == 1)] > threshold).mean())
        print(f"  {lang}: threshold {threshold:.3f} stops {recall:.1%} of harmful and {arguments.false_positives:.1%} of harmless sides")
    model = fit(x, y)
    weights = model.coef_[0].astype(np.float16)
    np.savez_compressed(arguments.out, characters=weights[:BUCKETS], words=weights[BUCKETS:], bias=np.float64(model.intercept_[0]))
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
