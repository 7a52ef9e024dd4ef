"""An audit's page, in English or Chinese: verdicts first, then what they rest on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from guardmed.audit.about import provenance, tests_used
from guardmed.audit.analyse import MIN_GROUP
from guardmed.audit.compare import Change, Comparison
from guardmed.audit.definition import Language
from guardmed.audit.flips import Flip, marked
from guardmed.audit.gaps import RESAMPLES
from guardmed.audit.report import AuditReport
from guardmed.audit.results import Intersection, OutcomeResult, PairResult
from guardmed.audit.words import Words
from guardmed.reporting import Block, Cell, Page, Plot, Points, Prose, Section, SideBySide, Table, Verdict
from guardmed.reporting.plots import ForestRow, forest, heat_map

MAX_FOREST_ROWS = 40
# No line may end within an interval.
_HAN = re.compile(r"[\u4e00-\u9fff]")
_TO = "\u00a0…\u00a0"


def report_page(report: AuditReport, *, language: Language = "en") -> Page:
    """The page of a report."""
    say = Words(language, report.origin)
    title = report.origin.titles.get(language, report.title) if report.origin else report.title
    who = f"{report.model} · " if report.model else ""
    if report.system and report.system.guard:
        who += say("behind", guard=report.system.guard) + " · "
    sections = [
        Section(say("verdict"), [verdict_block(report, language=language), _quotes(report, say), axes_table(report, language=language)]),
        Section(say("compared"), comparison_blocks(_as_told(report.compared, report), say)) if report.compared else None,
        Section(say("gaps"), [forest_plot(report, language=language), pairs_table(report, say)]),
        Section(say("worst"), _flip_blocks(report.flips, say)) if any(flip.prompt_a for flip in report.flips) else None,
        Section(say("cell"), [block for cross in report.intersections for block in _cross_blocks(cross, say)]) if report.intersections else None,
        Section(say("groups"), [groups_table(report, say), *([_calibration_table(report, say)] if report.calibration else [])]),
        Section(say("expected"), [Prose(say("expected_lead")), _expected_table(report, say)]) if report.expected else None,
        Section(
            say("method"),
            [Prose(text) for text in [*say.method(resamples=RESAMPLES, least=MIN_GROUP, collected=report.system is None), *tests_used(report, say)]],
        ),
        Section(say("provenance"), provenance(report, say)),
    ]
    return Page(
        title=say("audit", title=title),
        subtitle=say("subtitle", who=who, n=report.observations, margin=report.margin, alpha=report.alpha, version=report.guardmed_version),
        sections=[section for section in sections if section is not None],
        language=language,
    )


def verdict_block(report: AuditReport, *, language: Language = "en") -> Verdict:
    """One word and one sentence for the whole audit."""
    say = Words(language, report.origin)
    joined = "、" if language == "zh" else ", "
    if report.verdict == "fail":
        failed = [axis for axis, outcomes in report.axes.items() if any(result.verdict == "fail" for result in outcomes.values())]
        return Verdict(say("fail"), "fail", say("said_fail", axes=joined.join(map(say.axis, failed))))
    if report.verdict == "pass":
        return Verdict(say("pass"), "pass", say("said_pass"))
    doubtful = [axis for axis, outcomes in report.axes.items() if any(r.verdict == "inconclusive" and r.role == "primary" for r in outcomes.values())]
    return Verdict(say("inconclusive"), "inconclusive", say("said_open", axes=joined.join(map(say.axis, doubtful)) or "–"))


def axes_table(report: AuditReport, *, language: Language = "en") -> Table:
    """One row for each axis and outcome."""
    say = Words(language, report.origin)
    rows: list[list[str | Cell]] = []
    for axis, outcome, result in _results(report):
        rows.append(
            [
                say.axis(axis),
                say.outcome(outcome),
                say(result.role),
                Cell(say(result.verdict), result.verdict),
                # The pair under its gap: no line ends amid either.
                _largest(axis, result, say, between="\n"),
                "–" if result.margin is None else f"±{result.margin:g}",
                f"{result.items_needed:,}" if result.items_needed else "–",
                "–" if result.detectable_gap is None else f"{result.detectable_gap:.3f}",
            ]
        )
    header = [say(name) for name in ("axis", "outcome", "role", "verdict", "largest", "margin", "needed", "could_find")]
    return Table(say("verdicts"), header, rows)


def brief_table(report: AuditReport, *, every: bool = False) -> Table:
    """For a terminal: the primary outcomes, and whatever fails; or every outcome."""
    say = Words("en", report.origin)
    rows: list[list[str | Cell]] = [
        [say.axis(axis), say.outcome(outcome), Cell(say(result.verdict), result.verdict), _largest(axis, result, say)]
        for axis, outcome, result in _results(report)
        if every or result.role == "primary" or result.verdict == "fail"
    ]
    return Table(say("verdicts"), [say(name) for name in ("axis", "outcome", "verdict", "largest")], rows)


def _largest(axis: str, result: OutcomeResult, say: Words, *, between: str = " ") -> str:
    worst = _worst(result)
    return "–" if worst is None else f"{_with(worst.gap, worst.ci)}{between}{_pair(axis, worst, say)}"


def forest_plot(report: AuditReport, *, language: Language = "en") -> Plot:
    """The gaps of the primary outcomes with their intervals, each in units of its margin."""
    say = Words(language, report.origin)
    primary = [(axis, outcome, result) for axis, outcome, result in _results(report) if result.role == "primary"]
    outcomes = {outcome for _, outcome, _ in primary}
    found = []
    for axis, outcome, result in primary:
        margin = result.margin or report.margin
        for pair in result.pairs:
            # What every row shares is said once, below.
            phrase = "row" if len(outcomes) == 1 else "row_of"
            label = say(phrase, axis=say.axis(axis), a=say.group(axis, pair.a), b=say.group(axis, pair.b), outcome=say.outcome(outcome))
            found.append(ForestRow(label, pair.gap / margin, pair.ci[0] / margin, pair.ci[1] / margin, pair.verdict or result.verdict))
    rows = sorted(found, key=lambda row: -abs(row.gap))[:MAX_FOREST_ROWS]
    told = say.listed(f"{row.label} {row.gap:+.2f}" for row in rows[:3]) or say("no_pairs")
    if len(outcomes) == 1 and rows:
        told = say("told_of", outcome=say.outcome(*outcomes), told=told)
    shown = say("all_of_them" if len(rows) == len(found) else "some_of_them", n=len(rows), all=len(found))
    legend = {name: say(f"shown_{name}") for name in ("fail", "pass", "inconclusive", "margin")}
    return Plot(forest(rows, margin=1.0, xlabel=say("gap_label"), legend=legend), say("forest", shown=shown, told=told))


def pairs_table(report: AuditReport, say: Words) -> Table:
    """Every pair in figures."""
    several = any(pair.by_language for _, _, result in _results(report) for pair in result.pairs)
    rows = [
        [
            say.axis(axis),
            say.outcome(outcome),
            _pair(axis, pair, say),
            _signed(pair.gap, 4),
            _span(pair.ci, 4),
            _p(pair.p),
            _p(pair.p_adjusted),
            f"{pair.flip_rate:.1%}",
            "–" if pair.self_flip_rate is None else f"{pair.self_flip_rate:.1%}",
            str(pair.n_pairs),
            *(["\n".join(f"{name}\u00a0{_signed(one.gap)}\u00a0({one.n_pairs})" for name, one in pair.by_language.items())] if several else []),
        ]
        for axis, outcome, result in _results(report)
        for pair in result.pairs
    ]
    header = [say(name) for name in ("axis", "outcome", "pair", "gap", "interval")] + ["p"]
    return Table(say("paired"), header + [say(name) for name in ("holm", "flips", "self_flips", "pairs", *(["languages"] if several else []))], rows)


def groups_table(report: AuditReport, say: Words) -> Table:
    """Means by group; small groups are suppressed."""
    rows = []
    for axis, outcome, result in _results(report):
        for name, group in result.groups.items():
            shown = say("under", n=MIN_GROUP) if group.suppressed else f"{group.mean:.3f}"
            interval = "" if group.suppressed else f"{group.ci[0]:.3f}{_TO}{group.ci[1]:.3f}"
            rows.append([say.axis(axis), say.outcome(outcome), say.group(axis, name), str(group.n), shown, interval])
    return Table(say("means"), [say("axis"), say("outcome"), say("group"), "n", say("mean"), say("interval")], rows)


def comparison_blocks(compared: Comparison, say: Words) -> list[Block]:
    """Levels and gaps of two audits, and what changed."""
    levels = [
        [
            say.outcome(one.outcome),
            f"{one.before:.3f}",
            f"{one.after:.3f}",
            _with(one.after - one.before, one.ci),
            str(one.n_items),
        ]
        for one in compared.levels
    ]
    changes = [
        [
            say.axis(one.axis),
            say.outcome(one.outcome),
            _pair(one.axis, one, say),
            _signed(one.before),
            _signed(one.after),
            _with(one.change, one.ci),
            _p(one.p_adjusted),
            str(one.n_items),
        ]
        for one in compared.changes
    ]
    return [
        Prose(say("compared_lead", before=compared.before, after=compared.after)),
        Table(say("levels"), [say(name) for name in ("outcome", "before", "after", "change", "items")], levels),
        Table(say("changes"), [say(name) for name in ("axis", "outcome", "pair", "before", "after", "change", "holm", "items")], changes),
    ]


def _as_told(compared: Comparison, report: AuditReport) -> Comparison:
    """Its pairs named in the order of the report's own, so that no sign turns from one table to the next."""
    known = {(axis, pair.a, pair.b) for axis, _, result in _results(report) for pair in result.pairs}
    turned = [_turned(one) if (one.axis, one.b, one.a) in known else one for one in compared.changes]
    return compared.model_copy(update={"changes": tuple(turned)})


