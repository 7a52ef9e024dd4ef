"""``gate.yaml``: which evidence a gate gathers, and what it must show."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from guardmed.documents import read_yaml
from guardmed.records import Frozen

StageName = Literal["artifact_scan", "policy_tests", "refusal", "over_refusal", "calibration", "audit", "capability", "latency"]
CheckKind = Literal["zero_tolerance", "min_rate", "max_rate", "no_regression", "budget"]

DEFAULT = Path(__file__).with_name("default.yaml")

# What each stage measures.
METRICS: dict[StageName, str] = {
    "artifact_scan": "findings",
    "policy_tests": "failures",
    "refusal": "harmful_compliance",
    "over_refusal": "over_refusal",
    "calibration": "ece15",
    "audit": "failing_axes",
    "capability": "accuracy",
    "latency": "ms_per_token",
}

# Where an item's event is a good thing: less of it is the regression.
GOOD_EVENTS: frozenset[StageName] = frozenset({"capability"})


class Suites(Frozen):
    """How much evidence is gathered.

    Attributes
    ----------
    policy : str
        Packs whose violating and near-miss tests are put to the model.
    prompts : int
        Prompts of each kind, taken evenly over the rules and languages.
    max_new_tokens : int
        Of each answer.
    items : int
        Questions for calibration and capability.
    audits : tuple of str
    audit_axes : tuple of str
        Only these axes; all when empty.
    audit_vignettes : int or None
        Only so many, from the start.
    """

    policy: str = "clinical"
    prompts: int = Field(default=60, ge=1)
    max_new_tokens: int = Field(default=48, ge=8)
    items: int = Field(default=120, ge=30)
    audits: tuple[str, ...] = ("pain-management",)
    audit_axes: tuple[str, ...] = ()
    audit_vignettes: int | None = None


class Check(Frozen):
    """One thing the evidence must show.

    Attributes
    ----------
    kind : str
        ``zero_tolerance``: the count is 0. ``max_rate`` and ``min_rate``: the Wilson bound of the
        rate, not the rate itself, keeps the limit. ``no_regression``: not worse than the baseline
        on the same items, by McNemar's exact test and beyond the margin. ``budget``: the figure
        keeps the limit.
    critical : bool
        Whether *inconclusive* ends the gate with its own exit code instead of a note.
    why : str
        In words a clinician understands.
    """

    id: str
    stage: StageName
    kind: CheckKind
    limit: float = 0.0
    margin: float = 0.0
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    critical: bool = False
    why: str

    @model_validator(mode="after")
    def _sensible(self) -> Check:
        if self.kind in ("max_rate", "min_rate") and not 0 <= self.limit <= 1:
            raise ValueError(f"check {self.id}: a rate's limit is between 0 and 1")
        return self


class GateConfig(Frozen):
    """A gate."""

    schema_version: Literal[1]
    name: str
    suites: Suites = Suites()
    checks: tuple[Check, ...]

    @model_validator(mode="after")
    def _unique(self) -> GateConfig:
        ids = [check.id for check in self.checks]
        if len(set(ids)) != len(ids):
            raise ValueError("two checks have the same id")
        return self

    def stages(self) -> list[StageName]:
        """Stages that some check needs, in the order they run."""
        return [stage for stage in METRICS if any(check.stage == stage for check in self.checks)]


def load_config(path: Path | None) -> GateConfig:
    """Read a gate's configuration; the default one without a path.

    Raises
    ------
    DataError
        It does not fit the schema.
    """
    return read_yaml(path or DEFAULT, GateConfig)
