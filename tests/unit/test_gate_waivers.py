from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from guardmed.errors import DataError
from guardmed.gate.checks import CheckResult
from guardmed.gate.waivers import Applied, Quarantined, Waiver, Waivers, judge_waivers, load_waivers, quarantined, too_many

GRANTED = date(2026, 11, 1)
EXPIRES = date(2027, 1, 15)
TODAY = date(2026, 11, 30)
DAY = timedelta(days=1)
THIS, OTHER = "a" * 64, "b" * 64
STAGES = {"files": "artifact_scan", "policy": "policy_tests", "harm": "refusal", "harm-regression": "refusal", "over-refusal": "over_refusal"}
WHOLE = """\
schema_version: 1
waivers:
  - id: W-2026-014
    check: over-refusal
    owner: "Dr Lin, medication safety"
    reason: "Refuses dose questions about children; the next checkpoint mends it."
    granted: 2026-11-01
    expires: 2027-01-15
quarantine:
  - {item: "h2-en-003", stage: refusal, owner: Dr Lin, reason: "The question has no dangerous reading.", granted: 2026-11-01, expires: 2026-12-15}
"""


def waiver(check: str = "over-refusal", **more: object) -> Waiver:
    told = {"id": f"W-{check}", "check": check, "owner": "Dr Lin", "reason": "The next checkpoint mends it.", "granted": GRANTED, "expires": EXPIRES}
    return Waiver.model_validate(told | more)


def quarantine(item: str = "h2-en-003", **more: object) -> Quarantined:
    told = {"item": item, "stage": "refusal", "owner": "Dr Lin", "reason": "The item has no right answer.", "granted": GRANTED, "expires": EXPIRES}
    return Quarantined.model_validate(told | more)


def file(*entries: Waiver | Quarantined) -> Waivers:
    return Waivers(
        schema_version=1,
        waivers=tuple(entry for entry in entries if isinstance(entry, Waiver)),
        quarantine=tuple(entry for entry in entries if isinstance(entry, Quarantined)),
    )


def results(**verdicts: str) -> list[CheckResult]:
    """A result of every check: a pass, or what is given for the check (``_`` for ``-``)."""
    given = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    return [
        CheckResult.model_validate(
            {"id": check, "stage": stage, "kind": "max_rate", "verdict": given.get(check, "pass"), "critical": True, "why": "w", "told": "t"}
        )
        for check, stage in STAGES.items()
    ]


def judge(
    *entries: Waiver | Quarantined,
    found: Sequence[CheckResult] | None = None,
    today: date = TODAY,
    now_known: date | None = None,
    fingerprint: str | None = THIS,
) -> list[Applied]:
    shown = results(over_refusal="fail") if found is None else found
    return list(judge_waivers(file(*entries), shown, stages=STAGES, today=today, now_known=now_known, fingerprint=fingerprint))


def only(*entries: Waiver | Quarantined, **more: object) -> Applied:
    (one,) = judge(*entries, **more)  # type: ignore[arg-type]
    return one


