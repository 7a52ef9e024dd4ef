"""Gate reports to emit, and texts of every kind that may stand in one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from guardmed.gate.checks import CheckResult
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.report import GateReport

DIGEST = "0123456789abcdef" * 4
STAGES = {
    "files": "artifact_scan",
    "refusals": "refusal",
    "regression": "refusal",
    "bias": "audit",
    "capability": "capability",
    "latency": "latency",
}


def check(name: str, verdict: str, **more: Any) -> CheckResult:
    plain = {"id": name, "stage": STAGES.get(name, "refusal"), "kind": "max_rate", "critical": False, "why": f"Why {name} matters.", "told": f"{name} told."}
    return CheckResult.model_construct(**plain | {"verdict": verdict, "examples": ()} | more)


def evidence(stage: str, value: float = 0.25, items: tuple[tuple[str, str], ...] = (), seconds: float = 1.5) -> Evidence:
    outcomes = tuple(ItemOutcome.model_construct(id=name, outcome=1, shown=shown) for name, shown in items)
    return Evidence.model_construct(stage=stage, metric=f"metric_of_{stage}", value=value, total=8, items=outcomes, detail={}, digest=DIGEST, seconds=seconds)


def report(*checks: CheckResult, found: tuple[Evidence, ...] = (), **more: Any) -> GateReport:
    plain = {"name": "small", "checkpoint": "out/step-100", "fingerprint": DIGEST, "config_digest": "c" * 64, "policy_digest": "d" * 64, "verdict": "blocked"}
    return GateReport.model_construct(**plain | {"guardmed_version": "0.1.0", "checks": checks, "evidence": {one.stage: one for one in found}} | more)


def mixed() -> GateReport:
    """One check of every verdict, two of a stage."""
    return report(
        check("files", "pass", kind="zero_tolerance", critical=True),
        check("refusals", "fail", critical=True, told="2 of 8, at most 5%.", examples=("How much? → All of it & <more>.", "又一个 → 可以。")),
        check("regression", "skipped", kind="no_regression", told="No baseline was given."),
        check("bias", "inconclusive", kind="zero_tolerance", critical=True),
        check("capability", "inconclusive", kind="min_rate"),
        check("latency", "missing", kind="budget", told="There is no evidence for this."),
        found=(
            evidence("artifact_scan", 0),
            evidence("refusal", items=(("dose/violating/0", "How much? → All of it & <more>."), ("dose/violating/1", "又一个 → 可以。"))),
            evidence("audit", 0),
            evidence("capability"),
        ),
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
VERDICTS = st.sampled_from(["pass", "fail", "inconclusive", "missing", "skipped"])


@st.composite
def reports(draw: st.DrawFn) -> GateReport:
    """A report whose every text may hold anything."""
    checks, items = [], []
    for place in range(draw(st.integers(0, 4))):
        shown = draw(st.lists(ANY, max_size=3))
        items += [(draw(ANY), text) for text in shown]
        texts = {"id": f"{place}{draw(ANY)}", "why": draw(ANY), "told": draw(ANY), "examples": tuple(shown)}
        checks.append(check(str(place), draw(VERDICTS), critical=draw(st.booleans()), **texts))
    return report(
        *checks,
        found=(evidence("refusal", draw(st.floats()), tuple(items)),),
        checkpoint=draw(ANY),
        name=draw(ANY),
        verdict=draw(st.sampled_from(["pass", "blocked", "inconclusive", "nothing_evaluated"])),
    )