def _turned(one: Change) -> Change:
    turned = {"a": one.b, "b": one.a, "before": -one.before, "after": -one.after, "change": -one.change, "ci": (-one.ci[1], -one.ci[0])}
    return one.model_copy(update=turned)


def _signed(value: float, digits: int = 3) -> str:
    """A figure with its sign; what rounds to nothing is not less than nothing."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _span(ci: tuple[float, float], digits: int = 3) -> str:
    return f"{_signed(ci[0], digits)}{_TO}{_signed(ci[1], digits)}"


def _with(gap: float, ci: tuple[float, float]) -> str:
    return f"{_signed(gap)}\u00a0({_span(ci)})"


def _pair(axis: str, pair: PairResult | Change, say: Words) -> str:
    a, b = say.group(axis, pair.a), say.group(axis, pair.b)
    # Short enough to stay on one line; else it may end behind the sign.
    return f"{a}\u00a0−\u00a0{b}" if len(a) + len(b) <= 16 else f"{a}\u00a0− {b}"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def _quotes(report: AuditReport, say: Words) -> Points:
    """Of each axis, what a reviewer may quote: every failure, and the primary outcomes."""
    told = [_capital(_quote(axis, outcome, result, say)) for axis, outcome, result in _results(report) if result.verdict == "fail" or result.role == "primary"]
    return Points(told)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _quote(axis: str, outcome: str, result: OutcomeResult, say: Words) -> str:
    worst = _worst(result)
    name = say.outcome(outcome)
    name = name if say.language == "zh" else name[:1].lower() + name[1:]
    if worst is None:
        return say("quote_none", axis=say.axis(axis), outcome=name)
    low, high = map(_signed, worst.ci)
    shared = {
        "axis": say.axis(axis),
        "outcome": name,
        "a": say.group(axis, worst.a),
        "b": say.group(axis, worst.b),
        "low": low,
        "high": high,
        "n": worst.n_pairs,
    }
    if result.scale == "nominal":
        why = say("no_repeats") if worst.self_flip_rate is None else ""
        return say("quote_flips", **shared, flips=f"{worst.flip_rate:.1%}", gap=_signed(worst.gap), why=why)
    if result.verdict == "fail":
        # "Lower by 0.10" has an interval of the same direction: 0.08 to 0.12.
        ends = worst.ci if worst.gap > 0 else (-worst.ci[1], -worst.ci[0])
        shared |= {"low": f"{ends[0]:.3f}", "high": f"{ends[1]:.3f}"}
        return say("quote_fail", **shared, more=say("higher" if worst.gap > 0 else "lower"), gap=f"{abs(worst.gap):.3f}", p=_p(worst.p_adjusted))
    if result.verdict == "pass":
        groups = say("both_groups" if len(result.groups) == 2 else "all_groups", k=len(result.groups))
        return say("quote_pass", **shared, groups=groups, gap=_signed(worst.gap), margin=result.margin or 0)
    return say("quote_open", **shared, gap=_signed(worst.gap), needed=f"{result.items_needed:,}" if result.items_needed else "–")


def _worst(result: OutcomeResult) -> PairResult | None:
    """The pair a verdict is about: the largest proven gap of a failure, else the largest."""
    if not result.pairs:
        return None
    failing = [pair for pair in result.pairs if pair.verdict == "fail"]
    return max(failing or result.pairs, key=lambda pair: abs(pair.gap))


def _flip_blocks(flips: Sequence[Flip], say: Words) -> list[Block]:
    blocks: list[Block] = [Prose(say("worst_lead"))]
    for flip in flips:
        left, right = map(_joined, marked(_told(flip.prompt_a, flip.answer_a), _told(flip.prompt_b, flip.answer_b)))
        blocks.append(
            SideBySide(
                caption=f"{flip.item} · {say.axis(flip.axis)} · {say.outcome(flip.outcome)}",
                left_title=say.group(flip.axis, flip.a) + say("colon") + _value(flip.value_a),
                right_title=say.group(flip.axis, flip.b) + say("colon") + _value(flip.value_b),
                left=left,
                right=right,
                language="zh" if _HAN.search(flip.prompt_a) else "en",
            )
        )
    return blocks


def _joined(pieces: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Marked words with no more than a space between them in one piece: a sentence that differs is one mark, not ten."""
    out: list[tuple[str, bool]] = []
    for place, (text, differs) in enumerate(pieces):
        between = text == " " and 0 < place < len(pieces) - 1 and pieces[place - 1][1] and pieces[place + 1][1]
        if out and (differs or between) and out[-1][1]:
            out[-1] = (out[-1][0] + text, True)
        else:
            out.append((text, differs))
    return out


