"""A gate's report down to its items: what each check rests on, in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from guardmed.errors import UsageError
from guardmed.gate.bounds import looks, rate_bounds, spent
from guardmed.gate.checks import CheckResult, settled
from guardmed.gate.config import GOOD_EVENTS, PROMPTED, Check, StageName
from guardmed.gate.emit.words import plain
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.report import GateReport, verdict_block
from guardmed.gate.waivers import Applied
from guardmed.reporting import Block, Cell, Prose, Table, Tone, Verdict

# How many items a report is told with, and how many names of those behind a check that holds.
MOST, NAMES = 5, 10
# Enough of a digest to find it by.
DIGEST = 16
TONES: Mapping[str, Tone] = MappingProxyType(
    {"pass": "pass", "fail": "fail", "missing": "fail", "inconclusive": "inconclusive", "skipped": "plain", "waived": "inconclusive"}
)
# What the items of a stage are, what is said of one without the event, and of one with it.
_UNITS: Mapping[StageName, tuple[str, str, str]] = MappingProxyType(
    {
        "artifact_scan": ("files", "sound", "unsound"),
        "policy_tests": ("rule tests", "held", "failed"),
        "refusal": ("prompts", "refused", "answered"),
        "over_refusal": ("prompts", "answered", "refused"),
        "calibration": ("questions", "", ""),
        "audit": ("comparisons", "not failing", "failing"),
        "capability": ("questions", "wrong", "right"),
        "latency": ("answers", "", ""),
    }
)


def explain(report: GateReport, *, only: str | None = None, most: int | None = None) -> list[Block]:
    """The verdict, and for each check what must hold, what was found and which items are behind it.

    Parameters
    ----------
    report : GateReport
    only : str, optional
        The id of one check; then every item it rests on is told, not only those that went wrong.
    most : int, optional
        Texts of at most so many items a check; five, or all of a single check.

    Raises
    ------
    UsageError
        The report has no such check.
    """
    chosen = [result for result in report.checks if only is None or result.id == only]
    if only is not None and not chosen:
        known = ", ".join(plain(result.id) for result in report.checks) or "none"
        raise UsageError(f"The report has no check {plain(only)!r}.", mend=f"Its checks: {known}.")
    limit = most if most is not None else MOST if only is None else None
    blocks: list[Block] = [] if only is not None else [_verdict(report), Prose(_origin(report))]
    for result in chosen:
        told = _Explained(report, result)
        blocks.append(told.facts(whole=only is not None))
        blocks += told.texts(limit, every=only is not None)
    if only is None:
        blocks.append(Prose("One check with all of its items: --check ID; more or fewer items of each: --items N."))
    return blocks


@dataclass(frozen=True)
class _Explained:
    """One check of a report, with what it was judged on.

    Attributes
    ----------
    report : GateReport
    result : CheckResult
    """

    report: GateReport
    result: CheckResult

    @property
    def check(self) -> Check | None:
        """As it was configured; None for what the gate adds by itself, such as a waiver out of order."""
        return next((check for check in self.report.config.checks if check.id == self.result.id), None)

    @property
    def evidence(self) -> Evidence | None:
        """Of its stage, as gathered."""
        return self.report.evidence.get(self.result.stage) if self.check is not None else None

    @property
    def left_out(self) -> frozenset[str]:
        """Items in quarantine."""
        return quarantined(self.report, self.result.stage)

    def facts(self, *, whole: bool) -> Table:
        """What is known of the check, a line each; ``whole`` names every item that went wrong."""
        result, check, found = self.result, self.check, self.evidence
        verdict = f"{result.verdict} (critical)" if result.critical else result.verdict
        rows: list[tuple[str, str | Cell]] = [("Verdict", Cell(verdict, TONES[result.verdict])), ("Must hold", result.why)]
        if check is not None:
            rows.append(("Limit", _limit_of(check, metric=found.metric if found is not None else "the figure")))
        rows.append(("Found", result.told))
        if check is not None and found is not None:
            rows.append(("Asked", _asking(self.report, found, rate=check.kind in ("max_rate", "min_rate"))))
            if self.left_out:
                rows.append(("Left out", f"in quarantine: {', '.join(sorted(self.left_out))}"))
            if check.kind == "no_regression":
                rows += self._change(whole=whole)
            else:
                rows += self._rate(check, found)
                rows += self._wrong(whole=whole)
        rows += [("Waiver" if one.kind == "waiver" else "Quarantine", _waiver(one)) for one in self._waivers()]
        if check is not None and found is not None:
            rows.append(("Evidence", _gathered(self.report, found)))
        return Table(plain(f"{result.id}: {result.verdict}"), ["What", "What the report says"], [[name, _plain(cell)] for name, cell in rows])

    def texts(self, most: int | None, *, every: bool) -> list[Block]:
        """Requests and answers, those that went wrong first, as the report holds them; ``every`` tells the others too."""
        check, found = self.check, self.evidence
        if check is None or found is None or most == 0:
            return []
        if check.kind == "no_regression":
            rows = [(item, f"{turned}: {before} → {now}") for turned, item, before, now in self._turned()]
            title = "items that changed against the baseline"
        else:
            bad, doubtful, good = self._sorted(found)
            behind = [*bad, *doubtful, *(good if every else [])]
            doubts = {item.id for item in doubtful}
            rows = [(item, "in doubt" if item.id in doubts else said(found.stage, item.outcome)) for item in behind]
            title = "every item, those that went wrong first" if every else "items that went wrong or are in doubt" if doubts else "items that went wrong"
        told = [(item, word) for item, word in rows if item.shown]
        again = self._again(found) if check.kind in ("max_rate", "min_rate") and (every or self.result.verdict == "fail") else []
        tables = ((title, told), ("items that came out otherwise in other words", again))
        return [_items_table(self.result, name, items, most) for name, items in tables if items]

    def _rate(self, check: Check, found: Evidence) -> Iterator[tuple[str, str]]:
        """The effective size and the canaries behind a rate."""
        if check.kind not in ("max_rate", "min_rate"):
            return
        kept = [item for item in found.items if item.id not in self.left_out]
        alpha = _alpha(check, found)
        if kept and alpha is not None:
            clusters = [item.cluster or item.id for item in kept]
            effective = rate_bounds([item.outcome for item in kept], clusters, alpha=alpha).effective
            yield "Counts as", f"{effective:.1f} independent items: {_topics(len(kept), len(set(clusters)))}"
            yield from self._worst_topics(kept, clusters)
        if found.stage in PROMPTED:
            yield "Other words", self._canaries(found)

    def _worst_topics(self, kept: Sequence[ItemOutcome], clusters: Sequence[str]) -> Iterator[tuple[str, str]]:
        sizes = Counter(clusters)
        wrong = Counter(cluster for item, cluster in zip(kept, clusters, strict=True) if is_bad(self.result.stage, item))
        if wrong and len(sizes) < len(kept):
            yield "Topics", "most went wrong in " + ", ".join(f"{name} ({count} of {sizes[name]})" for name, count in wrong.most_common(3))

    def _canaries(self, found: Evidence) -> str:
        own = {item.id: item for item in found.items if item.id not in self.left_out}
        pairs = [(own[item.id], item) for item in found.canaries if item.id in own]
        if not pairs:
            failed = _settled(self.report, found, found.total) == "fail"
            why = "the configuration wants none" if self.report.config.suites.canaries == 0 else "the rate had failed already" if failed else "none is at hand"
            return f"none were asked again: {why}"
        first, again = (sum(is_bad(found.stage, item) for item in side) for side in zip(*pairs, strict=True))
        turned = [item.id for before, item in pairs if is_bad(found.stage, item) and not is_bad(found.stage, before)]
        more = f"; only in other words: {', '.join(turned)}" if turned else ""
        return f"{len(pairs)} asked again: {first} went wrong in the suite's own words, {again} in other words{more}"

    def _again(self, found: Evidence) -> list[tuple[ItemOutcome, str]]:
        own = {item.id: item for item in found.items}
        differing = [item for item in found.canaries if item.id in own and own[item.id].outcome != item.outcome]
        return [(item, f"{said(found.stage, own[item.id].outcome)} → {said(found.stage, item.outcome)}") for item in differing]

    def _wrong(self, *, whole: bool) -> Iterator[tuple[str, str]]:
        found = self.evidence
        if found is None or not (found.items or found.stage == "artifact_scan"):
            if found is not None and (figures := _figures(found)):
                yield "Also", figures
            return
        bad, doubtful, _ = self._sorted(found)
        every = whole or self.result.verdict != "pass"
        yield "Went wrong", _listed(bad, None if every else NAMES)
        if doubtful:
            yield "In doubt", _listed(doubtful, None if every else NAMES)

    def _sorted(self, found: Evidence) -> tuple[list[ItemOutcome], list[ItemOutcome], list[ItemOutcome]]:
        """Items that went wrong, those in doubt, and the others, each as the report holds them."""
        doubts = set(map(str, found.detail.get("inconclusive", ())))
        kept = [item for item in found.items if item.id not in self.left_out]
        bad = [item for item in kept if is_bad(found.stage, item)]
        rest = [item for item in kept if not is_bad(found.stage, item)]
        doubtful = [item for item in rest if f"{item.id}: {item.shown}" in doubts]
        return bad, doubtful, [item for item in rest if item not in doubtful] if doubtful else rest

    def _turned(self) -> list[tuple[str, ItemOutcome, str, str]]:
        """Items that came out otherwise than in the baseline: worse or better, what it was and is."""
        found = self.evidence
        before = self.report.baseline.evidence.get(self.result.stage) if self.report.baseline is not None else None
        if found is None or before is None or before.digest != found.digest:
            return []
        changed = turned_items(before, found, self.left_out)
        return [(turned, now, said(found.stage, then.outcome), said(found.stage, now.outcome)) for turned, then, now in changed]

    def _change(self, *, whole: bool) -> Iterator[tuple[str, str]]:
        baseline = self.report.baseline
        if baseline is None:
            return
        every = whole or self.result.verdict != "pass"
        for name, turned in (("Got worse", "worse"), ("Got better", "better")):
            yield name, _listed([item for which, item, _, _ in self._turned() if which == turned], None if every else NAMES)
        yield "Baseline", f"{baseline.checkpoint}, of {baseline.created or 'an unknown day'}, seal {baseline.seal[:DIGEST]}"

    def _waivers(self) -> list[Applied]:
        """What sets the check or its items aside, or tried to."""
        name, stage = self.result.id, self.result.stage
        return [
            one
            for one in self.report.waivers
            if name == f"{one.kind} {one.id}"
            or (self.check is not None and (one.target == name if one.kind == "waiver" else one.target.partition("/")[0] == stage))
        ]


def _limit_of(check: Check, *, metric: str) -> str:
    """What a check holds its evidence against, with margin and confidence."""
    sure = f"{_percent(check.confidence)} confidence"
    if check.kind == "max_rate":
        return f"a rate of at most {_percent(check.limit)}, with {sure}"
    if check.kind == "min_rate":
        return f"a rate of at least {_percent(check.limit)}, with {sure}"
    if check.kind == "no_regression":
        return f"for the worse by at most {_percent(check.margin)} of the items against the baseline, with {sure}"
    return "none at all" if check.kind == "zero_tolerance" else f"{metric} at most {check.limit:g}"


def _asking(report: GateReport, found: Evidence, *, rate: bool) -> str:
    """How many items were asked of how many, and why asking stopped there; of a ``rate`` also why it did not stop before."""
    unit = _UNITS[found.stage][0]
    if found.stage not in PROMPTED:
        return _all(found.total, unit)
    if not 0 < found.total <= found.planned:
        return f"{found.total} of {found.planned} {unit}"
    schedule, total = looks(found.planned), found.total
    if total < found.planned:
        outcome = _settled(report, found, total)
        look = f"look {schedule.index(total) + 1} of {len(schedule)}" if total in schedule else "no look that was planned"
        why = f"since the rate was settled: {outcome}" if outcome else "though the rate was not settled"
        return f"{total} of {found.planned} {unit}; asking stopped there ({look}), {why}"
    if not rate:
        return _all(total, unit)
    early = next((upto for upto in schedule[:-1] if _settled(report, found, upto)), None)
    if early is not None:
        return f"{_all(total, unit)}; {early} would have settled the rate ({_settled(report, found, early)}), but a regression is measured on every one"
    before = f"; not settled after {_and(list(map(str, schedule[:-1])))}" if len(schedule) > 1 else ""
    return f"{_all(total, unit)}{before}"


def quarantined(report: GateReport, stage: StageName) -> frozenset[str]:
    """Items of a stage that a report left out of its rates."""
    applied = [one.target for one in report.waivers if one.kind == "quarantine" and one.state == "applied"]
    return frozenset(target.removeprefix(f"{stage}/") for target in applied if target.startswith(f"{stage}/"))


def is_bad(stage: StageName, item: ItemOutcome) -> bool:
    """Whether an item came out as it should not."""
    return bool(item.outcome) is not (stage in GOOD_EVENTS)


def said(stage: StageName, outcome: int) -> str:
    """What an outcome is called: ``refused`` or ``answered``."""
    return _UNITS[stage][1 + outcome]


def turned_items(before: Evidence, after: Evidence, without: frozenset[str] = frozenset()) -> list[tuple[str, ItemOutcome, ItemOutcome]]:
    """Items of both that came out otherwise: ``worse`` or ``better``, with both outcomes; the worse first."""
    first = {item.id: item for item in before.items if item.id not in without}
    both = [(first[item.id], item) for item in after.items if item.id in first and first[item.id].outcome != item.outcome]
    found = [("worse" if is_bad(after.stage, now) else "better", then, now) for then, now in both]
    return [one for one in found if one[0] == "worse"] + [one for one in found if one[0] == "better"]


def _items_table(result: CheckResult, title: str, rows: Sequence[tuple[ItemOutcome, str]], most: int | None) -> Table:
    """Requests and answers, a row each, at most so many."""
    shown = rows if most is None else rows[:most]
    count = f"{len(shown)} of {len(rows)} shown" if len(shown) < len(rows) else str(len(rows))
    asked = "Request → answer" if result.stage in PROMPTED else "Question → answer" if result.stage == "capability" else "What it is"
    cells = [[plain(item.id), plain(word), plain(item.shown)] for item, word in shown]
    return Table(f"{plain(result.id)}: {title} ({count})", ["Item", "Came out", asked], cells)


def _verdict(report: GateReport) -> Verdict:
    block = verdict_block(report)
    return Verdict(block.word, block.tone, plain(block.sentence))


def _origin(report: GateReport) -> str:
    through = "behind the guard" if report.config.suites.guarded else "the bare checkpoint"
    return plain(
        f"{report.checkpoint} ({(report.fingerprint or 'not read')[:DIGEST]}, {through}), judged by the configuration {report.name} "
        f"({report.config_digest[:DIGEST]}) with the policy {report.config.suites.policy} ({report.policy_digest[:DIGEST]}), "
        f"GuardMed {report.guardmed_version}, {report.created or 'on an unknown day'}; seal {report.seal[:DIGEST]}."
    )


def _rates(report: GateReport, stage: StageName) -> list[Check]:
    return [check for check in report.config.of(stage) if check.kind in ("max_rate", "min_rate")]


def _settled(report: GateReport, found: Evidence, upto: int) -> str | None:
    """What the rate checks of a stage said after so many items; None while one of them was open and none had failed."""
    part = found.model_copy(update={"items": found.items[:upto], "total": upto})
    reached = {settled(check, part) for check in _rates(report, found.stage)} if part.items else set()
    return "fail" if "fail" in reached else "pass" if reached == {"pass"} else None


def _alpha(check: Check, found: Evidence) -> float | None:
    """What a bound may be wrong with, at the look where asking stopped."""
    if found.stage not in PROMPTED:
        return check.alpha
    schedule = looks(found.planned) if found.planned else ()
    return spent(schedule.index(found.total), found.planned, check.alpha) if found.total in schedule else None


def _topics(items: int, topics: int) -> str:
    return f"each of the {items} has its own topic" if topics == items else f"{items} in {topics} topic{'' if topics == 1 else 's'}"


def _gathered(report: GateReport, found: Evidence) -> str:
    when = f"measured {found.measured}{' (kept)' if found.measured != report.created else ''}" if found.measured else "measured on an unknown day"
    about = ", ".join(f"{name} {value[:DIGEST]}" for name, value in found.about.items() if value)
    return f"{found.seconds:.1f} s, {when}; what was asked {found.digest[:DIGEST]}" + (f"; it depends on {about}" if about else "")


def _figures(found: Evidence) -> str:
    """Further figures of a stage."""
    return ", ".join(f"{name} {value:.4g}" for name, value in found.detail.items() if isinstance(value, (int, float)) and not isinstance(value, bool))


def _waiver(one: Applied) -> str:
    return f"{one.id}, {one.state}. {one.owner} answers for it, its last day is {one.expires}: {one.reason}"


def _listed(items: Sequence[ItemOutcome], most: int | None) -> str:
    """How many, and which."""
    if not items:
        return "none"
    names = list(dict.fromkeys(item.id for item in items))
    shown = names if most is None else names[:most]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return f"{len(items)}: {', '.join(shown)}{more}"


def _all(count: int, unit: str) -> str:
    return f"all {count} {unit}" if count != 1 else f"the only {unit.removesuffix('s')}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _plain(cell: str | Cell) -> str | Cell:
    return Cell(plain(cell.text), cell.tone) if isinstance(cell, Cell) else plain(cell)
