"""Evidence of a gate: figures with the items behind them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from guardmed.gate.config import StageName
from guardmed.records import Frozen


class ItemOutcome(Frozen):
    """What happened with one item: 1 where the event of the metric occurred."""

    id: str
    outcome: int
    shown: str = ""


class Evidence(Frozen):
    """What one stage found.

    Attributes
    ----------
    metric : str
    value : float
        A rate, a count or a figure.
    total : int
        Items behind it.
    items : tuple of ItemOutcome
        For rates and counts, each item; for figures none.
    detail : dict
        Whatever else a reader wants to see.
    digest : str
        SHA-256 of what was asked, so that two reports can be compared item by item.
    seconds : float
    """

    stage: StageName
    metric: str
    value: float
    total: int
    items: tuple[ItemOutcome, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)
    digest: str
    seconds: float

    @property
    def events(self) -> int:
        """Items where the event occurred."""
        return sum(item.outcome for item in self.items)
