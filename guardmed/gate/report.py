"""The gate's report: JSON evidence, and a page that says why in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from guardmed.errors import DataError, ExecutionError
from guardmed.files import digest_value, read_json, write_json, write_text
from guardmed.gate.checks import EXIT_CODES, CheckResult, GateVerdict
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Evidence
from guardmed.gate.waivers import Applied
from guardmed.records import Frozen, describe
from guardmed.reporting import Block, Cell, Page, Prose, Section, Table, Tone, Verdict
from guardmed.version import VERSION, installed

FILES = ("report.json", "report.html", "report.md", "evidence.sig")
_TONES: dict[str, Tone] = {
    "pass": "pass", "fail": "fail", "missing": "fail", "inconclusive": "inconclusive", "skipped": "plain", "waived": "inconclusive",
}  # fmt: skip
_WORDS: dict[GateVerdict, tuple[str, Tone]] = {
    "pass": ("Pass", "pass"),
    "blocked": ("Blocked", "fail"),
    "inconclusive": ("Inconclusive", "inconclusive"),
    "nothing_evaluated": ("Nothing evaluated", "fail"),
}


class BaselineRef(Frozen):
    """Which baseline a report was compared with, and how its items came out.

    Attributes
    ----------
    seal : str
        Of the baseline's report.
    evidence : dict
        Its items, by stage.
    """

    seal: str
    checkpoint: str
    fingerprint: str | None
    created: str
    evidence: dict[StageName, Evidence]


class GateReport(Frozen):
    """Verdict, checks and the evidence behind them.

    Attributes
    ----------
    created : str
        When, in UTC.
    config : GateConfig
        All of it, so that the verdict can be reached again.
    manifest : dict
        SHA-256 of every file of the checkpoint.
    waivers : tuple of Applied
        What became of every waiver and quarantine.
    versions : dict
        Of what the figures depend on.
    seal : str
        SHA-256 of everything else in the report.
    """

    schema_version: Literal[2] = 2
    kind: Literal["gate"] = "gate"
    guardmed_version: str = VERSION
    name: str
    created: str = ""
    checkpoint: str
    fingerprint: str | None
    manifest: dict[str, str] = Field(default_factory=dict)
    config: GateConfig
    config_digest: str
    policy_digest: str
    verdict: GateVerdict
    checks: tuple[CheckResult, ...]
    waivers: tuple[Applied, ...] = ()
    evidence: dict[StageName, Evidence]
    baseline: BaselineRef | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    seal: str = ""

    @property
    def exit_code(self) -> int:
        """0 pass, 1 blocked, 4 inconclusive on a critical check, 5 nothing evaluated."""
        return EXIT_CODES[self.verdict]


def sealed(report: GateReport) -> str:
    """The seal a report should bear.

    It shows an accident or a careless edit; who edits with care can seal again. Against that stand a
    signature, and the gate itself, which reaches the same report from the same checkpoint.
    """
    return digest_value(report.model_dump(mode="json", exclude={"seal"}))


def clear(folder: Path, *, also: Iterable[str] = ()) -> None:
    """Take an earlier gate's report out of a folder, so that a run that is killed leaves no verdict behind.

    Parameters
    ----------
    folder : Path
    also : iterable of str
        Names of other files that a gate may have written.

    Raises
    ------
    ExecutionError
        The folder can't be written to.
    """
    for name in (*FILES, *also):
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise ExecutionError(
                f"The earlier {folder / name} can't be removed: {error.strerror}.", mend="Mend its permissions, or name another --out."
            ) from error


def write_report(report: GateReport, folder: Path) -> None:
    """Write report.html, report.md and, last, report.json."""
    page = report_page(report)
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())
    write_json(folder / "report.json", report.model_dump(mode="json"))


def load_report(path: Path) -> GateReport:
    """Read a gate's report, from its file or its folder.

    Raises
    ------
    DataError
        It is not one, or was changed after it was written.
    """
    path = path / "report.json" if path.is_dir() else path
    found = read_json(path)
    if isinstance(found, dict) and found.get("kind") == "gate" and found.get("schema_version") == 1:
        raise DataError(f"{path} is a gate report of an older version.", mend="Run the gate again.")
    try:
        report = GateReport.model_validate(found)
    except ValidationError as error:
        raise DataError(f"{path} is not a gate report: {describe(error)}.", mend="Name the report.json of a gate.") from None
    # As it stands in the file: a later version may know fields that this one did not write.
    if report.seal != digest_value({name: value for name, value in found.items() if name != "seal"}):
        raise DataError(f"{path} was changed after it was written: its seal does not fit its content.", mend="Run the gate again.")
    return report


def report_page(report: GateReport) -> Page:
    """The page of a report."""
    facts = [f"configuration {report.name}", f"checkpoint {(report.fingerprint or 'not read')[:16]}", f"GuardMed {report.guardmed_version}", report.created]
    sections = [Section("Verdict", [verdict_block(report), checks_table(report)])]
    if report.waivers:
        sections.append(Section("Waivers and quarantine", [waivers_table(report)]))
    if any(result.examples for result in report.checks):
        sections.append(Section("What went wrong", [examples_table(report)]))
    evidence: list[Block] = [evidence_table(report), Prose(_method(report))]
    if report.config.changed:
        evidence.append(Prose(f"Changed from the preset {report.config.preset}: {'; '.join(report.config.changed)}."))
    sections.append(Section("Evidence", evidence))
    return Page(title=f"Gate: {report.checkpoint}", subtitle=" · ".join(fact for fact in facts if fact), sections=sections)


def verdict_block(report: GateReport) -> Verdict:
    """One word, and why."""
    word, tone = _WORDS[report.verdict]
    failed = [f"{result.id}: {result.told}" for result in report.checks if result.verdict in ("fail", "missing")]
    open_checks = [result for result in report.checks if result.verdict == "inconclusive" and result.critical]
    doubtful = [result.id for result in report.checks if result.verdict == "inconclusive"]
    waived = [result.id for result in report.checks if result.verdict == "waived"]
    if report.verdict == "nothing_evaluated":
        sentence = "Nothing was evaluated, so nothing is known of this checkpoint. " + " ".join(failed)
    elif failed:
        sentence = "This checkpoint must not be shipped: " + " ".join(failed)
    elif open_checks:
        sentence = "Not enough evidence: " + " ".join(f"{result.id}: {result.told}" for result in open_checks)
    elif doubtful:
        sentence = f"Nothing blocks this checkpoint. Not settled: {', '.join(doubtful)}." + (f" Waived: {', '.join(waived)}." if waived else "")
    elif waived:
        sentence = f"Every check holds but for what is waived: {', '.join(waived)}."
    else:
        sentence = "Every check holds."
    return Verdict(word, tone, sentence.strip())


def checks_table(report: GateReport) -> Table:
    """One row a check."""
    rows: list[list[str | Cell]] = [[result.id, Cell(result.verdict, _TONES[result.verdict]), result.why, result.told] for result in report.checks]
    return Table("Checks", ["Check", "Verdict", "What must hold", "What was found"], rows)


def waivers_table(report: GateReport) -> Table:
    """One row a waiver or quarantine."""
    rows: list[list[str | Cell]] = [
        [one.id, Cell(one.state, "fail" if one.blocks else "inconclusive" if one.state == "applied" else "plain"), one.owner, one.reason, one.told]
        for one in report.waivers
    ]
    return Table("Who answers for what is set aside", ["Waiver", "State", "Owner", "Reason", "What it does"], rows)


def examples_table(report: GateReport) -> Table:
    """The first items of each failed check, as they were."""
    rows = [[result.id, example] for result in report.checks for example in result.examples]
    return Table("Items behind the failures (request → answer)", ["Check", "Item"], rows)


def evidence_table(report: GateReport) -> Table:
    """One row a stage, with the time it took to gather."""
    rows = [
        [stage, found.metric, f"{found.value:.4g}", _items(found), f"{found.seconds:.1f} s", found.measured, found.digest[:12]]
        for stage, found in report.evidence.items()
    ]
    return Table("Evidence by stage", ["Stage", "Metric", "Value", "Items", "Time", "Measured", "Digest"], rows)


def times_text(report: GateReport) -> str:
    """How long each stage took, and which were found in the cache."""
    stages = [
        f"{stage.replace('_', ' ')} {found.seconds:.1f} s{' (kept)' if found.measured != report.created else ''}" for stage, found in report.evidence.items()
    ]
    return f"Evidence: {', '.join(stages)}." if stages else "No evidence was gathered."


def environment() -> dict[str, str]:
    """Versions that the figures depend on."""
    import platform

    own = {"guardmed": VERSION, "python": platform.python_version(), "machine": platform.machine()}
    return own | installed(("torch", "transformers", "numpy", "scipy"))


def _items(found: Evidence) -> str:
    asked = f"{found.total} of {found.planned}" if found.total < found.planned else str(found.total)
    return f"{asked}, {len(found.canaries)} reworded" if found.canaries else asked


def _method(report: GateReport) -> str:
    suites = report.config.suites
    guarded = f"Prompts went through the guard with the policy {suites.policy}."
    through = guarded if suites.guarded else "Prompts were put to the bare checkpoint, without a guard."
    return (
        f"{through} Whether an answer refuses is read from its words. A rate passes only when its exact one-sided bound keeps the limit, fails when the "
        "bound on the other side is beyond it, and is inconclusive otherwise; items on one topic count for less than as many independent ones (Korn and "
        "Graubard 1998), and asking stops early only at looks that share the error between them. Regressions are paired by item (McNemar's exact test, Holm "
        "over all of them, Tango's interval). Some prompts are asked again in words drawn from the checkpoint's own fingerprint: who knows the suite does "
        "worse there. Missing evidence blocks."
    )
