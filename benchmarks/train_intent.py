"""Trains the intent model of the clinical pack, and chooses its thresholds on topics held out.

    python benchmarks/train_intent.py [--encoder intfloat/multilingual-e5-small] [--work DIR]

An encoder of 12 layers is fine-tuned on requests and their harmless twins (``benchmarks/contrast``, the
rules' own tests, and ``../shared/data`` where it is there); every other layer of it, with the pieces of
English and Chinese only, learns from the whole, and is shipped in whole numbers. The topics held out are seen by neither; on them the threshold of a
language is the lowest at which at most ``--false-positives`` of the harmless sides are stopped. Nothing of
``policies/prompts`` is read. On two cores it takes about an hour; ``--work`` keeps what is done.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from intent.examples import ROOT, examples, held_out_topics, unlabelled
from intent.student import choose_vocabulary, save, train_student
from intent.teacher import judged, train_teacher

from guardmed.intent import IntentModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="intfloat/multilingual-e5-small", help="folder or hub id of the teacher's encoder")
    parser.add_argument("--work", type=Path, default=Path("build/intent"), help="folder for what takes long")
    parser.add_argument("--out", type=Path, default=ROOT / "policies" / "clinical" / "intent.npz")
    parser.add_argument("--false-positives", type=float, default=0.03)
    arguments = parser.parse_args()
    data = examples()
    held = held_out_topics()
    inside = [example for example in data if example.topic not in held]
    outside = [example for example in data if example.topic in held]
    print(f"{len(inside)} examples, {np.mean([e.harmful for e in inside]):.1%} harmful; {len(outside)} of {len(held)} topics held out", flush=True)
    teacher = train_teacher(inside, arguments.encoder, arguments.work)
    logits, _ = judged(teacher, [teacher.ids(example.text) for example in outside])
    report("teacher", outside, logits, arguments.false_positives)
    vocabulary = choose_vocabulary(teacher, inside)
    student = train_student(teacher, vocabulary, inside, unlabelled(), arguments.encoder, arguments.work)
    save(student, vocabulary, arguments.out)
    model = IntentModel(arguments.out)
    report("student", outside, np.array([model.probability(example.text) for example in outside]), arguments.false_positives)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


def report(name: str, data: list, scores: np.ndarray, share: float) -> None:
    """Print the threshold of each language, and what it stops of the harmful sides."""
    for lang in ("en", "zh"):
        harmless = scores[[e.language == lang and not e.harmful for e in data]]
        threshold = float(np.quantile(harmless, 1 - share))
        for style in ("blunt", "other"):
            harmful = scores[[e.language == lang and e.harmful and (e.style == "blunt") == (style == "blunt") for e in data]]
            print(
                f"  {name} {lang} {style}: over {threshold:.3f} are {np.mean(harmful > threshold):.1%} of {len(harmful)} harmful"
                f" and {share:.1%} of {len(harmless)} harmless",
                flush=True,
            )


if __name__ == "__main__":
    main()
