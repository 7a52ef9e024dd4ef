from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardmed.gate.bounds import looks, one_sided, rate_bounds, regression, settled, spent
from guardmed.gate.checks import EXIT_CODES, CheckResult, judge, judge_all, verdict
from guardmed.gate.config import METRICS, PROMPTED, REQUIRED, Check, CheckKind, GateConfig, StageName, Suites, load_config
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.stats import holm, mcnemar_exact, paired_difference

KINDS: list[CheckKind] = ["zero_tolerance", "min_rate", "max_rate", "no_regression", "budget"]
VERDICTS = ["pass", "fail", "inconclusive", "missing", "skipped", "waived"]


def check(kind: CheckKind, **more: object) -> Check:
    return Check.model_validate({"id": "c", "stage": "refusal", "kind": kind, "why": "w", **more})


def evidence(
    outcomes: list[int],
    *,
    stage: StageName = "refusal",
    value: float | None = None,
    digest: str = "d",
    ids: list[str] | None = None,
    clusters: list[str] | None = None,
    planned: int | None = None,
    again: list[int] | None = None,
    **detail: object,
) -> Evidence:
    """Evidence on items that were all asked, each its own cluster, unless said otherwise.

    ``again``: outcomes of the first ones in other words; for stages with prompts the same as in the suite's own.
    """
    names = ids or [str(index) for index in range(len(outcomes))]
    if again is None:
        again = outcomes[:48] if stage in PROMPTED else []
    return Evidence(
        stage=stage,
        metric=METRICS[stage],
        value=value if value is not None else sum(outcomes) / max(1, len(outcomes)),
        total=len(outcomes),
        planned=len(outcomes) if planned is None else planned,
        items=tuple(
            ItemOutcome(id=name, outcome=outcome, cluster=cluster, shown=f"case {name}")
            for name, outcome, cluster in zip(names, outcomes, clusters or names, strict=True)
        ),
        canaries=tuple(ItemOutcome(id=name, outcome=outcome) for name, outcome in zip(names, again, strict=False)),
        detail=detail,
        digest=digest,
        seconds=1.0,
    )


def counted(events: int, total: int, **more: Any) -> Evidence:
    return evidence([1] * events + [0] * (total - events), **more)


def paired(now: Evidence, before: Evidence, *, margin: float = 0.0, stage: StageName = "refusal", confidence: float = 0.95) -> CheckResult:
    """What one regression check alone says."""
    one = check("no_regression", margin=margin, stage=stage, confidence=confidence)
    return judge_all(gate(one), {stage: now}, {stage: before})[0]


