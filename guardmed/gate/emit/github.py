"""GitHub Actions: annotations as workflow commands, and the step's summary.

Commands and their escapes are those of GitHub's "Workflow commands for GitHub Actions" and of
``packages/core/src/command.ts`` in its toolkit. GitHub shows 10 errors, 10 warnings and 10 notices
of a step, and takes a summary of at most 1 MiB.
"""

from __future__ import annotations

import re

from guardmed.gate.emit.words import Level, level, message, quarantines, tidied, worst_first
from guardmed.gate.report import GateReport, report_page, verdict_block

SHOWN = 10
SUMMARY = 1 << 20
_COMMANDS: tuple[tuple[Level, str], ...] = (("error", "error"), ("warning", "warning"), ("note", "notice"))
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})
# Whatever Markdown could read as more than text; tables see to their bars themselves.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#!~&@$]|:(?=//))")
_CUT = "\n\nThe rest does not fit here; it is in report.html.\n"


def workflow_commands(report: GateReport) -> str:
    """One workflow command a line, the worst check first, at most ten of each kind."""
    report = tidied(report)
    lines = []
    for grade, command in _COMMANDS:
        told = [(f"GuardMed: {result.id} ({result.verdict})", message(result)) for result in worst_first(report) if level(result) == grade]
        if grade == "note":
            passed = [verdict_block(report).sentence] if report.verdict == "pass" else []
            left_out = [f"Left out: {one.target}, by {one.owner} until {one.expires}." for one in quarantines(report)]
            told[:0] = [("GuardMed", "\n".join(part)) for part in (passed, left_out) if part]
        if len(told) > SHOWN:
            told[SHOWN - 1 :] = [("GuardMed", f"{len(told) - SHOWN + 1} more; the step's summary has them all.")]
        lines += [f"::{command} title={escape(title, prop=True)}::{escape(text)}\n" for title, text in told]
    return "".join(lines)


def summary(report: GateReport, *, limit: int = SUMMARY) -> str:
    """Markdown of the whole report, in fewer bytes than the limit; what a model wrote stays text."""
    report = tidied(report)
    checks = tuple(
        result.model_copy(
            update={
                "id": _literal(result.id),
                "why": _literal(result.why),
                "told": _literal(result.told),
                "examples": tuple(_literal(item) for item in result.examples),
            }
        )
        for result in report.checks
    )
    waivers = tuple(one.model_copy(update={field: _literal(getattr(one, field)) for field in ("id", "owner", "reason", "told")}) for one in report.waivers)
    # Names of files and settings are the configuration's own text.
    config = report.config.model_copy(update={"changed": tuple(_literal(line) for line in report.config.changed)})
    report = report.model_copy(update={"config": config, "waivers": waivers})
    report = report.model_copy(update={"checkpoint": _literal(report.checkpoint), "name": _literal(report.name), "checks": checks})
    text = report_page(report).markdown().encode()
    if len(text) < limit:
        return text.decode()
    room = limit - len(_CUT.encode()) - 1
    return text[: text.rfind(b"\n", 0, room)].decode() + _CUT if room > 0 and b"\n" in text[:room] else ""


def escape(text: str, *, prop: bool = False) -> str:
    """What stands for a text in a command's message, or in one of its properties."""
    return text.translate(_PROPERTY if prop else _DATA)


def _literal(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)
