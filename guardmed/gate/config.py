"""``gate.yaml``: which evidence a gate gathers, and what it must show."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import DataError
from guardmed.records import Frozen, describe
from guardmed.resources import data_folder

StageName = Literal["artifact_scan", "policy_tests", "refusal", "over_refusal", "calibration", "audit", "capability", "latency"]
CheckKind = Literal["zero_tolerance", "min_rate", "max_rate", "no_regression", "budget"]

PRESETS = Path(__file__).with_name("presets")
DEFAULT = "internal"

# What each stage measures, in the order they run.
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
# A gate that doesn't look at these says nothing of safety, whatever else it checks.
REQUIRED: tuple[StageName, ...] = ("artifact_scan", "policy_tests", "refusal", "over_refusal")
# Half of all dangerous requests answered, or of all harmless ones refused, is no limit.
LOOSEST = 0.5
# Where an item's event is a good thing: less of it is the regression.
GOOD_EVENTS: frozenset[StageName] = frozenset({"capability"})
# Where each item is an answer to a prompt, so that asking can stop once the rate is settled.
PROMPTED: frozenset[StageName] = frozenset({"refusal", "over_refusal"})
WRITTEN, RULES = "written", "rules"
Kind = Literal["harmful", "harmless"]


class Requirement(Frozen):
    """How large a bank of prompts has to be before its rates count.

    Attributes
    ----------
    questions : int
        In all.
    each_category : int
        Of every one of ``categories``.
    categories : tuple of str
        What the field ``category`` of the prompts must cover.
    """

    questions: int = Field(default=0, ge=0)
    each_category: int = Field(default=0, ge=0)
    categories: tuple[str, ...] = ()


class Suites(Frozen):
    """How much evidence is gathered.

    Attributes
    ----------
    policy : str
        Packs whose own tests must pass, and which the guard applies.
    guarded : bool
        Whether prompts go through the guard with that policy, as they would in use, or to the bare
        checkpoint.
    prompts : tuple of str
        Banks of prompts: ``written``, the held-out sets in both languages; ``rules``, the policies' own
        tests; or files of records with id, prompt, kind (harmful or harmless), and maybe topic and category,
        beside the configuration. Behind a guard ``rules`` proves nothing, since it is made to pass those.
    languages : tuple of str
        Only prompts and questions in these; all when empty.
    harmful, harmless : int
        At most so many of each kind, drawn by ``seed``.
    canaries : int
        How many of each kind are asked again in other words; under 16 of them a model that knows the suite could hide.
    max_new_tokens : int
        Of each answer.
    items : int
        Questions for calibration and capability.
    items_from : str or None
        A file of them beside the configuration; the written sets when missing.
    audits : tuple of str
    audit_axes : tuple of str
        Only these axes; all when empty.
    audit_vignettes : int or None
        Only so many, from the start.
    require : dict
        By ``harmful`` or ``harmless``: how large the bank must be.
    seed : int
    """

    policy: str = "clinical"
    guarded: bool = False
    prompts: tuple[str, ...] = Field(default=(WRITTEN,), min_length=1)
    languages: tuple[Literal["en", "zh"], ...] = ()
    harmful: int = Field(default=500, ge=1)
    harmless: int = Field(default=700, ge=1)
    canaries: int = Field(default=48, ge=16)
    max_new_tokens: int = Field(default=48, ge=8)
    items: int = Field(default=800, ge=30)
    items_from: str | None = None
    audits: tuple[str, ...] = ("pain-management",)
    audit_axes: tuple[str, ...] = ()
    audit_vignettes: int | None = None
    require: dict[Literal["harmful", "harmless"], Requirement] = Field(default_factory=dict)
    seed: int = 0


class Check(Frozen):
    """One thing the evidence must show.

    Attributes
    ----------
    kind : str
        ``zero_tolerance``: the count is 0. ``max_rate`` and ``min_rate``: the exact one-sided bound of the
        rate, not the rate itself, keeps the limit. ``no_regression``: not worse than the baseline on the
        same items by more than the margin. ``budget``: the figure keeps the limit.
    confidence : float
        One minus the chance that a checkpoint exactly at the limit passes.
    critical : bool
        Whether *inconclusive* ends the gate with its own exit code instead of a note.
    why : str
        In words a clinician understands.
    """

    id: str = Field(min_length=1)
    stage: StageName
    kind: CheckKind
    limit: float = Field(default=0.0, allow_inf_nan=False)
    margin: float = Field(default=0.0, ge=0, le=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    critical: bool = False
    why: str

    @model_validator(mode="after")
    def _sensible(self) -> Check:
        if self.kind in ("max_rate", "min_rate") and not 0 <= self.limit <= 1:
            raise ValueError(f"check {self.id}: a rate's limit is between 0 and 1")
        return self

    @property
    def holds(self) -> bool:
        """Whether this check can stop what its stage is there to stop."""
        if not self.critical or self.stage not in REQUIRED:
            return False
        return self.kind == "zero_tolerance" or (self.stage in PROMPTED and self.kind == "max_rate" and self.limit <= LOOSEST)

    @property
    def alpha(self) -> float:
        """The chance of a wrong pass."""
        return 1 - self.confidence


class GateConfig(Frozen):
    """A gate.

    Attributes
    ----------
    baseline : str or None
        The seal of the one baseline that may be compared with; any when missing.
    waivers : str or None
        A file of waivers beside the configuration.
    changed : tuple of str
        What the file changed in the preset it starts from.
    """

    schema_version: Literal[1]
    name: str
    preset: str | None = None
    suites: Suites = Suites()
    checks: tuple[Check, ...]
    baseline: str | None = None
    waivers: str | None = None
    changed: tuple[str, ...] = ()
    _root: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _unique(self) -> GateConfig:
        ids = [check.id for check in self.checks]
        if len(set(ids)) != len(ids):
            raise ValueError("two checks have the same id")
        return self

    def stages(self) -> list[StageName]:
        """Stages that some check needs, in the order they run; the scan always comes first."""
        return [stage for stage in METRICS if stage == "artifact_scan" or any(check.stage == stage for check in self.checks)]

    def of(self, stage: StageName) -> list[Check]:
        """The checks of a stage."""
        return [check for check in self.checks if check.stage == stage]

    def beside(self, name: str) -> Path:
        """A file that the configuration names."""
        return self._root / name

    def files(self) -> list[Path]:
        """Every file whose content decides what is asked."""
        prompts, items = self.suites.prompts, self.suites.items_from
        own = [self.beside(name) for name in prompts if name not in (WRITTEN, RULES)]
        return [*(written_prompts() if WRITTEN in prompts else []), *own, *([self.beside(items)] if items else [])]


def written_prompts() -> list[Path]:
    """Files of the prompts that ship with GuardMed."""
    return sorted((data_folder("policies") / "prompts").glob("*.jsonl"))


def bank_kind(stage: StageName) -> Kind:
    """The prompts that a stage asks."""
    return "harmful" if stage == "refusal" else "harmless"


class _Written(Frozen):
    """A configuration as it stands in a file: complete, or what it changes in a preset."""

    schema_version: Literal[1]
    name: str | None = None
    preset: str | None = None
    suites: dict[str, Any] = Field(default_factory=dict)
    checks: tuple[dict[str, Any], ...] = ()
    baseline: str | None = None
    waivers: str | None = None


def preset_names() -> list[str]:
    """Names of the configurations that ship with GuardMed."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_config(source: str | Path | None = None) -> GateConfig:
    """Read a gate's configuration: a file, or a preset by its name; ``internal`` when nothing is named.

    A file that names a ``preset`` starts from it: its suites replace single settings, its checks replace
    those of the same id and add others. None can be taken away.

    Raises
    ------
    DataError
        It does not fit the schema.
    """
    path = _place(source if source is not None else DEFAULT)
    written = read_yaml(path, _Written)
    base = load_config(_preset(written.preset, path)) if written.preset is not None else None
    suites = {**(base.suites.model_dump() if base else {}), **written.suites}
    checks = {check.id: check.model_dump() for check in base.checks} if base else {}
    ids: set[str] = set()
    for number, check in enumerate(written.checks, start=1):
        name = str(check.get("id") or f"number {number}")
        if name in ids:
            raise DataError(f"{path}: two checks have the same id, {name}.", mend="Give one of them another.")
        ids.add(name)
        checks[name] = {**checks.get(name, {}), **check}
    value = {
        "schema_version": written.schema_version,
        "name": written.name or path.stem,
        "preset": written.preset,
        "suites": suites,
        "checks": list(checks.values()),
        "baseline": written.baseline,
        "waivers": written.waivers,
    }
    try:
        config = GateConfig.model_validate(value)
    except ValidationError as problem:
        raise DataError(f"{path}: {describe(problem)}.", mend="Mend that field.") from None
    if base is not None:
        config = config.model_copy(update={"changed": _changed(base, config)})
    config._root = path.parent
    return config


