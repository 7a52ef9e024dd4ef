"""Whether reward rises under PPO and GRPO: a reward model, then some updates of each.

    python benchmarks/align_rl.py --pairs out/align/pairs [--model out/align/sft/checkpoint] [--updates 40] [--out out/align-rl]

Run folders are written to ``--out``: ``reward``, ``ppo`` and ``grpo``; ``guardmed align report`` draws their curves.
Printed are how often the reward model ranks held-out pairs right, and for PPO (scores of the reward model) and
GRPO (verdicts of the guard, -1 to 1) the mean reward of the first and the last ten updates, with the difference
and its 95 % bootstrap interval over updates. Updates of one run depend on each other, so the interval tells noise
from a rise within this run; it does not say how another seed would fare. Nothing else is measured. The target
is a rise: an interval above 0 for both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from guardmed.align.datacard import load_pairs
from guardmed.align.results import AlignRun
from guardmed.align.settings import AlignSettings
from guardmed.align.stage import run_stage
from guardmed.policy import load_policy

LOGGED = {"ppo": "objective/scores", "grpo": "reward"}
ENDS = 10
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True, help="folder that align pairs wrote")
    parser.add_argument("--model", default="reference", help="what training begins from; best a checkpoint of align sft")
    parser.add_argument("--updates", type=int, default=40, help=f"of each; at least {2 * ENDS}")
    parser.add_argument("--tokens", type=int, default=32, help="of an answer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/align-rl"))
    parser.add_argument("--only", choices=tuple(LOGGED), help="one of the two")
    arguments = parser.parse_args()
    if arguments.updates < 2 * ENDS:
        parser.error(f"--updates must be at least {2 * ENDS}")

    stages = [arguments.only] if arguments.only else list(LOGGED)
    if "ppo" in stages:
        print_ranking(run("reward", arguments))
    rose = [print_rise(stage, run(stage, arguments), seed=arguments.seed) for stage in stages]
    sys.exit(not all(rose))


def run(stage: str, arguments: argparse.Namespace) -> AlignRun:
    lengths = {"ppo": "response_length", "grpo": "max_completion_length"}
    own = {stage: {"arguments": {"max_steps": arguments.updates, lengths[stage]: arguments.tokens}}} if stage in lengths else {}
    settings = AlignSettings.model_validate({"seed": arguments.seed, "evaluate": {"prompts": 0, "questions": 0, "samples": 0}, **own})
    return run_stage(
        stage,
        arguments.model,
        load_pairs(arguments.pairs),
        settings,
        out=arguments.out / stage,
        policy=load_policy(settings.policy),
        data=arguments.pairs.name,
        reward=arguments.out / "reward" / "reward" if stage == "ppo" else None,
    )


def print_ranking(made: AlignRun) -> None:
    last = made.curve[-1].values
    told = "no held-out pairs"
    if "held_out/n" in last:
        told = "{:.1%} of {:.0f} held-out pairs ranked right (95 % interval {:.1%} to {:.1%})".format(
            *(last[f"held_out/{name}"] for name in ("value", "n", "low", "high"))
        )
    print(f"reward model: {told}; {made.steps} steps, {made.seconds / max(1, made.steps):.1f} s each", flush=True)


def print_rise(stage: str, made: AlignRun, *, seed: int) -> bool:
    rewards = [point.values[LOGGED[stage]] for point in made.curve if LOGGED[stage] in point.values]
    first, last = rewards[:ENDS], rewards[-ENDS:]
    low, high = difference(first, last, seed=seed)
    print(
        f"{stage}: mean reward {np.mean(first):.3f} in the first {ENDS} updates, {np.mean(last):.3f} in the last; "
        f"rise {np.mean(last) - np.mean(first):.3f} (95 % interval {low:.3f} to {high:.3f}, {len(rewards)} updates, {made.seconds / len(rewards):.1f} s each)",
        flush=True,
    )
    return low > 0


def difference(first: Sequence[float], last: Sequence[float], *, seed: int) -> tuple[float, float]:
    """Percentile bootstrap of the difference of means, both sides resampled."""
    rng = np.random.default_rng(seed)
    means = [np.asarray(side)[rng.integers(0, len(side), (RESAMPLES, len(side)))].mean(axis=1) for side in (first, last)]
    low, high = np.quantile(means[1] - means[0], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
