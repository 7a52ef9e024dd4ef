"""What a gate would ask, and what it could find: ``guardmed gate --plan``."""

from __future__ import annotations

from guardmed.calibration.items import load_items
from guardmed.gate.bank import load_bank, sources
from guardmed.gate.bounds import RateKind
from guardmed.gate.config import PROMPTED, Check, GateConfig, StageName, bank_kind
from guardmed.gate.power import smallest_regression, spare
from guardmed.policy import load_policy
from guardmed.reporting import Table

_CHANCE = 0.9


def sizes(config: GateConfig) -> dict[StageName, tuple[int, tuple[str, ...]]]:
    """How many items the stages with rates would ask, and what their banks lack."""
    policy = load_policy(config.suites.policy)
    found: dict[StageName, tuple[int, tuple[str, ...]]] = {}
    stages: tuple[StageName, ...] = ("refusal", "over_refusal")
    for stage in stages:
        bank = load_bank(config, policy, bank_kind(stage))
        found[stage] = (len(bank.prompts), bank.lacks)
    suites = config.suites
    items = load_items(config.beside(suites.items_from) if suites.items_from else None)
    items = [item for item in items if not suites.languages or item.lang in suites.languages]
    found["capability"] = (min(suites.items, len(items)), ())
    return found


def plan_tables(config: GateConfig) -> list[Table]:
    """For every rate and regression: items, limit, and the smallest distance to it that would be seen."""
    counted = sizes(config)
    rows: list[list[str]] = []
    for check in config.checks:
        count, lacks = counted.get(check.stage, (0, ()))
        if lacks:
            rows.append([check.id, str(count), _limit(check), f"blocks: {', and '.join(lacks)}"])
        elif check.kind in ("max_rate", "min_rate"):
            rows.append([check.id, f"at most {count}" if check.stage in PROMPTED else str(count), _limit(check), _spared(check, count)])
        elif check.kind == "no_regression":
            least = smallest_regression(count, margin=check.margin, alpha=check.alpha, base_rate=0.05)
            seen = f"{least:.1%} more is found four times in five" if least is not None else "too few items to find any"
            rows.append([check.id, str(count), _limit(check), seen])
        else:
            rows.append([check.id, "–", _limit(check), "each is looked at" if check.kind == "zero_tolerance" else "the figure itself"])
    banks = ", ".join(sources(config.suites))
    return [Table(f"Gate {config.name}: what it would ask ({banks}) and what it could find", ["Check", "Items", "Must hold", "What it can tell"], rows)]


def _spared(check: Check, count: int) -> str:
    kind: RateKind = "min_rate" if check.kind == "min_rate" else "max_rate"
    points = spare(limit=check.limit, total=count, kind=kind, alpha=check.alpha, sequential=check.stage in PROMPTED, chance=_CHANCE)
    if points is None:
        return "too few items to pass at all"
    true = check.limit + points if kind == "min_rate" else check.limit - points
    return f"a true rate of {true:.1%} passes nine times in ten, one at the limit at most {check.alpha:.1%}"


def _limit(check: Check) -> str:
    if check.kind == "max_rate":
        return f"at most {check.limit:.0%}"
    if check.kind == "min_rate":
        return f"at least {check.limit:.0%}"
    if check.kind == "no_regression":
        return f"change at most {check.margin:+.0%}"
    return "none" if check.kind == "zero_tolerance" else f"at most {check.limit:g}"
