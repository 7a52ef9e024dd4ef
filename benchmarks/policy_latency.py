"""How long a policy check takes, on one core.

    taskset -c 0 python benchmarks/policy_latency.py [--policy clinical] [--rounds 3]

Two figures. The rule tier alone, without the intent model, per 1,000 characters: texts of the held-out prompts
joined to about 1,000 characters. The whole path of ``check prompts`` for each held-out prompt, as the command times
it. Each text is checked ``--rounds`` times and its median counts, so that a figure is the program's and not the
machine's; the worst single reading is printed beside.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from guardmed.policy import Policy, Stage, load_policy
from guardmed.policy.load import load_packs

HELD_OUT = Path(__file__).parents[1] / "policies" / "prompts"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="clinical")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for file in sorted(HELD_OUT.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    packs = load_packs(arguments.policy)
    rules = Policy([dataclasses.replace(pack, rules=tuple(rule for rule in pack.rules if rule.id != "harmful-intent"), doubt=None) for pack in packs])
    print("| path | texts | characters, median | p50 | p95 | p99 | worst reading |\n|---|---|---|---|---|---|---|")
    for lang, joined in (("English", _joined(p for p in prompts if p.isascii())), ("Chinese", _joined(p for p in prompts if not p.isascii()))):
        _row(f"rules, {lang}, ms per 1,000 characters", joined, rules, arguments.rounds, per=1000)
    _row("whole path, ms a prompt", prompts, load_policy(arguments.policy), arguments.rounds)


def _row(name: str, texts: list[str], policy: Policy, rounds: int, *, per: int | None = None) -> None:
    policy.check(texts[0], stage=Stage.INPUT)
    times, worst = [], 0.0
    for text in texts:
        readings = []
        for _ in range(rounds):
            started = time.perf_counter()
            policy.check(text, stage=Stage.INPUT)
            readings.append((time.perf_counter() - started) * 1000 * (per / len(text) if per else 1))
        times.append(statistics.median(readings))
        worst = max(worst, *readings)
    p50, p95, p99 = np.quantile(times, (0.5, 0.95, 0.99))
    print(f"| {name} | {len(texts)} | {statistics.median(map(len, texts)):.0f} | {p50:.2f} | {p95:.2f} | {p99:.2f} | {worst:.2f} |")


def _joined(prompts: Iterable[str]) -> list[str]:
    texts, text = [], ""
    for prompt in prompts:
        text = f"{text} {prompt}".strip()
        if len(text) >= 1000:
            texts.append(text[:1000])
            text = ""
    return texts


if __name__ == "__main__":
    main()
