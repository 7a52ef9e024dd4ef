"""What each preset can tell apart with the prompts that ship: not too little to pass, nor so little that harm passes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from guardmed.gate import GateConfig, load_config, preset_names
from guardmed.gate.config import METRICS, PROMPTED, Check, StageName
from guardmed.gate.plan import plan_tables, sizes
from guardmed.gate.power import pass_chance, regression_chance
from guardmed.reporting import Table
from guardmed.reporting.page import text_of
from tests.unit.test_gate_run import CHECKS, COMPARED, KNOWING, small_gate

PRESETS = {name: load_config(name) for name in preset_names()}
RATES = [(name, check) for name, config in PRESETS.items() for check in config.checks if check.kind in ("max_rate", "min_rate")]
# What can be compared item by item; the others are counts and figures.
REGRESSIONS = [(name, check) for name, config in PRESETS.items() for check in config.checks if check.kind == "no_regression" and check.stage in METRICS]


@dataclass(frozen=True)
class Plan:
    config: GateConfig
    sizes: dict[StageName, tuple[int, tuple[str, ...]]]
    table: Table

    @property
    def rows(self) -> dict[str, list[str]]:
        return {text_of(row[0]): [text_of(cell) for cell in row[1:]] for row in self.table.rows}

    def count(self, check: Check) -> int:
        return self.sizes[check.stage][0]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    """Each preset's, made once: reading the policies takes seconds."""
    return {name: Plan(config, sizes(config), plan_tables(config)[0]) for name, config in PRESETS.items()}


def named(cases: list[tuple[str, Check]]) -> list[object]:
    return [pytest.param(name, check, id=f"{name}-{check.id}") for name, check in cases]


def passes(rate: float, check: Check, count: int) -> float:
    kind = "min_rate" if check.kind == "min_rate" else "max_rate"
    return pass_chance(rate, limit=check.limit, total=count, kind=kind, alpha=check.alpha, sequential=check.stage in PROMPTED)


class TestPresets:
    @pytest.mark.parametrize("name", PRESETS)
    def test_has_a_table_of_every_check(self, plans: dict[str, Plan], name: str) -> None:
        plan = plans[name]
        assert list(plan.rows) == [check.id for check in plan.config.checks]
        assert name in plan.table.caption
        assert "the written sets" in plan.table.caption
        for check in plan.config.checks:
            items, holds, _ = plan.rows[check.id]
            if check.kind in ("max_rate", "min_rate", "no_regression"):
                assert items.removeprefix("at most ") == str(plan.count(check))
                assert "%" in holds

    @pytest.mark.parametrize("name", ["research", "internal", "patient-facing"])
    def test_asks_as_many_as_it_says(self, plans: dict[str, Plan], name: str) -> None:
        suites, counted = plans[name].config.suites, plans[name].sizes
        assert {stage: size for stage, (size, _) in counted.items()} == {"refusal": suites.harmful, "over_refusal": suites.harmless, "capability": suites.items}
        assert not any(lacks for _, lacks in counted.values())
        assert not any("blocks" in row[-1] or "too few" in row[-1] for row in plans[name].rows.values())

    def test_the_one_for_china_says_what_it_lacks(self, plans: dict[str, Plan]) -> None:
        plan = plans["china-genai"]
        assert [stage for stage, (_, lacks) in plan.sizes.items() if lacks] == ["refusal"]
        for check in ("harmful-compliance", "harmful-compliance-regression"):
            told = plan.rows[check][-1]
            assert told.startswith("blocks: ")
            assert "of at least 500 questions" in told
            assert "17 categories" in told

    @pytest.mark.parametrize(("name", "check"), named(RATES))
    def test_at_the_limit_hardly_any_passes(self, plans: dict[str, Plan], name: str, check: Check) -> None:
        assert passes(check.limit, check, plans[name].count(check)) <= min(0.05, check.alpha) + 1e-9

    @pytest.mark.parametrize(("name", "check"), named(RATES))
    def test_with_four_points_to_spare_most_pass(self, plans: dict[str, Plan], name: str, check: Check) -> None:
        spared = min(1.0, check.limit + 0.04) if check.kind == "min_rate" else max(0.0, check.limit - 0.04)
        assert passes(spared, check, plans[name].count(check)) >= 0.90

    @pytest.mark.parametrize(("name", "check"), named(REGRESSIONS))
    def test_a_regression_of_five_points_is_found(self, plans: dict[str, Plan], name: str, check: Check) -> None:
        """Even where Holm leaves its p the smallest share of alpha, as when no other check has changed."""
        family = sum(other.kind == "no_regression" for other in plans[name].config.checks)
        for alpha in (check.alpha, check.alpha / family):
            assert regression_chance(0.05, total=plans[name].count(check), margin=check.margin, alpha=alpha, base_rate=0.02) >= 0.80

    def test_each_has_rates_and_regressions_to_look_at(self) -> None:
        assert {name for name, _ in RATES} == {name for name, _ in REGRESSIONS} == set(PRESETS)


class TestPlan:
    def test_of_a_small_gate(self, tmp_path: Path) -> None:
        config = small_gate(tmp_path, {**CHECKS, **COMPARED, **KNOWING}, harmful=40)
        assert sizes(config) == {"refusal": (40, ()), "over_refusal": (64, ()), "capability": (120, ())}
        (table,) = plan_tables(config)
        rows = {text_of(row[0]): [text_of(cell) for cell in row[1:]] for row in table.rows}
        assert rows["files"] == ["–", "none", "each is looked at"]
        assert rows["harm"] == ["at most 40", "at most 10%", rows["harm"][2]]
        assert rows["knows"][:2] == ["120", "at least 70%"]
        assert rows["knows-same"][:2] == ["120", "change at most +5%"]
        assert rows["calibration"] == ["–", "at most 0.15", "the figure itself"]
        assert "prompts.jsonl" in table.caption

    def test_too_few_items_are_told(self, tmp_path: Path) -> None:
        (table,) = plan_tables(small_gate(tmp_path, {**CHECKS, **COMPARED}, harmful=16, harmless=2))
        told = {text_of(row[0]): text_of(row[3]) for row in table.rows}
        assert told["harm"] == "too few items to pass at all"
        assert told["over-same"] == "too few items to find any"

    def test_counts_only_the_languages_asked_for(self, tmp_path: Path) -> None:
        found = sizes(small_gate(tmp_path, {**CHECKS, **KNOWING}, languages=["zh"]))
        assert found == {"refusal": (32, ()), "over_refusal": (32, ()), "capability": (0, ())}

    def test_what_a_bank_lacks_blocks(self, tmp_path: Path) -> None:
        (table,) = plan_tables(small_gate(tmp_path, require={"harmless": {"questions": 100}}))
        told = {text_of(row[0]): text_of(row[3]) for row in table.rows}
        assert told["over"] == "blocks: 64 of at least 100 questions"
        assert not told["harm"].startswith("blocks")
