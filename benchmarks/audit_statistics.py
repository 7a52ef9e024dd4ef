"""How often an audit's verdicts are wrong, on answers whose truth is known.

    python benchmarks/audit_statistics.py [--audits 200]

Simulates answers of models without bias, with a bias of the size that the audit says it can find,
and without any difference at all; times the statistics; and sets the paired interval beside
fairlearn's bootstrap of rows, which knows no pairs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from guardmed.audit import Observation, Settings, analyse
from guardmed.stats import mcnemar_power, smallest_gap, wilson

GROUPS = ("white", "black", "asian", "hispanic")
Draw = Callable[[np.random.Generator, NDArray[np.float64]], NDArray[np.float64]]


def main() -> None:
    """Run every part and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=200)
    audits = parser.parse_args().audits
    print(f"{'answers':42} {'items':>5} {'fail':>5} {'of':>4}  95 % interval")
    for title, items, draw in NULL:
        tell(f"no bias: {title}", items, [verdict(draw, items, seed, gap=0.0) for seed in range(audits)])
    for title, items, draw in NULL:
        gap = detectable(draw, items)
        tell(f"gap {gap:.3f}: {title}", items, [verdict(draw, items, 10_000 + seed, gap=gap) for seed in range(audits)])
    for items in (80, 150, 801):
        same = [verdict(lambda g, c: g.random(c.shape[0])[:, None].repeat(4, 1) < c, items, seed, gap=0.0) for seed in range(20)]
        print(f"identical answers, {items} items: {same.count('pass')} of {len(same)} pass")
    seconds()
    widths()


def binary(generator: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each group draws anew: the noisiest model."""
    return (generator.random(chance.shape) < chance).astype(float)


def sticky(generator: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """One draw an item, of which a tenth is drawn again for each group."""
    own = generator.random(chance.shape)
    common = generator.random((len(chance), 1)).repeat(chance.shape[1], 1)
    return (np.where(generator.random(chance.shape) < 0.1, own, common) < chance).astype(float)


def probability(generator: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """A probability with a little noise for each wording."""
    return np.clip(chance + generator.normal(0, 0.05, chance.shape), 0, 1)


def rating(generator: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """One of five steps, as a share."""
    return np.asarray(generator.binomial(4, chance), dtype=float) / 4


NULL: tuple[tuple[str, int, Draw], ...] = (
    ("0 or 1, drawn anew", 60, binary),
    ("0 or 1, drawn anew", 150, binary),
    ("0 or 1, drawn anew", 801, binary),
    ("0 or 1, sticky", 150, sticky),
    ("0 or 1, sticky", 801, sticky),
    ("probability", 48, probability),
    ("five steps", 150, rating),
)


def rows_of(values: NDArray[np.float64], *, axis: str = "race") -> list[Observation]:
    return [
        Observation(item=str(item), axis=axis, group=group, outcomes={"favourable": float(values[item, place])})
        for item in range(len(values))
        for place, group in enumerate(GROUPS)
    ]


def chances(generator: np.random.Generator, items: int, gap: float) -> NDArray[np.float64]:
    """Each item's rate, between 0.2 and 0.8, lower for the last group by the gap."""
    chance = generator.uniform(0.3, 0.8, (items, 1)).repeat(len(GROUPS), 1)
    chance[:, -1] -= gap
    return np.clip(chance, 0, 1)


def verdict(draw: Draw, items: int, seed: int, *, gap: float) -> str:
    generator = np.random.default_rng(seed)
    return analyse(rows_of(draw(generator, chances(generator, items, gap))), Settings()).verdict


def detectable(draw: Draw, items: int) -> float:
    """What the audit of an unbiased model says it could have found."""
    generator = np.random.default_rng(99)
    result = analyse(rows_of(draw(generator, chances(generator, items, 0.0))), Settings()).axes["race"]["favourable"]
    assert result.detectable_gap is not None
    return result.detectable_gap


def tell(title: str, items: int, verdicts: list[str]) -> None:
    failed = verdicts.count("fail")
    interval = wilson(failed, len(verdicts))
    print(f"{title:42} {items:5} {failed:5} {len(verdicts):4}  {interval.low:.3f} to {interval.high:.3f}")


def seconds() -> None:
    """10,000 records, 2,000 resamples."""
    generator = np.random.default_rng(0)
    rows = rows_of(probability(generator, chances(generator, 2500, 0.0)))
    analyse(rows[:400], Settings())
    start = time.perf_counter()
    analyse(rows, Settings())
    print(f"{len(rows):,} records, 2,000 resamples: {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    gap = smallest_gap(total=801, alpha=0.05 / 28, margin=0.05, discordance=0.2)
    print(f"power: {mcnemar_power(gap, total=801, discordance=0.2, alpha=0.05 / 28, margin=0.05):.3f} at {gap:.3f} ({time.perf_counter() - start:.2f} s)")


def widths() -> None:
    """801 items, 4 groups, sticky answers: the paired interval beside fairlearn's bootstrap of rows."""
    from fairlearn.metrics import MetricFrame, selection_rate

    generator = np.random.default_rng(5)
    values = sticky(generator, chances(generator, 801, 0.03))
    rows = rows_of(values)
    pair = next(p for p in analyse(rows, Settings()).axes["race"]["favourable"].pairs if {p.a, p.b} == {"white", "hispanic"})
    kept = [row for row in rows if row.group in ("white", "hispanic")]
    answers = [row.outcomes["favourable"] for row in kept]
    frame = MetricFrame(
        metrics=selection_rate,
        y_true=answers,
        y_pred=answers,
        sensitive_features=[row.group for row in kept],
        n_boot=500,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    low, high = frame.difference_ci()
    ours, theirs = pair.ci[1] - pair.ci[0], float(high) - float(low)
    print(f"paired interval {ours:.4f} wide, fairlearn's bootstrap of rows {theirs:.4f}: {1 - ours / theirs:.0%} narrower")


if __name__ == "__main__":
    main()