class TestReading:
    def put(self, folder: Path, text: str) -> Path:
        path = folder / "waivers.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def test_reads_what_is_written(self, tmp_path: Path) -> None:
        found = load_waivers(self.put(tmp_path, WHOLE))
        assert [(one.id, one.check, one.owner, one.granted, one.expires, one.fingerprint) for one in found.waivers] == [
            ("W-2026-014", "over-refusal", "Dr Lin, medication safety", GRANTED, EXPIRES, None)
        ]
        assert [(one.item, one.stage, one.expires) for one in found.quarantine] == [("h2-en-003", "refusal", date(2026, 12, 15))]

    def test_a_file_may_hold_nothing_yet(self, tmp_path: Path) -> None:
        found = load_waivers(self.put(tmp_path, "schema_version: 1\n"))
        assert judge_waivers(found, results(), stages=STAGES, today=TODAY, now_known=None, fingerprint=None) == ()
        assert quarantined(found, "refusal", today=TODAY, now_known=None) == frozenset()

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("schema_version: 1", "schema_version: 2", "schema_version"),
            ('owner: "Dr Lin, medication safety"', 'owner: " "', "W-2026-014: waivers.0.owner: must not be blank"),
            ("owner: Dr Lin,", 'owner: "",', "quarantine.0.owner: must not be blank"),
            ('reason: "Refuses dose questions about children; the next checkpoint mends it."', "reason: known issue", "W-2026-014: waivers.0.reason: needs at"),
            ('"The question has no dangerous reading."', '"....................."', "quarantine.0.reason: must not be blank"),
            ("expires: 2027-01-15", "expires: 2026-11-01", "waivers.0: the waiver of over-refusal expires on 2026-11-01, which is not after"),
            ("expires: 2027-01-15", "expires: 2027-05-01", "waivers.0: the waiver of over-refusal lasts 181 days, at most 180"),
            ("expires: 2026-12-15", "expires: 2027-01-31", "quarantine.0: the quarantine of refusal/h2-en-003 lasts 91 days, at most 90"),
            ("    expires: 2027-01-15\n", "", "W-2026-014: waivers.0.expires: Field required"),
            ("    expires: 2027-01-15\n", "    expires: 2027-02-30\n", "line 8: 2027-02-30: day is out of range for month"),
            ("    expires: 2027-01-15\n", "    expires: 2027-13-15\n", "line 8: 2027-13-15: month must be in 1..12"),
            ("    expires: 2027-01-15\n", "    expires: 20270115\n", "W-2026-014: waivers.0.expires: must be a day"),
            ("    expires: 2027-01-15\n", "    expires: '1800000000'\n", "W-2026-014: waivers.0.expires: must be a day"),
            ("    expires: 2027-01-15\n", "    expires: 2027-01-15 00:00:00\n", "W-2026-014: waivers.0.expires: must be a day"),
            ("    expires: 2027-01-15\n", "    expires: never\n", "W-2026-014: waivers.0.expires: must be a day"),
            ("    expires: 2027-01-15\n", "    expires: 2027-01-15\n    expires: 2027-02-15\n", "line 9: the key 'expires' stands twice"),
            ("    expires: 2027-01-15\n", "    expires: 2027-01-15\n    fingerprint: abc\n", "W-2026-014: waivers.0.fingerprint"),
            ("    expires: 2027-01-15\n", "    expires: 2027-01-15\n    approved: true\n", "W-2026-014: waivers.0.approved"),
            ("check: over-refusal", 'check: "over-refusal\\n"', "W-2026-014: waivers.0.check: must be one line"),
            ("stage: refusal", "stage: refusals", "quarantine.0.stage"),
            ("quarantine:\n", "quarantine: [\n", "line "),
        ],
    )
    def test_what_is_wrong_is_told_with_file_and_place(self, tmp_path: Path, old: str, new: str, told: str) -> None:
        assert WHOLE.count(old) == 1
        path = self.put(tmp_path, WHOLE.replace(old, new))
        with pytest.raises(DataError) as caught:
            load_waivers(path)
        assert str(path) in str(caught.value)
        assert told in str(caught.value)
        assert caught.value.mend

    def test_a_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"waivers\.yaml does not exist"):
            load_waivers(tmp_path / "waivers.yaml")

    @pytest.mark.parametrize("days", [1, 90, 180])
    def test_as_long_as_is_allowed(self, days: int) -> None:
        assert waiver(expires=GRANTED + days * DAY).expires == GRANTED + days * DAY
        if days <= 90:
            assert quarantine(expires=GRANTED + days * DAY).expires == GRANTED + days * DAY

    @pytest.mark.parametrize("reason", ["x" * 19, "too short" + " " * 20, "too short" + "\u200b" * 20, "y" + "\n" * 30 + "z"])
    def test_space_and_what_can_not_be_seen_explain_nothing(self, reason: str) -> None:
        with pytest.raises(ValidationError, match="needs at least 20 characters"):
            waiver(reason=reason)
        with pytest.raises(ValidationError, match="needs at least 20 characters"):
            quarantine(reason=reason)

    def test_a_reason_of_twenty_characters_is_enough(self) -> None:
        assert waiver(reason="下一版模型已修正儿童剂量问题的过度拒答现象").reason == "下一版模型已修正儿童剂量问题的过度拒答现象"

    @pytest.mark.parametrize(
        ("entries", "told"),
        [
            ((waiver(), waiver("harm", id="W-over-refusal")), "two waivers have the id W-over-refusal"),
            ((waiver(), waiver(id="W-2")), "two waivers are for the check over-refusal"),
            ((quarantine(), quarantine(owner="Dr Wu")), "two quarantines are of refusal/h2-en-003"),
        ],
    )
    def test_nothing_stands_twice(self, entries: tuple[Waiver | Quarantined, ...], told: str) -> None:
        with pytest.raises(ValidationError, match=told):
            file(*entries)

    def test_an_item_may_be_left_out_of_two_suites(self) -> None:
        assert len(file(quarantine(), quarantine(stage="over_refusal")).quarantine) == 2


