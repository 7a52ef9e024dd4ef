"""The head of a model with a large vocabulary, read from the right and from the left.

    python benchmarks/head_order.py

Prints, for batches of several sizes, milliseconds of ``torch.nn.functional.linear`` and of the order that
``guardmed.models.head`` uses, and their ratio, taken in turns within one run: medians of seven.
"""

from __future__ import annotations

import statistics
import time

import torch

from guardmed.models.head import quicken

VOCABULARY, WIDTH, ROUNDS = 262_144, 640, 7


class Model(torch.nn.Module):
    """Nothing but a head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False)

    def get_output_embeddings(self) -> torch.nn.Linear:
        """As transformers' models have it."""
        return self.head


def main() -> None:
    torch.manual_seed(0)
    model = Model()
    quicken(model)
    weight = model.head.weight
    print("rows   right ms   left ms   ratio")
    with torch.inference_mode():
        for rows in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            hidden = torch.randn(rows, 1, WIDTH)
            ways = (lambda x=hidden: torch.nn.functional.linear(x, weight), lambda x=hidden: model.head(x))
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(ROUNDS):
                for way, taken in zip(ways, times, strict=True):
                    started = time.perf_counter()
                    way()[:, -1, :].to(copy=True, dtype=torch.float32).argmax(-1)
                    taken.append(1e3 * (time.perf_counter() - started))
            right, left = map(statistics.median, times)
            print(f"{rows:4}   {right:8.0f}   {left:7.0f}   {right / left:5.2f}")


if __name__ == "__main__":
    main()
