from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardmed.gate.checks import EXIT_CODES, CheckResult, judge, judge_all, verdict
from guardmed.gate.config import METRICS, Check, CheckKind, GateConfig, load_config
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.stats import mcnemar_exact, wilson

KINDS: list[CheckKind] = ["zero_tolerance", "min_rate", "max_rate", "no_regression", "budget"]


def check(kind: CheckKind, **more: object) -> Check:
    return Check.model_validate({"id": "c", "stage": "refusal", "kind": kind, "why": "w", **more})


def evidence(outcomes: list[int], *, value: float | None = None, digest: str = "d", ids: list[str] | None = None, **detail: object) -> Evidence:
    names = ids or [str(index) for index in range(len(outcomes))]
    return Evidence(
        stage="refusal",
        metric="harmful_compliance",
        value=value if value is not None else sum(outcomes) / max(1, len(outcomes)),
        total=len(outcomes),
        items=tuple(ItemOutcome(id=name, outcome=outcome, shown=f"case {name}") for name, outcome in zip(names, outcomes, strict=True)),
        detail=detail,
        digest=digest,
        seconds=1.0,
    )


def result(outcome: str, *, critical: bool = False) -> CheckResult:
    return CheckResult(id="c", stage="refusal", kind="max_rate", verdict=outcome, critical=critical, why="w", told="t")  # type: ignore[arg-type]


class TestRates:
    @pytest.mark.parametrize(
        ("kind", "events", "total", "limit", "expected"),
        [
            ("max_rate", 0, 100, 0.05, "pass"),
            ("max_rate", 0, 20, 0.05, "inconclusive"),
            ("max_rate", 4, 100, 0.05, "inconclusive"),
            ("max_rate", 30, 100, 0.05, "fail"),
            ("min_rate", 90, 100, 0.80, "pass"),
            ("min_rate", 85, 100, 0.80, "inconclusive"),
            ("min_rate", 60, 100, 0.80, "fail"),
            ("min_rate", 5, 5, 0.80, "inconclusive"),
        ],
    )
    def test_the_bound_decides_not_the_point(self, kind: CheckKind, events: int, total: int, limit: float, expected: str) -> None:
        found = judge(check(kind, limit=limit), evidence([1] * events + [0] * (total - events)), None)
        assert found.verdict == expected
        assert f"{events} of {total}" in found.told

    @given(st.sampled_from(["max_rate", "min_rate"]), st.integers(1, 200), st.integers(0, 200), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
    def test_agrees_with_the_wilson_interval(self, kind: CheckKind, total: int, events: int, limit: float, confidence: float) -> None:
        events = min(events, total)
        interval = wilson(events, total, confidence=confidence)
        below, above = interval.high <= limit, interval.low >= limit
        good, bad = (below, interval.low > limit) if kind == "max_rate" else (above, interval.high < limit)
        found = judge(check(kind, limit=limit, confidence=confidence), evidence([1] * events + [0] * (total - events)), None)
        assert found.verdict == ("pass" if good else "fail" if bad else "inconclusive")

    def test_says_how_many_items_would_settle_it(self) -> None:
        told = judge(check("max_rate", limit=0.05), evidence([1] * 2 + [0] * 98), None).told
        assert "items would settle it" in told

    def test_shows_up_to_three_cases_that_failed(self) -> None:
        found = judge(check("max_rate", limit=0.05), evidence([0, 1, 1, 1, 1] * 10), None)
        assert found.examples == ("case 1", "case 2", "case 3")

    @pytest.mark.parametrize("kind", ["max_rate", "min_rate", "no_regression"])
    @pytest.mark.parametrize("limit", [0.0, 1.0])
    def test_no_item_is_missing_evidence(self, kind: CheckKind, limit: float) -> None:
        assert judge(check(kind, limit=limit), evidence([]), evidence([])).verdict == "missing"


class TestOthers:
    @pytest.mark.parametrize("kind", KINDS)
    def test_missing_evidence_never_passes(self, kind: CheckKind) -> None:
        assert judge(check(kind, limit=1.0), None, evidence([0] * 50)).verdict == "missing"

    @pytest.mark.parametrize(("outcomes", "expected"), [([0, 0, 0], "pass"), ([0, 1, 0], "fail"), ([1, 1, 1], "fail")])
    def test_zero_tolerance(self, outcomes: list[int], expected: str) -> None:
        found = judge(check("zero_tolerance"), evidence(outcomes, value=sum(outcomes)), None)
        assert found.verdict == expected
        assert found.examples == tuple(f"case {index}" for index, outcome in enumerate(outcomes) if outcome)

    @pytest.mark.parametrize(("value", "expected"), [(0.1, "pass"), (0.15, "pass"), (0.1501, "fail"), (float("nan"), "fail"), (float("inf"), "fail")])
    def test_budget(self, value: float, expected: str) -> None:
        assert judge(check("budget", limit=0.15), evidence([0] * 40, value=value), None).verdict == expected

    def test_budget_tells_the_reason(self) -> None:
        assert "no signal" in judge(check("budget", limit=0.15), evidence([0] * 40, value=1.0, reason="no signal"), None).told


class TestRegression:
    @pytest.mark.parametrize(
        ("worse", "better", "total", "margin", "expected"),
        [
            (0, 0, 100, 0.0, "pass"),
            (20, 2, 100, 0.02, "fail"),
            (2, 20, 100, 0.02, "pass"),
            (3, 1, 100, 0.0, "pass"),
            (20, 2, 100, 0.25, "pass"),
            (12, 0, 1000, 0.02, "pass"),
        ],
    )
    def test_needs_significance_and_size(self, worse: int, better: int, total: int, margin: float, expected: str) -> None:
        before = [0] * worse + [1] * better + [0] * (total - worse - better)
        now = [1] * worse + [0] * better + [0] * (total - worse - better)
        found = judge(check("no_regression", margin=margin), evidence(now), evidence(before))
        assert found.verdict == expected
        assert f"{worse} items worse, {better} better of {total}" in found.told

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80))
    def test_is_mcnemar_and_a_margin(self, rows: list[tuple[int, int]]) -> None:
        worse = sum(now > before for before, now in rows)
        better = sum(now < before for before, now in rows)
        found = judge(check("no_regression", margin=0.02), evidence([now for _, now in rows]), evidence([before for before, _ in rows]))
        assert found.verdict == ("fail" if (worse - better) / len(rows) > 0.02 and mcnemar_exact(worse, better) < 0.05 else "pass")

    def test_items_are_matched_by_id(self) -> None:
        names = [str(index) for index in range(60)]
        now = evidence([index % 2 for index in range(60)], ids=names)
        before = evidence([index % 2 for index in reversed(range(60))], ids=names[::-1])
        assert judge(check("no_regression"), now, before).told.startswith("0 items worse, 0 better of 60")

    def test_no_baseline_is_skipped(self) -> None:
        assert judge(check("no_regression"), evidence([0] * 40), None).verdict == "skipped"

    def test_other_items_are_missing_evidence(self) -> None:
        now = evidence([0, 0, 0])
        for baseline in (evidence([0, 0, 0], digest="other"), evidence([0, 0]), evidence([0, 0, 0], ids=["0", "1", "x"])):
            assert judge(check("no_regression"), now, baseline).verdict == "missing"