def _told(prompt: str, answer: str) -> str:
    return f"{prompt}\n\n→ {answer}" if answer else prompt


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"


def _cross_blocks(cross: Intersection, say: Words) -> list[Block]:
    one, other = cross.axes
    caption = say("cells", outcome=say.outcome(cross.outcome), one=say.axis(one), other=say.axis(other), p="–" if cross.p is None else _p(cross.p))
    rows = list(dict.fromkeys(cell.groups[0] for cell in cross.cells))
    columns = list(dict.fromkeys(cell.groups[1] for cell in cross.cells))
    values = {cell.groups: None if cell.suppressed else cell.shrunk for cell in cross.cells}
    shown = sorted((cell for cell in cross.cells if not cell.suppressed), key=lambda cell: -abs(cell.shrunk))
    told = say.listed(f"{say.group(one, cell.groups[0])} × {say.group(other, cell.groups[1])} {_signed(cell.shrunk)}" for cell in shown[:3]) or "–"
    svg = heat_map(
        [[values.get((row, column)) for column in columns] for row in rows],
        rows=[say.group(one, row) for row in rows],
        columns=[say.group(other, c) for c in columns],
    )
    table = Table(
        caption,
        [say.axis(one), say.axis(other), "n", say("mean"), say("gap"), say("interval")],
        [
            [
                say.group(one, cell.groups[0]),
                say.group(other, cell.groups[1]),
                str(cell.n),
                f"{cell.mean:.3f}",
                _signed(cell.shrunk),
                _span(cell.ci),
            ]
            for cell in shown
        ],
    )
    return [Plot(svg, say("cells_told", caption=caption, told=told)), table]


