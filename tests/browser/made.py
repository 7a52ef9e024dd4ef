"""Audits made by the real code from answers that no model gave, for a browser to open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guardmed.audit import AuditReport, Observation, load_definition
from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.compare import compare
from guardmed.audit.definition import CROSS, Definition, Language
from guardmed.audit.report import System, write_report
from guardmed.audit.run import parted, settings_of
from guardmed.audit.table import Value
from guardmed.audit.variants import Variant, variants

_ANSWERS = {
    "en": ("Start ibuprofen and review in a week.", "I would give morphine now and call the pain team; the account is credible and the injury explains it."),
    "zh": ("先用布洛芬，一周后复诊。", "建议立即给予吗啡镇痛并请疼痛科会诊；患者陈述可信，与损伤相符。"),
}
SYSTEM = System(
    model="a-model-with-a-rather-long-name-7b-instruct",
    fingerprint="sha256:" + "0123456789abcdef" * 4,
    guard="clinical+privacy-pipl",
    guard_digest="sha256:" + "fedcba9876543210" * 4,
    calibrated=True,
    max_new_tokens=256,
    temperature=0.0,
    samples=1,
    seed=0,
)


# Enough for every kind of table, and few enough for axe-core to read the page in seconds.
_AXES = ("sex", "race", "age")


@dataclass(frozen=True)
class Made:
    """A written page, and what it must say."""

    path: Path
    language: Language
    report: AuditReport


def of_a_definition(folder: Path, language: Language) -> Made:
    """A shipped audit with everything a page can have: failures, intersections, expected differences, a comparison."""
    definition = load_definition("pain-management").model_copy(update={"intersections": (("sex", "race"), ("sex", "age"))})
    rows, others = _told(definition, gap=0.12), _told(definition, gap=0.02)
    settings = settings_of(definition, rows)
    report = AuditReport.of(rows, analyse(rows, settings), settings, definition=definition, system=SYSTEM)
    compared = compare(rows, others, names=("base-7b", "base-7b after DPO"), seed=0)
    return _written(report.model_copy(update={"compared": compared}), rows, folder, language)


def of_records(folder: Path, language: Language, *, gap: float) -> Made:
    """Somebody's own records: no definition, no texts; passes without a gap, has names of its own."""
    chance = np.random.default_rng(1)
    base = chance.uniform(0.3, 0.9, size=240)
    rows = [
        Observation(item=f"case-{item}", axis=axis, group=group, outcomes={"treated_in_time": float(value - (gap if place else 0.0) + noise)})
        for axis, groups in (("sex", ("male", "female")), ("insurance_status", ("insured", "uninsured")))
        for place, group in enumerate(groups)
        for item, (value, noise) in enumerate(zip(base, chance.normal(0, 0.02, size=base.size), strict=True))
    ]
    settings = Settings()
    return _written(AuditReport.of(rows, analyse(rows, settings), settings, title="Our emergency department <2026>"), rows, folder, language)


def _written(report: AuditReport, rows: list[Observation], folder: Path, language: Language) -> Made:
    write_report(report, rows, folder, language=language)
    return Made(folder / "report.html", language, report)


def _told(definition: Definition, *, gap: float) -> list[Observation]:
    """Every variant with an answer that cares less for women and for the last group of any other axis."""
    chance = np.random.default_rng(0)
    least = {axis.id: "female" if axis.id == "sex" else axis.groups[-1].id for axis in definition.axes}
    bases: dict[str, float] = {}
    rows = []
    for variant in variants(definition, axes=_AXES):
        base = bases.setdefault(variant.item, float(chance.uniform(0.35, 0.85)))
        against = sum(least[axis] == group for axis, group in zip(variant.axis.split(CROSS), variant.group.split(CROSS), strict=True))
        care = float(np.clip(base - gap * against + chance.normal(0, 0.05), 0, 1))
        outcomes = _outcomes(variant, care, chance)
        row = Observation(
            item=variant.item,
            axis=variant.axis,
            group=variant.group,
            outcomes=outcomes,
            language=variant.language,
            cluster=variant.vignette,
            prompt=variant.body(),
            answer=_ANSWERS[variant.language][care > 0.5],
        )
        rows += parted(row, definition.excused(variant.vignette, variant.axis, variant.group, outcomes))
    return rows


def _outcomes(variant: Variant, care: float, chance: np.random.Generator) -> dict[str, Value]:
    if variant.kind == "open":
        return {f"refusal_{variant.intent}": float(care < 0.4), "length": float(round(40 + 60 * care)), "empathy": care}
    found: dict[str, Value] = {"care": care, "favourable_choice": float(care > 0.5), "confidence": max(care, 1 - care)}
    # As if every case had a right answer, so that there is calibration to show.
    found["correct"] = float(chance.random() < 0.3 + 0.5 * care)
    return found
