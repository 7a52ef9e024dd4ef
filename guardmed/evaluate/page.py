"""The evaluation's page: systems side by side, each language in a table of its own, then every suite in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from guardmed.evaluate.results import LANGUAGES, EvalReport, Figure, SuiteName, SuiteResult, SystemRef
from guardmed.reporting.page import Block, Page, Points, Prose, Section, Table, text_of

LANGUAGE = {"en": "English", "zh": "Chinese"}
TITLES: dict[SuiteName, str] = {
    "mcq": "Multiple choice",
    "ner": "Clinical entities",
    "icd": "ICD-10 codes",
    "open": "Open answers",
    "latency": "Latency",
    "safety": "Safety",
}
NAMES = {
    "accuracy": "Accuracy",
    "answered": "Not stopped by the guard",
    "micro_f1": "F1, micro",
    "macro_f1": "F1, macro",
    "category_micro_f1": "F1 of categories, micro",
    "category_macro_f1": "F1 of categories, macro",
    "valid": "Codes that exist",
    "facts_stated": "Reference facts stated",
    "claims_supported": "Claims that the facts support",
    "self_support": "The model's own support of its claims",
    "ms_per_token": "ms a token",
    "model_ms_per_token": "ms a token, the model alone",
    "guard_ms_per_answer": "ms the guard adds to an answer",
    "harmful_compliance": "Harmful compliance",
    "over_refusal": "Over-refusal",
    "ece15": "ECE after temperature scaling",
    "ece15_raw": "ECE as it comes",
    "worst_audit_gap": "Worst audit gap",
}
_PERCENT = frozenset({"accuracy", "answered", "valid", "facts_stated", "claims_supported", "harmful_compliance", "over_refusal"})
_MILLISECONDS = frozenset({"ms_per_token", "model_ms_per_token", "guard_ms_per_answer"})
_LOWER = _MILLISECONDS | {"harmful_compliance", "over_refusal", "ece15", "ece15_raw", "worst_audit_gap"}


@dataclass(frozen=True)
class Column:
    """One column of the table; ``group`` says which of the two tables it stands in."""

    suite: SuiteName
    figure: str
    title: str
    group: Literal["skill", "safety"] = "skill"


COLUMNS = (
    Column("mcq", "accuracy", "Multiple choice, accuracy"),
    Column("ner", "micro_f1", "Entities, F1"),
    Column("icd", "micro_f1", "ICD-10, micro F1"),
    Column("icd", "macro_f1", "ICD-10, macro F1"),
    Column("open", "facts_stated", "Open answers, facts stated"),
    Column("open", "claims_supported", "Open answers, claims supported"),
    Column("latency", "ms_per_token", "ms a token"),
    Column("safety", "harmful_compliance", "Harmful compliance", "safety"),
    Column("safety", "over_refusal", "Over-refusal", "safety"),
    Column("safety", "ece15", "ECE", "safety"),
    Column("safety", "worst_audit_gap", "Worst audit gap", "safety"),
)


def report_page(report: EvalReport) -> Page:
    """The page of a report."""
    languages = [language for language in LANGUAGES if any(result.language == language for result in report.results)]
    sections = [Section(f"In {LANGUAGE[language]}", _side_by_side(report, language)) for language in languages]
    sections += [Section(title, _suite(report, name)) for name, title in TITLES.items() if any(result.suite == name for result in report.results)]
    sections += [Section("Method", [Points(_METHOD)]), Section("Provenance", [systems_table(report), data_table(report), *_versions(report)])]
    who = ", ".join(dict.fromkeys(one.model for one in report.systems))
    return Page(title=f"Evaluation: {who}", subtitle=" · ".join(filter(None, (f"GuardMed {report.guardmed_version}", report.created))), sections=sections)


def table(report: EvalReport, language: str, *, only: Literal["skill", "safety"] | None = None) -> Table | None:
    """Systems by figures in one language, and what knows nothing in the last row; None where nothing was measured."""
    columns = [
        column for column in COLUMNS if only in (None, column.group) and any(_figure(report, one.name, column, language) is not None for one in report.systems)
    ]
    if not columns:
        return None
    rows = []
    for one in report.systems:
        cells = [_cell(report, one, column, language) for column in columns]
        if any(cell != "–" for cell in cells):
            rows.append([one.name, *cells])
    rows.append(["Without a model", *(_control(report, column, language) for column in columns)])
    header = ["System", *(f"{column.title} {'↓' if column.figure in _LOWER else '↑'}" for column in columns)]
    kind = {"skill": "skill and speed", "safety": "safety, which such tables never show", None: "side by side"}[only]
    return Table(f"{LANGUAGE[language]}, {kind}; 95 % intervals; ↑ more is better, ↓ less is", header, rows)


def brief_table(report: EvalReport, language: str) -> Table | None:
    """The same for a terminal, which is narrow: figures by systems."""
    found = table(report, language)
    if found is None:
        return None
    columns = [[text_of(row[place]) for row in found.rows] for place in range(len(found.header))]
    return Table(found.caption, ["", *columns[0]], [[title, *cells] for title, cells in zip(found.header[1:], columns[1:], strict=True)])


def told(name: str, figure: Figure | None) -> str:
    """A figure with its interval and its n, as a cell."""
    if figure is None:
        return "–"
    return f"{_number(name, figure.value)}\n({_number(name, figure.interval[0])} to {_number(name, figure.interval[1])}), n\u00a0{figure.n}"


def unlike(report: EvalReport, language: str) -> list[str]:
    """Suites in which systems were not asked the same, or not in the same way."""
    out = []
    for suite, title in TITLES.items():
        found = [one for one in report.results if (one.suite, one.language) == (suite, language)]
        if len({one.data_digest for one in found}) > 1:
            out.append(f"{title}: not all systems were asked the same questions, so their figures can't be compared.")
        elif suite != "latency" and len({_settings(one) for one in found}) > 1:
            out.append(f"{title}: not all systems were asked in the same way; see what was asked.")
    return out


def systems_table(report: EvalReport) -> Table:
    """What each system is."""
    rows = [
        [one.name, one.model, (one.fingerprint or "–")[:16], one.guard or "–", (one.guard_digest or "–")[:16], one.numerics or "–"] for one in report.systems
    ]
    return Table("Systems", ["System", "Model", "Fingerprint", "Guard", "Digest of the guard", "Numbers"], rows)


def data_table(report: EvalReport) -> Table:
    """What each suite asked."""
    rows = [
        [one.system, TITLES[one.suite], one.language, one.data, str(one.n), str(one.seed), one.data_digest[:16], _settings(one), f"{one.seconds:.1f} s"]
        for one in report.results
    ]
    return Table("What was asked", ["System", "Suite", "Language", "Data", "n", "Seed", "Digest", "Settings", "Time"], rows)


def _side_by_side(report: EvalReport, language: str) -> list[Block]:
    found = [table(report, language, only="skill"), table(report, language, only="safety")]
    blocks: list[Block] = [one for one in found if one is not None]
    if mixed := unlike(report, language):
        blocks.append(Points(mixed))
    return blocks


def _suite(report: EvalReport, name: SuiteName) -> list[Block]:
    rows: list[list[str]] = []
    parts: list[list[str]] = []
    notes: list[str] = []
    for one in report.results:
        if one.suite != name:
            continue
        for key, figure in one.figures.items():
            controls = "; ".join(f"{what} {_number(key, value)}" for what, value in figure.controls.items())
            rows.append([f"{one.system}, {LANGUAGE[one.language]}", NAMES[key], *_cells(key, figure), controls or "–", figure.detail or "–"])
        parts += [[f"{one.system}, {LANGUAGE[one.language]}", label, *_cells("micro_f1", figure), figure.detail or "–"] for label, figure in one.parts.items()]
        notes += [f"{one.system}, {LANGUAGE[one.language]}: {note}" for note in one.notes]
    blocks: list[Block] = [Table(TITLES[name], ["System", "Figure", "Value", "95 %", "n", "Without a model", "Detail"], rows)]
    if parts:
        blocks.append(Table(f"{TITLES[name]}, F1 by label", ["System", "Label", "Value", "95 %", "n", "Detail"], parts))
    return [*blocks, Points(notes)] if notes else blocks


def _cells(name: str, figure: Figure) -> list[str]:
    return [_number(name, figure.value), f"{_number(name, figure.interval[0])} to {_number(name, figure.interval[1])}", str(figure.n)]


def _cell(report: EvalReport, system: SystemRef, column: Column, language: str) -> str:
    figure, result = _figure(report, system.name, column, language), report.of(system.name, column.suite, language)
    if column.figure == "ece15" and result is not None and "ece15" not in result.figures:
        # Likelihoods are the model's own: behind a guard they are what they were.
        return f"not calibrated; as it comes {told(column.figure, figure)}" if figure is not None else "–" if system.guard is None else "as bare"
    return told(column.figure, figure)


def _figure(report: EvalReport, system: str, column: Column, language: str) -> Figure | None:
    result = report.of(system, column.suite, language)
    if result is None:
        return None
    # Where no temperature could be fitted, it can still be said how far off the likelihoods are.
    return result.figures.get(column.figure) or (result.figures.get("ece15_raw") if column.figure == "ece15" else None)


def _control(report: EvalReport, column: Column, language: str) -> str:
    """The best of the controls; both ways of knowing nothing where each is best at one thing."""
    figures = [figure for one in report.systems if (figure := _figure(report, one.name, column, language)) is not None and figure.controls]
    if not figures:
        return "–"
    controls = figures[0].controls
    if set(controls) == {"answers everything", "refuses everything"}:
        return "\n".join(f"{_number(column.figure, value)} {name}" for name, value in controls.items())
    name, value = max(controls.items(), key=lambda one: one[1])
    return f"{_number(column.figure, value)}\n{name}"


def _number(name: str, value: float) -> str:
    if name in _PERCENT:
        return f"{value:.1%}"
    return f"{value:.1f}" if name in _MILLISECONDS else f"{value:.3f}"


def _settings(result: SuiteResult) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in result.settings.items() if value != "")


def _versions(report: EvalReport) -> Sequence[Block]:
    return [Prose("Versions: " + ", ".join(f"{name} {version}" for name, version in report.versions.items()) + ".")] if report.versions else []


_METHOD = (
    "Multiple choice: the likeliest option by its mean token log-probability, or by its letter after the lettered list; a model without log-probabilities "
    "is asked to say the letter. A question that a guard stops is not answered, so not right. Wilson's interval.",
    "Clinical entities: the model lists type and words; what it lists is found again in the text and must match start, end and type. Words that do not stand "
    "in the text count as wrong. F1 as seqeval has it; a bootstrap over sentences that is never narrower than Wilson's interval of the same counts.",
    "ICD-10: codes are read from the answer and cut to the length of the longest right one. Micro F1 counts every code given or due, macro F1 is the mean "
    "over codes, as scikit-learn has them; bootstrap over cases.",
    "Open answers: a reference fact is stated if its words stand in the answer; a claim is supported if the facts share its words. Both see words, not "
    "meaning: a paraphrase is missed, and a denial that names the right thing passes. The control is the same answer held against another question's facts.",
    "Latency: one answer at a time, greedy, reading the prompt included. Behind a guard the model's own time is measured within the same call.",
    "Harmful compliance and over-refusal: prompts of the gate's banks; a refusal is read from the words. Exact intervals at the effective number of prompts, "
    "as prompts on one topic are alike. Sending a person in danger to help is no compliance.",
    "ECE: 15 bins, on held-out questions, after one temperature was fitted on the others. By chance alone it would be what stands in the last row.",
    "Worst audit gap: the largest difference between two groups of patients over an audit's primary outcomes. Being the largest of several it is too large on "
    "average, and its interval is that of its own pair; guardmed audit gives the verdicts.",
    "Without a model: the best of what knows nothing, such as the longest option, the most frequent code, or a dictionary of the other sentences' entities.",
)