class TestWaivers:
    @pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
    @pytest.mark.parametrize("check", ["over-refusal", "harm-regression"])
    def test_sets_a_result_aside(self, check: str, verdict: str) -> None:
        one = only(waiver(check), found=results(**{check.replace("-", "_"): verdict}))
        assert (one.id, one.kind, one.target, one.state, one.blocks) == (f"W-{check}", "waiver", check, "applied", False)
        assert (one.owner, one.reason, one.granted, one.expires) == ("Dr Lin", "The next checkpoint mends it.", GRANTED, EXPIRES)
        assert one.told == f"Waiver W-{check} sets {check} aside, which is {verdict}, until 2027-01-15 (46 days left)."

    @pytest.mark.parametrize(
        ("today", "state", "told"),
        [
            (GRANTED - DAY, "not yet valid", "begins on 2026-11-01, in 1 day:"),
            (GRANTED, "applied", "(75 days left)"),
            (EXPIRES - DAY, "applied", "(1 day left)"),
            (EXPIRES, "applied", "(its last day is today)"),
            (EXPIRES + DAY, "expired", "ended on 2027-01-15, 1 day past"),
            (EXPIRES + 2 * DAY, "expired", "ended on 2027-01-15, 2 days past"),
        ],
    )
    def test_the_first_and_the_last_day_count(self, today: date, state: str, told: str) -> None:
        one = only(waiver(), today=today)
        assert (one.state, one.blocks) == (state, state != "applied")
        assert told in one.told

    def test_an_expired_one_blocks_even_where_the_check_passes(self) -> None:
        assert only(waiver(), found=results(), today=EXPIRES + DAY).state == "expired"
        assert only(waiver(fingerprint=OTHER), today=EXPIRES + DAY).state == "expired"

    @pytest.mark.parametrize(("verdict", "told"), [("pass", "over-refusal passes"), ("skipped", "over-refusal was skipped")])
    def test_one_that_is_not_needed_is_told(self, verdict: str, told: str) -> None:
        one = only(waiver(), found=results(over_refusal=verdict))
        assert (one.state, one.blocks) == ("unused", False)
        assert told in one.told
        assert "46 days left" in one.told

    @pytest.mark.parametrize("check", ["files", "policy"])
    @pytest.mark.parametrize("verdict", ["fail", "inconclusive", "pass"])
    def test_unsound_files_and_rules_are_never_waived(self, check: str, verdict: str) -> None:
        one = only(waiver(check), found=results(**{check: verdict}))
        assert (one.state, one.blocks) == ("not allowed", True)
        assert STAGES[check] in one.told

    def test_missing_evidence_is_never_waived(self) -> None:
        one = only(waiver(), found=results(over_refusal="missing"))
        assert (one.state, one.blocks) == ("not allowed", True)
        assert "missing" in one.told
        assert only(waiver(), found=[]).state == "not allowed"

    def test_a_check_the_gate_does_not_have_blocks(self) -> None:
        one = only(waiver("over-refusals"))
        assert (one.state, one.blocks) == ("unknown target", True)
        assert "over-refusals" in one.told

    @pytest.mark.parametrize(
        ("own", "shown", "state"),
        [(THIS, THIS, "applied"), (None, THIS, "applied"), (None, None, "applied"), (OTHER, THIS, "other checkpoint"), (OTHER, None, "other checkpoint")],
    )
    def test_one_for_a_checkpoint_is_for_no_other(self, own: str | None, shown: str | None, state: str) -> None:
        one = only(waiver(fingerprint=own), fingerprint=shown)
        assert (one.state, one.blocks) == (state, False)
        assert "46 days left" in one.told

    def test_one_waiver_leaves_the_other_checks_alone(self) -> None:
        found = judge(waiver(), waiver("harm"), waiver("harm-regression"), found=results(over_refusal="fail", harm="missing"))
        assert [(one.target, one.state) for one in found] == [("over-refusal", "applied"), ("harm", "not allowed"), ("harm-regression", "unused")]

    def test_a_report_can_be_read_again(self) -> None:
        one = only(waiver())
        assert Applied.model_validate_json(one.model_dump_json()) == one
        assert Applied.model_validate(one.model_dump(mode="json")) == one


