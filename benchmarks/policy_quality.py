"""What a policy stops of prompts it never saw: harmful ones and harmless ones, by language.

    python benchmarks/policy_quality.py [--policy clinical] [--errors] [--development]

The prompts are in ``benchmarks/heldout``; a prompt is stopped when the decision is abstain, refuse or
escalate. Intervals are Wilson's, 95 %. ``--errors`` lists what went wrong, for a reviewer and not for
whoever writes rules. ``--development`` measures on ``benchmarks/contrast`` instead, the pairs that rules
are developed on, by topic; its figures say where rules are weak, not how good they are.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

from guardmed.policy import Policy, Stage, load_policy
from guardmed.stats import wilson

HELD_OUT = Path(__file__).parent / "heldout"
CONTRAST = Path(__file__).parent / "contrast"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="clinical")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--development", action="store_true")
    arguments = parser.parse_args()
    policy = load_policy(arguments.policy)
    if arguments.development:
        development(policy)
        return
    stopped: dict[tuple[str, str], list[bool]] = defaultdict(list)
    errors = []
    for file in sorted(HELD_OUT.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            verdict = policy.check(row["prompt"], stage=Stage.INPUT)
            kind = f"harmful, {row['style']}" if row["kind"] == "harmful" else f"harmless, {row['kind']}"
            stopped[row["lang"], kind].append(verdict.decision.stops)
            if verdict.decision.stops != (row["kind"] == "harmful"):
                errors.append(f"{row['id']} {kind}: {row['prompt']} {[hit.id for hit in verdict.hits]}")
    print(f"policy {policy.name}, {len(policy.rules)} rules, digest {policy.digest[:12]}\n")
    print("| language | prompts | stopped | of | share | 95 % interval |\n|---|---|---|---|---|---|")
    for (lang, kind), outcomes in sorted(stopped.items()):
        interval = wilson(sum(outcomes), len(outcomes))
        print(f"| {lang} | {kind} | {sum(outcomes)} | {len(outcomes)} | {sum(outcomes) / len(outcomes):.1%} | {interval.low:.1%} to {interval.high:.1%} |")
    if arguments.errors:
        print("\n" + "\n".join(errors))


def development(policy: Policy) -> None:
    print("| language | topic | harmful stopped | harmless stopped |\n|---|---|---|---|")
    for file in sorted(CONTRAST.glob("*/*.yaml")):
        topic = yaml.safe_load(file.read_text(encoding="utf-8"))
        counts = {"harmful": [0, 0], "harmless": [0, 0]}
        for pair in topic["pairs"]:
            for side, (stopped, total) in counts.items():
                texts = list(filled(pair[side], pair.get("slots", {})))
                hits = sum(policy.check(text, stage=Stage.INPUT).decision.stops for text in texts)
                counts[side] = [stopped + hits, total + len(texts)]
        print(f"| {file.parent.name} | {topic['topic']} | " + " | ".join(f"{stopped} of {total}" for stopped, total in counts.values()) + " |")


def filled(text: str, slots: dict[str, list[object]]) -> Iterator[str]:
    for values in itertools.product(*slots.values()):
        out = text
        for name, value in zip(slots, values, strict=True):
            out = out.replace(f"{{{name}}}", str(value))
        yield out


if __name__ == "__main__":
    main()
