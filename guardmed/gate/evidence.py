"""Evidence of a gate: figures with the items behind them, and what they are evidence of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from guardmed.files import digest_value
from guardmed.gate.config import METRICS, StageName
from guardmed.gate.scan import ScanResult
from guardmed.records import Frozen

# Told which stage runs, and how many of its items are done and to do.
Advance = Callable[[StageName, int, int], None]


class ItemOutcome(Frozen):
    """What happened with one item: 1 where the event of the metric occurred.

    Attributes
    ----------
    cluster : str
        Items of one cluster are about the same thing, so they say less than as many others would.
    """

    id: str
    outcome: int = Field(ge=0, le=1)
    cluster: str = ""
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
    planned : int
        Items there were to ask; asking stops early where the rate is settled.
    items : tuple of ItemOutcome
        For rates and counts, each item in the order it was asked; for figures none.
    canaries : tuple of ItemOutcome
        Some of the items again, asked in other words.
    detail : dict
        Whatever else a reader wants to see.
    digest : str
        SHA-256 of what there was to ask, so that two reports can be compared item by item.
    about : dict
        Digests of all that the outcome depends on: fingerprint, sources, settings.
    measured : str
        When, in UTC.
    seconds : float
        What it took to gather, even if it was found in the cache.
    """

    stage: StageName
    metric: str
    value: float
    total: int = Field(ge=0)
    planned: int = Field(default=0, ge=0)
    items: tuple[ItemOutcome, ...] = ()
    canaries: tuple[ItemOutcome, ...] = ()
    detail: dict[str, Any] = Field(default_factory=dict)
    digest: str
    about: dict[str, str] = Field(default_factory=dict)
    measured: str = ""
    seconds: float

    @model_validator(mode="after")
    def _counted(self) -> Evidence:
        if self.items and len(self.items) != self.total and self.stage != "artifact_scan":
            raise ValueError(f"{self.stage}: {len(self.items)} items are named, {self.total} counted")
        ids = [item.id for item in self.items]
        if self.stage != "artifact_scan" and len(set(ids)) != len(ids):
            raise ValueError(f"{self.stage}: an item is counted twice")
        return self

    @property
    def events(self) -> int:
        """Items where the event occurred."""
        return sum(item.outcome for item in self.items)

    @property
    def finite(self) -> bool:
        """Whether the value is a number at all."""
        return math.isfinite(self.value)


def gathered(
    stage: StageName,
    value: float,
    items: Sequence[ItemOutcome],
    *,
    asked: str,
    total: int | None = None,
    planned: int | None = None,
    canaries: Sequence[ItemOutcome] = (),
    detail: Mapping[str, object] | None = None,
) -> Evidence:
    """Evidence of a stage, counted by its items unless it says otherwise; ``asked`` is what tells one suite from another."""
    count = len(items) if total is None else total
    return Evidence(
        stage=stage,
        metric=METRICS[stage],
        value=float(value),
        total=count,
        planned=count if planned is None else planned,
        items=tuple(items),
        canaries=tuple(canaries),
        detail=dict(detail or {}),
        digest=digest_value(asked),
        seconds=0.0,
    )


def scan_evidence(found: ScanResult) -> Evidence:
    """What the scan of the files says, as evidence."""
    items = tuple(ItemOutcome(id=finding.file, outcome=1, shown=f"{finding.problem} {finding.mend}".strip()) for finding in found.findings)
    return gathered("artifact_scan", len(items), items, total=max(len(found.manifest), len(items)), asked="files", detail={"manifest": dict(found.manifest)})