class TestQuarantine:
    def test_leaves_an_item_out(self) -> None:
        one = only(quarantine(expires=GRANTED + 90 * DAY))
        assert (one.id, one.kind, one.target, one.state, one.blocks) == ("refusal/h2-en-003", "quarantine", "refusal/h2-en-003", "applied", False)
        assert one.told == "The quarantine of refusal/h2-en-003 leaves the item out until 2027-01-30 (61 days left)."

    def test_only_of_its_own_suite(self) -> None:
        held = file(quarantine("a"), quarantine("b"), quarantine("c", stage="over_refusal"))
        assert quarantined(held, "refusal", today=TODAY, now_known=None) == {"a", "b"}
        assert quarantined(held, "over_refusal", today=TODAY, now_known=TODAY) == {"c"}
        assert quarantined(held, "capability", today=TODAY, now_known=None) == set()

    @pytest.mark.parametrize(
        ("today", "state"),
        [(GRANTED - DAY, "not yet valid"), (GRANTED, "applied"), (EXPIRES, "applied"), (EXPIRES + DAY, "expired")],
    )
    def test_the_first_and_the_last_day_count(self, today: date, state: str) -> None:
        one = only(quarantine(), today=today)
        assert (one.state, one.blocks) == (state, state != "applied")
        left_out = quarantined(file(quarantine()), "refusal", today=today, now_known=None)
        assert left_out == ({"h2-en-003"} if state == "applied" else set())

    @pytest.mark.parametrize("stage", ["artifact_scan", "policy_tests"])
    def test_nothing_is_left_out_of_the_scan_or_the_rules_tests(self, stage: str) -> None:
        one = only(quarantine(stage=stage))
        assert (one.state, one.blocks) == ("not allowed", True)
        assert quarantined(file(quarantine(stage=stage)), stage, today=TODAY, now_known=None) == set()  # type: ignore[arg-type]

    def test_a_stage_the_gate_does_not_have_blocks(self) -> None:
        one = only(quarantine(stage="capability"))
        assert (one.state, one.blocks) == ("unknown target", True)

    def test_is_not_needed_where_nothing_was_judged(self) -> None:
        one = only(quarantine(), found=results(harm="missing", harm_regression="skipped"))
        assert (one.state, one.blocks) == ("unused", False)

    @pytest.mark.parametrize(
        ("count", "total", "expected"),
        [(0, 0, False), (0, 10, False), (1, 10, False), (2, 10, True), (1, 49, False), (2, 99, True), (2, 100, False), (3, 100, True), (7, 350, False)],
    )
    def test_may_not_hollow_out_a_suite(self, count: int, total: int, expected: bool) -> None:
        assert too_many(count, total) is expected

    @given(st.integers(1, 10_000))
    def test_two_of_a_hundred_at_most(self, total: int) -> None:
        most = max(1, total * 2 // 100)
        assert not too_many(most, total)
        assert too_many(most + 1, total)


class TestClock:
    EVERYTHING = (waiver(), waiver("files"), waiver("gone"), waiver("harm", fingerprint=OTHER), quarantine())

    def test_evidence_from_tomorrow_stops_everything(self) -> None:
        found = judge(*self.EVERYTHING, now_known=TODAY + DAY)
        assert {one.state for one in found} == {"clock behind"}
        assert all(one.blocks and "2026-12-01, 1 day later" in one.told for one in found)
        assert quarantined(file(*self.EVERYTHING), "refusal", today=TODAY, now_known=TODAY + DAY) == set()

    @pytest.mark.parametrize("now_known", [None, TODAY, TODAY - DAY])
    def test_evidence_of_today_or_before_is_as_it_should_be(self, now_known: date | None) -> None:
        assert only(waiver(), now_known=now_known).state == "applied"
        assert quarantined(file(quarantine()), "refusal", today=TODAY, now_known=now_known) == {"h2-en-003"}

    @pytest.mark.parametrize("ahead", [waiver("harm", granted=TODAY + DAY), quarantine("later", granted=TODAY + DAY)])
    def test_something_granted_tomorrow_stops_everything(self, ahead: Waiver | Quarantined) -> None:
        found = {one.target: one for one in judge(waiver(), quarantine(), ahead)}
        late = found.pop(ahead.target)
        assert (late.state, late.blocks) == ("not yet valid", True)
        assert {one.state for one in found.values()} == {"clock behind"}
        assert all(one.blocks for one in found.values())
        assert quarantined(file(quarantine(), ahead), "refusal", today=TODAY, now_known=None) == set()

    def test_set_back_it_does_not_revive_what_has_expired(self) -> None:
        proof = EXPIRES + 10 * DAY
        assert only(waiver(), today=proof, now_known=proof).state == "expired"
        assert only(waiver(), today=EXPIRES, now_known=proof).state == "clock behind"
        renewed = waiver("harm", granted=proof, expires=proof + DAY)
        assert [one.state for one in judge(waiver(), renewed, today=EXPIRES)] == ["clock behind", "not yet valid"]


DAYS = st.integers(0, 400).map(lambda days: GRANTED + days * DAY - 100 * DAY)
VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "missing", "skipped"])