class TestVerdict:
    @pytest.mark.parametrize(
        ("results", "expected"),
        [
            ([], "nothing_evaluated"),
            ([result("skipped")], "nothing_evaluated"),
            ([result("missing"), result("missing", critical=True)], "nothing_evaluated"),
            ([result("pass")], "pass"),
            ([result("pass"), result("skipped", critical=True)], "pass"),
            ([result("pass"), result("missing")], "blocked"),
            ([result("pass"), result("fail")], "blocked"),
            ([result("pass"), result("inconclusive")], "pass"),
            ([result("pass"), result("inconclusive", critical=True)], "inconclusive"),
            ([result("fail"), result("inconclusive", critical=True)], "blocked"),
        ],
    )
    def test_of_all(self, results: list[CheckResult], expected: str) -> None:
        assert verdict(results) == expected

    def test_exit_codes(self) -> None:
        assert EXIT_CODES == {"pass": 0, "blocked": 1, "inconclusive": 4, "nothing_evaluated": 5}

    def test_each_check_gets_the_evidence_of_its_stage(self) -> None:
        checks = [check("zero_tolerance", id="a"), check("zero_tolerance", id="b", stage="audit")]
        found = judge_all(checks, {"refusal": evidence([0, 0], value=0)}, {})
        assert [(one.id, one.verdict) for one in found] == [("a", "pass"), ("b", "missing")]


class TestConfig:
    def test_the_default_covers_every_stage_once_with_a_reason(self) -> None:
        config = load_config(None)
        assert config.stages() == list(METRICS)
        assert all(one.why for one in config.checks)
        assert {one.stage for one in config.checks if one.critical} >= {"artifact_scan", "policy_tests", "refusal", "audit"}

    def test_two_checks_of_one_id(self) -> None:
        with pytest.raises(ValidationError, match="same id"):
            GateConfig(schema_version=1, name="x", checks=(check("budget"), check("budget")))

    @pytest.mark.parametrize("change", [{"limit": 5}, {"limit": -0.1}, {"confidence": 1.0}, {"confidence": 0.3}, {"stage": "vibes"}, {"colour": "red"}])
    def test_what_a_check_may_not_say(self, change: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            check("max_rate", **change)

    def test_stages_run_in_order(self) -> None:
        config = GateConfig(schema_version=1, name="x", checks=(check("budget", id="a", stage="latency"), check("budget", id="b", stage="refusal")))
        assert config.stages() == ["refusal", "latency"]
