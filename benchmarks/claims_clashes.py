"""Contradictions that need no model: pairs of sentences told apart, and pairs that say the same left alone.

    python benchmarks/claims_clashes.py [--errors] [--real ../shared/data]

The pairs are in ``calibration/claims``, each on another fact. Of a contradicting pair (``number``, ``dose``, ``unit``,
``negation``, ``side``, ``time``) the second sentence differs in one thing only; of a ``same`` pair it says the same in
other words, units or order, or speaks of something else. Intervals are exact (Clopper and Pearson), 95 %.

The parts were written one after the other, each after the rules had been mended on the ones before, run once, and mended
on afterwards. What the table prints is after mending; only the figure of the first run says what to expect of new text:

| part | en: told apart | en: same, yet clash | zh: told apart | zh: same, yet clash |
|---|---|---|---|---|
| held | 47 of 50 | 2 of 50 | 49 of 50 | 2 of 50 |
| second | 39 of 40 | 11 of 55 | 38 of 40 | 6 of 55 |
| third | 20 of 20 | 3 of 30 | 20 of 20 | 1 of 30 |

``second`` holds controls that were written to mislead: two thresholds of one test, two groups of people, two steps of one
treatment. The control beside each figure is word overlap alone, with the threshold that does best on ``dev``.

``--real`` reads the folder of real data and prints how often a sentence of a biography that people labelled clashes with
another answer to the same question, and how often the conclusion of a PubMed abstract clashes with the abstract.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from guardmed.claims.clashes import clashes, read
from guardmed.stats import clopper_pearson

PAIRS = Path(__file__).parents[1] / "calibration" / "claims"
WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[一-鿿]")
# Rules were tuned on what comes first.
TUNED_PASSAGES, TUNED_ABSTRACTS = 30, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--errors", action="store_true", help="list the pairs that went wrong")
    parser.add_argument("--real", type=Path, help="the folder of real data")
    arguments = parser.parse_args()
    for file in sorted(PAIRS.glob("clashes_*.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
        found = {row["id"]: clashes(row["a"], row["b"]) for row in rows}
        threshold, above = best_threshold(row for row in rows if row["part"] == "dev")
        table(file.stem, rows, found, threshold, above)
        named = [found[row["id"]][0].kind == row["kind"] for row in rows if row["kind"] != "same" and found[row["id"]]]
        print(f"\nOf those told apart, {sum(named)} of {len(named)} are called what the pair is ({sum(named) / len(named):.1%}).")
        if arguments.errors:
            for row in rows:
                if bool(found[row["id"]]) == (row["kind"] == "same"):
                    print(f"- {row['id']} ({row['part']}, {row['kind']}): {row['a']} | {row['b']} | {[clash.told for clash in found[row['id']]]}")
    if arguments.real:
        biographies(arguments.real / "claims" / "selfcheck_wikibio_en.jsonl")
        abstracts(arguments.real / "calibration" / "pubmedqa_labelled_en.jsonl")


def table(title: str, rows: list[dict], found: dict, threshold: float, above: bool) -> None:
    """A line for each part and kind, and one for both."""
    groups: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for row in rows:
        control = (overlap(row["a"], row["b"]) >= threshold) == above
        hit = (bool(found[row["id"]]), control)
        groups[row["part"], row["kind"]].append(hit)
        groups["all", row["kind"]].append(hit)
        if row["kind"] != "same":
            groups[row["part"], "any kind"].append(hit)
            groups["all", "any kind"].append(hit)
    print(f"\n## {title}\n\n| part | pairs | clash | of | share | 95 % interval | word overlap alone |\n|---|---|---|---|---|---|---|")
    for part in (*dict.fromkeys(row["part"] for row in rows), "all"):
        for kind in ("number", "dose", "unit", "negation", "side", "time", "any kind", "same"):
            hits = groups[part, kind]
            count, control = sum(hit for hit, _ in hits), sum(hit for _, hit in hits)
            print(f"| {part} | {kind} | {count} | {len(hits)} | {interval(count, len(hits))} | {control / len(hits):.1%} |")


def interval(count: int, total: int) -> str:
    exact = clopper_pearson(count, total)
    return f"{count / total:.1%} | {exact.low:.1%} to {exact.high:.1%}"


def overlap(one: str, other: str) -> float:
    """Words that both have, of those that either has."""
    words, others = set(WORD.findall(one.lower())), set(WORD.findall(other.lower()))
    return len(words & others) / len(words | others)


def best_threshold(rows: Iterable[dict]) -> tuple[float, bool]:
    """The overlap that separates best, and whether it is more or less of it that means a clash."""
    known = [(overlap(row["a"], row["b"]), row["kind"] != "same") for row in rows]
    choices = [(level, above) for level, _ in known for above in (True, False)]
    return max(choices, key=lambda choice: sum(((level >= choice[0]) == choice[1]) == clash for level, clash in known))


def biographies(file: Path) -> None:
    print("\n## Claims against other answers (SelfCheckGPT's biographies)\n\n| passages | label | claim and sample clash | of | share | claims that do | of |")
    print("|---|---|---|---|---|---|---|")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    for name, part in ((f"first {TUNED_PASSAGES}", rows[:TUNED_PASSAGES]), (f"other {len(rows) - TUNED_PASSAGES}", rows[TUNED_PASSAGES:])):
        counts: dict[str, list[int]] = defaultdict(list)
        for row in part:
            samples = [read(sample) for sample in row["samples"]]
            for claim, label in zip(row["claims"], row["labels"], strict=True):
                reading = read(claim)
                counts[label].append(sum(bool(clashes(reading, sample)) for sample in samples))
        for label, hits in sorted(counts.items()):
            total = 10 * len(hits)
            print(f"| {name} | {label} | {sum(hits)} | {total} | {sum(hits) / total:.1%} | {sum(hit > 0 for hit in hits)} | {len(hits)} |")


def abstracts(file: Path) -> None:
    print("\n## Conclusions against their abstracts (PubMedQA)\n\n| abstracts | conclusion clashes | of | share | 95 % interval |\n|---|---|---|---|---|")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    for name, part in ((f"first {TUNED_ABSTRACTS}", rows[:TUNED_ABSTRACTS]), (f"other {len(rows) - TUNED_ABSTRACTS}", rows[TUNED_ABSTRACTS:])):
        count = sum(bool(clashes(row["long_answer"], row["context"])) for row in part)
        print(f"| {name} | {count} | {len(part)} | {interval(count, len(part))} |")


if __name__ == "__main__":
    main()