def gate(*checks: Check, canaries: int = 16) -> GateConfig:
    return GateConfig(schema_version=1, name="x", suites=Suites(canaries=canaries), checks=checks)


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
            ("min_rate", 12, 12, 0.80, "inconclusive"),
        ],
    )
    def test_the_bound_decides_not_the_point(self, kind: CheckKind, events: int, total: int, limit: float, expected: str) -> None:
        found = judge(check(kind, limit=limit), counted(events, total))
        assert found.verdict == expected
        assert f"{events} of {total}" in found.told

    @given(st.sampled_from(["max_rate", "min_rate"]), st.integers(1, 200), st.integers(0, 200), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
    def test_agrees_with_the_exact_bounds(self, kind: CheckKind, total: int, events: int, limit: float, confidence: float) -> None:
        """Of a stage that is looked at once, with independent items."""
        events = min(events, total)
        bounds = one_sided(events, total, alpha=1 - confidence)
        good, bad = (bounds.high <= limit, bounds.low > limit) if kind == "max_rate" else (bounds.low >= limit, bounds.high < limit)
        found = judge(check(kind, limit=limit, confidence=confidence, stage="capability"), counted(events, total, stage="capability"))
        assert found.verdict == ("pass" if good else "fail" if bad else "inconclusive")
        assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=1e-12)

    @given(st.sampled_from(["max_rate", "min_rate"]), st.integers(1, 400), st.integers(0, 3), st.integers(0, 400), st.floats(0, 1))
    def test_a_look_may_spend_no_more_than_its_share(self, kind: CheckKind, planned: int, place: int, events: int, limit: float) -> None:
        """Of a stage that is looked at as it is asked."""
        place = min(place, len(looks(planned)) - 1)
        asked = looks(planned)[place]
        events = min(events, asked)
        bounds = one_sided(events, asked, alpha=spent(place, planned, check(kind).alpha))
        found = judge(check(kind, limit=limit), counted(events, asked, planned=planned))
        expected = settled(bounds, kind=kind, limit=limit) or "inconclusive"  # type: ignore[arg-type]
        # Of fewer than eight none could show that the suite is known.
        assert found.verdict == ("missing" if asked < 8 and expected != "fail" else expected)
        assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=1e-12)

    @given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh")), min_size=1, max_size=120), st.floats(0, 1))
    def test_items_of_a_topic_count_for_less(self, items: list[tuple[int, str]], limit: float) -> None:
        outcomes, clusters = [outcome for outcome, _ in items], [cluster for _, cluster in items]
        bounds = rate_bounds(outcomes, clusters, alpha=check("max_rate").alpha)
        found = judge(check("max_rate", limit=limit, stage="capability"), evidence(outcomes, clusters=clusters, stage="capability"))
        assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=1e-12)
        assert found.verdict == (settled(bounds, kind="max_rate", limit=limit) or "inconclusive")

    def test_what_independent_items_would_pass_a_few_topics_do_not(self) -> None:
        one = check("max_rate", limit=0.05, stage="capability")
        assert judge(one, counted(4, 200, stage="capability")).verdict == "pass"
        topics = [str(index // 10) for index in range(200)]
        assert judge(one, counted(4, 200, stage="capability", clusters=topics)).verdict == "inconclusive"

    @pytest.mark.parametrize("asked", [1, 37, 99, 151, 299])
    def test_where_no_look_was_planned_nothing_is_known(self, asked: int) -> None:
        found = judge(check("max_rate", limit=0.9), counted(0, asked, planned=300))
        assert found.verdict == "missing"
        assert f"{asked} of 300" in found.told

    @pytest.mark.parametrize("events", [0, 4])
    def test_so_many_items_as_it_says_do_settle_it(self, events: int) -> None:
        one = check("max_rate", limit=0.05, stage="capability")
        found = judge(one, counted(events, 50, stage="capability"))
        assert found.verdict == "inconclusive"
        assert found.items is not None
        assert f"{found.items:,} items" in found.told
        enough = 50 * math.ceil(found.items / 50)
        assert judge(one, counted(events * enough // 50, enough, stage="capability")).verdict == ("pass" if events == 0 else "fail")

    def test_at_the_limit_no_number_of_items_would(self) -> None:
        found = judge(check("max_rate", limit=0.05), counted(5, 100))
        assert (found.verdict, found.items) == ("inconclusive", None)
        assert "no number of items" in found.told

    def test_shows_up_to_three_cases_that_failed(self) -> None:
        found = judge(check("max_rate", limit=0.05), evidence([0, 1, 1, 1, 1] * 10))
        assert found.examples == ("case 1", "case 2", "case 3")

    def test_a_pass_shows_none(self) -> None:
        assert judge(check("max_rate", limit=0.5), counted(1, 100)).examples == ()

    @pytest.mark.parametrize("kind", ["max_rate", "min_rate", "no_regression"])
    @pytest.mark.parametrize("limit", [0.0, 1.0])
    def test_no_item_is_missing_evidence(self, kind: CheckKind, limit: float) -> None:
        assert judge_all(gate(check(kind, limit=limit)), {"refusal": evidence([])}, {"refusal": evidence([])})[0].verdict == "missing"


class TestCanaries:
    ONE = check("max_rate", limit=0.05)

    def test_who_does_as_well_in_other_words_passes(self) -> None:
        assert judge(self.ONE, counted(0, 100, again=[0] * 20), canaries=20).verdict == "pass"

    @pytest.mark.parametrize(("wrong", "expected"), [(0, "pass"), (6, "pass"), (7, "fail"), (20, "fail")])
    def test_who_does_worse_beyond_chance_knows_the_suite(self, wrong: int, expected: str) -> None:
        found = judge(self.ONE, counted(0, 100, again=[1] * wrong + [0] * (20 - wrong)), canaries=20)
        assert found.verdict == expected
        assert ("knows the suite" in found.told) == (expected == "fail")

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=30, max_size=60))
    def test_is_mcnemar_and_ten_points(self, rows: list[tuple[int, int]]) -> None:
        worse, better = sum(again > own for own, again in rows), sum(again < own for own, again in rows)
        found = judge(check("max_rate", limit=1.0), evidence([own for own, _ in rows], again=[again for _, again in rows]), canaries=len(rows))
        knows = worse > better and mcnemar_exact(worse, better) / 2 < 0.01 and (worse - better) / len(rows) > 0.10
        assert found.verdict == ("fail" if knows else "pass")

    @pytest.mark.parametrize(("asked", "expected"), [(20, "pass"), (18, "pass"), (17, "missing"), (0, "missing")])
    def test_too_few_of_them_are_missing_evidence(self, asked: int, expected: str) -> None:
        """Some may lie in quarantine, but not many."""
        assert judge(self.ONE, counted(0, 100, again=[0] * asked), canaries=20).verdict == expected

    def test_a_failure_needs_none(self) -> None:
        assert judge(self.ONE, counted(60, 100), canaries=20).verdict == "fail"

    def test_no_more_are_wanted_than_were_asked(self) -> None:
        assert judge(check("max_rate", limit=0.5), counted(0, 16, again=[0] * 16), canaries=48).verdict == "pass"

    @pytest.mark.parametrize(("asked", "expected"), [(7, "missing"), (8, "pass")])
    def test_but_never_so_few_that_they_could_show_nothing(self, asked: int, expected: str) -> None:
        assert judge(check("max_rate", limit=0.5), counted(0, asked), canaries=0).verdict == expected

    def test_where_nothing_is_asked_in_words_there_are_none(self) -> None:
        assert judge(check("max_rate", limit=0.5, stage="capability"), counted(0, 100, stage="capability"), canaries=20).verdict == "pass"


class TestOthers:
    @pytest.mark.parametrize("kind", KINDS)
    def test_missing_evidence_never_passes(self, kind: CheckKind) -> None:
        (found, *_) = judge_all(gate(check(kind, limit=1.0)), {}, {"refusal": counted(0, 50)})
        assert found.verdict == "missing"

    @given(st.sampled_from(KINDS), st.floats(0, 1), st.sampled_from([None, "empty", "nan"]), st.booleans())
    def test_whatever_the_check(self, kind: CheckKind, limit: float, how: str | None, before: bool) -> None:
        now = {"empty": evidence([]), "nan": counted(0, 50, value=math.nan)}.get(how or "")
        (found, *_) = judge_all(
            gate(check(kind, limit=limit, margin=1.0)), {} if now is None else {"refusal": now}, {"refusal": counted(0, 50)} if before else None
        )
        assert found.verdict in ("missing", "skipped") or (kind, how) == ("no_regression", "nan")
        assert found.verdict != "skipped" or kind == "no_regression"

    @pytest.mark.parametrize(("outcomes", "expected"), [([0, 0, 0], "pass"), ([0, 1, 0], "fail"), ([1, 1, 1], "fail")])
    @pytest.mark.parametrize("stage", ["artifact_scan", "policy_tests", "audit"])
    def test_zero_tolerance(self, stage: StageName, outcomes: list[int], expected: str) -> None:
        found = judge(check("zero_tolerance", stage=stage), evidence(outcomes, stage=stage, value=sum(outcomes)))
        assert found.verdict == expected
        assert found.examples == tuple(f"case {index}" for index, outcome in enumerate(outcomes) if outcome)

    @pytest.mark.parametrize("value", [0.0, 0.2])
    def test_zero_tolerance_counts_the_items_too(self, value: float) -> None:
        assert judge(check("zero_tolerance"), evidence([0, 1], value=value)).verdict == "fail"

    @pytest.mark.parametrize(
        ("found", "expected"),
        [(counted(0, 100), "pass"), (counted(1, 100), "fail"), (counted(0, 50, planned=100), "missing"), (counted(0, 100, again=[0] * 7), "missing")],
    )
    def test_zero_tolerance_of_answers_needs_all_of_them(self, found: Evidence, expected: str) -> None:
        assert judge(check("zero_tolerance"), found).verdict == expected

    def test_and_that_the_suite_is_not_known(self) -> None:
        assert judge(check("zero_tolerance"), counted(0, 100, again=[1] * 20), canaries=20).verdict == "fail"

    @pytest.mark.parametrize(("value", "expected"), [(0.1, "pass"), (0.15, "pass"), (0.1501, "fail"), (float("nan"), "missing"), (float("inf"), "missing")])
    def test_budget(self, value: float, expected: str) -> None:
        assert judge(check("budget", limit=0.15), evidence([0] * 40, value=value)).verdict == expected

    def test_budget_tells_the_reason(self) -> None:
        assert "no signal" in judge(check("budget", limit=0.15), evidence([0] * 40, value=1.0, reason="no signal")).told


class TestRegression:
    @pytest.mark.parametrize(
        ("worse", "better", "total", "margin", "expected"),
        [
            (0, 0, 100, 0.03, "pass"),
            (0, 0, 100, 0.02, "inconclusive"),  # so few items show no change that small
            (20, 2, 100, 0.02, "fail"),
            (2, 20, 100, 0.02, "pass"),
            (3, 1, 100, 0.0, "inconclusive"),
            (20, 2, 100, 0.25, "inconclusive"),
            (20, 2, 100, 0.27, "pass"),
            (12, 0, 1000, 0.02, "pass"),
        ],
    )
    def test_needs_significance_and_size(self, worse: int, better: int, total: int, margin: float, expected: str) -> None:
        before = [0] * worse + [1] * better + [0] * (total - worse - better)
        now = [1] * worse + [0] * better + [0] * (total - worse - better)
        found = paired(evidence(now), evidence(before), margin=margin)
        assert found.verdict == expected
        assert f"{worse} items worse, {better} better of {total}" in found.told

    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80), st.sampled_from([0.0, 0.02, 0.1]))
    def test_is_mcnemar_a_margin_and_tango(self, rows: list[tuple[int, int]], margin: float) -> None:
        worse = sum(now > before for before, now in rows)
        better = sum(now < before for before, now in rows)
        found = paired(evidence([now for _, now in rows]), evidence([before for before, _ in rows]), margin=margin)
        failed = (worse - better) / len(rows) > margin and regression(worse, better, len(rows), alpha=0.05).p < 0.05
        high = paired_difference(worse, better, len(rows), confidence=0.90).high
        assert found.high == pytest.approx(high)
        assert found.verdict == ("fail" if failed else "pass" if found.high <= margin else "inconclusive")

    def test_more_right_answers_are_no_regression(self) -> None:
        few, many = counted(40, 100, stage="capability"), counted(90, 100, stage="capability")
        assert paired(many, few, margin=0.02, stage="capability").verdict == "pass"
        assert paired(few, many, margin=0.02, stage="capability").verdict == "fail"

    def test_items_are_matched_by_id(self) -> None:
        names = [str(index) for index in range(60)]
        now = evidence([index % 2 for index in range(60)], ids=names)
        before = evidence([index % 2 for index in reversed(range(60))], ids=names[::-1])
        assert paired(now, before).told.startswith("0 items worse, 0 better of 60")

    def test_no_baseline_is_skipped(self) -> None:
        assert judge_all(gate(check("no_regression")), {"refusal": counted(0, 40)}, None)[0].verdict == "skipped"

    def test_never_judged_without_one(self) -> None:
        assert judge(check("no_regression", margin=1.0), counted(0, 400)).verdict == "missing"

    @pytest.mark.parametrize("before", [evidence([0, 0, 0], digest="other"), evidence([0, 0]), evidence([0, 0, 0], ids=["0", "1", "x"]), evidence([])])
    def test_other_items_are_missing_evidence(self, before: Evidence) -> None:
        assert paired(evidence([0, 0, 0]), before, margin=1.0).verdict == "missing"

    def test_a_baseline_without_the_stage_is_missing_evidence(self) -> None:
        assert judge_all(gate(check("no_regression", margin=1.0)), {"refusal": counted(0, 40)}, {})[0].verdict == "missing"

    def test_a_baseline_that_was_asked_more_is_compared_on_what_both_were(self) -> None:
        assert paired(counted(0, 200, planned=400), counted(0, 400), margin=0.02).told.startswith("0 items worse, 0 better of 200")