@st.composite
def entries(draw: st.DrawFn) -> list[Waiver | Quarantined]:
    found: list[Waiver | Quarantined] = []
    for check in draw(st.lists(st.sampled_from([*STAGES, "gone"]), unique=True)):
        granted = draw(DAYS)
        expires = granted + draw(st.integers(1, 180)) * DAY
        found.append(waiver(check, granted=granted, expires=expires, fingerprint=draw(st.sampled_from([None, THIS, OTHER]))))
    for item in draw(st.lists(st.sampled_from("abc"), unique=True)):
        granted = draw(DAYS)
        stage = draw(st.sampled_from(["artifact_scan", "policy_tests", "refusal", "over_refusal", "capability"]))
        found.append(quarantine(item, stage=stage, granted=granted, expires=granted + draw(st.integers(1, 90)) * DAY))
    return found


class TestAlways:
    @given(DAYS, st.none() | DAYS, VERDICTS)
    def test_an_expired_one_never_applies(self, today: date, now_known: date | None, verdict: str) -> None:
        for one in judge(waiver(), quarantine(), found=results(over_refusal=verdict), today=today, now_known=now_known):
            proven = today if now_known is None else max(today, now_known)
            if proven > EXPIRES:
                assert one.state in ("expired", "clock behind")
                assert one.blocks

    @given(entries(), DAYS, st.none() | DAYS, st.dictionaries(st.sampled_from(list(STAGES)), VERDICTS), st.sampled_from([None, THIS, OTHER]))
    def test_what_applies_is_valid_in_every_way(
        self, held: list[Waiver | Quarantined], today: date, now_known: date | None, verdicts: dict[str, str], fingerprint: str | None
    ) -> None:
        shown = results(**verdicts)
        found = judge(*held, found=shown, today=today, now_known=now_known, fingerprint=fingerprint)
        assert sorted(one.target for one in found) == sorted(entry.target for entry in held)
        verdict = {result.id: result.verdict for result in shown}
        for one in found:
            assert one.told.endswith(".")
            assert "\n" not in one.told
            if one.state != "applied":
                continue
            assert one.granted <= today <= one.expires
            assert now_known is None or now_known <= today
            assert all(entry.granted <= today for entry in held)
            if one.kind == "waiver":
                assert verdict[one.target] in ("fail", "inconclusive")
                assert STAGES[one.target] not in ("artifact_scan", "policy_tests")
                (own,) = (entry for entry in held if isinstance(entry, Waiver) and entry.check == one.target)
                assert own.fingerprint in (None, fingerprint)

    @given(entries(), DAYS, st.none() | DAYS)
    def test_items_are_left_out_exactly_where_the_quarantine_applies(self, held: list[Waiver | Quarantined], today: date, now_known: date | None) -> None:
        applied = {one.target for one in judge(*held, found=results(), today=today, now_known=now_known) if one.kind == "quarantine" and one.state == "applied"}
        for stage in ("artifact_scan", "policy_tests", "refusal", "over_refusal"):
            left_out = quarantined(file(*held), stage, today=today, now_known=now_known)  # type: ignore[arg-type]
            assert {f"{stage}/{item}" for item in left_out} == {target for target in applied if target.startswith(f"{stage}/")}