def _calibration_table(report: AuditReport, say: Words) -> Table:
    rows = [
        [
            say.axis(axis),
            say.group(axis, name),
            str(one.n),
            *([say("under", n=MIN_GROUP), "", "", ""] if one.suppressed else [f"{v:.3f}" for v in (one.confidence, one.accuracy, one.ece, one.debiased_ece)]),
        ]
        for axis, groups in report.calibration.items()
        for name, one in groups.items()
    ]
    return Table(say("calibration"), [say("axis"), say("group"), "n", say("confidence"), say("accuracy"), say("ece"), say("debiased")], rows)


def _expected_table(report: AuditReport, say: Words) -> Table:
    reasons = report.origin.reasons if report.origin else {}
    rows = [
        [
            one.vignette,
            say.axis(one.axis),
            say.outcome(one.outcome),
            "\n".join(f"{say.group(one.axis, group)} {mean:.3f}".replace(" ", "\u00a0") for group, mean in one.groups.items()),
            reasons.get(f"{one.vignette}/{one.axis}", {}).get(say.language, ""),
        ]
        for one in report.expected
    ]
    return Table(say("declared"), [say("case"), say("axis"), say("outcome"), say("found"), say("reason")], rows)


def _results(report: AuditReport) -> list[tuple[str, str, OutcomeResult]]:
    return [(axis, outcome, result) for axis, outcomes in report.axes.items() for outcome, result in outcomes.items()]
