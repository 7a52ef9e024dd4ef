"""What an audit's page says of itself: tests, provenance, a statement for a model card."""

from __future__ import annotations

from guardmed.audit.card import model_index
from guardmed.audit.report import AuditReport
from guardmed.audit.words import Words
from guardmed.reporting import Block, Code, Points, Prose, Table


def tests_used(report: AuditReport, say: Words) -> list[str]:
    """Which test each outcome had, as far as the report says."""
    used: dict[str, dict[str, None]] = {}
    for outcomes in report.axes.values():
        for outcome, result in outcomes.items():
            if result.test is not None:
                used.setdefault(result.test, {})[say.outcome(outcome)] = None
    told = [say(f"test_{test}") + (f"（{'、'.join(names)}）" if say.language == "zh" else f" ({', '.join(names)})") for test, names in used.items()]
    return [say("tests_used", tests=say.listed(told))] if told else []


def provenance(report: AuditReport, say: Words) -> list[Block]:
    """What was asked, of what model and how; the questions' sources; what a model card may say."""
    facts: list[tuple[str, str]] = []
    if report.origin:
        facts += [("definition", f"{report.definition} · {report.origin.owner} · {report.origin.reviewed}"), ("vignettes", str(report.origin.vignettes))]
    facts += [("definition_digest", report.definition_digest or ""), ("model", report.model or ""), ("model_fingerprint", report.model_fingerprint or "")]
    if report.system:
        known = report.system.model_dump().items()
        facts += [
            (name, ", ".join(value) if isinstance(value, tuple) else str(value))
            for name, value in known
            if name not in ("model", "fingerprint") and value is not None
        ]
    facts += [("analysis_seed", str(report.seed)), ("versions", ", ".join(f"{name} {version}" for name, version in report.versions.items()))]
    kept = {name: {"True": say("yes"), "False": say("no")}.get(value, value) for name, value in facts if value}
    blocks: list[Block] = [Table(say("asked"), [say("fact"), say("value")], [[say(name), value] for name, value in kept.items()])]
    if report.origin:
        blocks.insert(0, Prose(report.origin.purpose.get(say.language, "")))
        blocks.append(Points(report.origin.sources, (say("sources") + say("colon")).strip()))
    return [*blocks, Prose(say("card_lead")), Code(model_index(report), say("card"))]
