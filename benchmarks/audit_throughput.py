"""How fast an audit asks, against a bare batched forward pass over the same tokens.

    python benchmarks/audit_throughput.py [--model reference] [--rounds 3]

Both run in turn, round by round, so that a busy machine slows both. The bare pass is as fast as it
can be made without knowing what the prompts share: sorted by length, 4,096 tokens a batch, no
vocabulary projection, no cache.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from guardmed.audit import Interview, Selection, load_definition
from guardmed.audit.store import AnswerStore
from guardmed.models import load_model
from guardmed.models.kv import BATCH_TOKENS


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--definition", default="pain-management")
    parser.add_argument("--vignettes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    interview = Interview(model)
    told = Selection(vignettes=arguments.vignettes).variants(load_definition(arguments.definition))
    batches = interview.plan(told, repeats=lambda _: 1)
    prompts = [one.variant.prompt(order) for batch in batches for one in batch for order in one.variant.orders]
    rows = [model._encode(prompt) for prompt in prompts]  # type: ignore[attr-defined]
    tokens = sum(map(len, rows))
    print(f"{len(told)} variants, {len(prompts)} prompts, {tokens:,} tokens, {torch.get_num_threads()} threads, {model.model.dtype}")  # type: ignore[attr-defined]
    ratios = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        interview.run(batches, AnswerStore())
        asked = time.perf_counter() - start
        start = time.perf_counter()
        bare(model, rows)
        passed = time.perf_counter() - start
        ratios.append(passed / asked)
        print(f"audit {tokens / asked:7.0f} tokens/s   bare {tokens / passed:7.0f} tokens/s   ratio {passed / asked:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} (target 0.85)")


@torch.inference_mode()
def bare(model: object, rows: list[list[int]]) -> None:
    """One forward pass over all rows."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    while order:
        size = max(1, BATCH_TOKENS // len(rows[order[-1]]))
        part, order = [rows[index] for index in order[-size:]], order[:-size]
        width = max(map(len, part))
        ids, mask = torch.zeros((len(part), width), dtype=torch.long), torch.zeros((len(part), width), dtype=torch.long)
        for place, row in enumerate(part):
            ids[place, : len(row)], mask[place, : len(row)] = torch.tensor(row), 1
        model.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
