"""What training did to a model: before and after with intervals, curves, probes, answers side by side, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from guardmed.align.curves import curves_plot, probes_plot, probes_table
from guardmed.align.results import AlignRun, Conduct, Figures, Language, Mean, Rate, Stage
from guardmed.errors import UsageError
from guardmed.files import write_text
from guardmed.reporting import Block, Cell, Page, Points, Prose, Section, SideBySide, Table, Tone, Verdict

LANGUAGES: Mapping[Language, str] = {"en": "English", "zh": "Chinese"}
STAGES: Mapping[Stage, str] = {"sft": "SFT", "reward": "reward model", "dpo": "DPO", "ppo": "PPO", "grpo": "GRPO"}
KINDS = {"harmful": "dangerous requests", "twin": "harmless twins", "sounds-dangerous": "prompts that only sound dangerous", "everyday": "everyday questions"}
NOTHING = "–"
_METHOD = (
    "A move is claimed only where the 95 % intervals before and after lie apart, which is stricter than a test at 5 % (Schenker and Gentleman, The American "
    "Statistician 2001); intervals that overlap leave it open. Shares have Wilson's interval, and n is the number of prompts.",
    "Held-out accuracy is also compared question by question: its change has a paired interval and McNemar's exact p, for each stage against what that stage "
    "began from, or was compared with.",
    "A model that was trained with the guard's hints finds a sign before its answer where the guard takes the request for harm, or for none. 'Without hints' "
    "is the control: the same weights, told nothing, as they answer outside of GuardMed.",
    "The temperature is fitted to one half of the held-out questions and ECE (15 bins) is measured on the other. Neither comes with an interval, so nothing is "
    "said of chance.",
    "Claim support is the mean token score of an answer's claims: it says how sure the model is, not whether it is right. KL is in nats a token, on sampled "
    "answers of the base that the run names. For both, n is the number of answers.",
)


@dataclass(frozen=True)
class Move:
    """One share of refused or answered prompts before and after."""

    what: str
    lang: Language
    before: Rate
    after: Rate

    @property
    def direction(self) -> int:
        """-1 where it fell, 1 where it rose, 0 where the intervals overlap."""
        return direction(self.before, self.after)


def align_page(runs: Sequence[AlignRun]) -> Page:
    """The page of one run, or of a chain of runs in the order they were made.

    Parameters
    ----------
    runs : sequence of AlignRun
        Such as SFT and then DPO: before is the first one's, after the last one's.

    Raises
    ------
    UsageError
        There is no run.
    """
    if not runs:
        raise UsageError("There is no run to report.", mend="Name the folder that guardmed align wrote.")
    sections = [Section("Verdict", [verdict(runs), *_figures(runs)])]
    for name, run in zip(names(runs), runs, strict=True):
        sections.append(Section(f"Training: {name}", list(_training(run))))
    if pairs := _samples(runs):
        lead = "Held-out prompts, as they were answered before and after. Answers to dangerous requests may be harmful; they stand here as evidence."
        sections.append(Section("Answers side by side", [Prose(lead), *pairs]))
    sections += [Section("How it was made", [made_table(runs), settings_table(runs)]), Section("Method", [Points(_METHOD)])]
    facts = [" then ".join(names(runs)), f"base {runs[0].base_fingerprint[:16]}", ", ".join(_versions(runs[-1], "guardmed", "trl"))]
    return Page(title=f"Alignment: {runs[0].model}", subtitle=" · ".join(filter(None, facts)), sections=sections)


def write_align_report(runs: Sequence[AlignRun], out: Path) -> None:
    """Write report.html and report.md, each whole or not at all.

    Raises
    ------
    UsageError
        There is no run.
    ExecutionError
        The folder can't be written to.
    """
    page = align_page(runs)
    write_text(out / "report.html", page.html())
    write_text(out / "report.md", page.markdown())


def run_tables(run: AlignRun) -> list[Block]:
    """The same of one run for a terminal: verdict, figures, probes and how it was made."""
    probes = [probes_table(run.probes)] if run.probes else []
    return [verdict([run]), *_figures([run]), *probes, made_table([run])]


def names(runs: Sequence[AlignRun]) -> list[str]:
    """What each run is called; a stage that comes again has a number."""
    stages = [run.stage for run in runs]
    return [f"{STAGES[stage]} {stages[: place + 1].count(stage)}" if stages.count(stage) > 1 else STAGES[stage] for place, stage in enumerate(stages)]


def ends(runs: Sequence[AlignRun]) -> tuple[Figures | None, Figures | None]:
    """Figures before the first run, which a later one may have measured, and after the last; a reward model leaves the model as it was."""
    trained = [run for run in runs if run.stage != "reward"]
    if not trained:
        return None, None
    before = next((run.before for run in trained if run.before and run.before.fingerprint == trained[0].base_fingerprint), trained[0].before)
    return before, trained[-1].after


def moves(before: Figures, after: Figures) -> tuple[list[Move], list[Move]]:
    """How compliance and over-refusals moved, in every language and of every kind that both have."""
    compliance, refusals = [], []
    for lang in LANGUAGES:
        one, other = before.conduct.get(lang), after.conduct.get(lang)
        if one is None or other is None:
            continue
        compliance.append(Move("harmful", lang, one.compliance, other.compliance))
        refusals += [Move(kind, lang, rate, other.over_refusal[kind]) for kind, rate in one.over_refusal.items() if kind in other.over_refusal]
    return _asked(compliance), _asked(refusals)


def direction(before: Rate, after: Rate) -> int:
    """-1 or 1 where the intervals lie apart, else 0."""
    return (after.low > before.high) - (after.high < before.low)


def verdict(runs: Sequence[AlignRun]) -> Verdict:
    """How compliance and over-refusal moved, in plain words; a tone only where intervals lie apart."""
    before, after = ends(runs)
    if before is None or after is None:
        missing = "before training" if before is None else "after training"
        return Verdict("Not measured", "plain", f"The model was not evaluated {missing}, so nothing is known of what training did.")
    compliance, refusals = moves(before, after)
    every = [move.direction for move in compliance + refusals]
    if not every:
        return Verdict("Not measured", "plain", "No language was measured both before and after training.")
    tone: Tone = "plain" if not any(every) else "pass" if max(every) == 0 else "fail" if min(every) == 0 else "inconclusive"
    word = f"Harmful compliance {_moved(compliance, _lang)}; over-refusal {_moved(refusals, lambda move: f'{_kind(move.what)} in {_lang(move)}', 'for')}"
    sentences = []
    for lang, language in LANGUAGES.items():
        told = [f"harmful compliance {_change(move)}" for move in compliance if move.lang == lang]
        # Twins are the price to watch; of other kinds the table tells what did not move.
        told += [f"{_kind(move.what)} turned away {_change(move)}" for move in refusals if move.lang == lang and (move.what == "twin" or move.direction)]
        sentences += [f"{language}: {'; '.join(told)}."] if told else []
    return Verdict(word, tone, " ".join(sentences))


def figures_table(runs: Sequence[AlignRun]) -> Table:
    """Every figure before, after each stage, and whether it moved."""
    columns, stages = _columns(runs)
    measured = list(columns.values())
    rows: list[list[str | Cell]] = []
    for lang, language in LANGUAGES.items():
        conduct = [one.conduct.get(lang) if one else None for one in measured]
        rows += [[language, label, *map(_share, row), _points(row, wanted=-1)] for label, row in _shares(conduct)]
        if any(one and one.unhinted for one in measured):
            alone = [(one.unhinted or one.conduct).get(lang) if one else None for one in measured]
            rows += [[language, f"Without hints: {label[0].lower()}{label[1:]}", *map(_share, row), _points(row, wanted=-1)] for label, row in _shares(alone)]
    accuracy = [one.accuracy if one else None for one in measured]
    rows.append(["Questions", "Held-out accuracy ↑", *map(_share, accuracy), _points(accuracy, wanted=1)])
    if any(run and run.change for run in stages):
        rows.append(["Questions", "Its change in the stage, by question", *map(_paired, stages), NOTHING])
    for label, name in (("Temperature", "temperature"), ("ECE as it comes ↓", "ece_raw"), ("ECE at that temperature ↓", "ece")):
        values: list[float | None] = [getattr(one, name) if one else None for one in measured]
        rows.append(["Questions", label, *map(_number, values), _difference(values)])
    for label, name in (("Claim support", "claim_support"), ("KL from the base", "kl")):
        means: list[Mean | None] = [getattr(one, name) if one else None for one in measured]
        # More of either is neither better nor worse: training makes a model surer of whatever it says.
        rows.append(["Answers", label, *map(_mean, means), _difference([one.value if one else None for one in means])])
    caption = "Before and after, with 95 % intervals; ↑ more is better, ↓ less is. A move is better or worse only where the intervals lie apart."
    return Table(caption, ["Asked", "Figure", *columns, "Moved"], rows)


def made_table(runs: Sequence[AlignRun]) -> Table:
    """Where each run began, what it was trained on, how long, and with which libraries."""
    rows: list[list[str]] = [
        ["Model it began from", *(run.model for run in runs)],
        *([["Compared with", *(run.against or "the same" for run in runs)]] if any(run.against for run in runs) else []),
        ["Adapter it began from", *(run.adapter or "none" for run in runs)],
        ["Fingerprint of the base", *(run.base_fingerprint[:16] for run in runs)],
        ["Data", *(f"{run.data.name}, {run.data.examples} examples" for run in runs)],
        ["Digest of the data", *(run.data.digest[:16] for run in runs)],
        ["Seed", *(str(run.seed) for run in runs)],
        ["Steps", *(f"{run.steps}; stopped early: {run.stopped}" if run.stopped else str(run.steps) for run in runs)],
        ["Time", *(duration(run.seconds) for run in runs)],
        ["Trained parameters", *(trained(run) for run in runs)],
        ["Versions", *(", ".join(_versions(run, *run.versions)) or NOTHING for run in runs)],
    ]
    return Table("How it was made", ["", *names(runs)], rows)


def settings_table(runs: Sequence[AlignRun]) -> Table:
    """All settings, as they were used."""
    flat = [dict(_flat(run.settings)) for run in runs]
    rows = [[key, *(one.get(key, NOTHING) for one in flat)] for key in dict.fromkeys(key for one in flat for key in one)]
    return Table("Settings", ["Setting", *names(runs)], rows)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}\u00a0s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}\u00a0h {minutes}\u00a0min" if hours else f"{minutes}\u00a0min {whole % 60}\u00a0s"


def trained(run: AlignRun) -> str:
    """How many of all parameters were trained."""
    share = f" ({run.trainable / run.parameters:.2%})" if run.parameters else ""
    return f"{run.trainable:,} of {run.parameters:,}{share}"


def _columns(runs: Sequence[AlignRun]) -> tuple[dict[str, Figures | None], list[AlignRun | None]]:
    """Figures by column, and the run that each column came out of."""
    called = [(name, run) for name, run in zip(names(runs), runs, strict=True) if run.stage != "reward"]
    columns: dict[str, Figures | None] = {"Before": ends(runs)[0], **{f"After {name}": run.after for name, run in called}}
    return columns, [None, *(run for _, run in called)]


def _figures(runs: Sequence[AlignRun]) -> list[Block]:
    columns, _ = _columns(runs)
    blocks: list[Block] = [figures_table(runs)] if any(columns.values()) else []
    notes = [f"{name} was not measured." for name, found in columns.items() if found is None] if blocks else []
    trained_runs = [(name, run) for name, run in zip(names(runs), runs, strict=True) if run.stage != "reward"]
    for (name, run), (later, following) in pairwise(trained_runs):
        if run.after and run.after.fingerprint != following.base_fingerprint:
            one, other = run.after.fingerprint[:16], following.base_fingerprint[:16]
            notes.append(f"{later} began from {other}, while {name} ended with {one}: by their fingerprints these are not one chain.")
    return [*blocks, Points(notes)] if notes else blocks


def _training(run: AlignRun) -> Iterator[Block]:
    end = f"Stopped after {run.steps} steps: {run.stopped}" if run.stopped else f"{run.steps} steps"
    yield Prose(f"{end.rstrip('.')}. {run.data.examples} examples of {run.data.name}, {duration(run.seconds)}.")
    if plot := curves_plot(run.curve):
        yield plot
    if run.probes:
        yield probes_plot(run.probes)
        yield probes_table(run.probes)


def _samples(runs: Sequence[AlignRun]) -> list[SideBySide]:
    """The last run's prompts, with the first run's answer as before where it has one; dangerous ones first."""
    sampled = [(name, run) for name, run in zip(names(runs), runs, strict=True) if run.samples]
    if not sampled:
        return []
    first, (last, run) = {(one.prompt, one.lang): one.before for one in sampled[0][1].samples}, sampled[-1]
    blocks = []
    for one in sorted(run.samples, key=lambda one: (one.kind != "harmful", one.kind, one.lang)):
        before, title = first.get((one.prompt, one.lang)), "Before"
        if before is None:
            before, title = one.before, f"Before {last}"
        left, right = ([(text or "(no answer)", False)] for text in (before, one.after))
        caption = f"{LANGUAGES[one.lang]}, {_kind(one.kind)}: {' '.join(one.prompt.split())}"
        blocks.append(SideBySide(caption, title, f"After {last}", left, right, language=one.lang))
    return blocks


def _asked(found: Sequence[Move]) -> list[Move]:
    return [move for move in found if move.before.n and move.after.n]


def _moved(found: Sequence[Move], called: Callable[[Move], str], word: str = "in") -> str:
    """Such as "fell in English and Chinese", or that nothing is shown."""
    by_way = {way: [called(one) for one in found if one.direction == way] for way in (-1, 1, 0)}
    told = [f"{verb} {word} {_listed(by_way[way])}" for way, verb in ((-1, "fell"), (1, "rose")) if by_way[way]]
    if not told:
        return "is not shown to have moved" if found else "was not measured"
    # A language in which compliance did not move is half of the news.
    still = f", but is not shown to have moved in {_listed(by_way[0])}" if by_way[0] and word == "in" else ""
    return ", ".join(told) + still


def _change(move: Move) -> str:
    open_ = "" if move.direction else " (the intervals overlap)"
    return f"from {move.before.value:.1%} to {move.after.value:.1%} of {_counts(move.before.n, move.after.n)}{open_}"


def _counts(before: int, after: int) -> str:
    return str(after) if before == after else f"{before} and {after}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def _lang(move: Move) -> str:
    return LANGUAGES[move.lang]


def _kind(kind: str) -> str:
    return KINDS.get(kind, kind.replace("_", " "))


def _share(rate: Rate | None) -> str:
    return f"{rate.value:.1%}, n\u00a0{rate.n}\n({rate.low:.1%} to {rate.high:.1%})" if rate and rate.n else NOTHING


def _mean(mean: Mean | None) -> str:
    if mean is None or mean.value is None:
        return NOTHING
    bounds = f"{mean.low:.3f} to {mean.high:.3f}" if mean.low is not None and mean.high is not None else "no interval"
    return f"{mean.value:.3f}, n\u00a0{mean.n}\n({bounds})"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _shares(conduct: Sequence[Conduct | None]) -> Iterator[tuple[str, list[Rate | None]]]:
    """Compliance and every kind of over-refusal, as rows; none where a language was not measured."""
    if not any(conduct):
        return
    yield "Harmful compliance ↓", [one.compliance if one else None for one in conduct]
    for kind in dict.fromkeys(kind for one in conduct if one for kind in one.over_refusal):
        yield f"Turned away: {_kind(kind)} ↓", [one.over_refusal.get(kind) if one else None for one in conduct]


def _paired(run: AlignRun | None) -> str | Cell:
    if run is None or run.change is None:
        return NOTHING
    change = run.change
    tone: Tone = "pass" if change.low > 0 else "fail" if change.high < 0 else "plain"
    return Cell(f"{100 * change.value:+.1f}\u00a0points, p\u00a0{change.p:.2g}\n({100 * change.low:+.1f} to {100 * change.high:+.1f})", tone)


def _points(row: Sequence[Rate | None], *, wanted: int) -> str | Cell:
    before, after = row[0], row[-1]
    if not before or not after or not before.n or not after.n:
        return NOTHING
    text, way = f"{100 * (after.value - before.value):+.1f}\u00a0points", direction(before, after)
    # What the intervals say of it, in a word as well as in colour.
    return Cell(f"{text},\nbetter", "pass") if way == wanted else Cell(f"{text},\nworse", "fail") if way else f"{text},\nopen"


def _difference(row: Sequence[float | None]) -> str:
    return NOTHING if row[0] is None or row[-1] is None else f"{row[-1] - row[0]:+.3f}"


def _versions(run: AlignRun, *wanted: str) -> list[str]:
    return [f"{'GuardMed' if name == 'guardmed' else name} {run.versions[name]}" for name in wanted if name in run.versions]


def _flat(settings: Mapping[str, Any], lead: str = "") -> Iterator[tuple[str, str]]:
    """Names with dots, and values as JSON has them."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{lead}{name}.")
        else:
            yield f"{lead}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
