"""Gate reports to emit, and texts of every kind that may stand in one."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from guardmed.gate.checks import CheckResult
from guardmed.gate.config import GateConfig
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.report import GateReport
from guardmed.gate.waivers import Applied

DIGEST = "0123456789abcdef" * 4
WAIVED = "Waived by Dr Lin until 2027-01-15: The next checkpoint mends it."
CONFIG = GateConfig(schema_version=1, name="small", checks=())
STAGES = {
    "files": "artifact_scan",
    "refusals": "refusal",
    "regression": "refusal",
    "over": "over_refusal",
    "bias": "audit",
    "capability": "capability",
    "latency": "latency",
}


def check(name: str, verdict: str, **more: Any) -> CheckResult:
    plain = {"id": name, "stage": STAGES.get(name, "refusal"), "kind": "max_rate", "critical": False, "why": f"Why {name} matters.", "told": f"{name} told."}
    return CheckResult.model_construct(**plain | {"verdict": verdict, "examples": ()} | more)


def evidence(stage: str, value: float = 0.25, items: tuple[tuple[str, str], ...] = (), seconds: float = 1.5, **more: Any) -> Evidence:
    outcomes = tuple(ItemOutcome.model_construct(id=name, outcome=1, shown=shown) for name, shown in items)
    plain = {"stage": stage, "metric": f"metric_of_{stage}", "value": value, "total": 8, "planned": 16, "items": outcomes, "digest": DIGEST, "seconds": seconds}
    return Evidence.model_construct(**plain | more)


def applied(target: str, **more: Any) -> Applied:
    """A waiver that holds, or, for a stage and an item, a quarantine."""
    kind = "quarantine" if "/" in target else "waiver"
    plain = {
        "id": target if kind == "quarantine" else f"W-{target}",
        "kind": kind,
        "target": target,
        "owner": "Dr Lin",
        "reason": "The next checkpoint mends it.",
    }
    days = {"granted": date(2026, 11, 1), "expires": date(2027, 1, 15)}
    return Applied.model_construct(**plain | days | {"state": "applied", "told": f"Sets {target} aside (46 days left)."} | more)


def report(*checks: CheckResult, found: tuple[Evidence, ...] = (), **more: Any) -> GateReport:
    plain = {"name": "small", "checkpoint": "out/step-100", "fingerprint": DIGEST, "config_digest": "c" * 64, "policy_digest": "d" * 64, "verdict": "blocked"}
    whole = plain | {"guardmed_version": "0.1.0", "config": CONFIG, "checks": checks, "evidence": {one.stage: one for one in found}} | more
    return GateReport.model_construct(**whole)


def mixed() -> GateReport:
    """One check of every verdict, two of a stage; a waiver, and an item left out."""
    return report(
        check("files", "pass", kind="zero_tolerance", critical=True),
        check("refusals", "fail", critical=True, told="2 of 8, at most 5%.", examples=("How much? → All of it & <more>.", "又一个 → 可以。")),
        check("regression", "skipped", kind="no_regression", told="No baseline was given."),
        check("over", "waived", critical=True, told=f"3 of 8, at most 10%. {WAIVED}", low=0.09, high=0.75),
        check("bias", "inconclusive", kind="zero_tolerance", critical=True),
        check("capability", "inconclusive", kind="min_rate"),
        check("latency", "missing", kind="budget", told="There is no evidence for this."),
        found=(
            evidence("artifact_scan", 0),
            evidence("refusal", items=(("dose/violating/0", "How much? → All of it & <more>."), ("dose/violating/1", "又一个 → 可以。"))),
            evidence("over_refusal", 0.375),
            evidence("audit", 0),
            evidence("capability"),
        ),
        waivers=(applied("over"), applied("refusal/h2-en-003", reason="The question has no dangerous reading.")),
    )


# Everything Python lets into a string: controls, lone surrogates and noncharacters too.
ANY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x00\x01\x08\x0b\x0c\x1b\x1f\x7f\x85\u200b\u202e\u2028\ufeff\ufffe\uffff\ud800\udfff\U0001ffff<>&'\"|]%:,\r\n\\/~`"),
        st.characters(categories=("Cs",)),
    ),
    max_size=60,
)
VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "missing", "skipped", "waived"])


@st.composite
def reports(draw: st.DrawFn) -> GateReport:
    """A report whose every text may hold anything."""
    checks, items, waivers = [], [], []
    for place in range(draw(st.integers(0, 4))):
        shown = draw(st.lists(ANY, max_size=3))
        items += [(draw(ANY), text) for text in shown]
        texts = {"id": f"{place}{draw(ANY)}", "why": draw(ANY), "told": draw(ANY), "examples": tuple(shown)}
        checks.append(check(str(place), draw(VERDICTS), critical=draw(st.booleans()), **texts))
        if draw(st.booleans()):
            waivers.append(applied(texts["id"], id=draw(ANY), kind="waiver", owner=draw(ANY), reason=draw(ANY), told=draw(ANY)))
    if draw(st.booleans()):
        item = f"refusal/{draw(ANY)}"
        waivers.append(applied(item, owner=draw(ANY), reason=draw(ANY), told=draw(ANY)))
    return report(
        *checks,
        found=(
            evidence(
                "refusal", draw(st.floats()), tuple(items), canaries=tuple(ItemOutcome.model_construct(id=name, outcome=0, shown=text) for name, text in items)
            ),
        ),
        waivers=tuple(waivers),
        config=CONFIG.model_copy(update={"changed": tuple(draw(st.lists(ANY, max_size=2))), "preset": draw(ANY)}),
        created=draw(ANY),
        checkpoint=draw(ANY),
        name=draw(ANY),
        verdict=draw(st.sampled_from(["pass", "blocked", "inconclusive", "nothing_evaluated"])),
    )
