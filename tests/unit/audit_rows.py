"""Answers of an audit, made by hand for the tests of its statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.results import OutcomeResult
from guardmed.audit.table import Observation, Value


def observed(
    values: Mapping[str, Sequence[Value]], *, axis: str = "sex", outcome: str = "treated", cluster: Callable[[int], str] = lambda index: "", **fields
) -> list[Observation]:
    """One observation for each group and item, from each group's values in item order."""
    return [
        Observation(item=f"v{index:03}", axis=axis, group=group, outcomes={outcome: value}, cluster=cluster(index), **fields)
        for group, own in values.items()
        for index, value in enumerate(own)
    ]


def alternating(count: int) -> list[float]:
    return [float(index % 2) for index in range(count)]


def drawn(generator: np.random.Generator, count: int, chance) -> list[float]:
    """Answers of 0 or 1."""
    return [float(value) for value in generator.random(count) < chance]


def one(rows: Sequence[Observation], settings: Settings | None = None, outcome: str = "treated") -> OutcomeResult:
    """The result of the only axis."""
    (outcomes,) = analyse(rows, settings or Settings()).axes.values()
    return outcomes[outcome]