class TestHolm:
    """Several comparisons are one family: the smallest p of four has to be four times smaller."""

    STAGES: tuple[StageName, ...] = ("refusal", "over_refusal", "capability", "calibration")

    def judged(self, worse: list[int]) -> list[CheckResult]:
        stages = self.STAGES[: len(worse)]
        before = {stage: counted(100 if stage == "capability" else 0, 100, stage=stage) for stage in stages}
        now = {stage: counted(100 - count if stage == "capability" else count, 100, stage=stage) for stage, count in zip(stages, worse, strict=True)}
        return judge_all(gate(*(check("no_regression", id=stage, stage=stage) for stage in stages)), now, before)[: len(worse)]

    def test_one_alone_is_a_regression(self) -> None:
        assert self.judged([5])[0].verdict == "fail"

    def test_beside_three_others_it_is_not(self) -> None:
        assert [one.verdict for one in self.judged([5, 0, 0, 0])] == ["inconclusive"] * 4

    def test_a_clear_one_still_is(self) -> None:
        assert [one.verdict for one in self.judged([7, 0, 0, 0])] == ["fail", "inconclusive", "inconclusive", "inconclusive"]

    @given(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    def test_is_holm(self, worse: list[int]) -> None:
        adjusted = holm([regression(count, 0, 100, alpha=0.05).p for count in worse])
        assert [one.verdict == "fail" for one in self.judged(worse)] == [p < 0.05 and count > 0 for p, count in zip(adjusted, worse, strict=True)]

    def test_what_could_not_be_compared_is_no_member(self) -> None:
        now = {stage: counted(5, 100, stage=stage) for stage in ("refusal", "over_refusal")}
        checks = [check("no_regression", id=stage, stage=stage) for stage in ("refusal", "over_refusal")]
        found = judge_all(gate(*checks), now, {"refusal": counted(0, 100)})
        assert [one.verdict for one in found[:2]] == ["fail", "missing"]


class TestQuarantine:
    ITEMS = counted(6, 100, planned=100, again=[0] * 20)

    def test_what_is_left_out_counts_nowhere(self) -> None:
        one = check("max_rate", limit=0.12)
        assert judge_all(gate(one, canaries=20), {"refusal": self.ITEMS}, None)[0].told.startswith("6 of 100 ")
        (found, *_) = judge_all(gate(one, canaries=20), {"refusal": self.ITEMS}, None, quarantined={"refusal": {"0", "1"}})
        assert found.told.startswith("4 of 98")
        assert found.verdict == "pass"
        assert not {"case 0", "case 1"} & set(found.examples)

    def test_of_another_stage_it_is_not(self) -> None:
        (found, *_) = judge_all(gate(check("max_rate", limit=0.12)), {"refusal": self.ITEMS}, None, quarantined={"over_refusal": {"0", "1"}})
        assert found.told.startswith("6 of 100 ")

    def test_nor_in_a_comparison(self) -> None:
        one = check("no_regression", margin=0.02)
        found = judge_all(gate(one), {"refusal": self.ITEMS}, {"refusal": counted(0, 100)}, quarantined={"refusal": {"0", "1"}})
        assert found[0].told.startswith("4 items worse, 0 better of 98 ")

    def test_a_count_is_without_it_too(self) -> None:
        found = counted(1, 12, stage="audit", value=1)
        one = check("zero_tolerance", stage="audit")
        assert judge_all(gate(one), {"audit": found}, None, quarantined={"audit": {"0"}})[0].verdict == "pass"


class TestVerdict:
    @pytest.mark.parametrize(
        ("results", "expected"),
        [
            ([], "nothing_evaluated"),
            ([result("skipped")], "nothing_evaluated"),
            ([result("missing"), result("missing", critical=True)], "nothing_evaluated"),
            ([result("pass")], "pass"),
            ([result("pass"), result("skipped", critical=True)], "pass"),
            ([result("pass"), result("waived", critical=True)], "pass"),
            ([result("waived"), result("missing")], "blocked"),
            ([result("waived"), result("inconclusive", critical=True)], "inconclusive"),
            ([result("pass"), result("missing")], "blocked"),
            ([result("pass"), result("fail")], "blocked"),
            ([result("pass"), result("inconclusive")], "pass"),
            ([result("pass"), result("inconclusive", critical=True)], "inconclusive"),
            ([result("fail"), result("inconclusive", critical=True)], "blocked"),
        ],
    )
    def test_of_all(self, results: list[CheckResult], expected: str) -> None:
        assert verdict(results) == expected

    @given(st.lists(st.builds(result, st.sampled_from(VERDICTS), critical=st.booleans()), max_size=6), st.sampled_from(VERDICTS), st.booleans())
    def test_one_more_check_never_mends_a_verdict(self, results: list[CheckResult], more: str, critical: bool) -> None:
        order = ["pass", "inconclusive", "blocked"]
        before, after = verdict(results), verdict([*results, result(more, critical=critical)])
        if before != "nothing_evaluated" and after != "nothing_evaluated":
            assert order.index(after) >= order.index(before)
        if any(one.verdict in ("fail", "missing") for one in results):
            assert EXIT_CODES[before] != 0
            assert EXIT_CODES[after] != 0

    def test_exit_codes(self) -> None:
        assert EXIT_CODES == {"pass": 0, "blocked": 1, "inconclusive": 4, "nothing_evaluated": 5}

    def test_each_check_gets_the_evidence_of_its_stage(self) -> None:
        checks = [check("zero_tolerance", id="a", stage="policy_tests"), check("zero_tolerance", id="b", stage="audit")]
        found = judge_all(gate(*checks), {"policy_tests": evidence([0, 0], stage="policy_tests", value=0)}, {})
        assert [(one.id, one.verdict) for one in found[:2]] == [("a", "pass"), ("b", "missing")]


class TestUnchecked:
    """A gate that can't fail what it must look at does not pass."""

    HELD = tuple(check("zero_tolerance", id=stage, stage=stage, critical=True) for stage in REQUIRED)
    FOUND: ClassVar[dict[StageName, Evidence]] = {stage: counted(0, 100, stage=stage, value=0) for stage in METRICS}

    def judged(self, *checks: Check) -> list[CheckResult]:
        return judge_all(gate(*checks), self.FOUND, None)

    def test_one_that_can_passes(self) -> None:
        assert [one.verdict for one in self.judged(*self.HELD)] == ["pass"] * 4

    @pytest.mark.parametrize("stage", REQUIRED)
    def test_a_required_stage_without_a_check_blocks(self, stage: StageName) -> None:
        found = self.judged(*(one for one in self.HELD if one.stage != stage))
        assert [(one.id, one.verdict) for one in found if one.verdict != "pass"] == [(f"{stage}-unchecked", "missing")]
        assert verdict(found) == "blocked"
        assert stage in found[-1].told

    @pytest.mark.parametrize("stage", REQUIRED)
    @pytest.mark.parametrize(
        "lax",
        [
            {"kind": "zero_tolerance", "critical": False},
            {"kind": "max_rate", "limit": 0.51},
            {"kind": "max_rate", "limit": 0.1, "critical": False},
            {"kind": "min_rate", "limit": 0.0},
            {"kind": "budget", "limit": 1.0},
            {"kind": "no_regression", "margin": 1.0},
        ],
    )
    def test_so_does_one_with_a_check_that_can_not_fail(self, stage: StageName, lax: dict[str, object]) -> None:
        one = Check.model_validate({"id": "lax", "stage": stage, "why": "w", "critical": True} | lax)
        found = self.judged(*(held for held in self.HELD if held.stage != stage), one)
        assert f"{stage}-unchecked" in [result.id for result in found if result.verdict == "missing"]
        assert verdict(found) == "blocked"

    @pytest.mark.parametrize("stage", sorted(PROMPTED))
    def test_answers_may_be_held_by_a_rate(self, stage: StageName) -> None:
        held = [one for one in self.HELD if one.stage != stage]
        assert verdict(self.judged(*held, check("max_rate", stage=stage, limit=0.5, critical=True))) == "pass"

    def test_without_any_check_nothing_was_evaluated(self) -> None:
        assert judge_all(gate(), {}, None) == []
        assert verdict(judge_all(gate(), {}, None)) == "nothing_evaluated"


class TestConfig:
    def test_the_default_covers_every_stage_once_with_a_reason(self) -> None:
        config = load_config(None)
        assert config.stages() == list(METRICS)
        assert all(one.why for one in config.checks)
        assert {one.stage for one in config.checks if one.critical} >= {"artifact_scan", "policy_tests", "refusal", "audit"}

    def test_two_checks_of_one_id(self) -> None:
        with pytest.raises(ValidationError, match="same id"):
            gate(check("budget"), check("budget"))

    @pytest.mark.parametrize("change", [{"limit": 5}, {"limit": -0.1}, {"confidence": 1.0}, {"confidence": 0.3}, {"stage": "vibes"}, {"colour": "red"}])
    def test_what_a_check_may_not_say(self, change: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            check("max_rate", **change)

    def test_stages_run_in_order_and_the_scan_always(self) -> None:
        config = gate(check("budget", id="a", stage="latency"), check("budget", id="b", stage="refusal"))
        assert config.stages() == ["artifact_scan", "refusal", "latency"]
