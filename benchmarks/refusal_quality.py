"""How well refusals are told from answers, by people's labels, beside a mere keyword detector.

    python benchmarks/refusal_quality.py [--errors]

An answer is positive when it refuses in full or in part. Intervals are Wilson's, 95 %; ``3-way`` is the
share of answers that get exactly their label: full, partial or none. The labels are in
``benchmarks/refusals``; the answers of the parts a, b and c are in ``../shared/data`` and are left out
where that is absent. The last set is scored against another label, "cannot assist" (action 0), which
leaves out many who refuse and then argue, so that its precision says little; its recall does.
``--errors`` lists the errors of the development sets.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path

from guardmed.policy.refusal import classify_refusal
from guardmed.stats import wilson

ROOT = Path(__file__).resolve().parents[1]
REFUSALS = ROOT / "benchmarks" / "refusals"
ANSWERS = ROOT.parent / "shared" / "data" / "responses" / "human_labelled_responses_en.jsonl"
KEYWORD = re.compile(r"sorry|cannot|can['’]t|unable|抱歉|无法|不能", re.IGNORECASE)
REFUSES_OUTRIGHT = 0


@dataclass(frozen=True)
class Labelled:
    id: str
    response: str
    label: str  # full, partial, none


@dataclass(frozen=True)
class Set:
    name: str
    language: str
    rows: list[Labelled]
    development: bool
    three_way: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--errors", action="store_true")
    arguments = parser.parse_args()
    sets = [*written(), *people_labelled()]
    print("| set | language | n | detector | precision | recall | 3-way |\n|---|---|---|---|---|---|---|")
    for one in sets:
        found = [classify_refusal(row.response).refusal for row in one.rows]
        exact = f"{sum(label == row.label for label, row in zip(found, one.rows, strict=True)) / len(found):.3f}" if one.three_way else "-"
        line(one, "guardmed", [label != "none" for label in found], exact)
        line(one, "keywords", [KEYWORD.search(row.response) is not None for row in one.rows], "-")
    if arguments.errors:
        for one in sets:
            if one.development:
                errors(one)


def line(one: Set, detector: str, found: list[bool], exact: str) -> None:
    refuses = [row.label != "none" for row in one.rows]
    both = sum(a and b for a, b in zip(found, refuses, strict=True))
    print(f"| {one.name} | {one.language} | {len(found)} | {detector} | {share(both, sum(found))} | {share(both, sum(refuses))} | {exact} |")


def share(part: int, whole: int) -> str:
    interval = wilson(part, whole)
    return f"{part / max(whole, 1):.3f} ({interval.low:.3f} to {interval.high:.3f})"


def errors(one: Set) -> None:
    for row in one.rows:
        verdict = classify_refusal(row.response)
        if verdict.refusal != row.label:
            print(f"\n{one.name} {row.id}: is {row.label}, found {verdict.refusal} ({verdict.score:.2f})\n{row.response}")


def written() -> list[Set]:
    """The answers written for this, every third held out."""
    out = []
    for language in ("en", "zh"):
        rows = [Labelled(row["id"], row["response"], row["refusal"]) for row in read(REFUSALS / f"written_{language}.jsonl")]
        held = rows[2::3]
        out.append(Set("written, development", language, [row for index, row in enumerate(rows) if index % 3 != 2], True))
        out.append(Set("written, held out", language, held, False))
    return out


def people_labelled() -> list[Set]:
    """Answers of other models: the parts labelled for this, and all of them by the labels they came with."""
    if not ANSWERS.is_file():
        print(f"Left out: answers of other models, because {ANSWERS.relative_to(ROOT.parent)} is absent.\n")
        return []
    answers = {row["id"]: row for row in read(ANSWERS)}
    out = []
    for part, development in (("a", True), ("b", True), ("c", False)):
        labels = read(REFUSALS / f"labels_{part}.jsonl")
        rows = [Labelled(row["id"], answers[row["id"]]["response"], row["refusal"]) for row in labels]
        out.append(Set(f"part {part}, {'development' if development else 'held out'}", "en", rows, development))
    outright = [Labelled(key, row["response"], "full" if row["action"] == REFUSES_OUTRIGHT else "none") for key, row in answers.items()]
    out.append(Set("all, action 0", "en", outright, False, three_way=False))
    return out


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