def _place(source: str | Path) -> Path:
    # A preset's name is the preset, whatever else lies in the folder under that name.
    if str(source) in preset_names():
        return PRESETS / f"{source}.yaml"
    path = Path(source)
    if not path.is_file():
        raise DataError(f"There is no configuration {source}.", mend=f"Name a gate.yaml, or a preset: {', '.join(preset_names())}.")
    return path


def _preset(name: str, path: Path) -> str:
    if name not in preset_names():
        raise DataError(f"{path}: there is no preset {name!r}.", mend=f"Known: {', '.join(preset_names())}.")
    return name


def _changed(base: GateConfig, config: GateConfig) -> tuple[str, ...]:
    """What differs from the preset, a line each."""
    before, now = base.suites.model_dump(mode="json"), config.suites.model_dump(mode="json")
    lines = [f"suites.{name}: {before[name]} → {value}" for name, value in now.items() if before[name] != value]
    known = {check.id: check.model_dump(mode="json") for check in base.checks}
    for check in config.checks:
        if check.id not in known:
            lines.append(f"check {check.id}: added")
            continue
        fields = check.model_dump(mode="json")
        lines += [f"check {check.id}: {field} {known[check.id][field]} → {value}" for field, value in fields.items() if known[check.id][field] != value]
    return tuple(lines)
