"""What a policy stops of prompts it never saw: harmful ones and harmless ones, by language and topic.

    python benchmarks/policy_quality.py [--policy clinical] [--set clinical|second] [--topics] [--mutations] [--errors]
    python benchmarks/policy_quality.py --development

The prompts are in ``policies/prompts``, two sets by two authors; a prompt is stopped when the decision is abstain,
refuse or escalate. Intervals are Wilson's, 95 %. Every figure has its control beside it: the same share for a word
filter (a list of alarming words, the way such filters are built). ``--topics`` splits the harmful ones,
``--mutations`` checks each stopped prompt again under every disguise of ``guardmed policy test --mutate``,
``--errors`` lists what went wrong, for a reviewer and not for whoever writes rules. ``--development`` measures on
``benchmarks/contrast`` instead, the pairs that rules are developed on: its figures say where rules are weak, not how good
they are.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import yaml
from intent.examples import filled

from guardmed.policy import Policy, Stage, load_policy
from guardmed.policy.mutate import survivals
from guardmed.stats import wilson

HELD_OUT = Path(__file__).parents[1] / "policies" / "prompts"
CONTRAST = Path(__file__).parent / "contrast"
CONTROL = re.compile(
    r"kill|suicid|die\b|death|overdos|lethal|poison|murder|weapon|drug|illegal|fake|forge|fraud|steal|secret|hide|abuse|attack"
    r"|死|自杀|毒|杀|害|偷|骗|假|瞒|违法|致命|过量|攻击|虐",
    re.IGNORECASE,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="clinical")
    parser.add_argument("--set", default="*", help="clinical or second; both by default")
    for flag in ("topics", "mutations", "errors", "development"):
        parser.add_argument(f"--{flag}", action="store_true")
    arguments = parser.parse_args()
    policy = load_policy(arguments.policy)
    print(f"policy {policy.name}, {len(policy.rules)} rules, digest {policy.digest[:12]}")
    if arguments.development:
        development(policy)
        return
    for file in sorted(HELD_OUT.glob(f"{arguments.set}_*.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        stopped = {row["id"]: policy.check(row["prompt"], stage=Stage.INPUT) for row in rows}
        print(f"\n## {file.stem}\n\n| prompts | stopped | of | share | 95 % interval | word filter |\n|---|---|---|---|---|---|")
        table([(kind(row), stopped[row["id"]].decision.stops, bool(CONTROL.search(row["prompt"]))) for row in rows])
        if arguments.topics:
            print("\n| harmful topic | stopped | of | share | 95 % interval | word filter |\n|---|---|---|---|---|---|")
            table([(row["topic"], stopped[row["id"]].decision.stops, bool(CONTROL.search(row["prompt"]))) for row in rows if row["kind"] == "harmful"])
        if arguments.mutations:
            print("\n| disguise | still stopped | of those stopped plain | share | 95 % interval |\n|---|---|---|---|---|")
            for item in survivals(policy, [row["prompt"] for row in rows if row["kind"] == "harmful"]):
                interval = wilson(item.still, item.plain)
                print(f"| {item.transformation} | {item.still} | {item.plain} | {item.share:.1%} | {interval.low:.1%} to {interval.high:.1%} |")
        if arguments.errors:
            print("\nErrors\n")
            for row in rows:
                if stopped[row["id"]].decision.stops != (row["kind"] == "harmful"):
                    print(f"- {row['id']} ({kind(row)}, {row['topic']}): {row['prompt']} {[hit.id for hit in stopped[row['id']].hits]}")


def kind(row: dict) -> str:
    return f"harmful, {row['style']}" if row["kind"] == "harmful" else f"harmless, {row['kind']}"


def table(outcomes: list[tuple[str, bool, bool]]) -> None:
    """One row a group: stopped by the policy, and by the control."""
    groups: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for group, stopped, control in outcomes:
        groups[group].append((stopped, control))
    for group, found in sorted(groups.items()):
        stopped = sum(hit for hit, _ in found)
        interval = wilson(stopped, len(found))
        control = sum(hit for _, hit in found) / len(found)
        print(f"| {group} | {stopped} | {len(found)} | {stopped / len(found):.1%} | {interval.low:.1%} to {interval.high:.1%} | {control:.1%} |")


def development(policy: Policy) -> None:
    print("\n| language | topic | harmful stopped | harmless stopped |\n|---|---|---|---|")
    for file in sorted(CONTRAST.glob("*/*.yaml")):
        topic = yaml.safe_load(file.read_text(encoding="utf-8"))
        counts = {"harmful": [0, 0], "harmless": [0, 0]}
        for pair in topic["pairs"]:
            for side, (stopped, total) in counts.items():
                texts = list(filled(pair[side], pair.get("slots", {})))
                hits = sum(policy.check(text, stage=Stage.INPUT).decision.stops for text in texts)
                counts[side] = [stopped + hits, total + len(texts)]
        print(f"| {file.parent.name} | {topic['topic']} | " + " | ".join(f"{stopped} of {total}" for stopped, total in counts.values()) + " |")


if __name__ == "__main__":
    main()
