"""``guardmed audit``: bias reports from a model, or from answers already collected."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardmed.audit import AuditReport, Decoding, Definition, Interview, Observation, Selection
    from guardmed.calibration import Artifact
    from guardmed.models.base import LanguageModel


class PageLanguage(StrEnum):
    """Languages of pages."""

    EN = "en"
    ZH = "zh"


def audit(
    definitions: Annotated[list[str] | None, typer.Argument(help="Audits by name or YAML path.", show_default=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html, report.md and records.jsonl.")] = Path("out/audit"),
    model: Annotated[str, typer.Option(help="reference, a folder, a .gguf file, a hub id, or openai:MODEL@BASE_URL.")] = "reference",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    policy: Annotated[str | None, typer.Option(help="Put the guard with these policies in front of the model, such as clinical.")] = None,
    both: Annotated[bool, typer.Option("--both", help="With --policy: ask the bare model too, and compare the two in one report.")] = False,
    calibration: Annotated[Path | None, typer.Option(help="Artifact of guardmed calibrate for this model; makes confidence a probability.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Only this axis (repeatable).")] = None,
    vignettes: Annotated[int | None, typer.Option(min=1, help="Only so many vignettes.")] = None,
    intersections: Annotated[bool, typer.Option(help="Vary pairs of axes together as well.")] = True,
    repeats: Annotated[int, typer.Option(min=1, max=50, help="Times each reference prompt is asked, for the noise floor.")] = 2,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of free answers.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, max=2.0, help="Of free answers; 0 is greedy.")] = 0.0,
    samples: Annotated[int, typer.Option(min=1, max=100, help="Answers to a choice, where a server gives no log-probabilities.")] = 5,
    seed: Annotated[int, typer.Option(help="Of sampled answers.")] = 0,
    records: Annotated[str | None, typer.Option(help="Answers already collected: item, axis, group and outcome columns. No model is needed.")] = None,
    outcome: Annotated[list[str] | None, typer.Option(help="For --records: only this column (repeatable); NAME=MARGIN gives it a margin of its own.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="For --records: AXIS=GROUP, the group that others are held against (repeatable).")] = None,
    margin: Annotated[float | None, typer.Option(min=0.0001, help="For --records: gap below which groups are equivalent; 0.05 when not said.")] = None,
    alpha: Annotated[float | None, typer.Option(min=0.0001, max=0.5, help="For --records: family-wise error within an axis; 0.05 when not said.")] = None,
    language: Annotated[PageLanguage, typer.Option(help="Language of report.html and report.md.")] = PageLanguage.EN,
    plan: Annotated[bool, typer.Option("--plan", help="Ask nothing: print what it would cost and the smallest gaps it could find.")] = False,
    check: Annotated[bool, typer.Option("--lint", help="Ask nothing: check the definitions; exits 1 on errors.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything anew instead of going on from the journal.")] = False,
    list_definitions: Annotated[bool, typer.Option("--list", help="List the audits that ship with GuardMed.")] = False,
) -> None:
    """Measure whether answers change with who the patient is.

    Killed at any moment, it goes on where it was when run again.
    """
    from guardmed.audit import Decoding, Selection, load_definition
    from guardmed.audit.definition import definition_names
    from guardmed.errors import UsageError
    from guardmed.files import writable

    if list_definitions:
        _list(definition_names())
        return
    if records is not None:
        if definitions or plan or check or policy or both or calibration or adapter or vignettes:
            raise UsageError(
                "Records need no definition and no model.", mend="Give --records alone: no definition, --policy, --both, --calibration or --vignettes."
            )
        _records(
            records, out=out, outcome=outcome or (), reference=reference or (), axes=axis or (), margin=margin or 0.05, alpha=alpha or 0.05, language=language
        )
        return
    if outcome or reference or margin is not None or alpha is not None:
        raise UsageError("--outcome, --reference, --margin and --alpha go with --records.", mend="A definition names its own; change them in its YAML.")
    if both and policy is None:
        raise UsageError("--both needs a guard to compare with.", mend="Add --policy clinical.")
    if not definitions:
        raise UsageError("No audit is named.", mend=f"Name one of {', '.join(definition_names())}, or give --records.")
    chosen = [load_definition(name) for name in definitions]
    if check:
        raise typer.Exit(_lint(chosen))
    selection = Selection(axes=tuple(axis or ()), vignettes=vignettes, intersections=intersections, repeats=repeats)
    _known_axes(chosen, selection)
    if plan:
        for definition in chosen:
            _plan(definition, selection, max_new_tokens=max_new_tokens, systems=2 if both else 1)
        return
    for definition in chosen:
        if not selection.variants(definition):
            raise UsageError(f"{definition.id} has nothing to ask: none of its first {vignettes} vignettes is varied on these axes.", mend="Raise --vignettes.")
    writable(out)
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, samples=samples, seed=seed)
    _ask(chosen, _load(model, adapter), selection, decoding, policy=policy, both=both, calibration=calibration, out=out, language=language, fresh=fresh)


def _load(spec: str, adapter: Path | None) -> LanguageModel:
    from guardmed.cli.console import loading
    from guardmed.models import load_model

    with loading(spec) as told:
        return load_model(spec, adapter=adapter, progress=told)


def _ask(
    definitions: Sequence[Definition],
    model: LanguageModel,
    selection: Selection,
    decoding: Decoding,
    *,
    policy: str | None,
    both: bool,
    calibration: Path | None,
    out: Path,
    language: PageLanguage,
    fresh: bool,
) -> None:
    from guardmed.audit import Interview, compare, write_report
    from guardmed.calibration import load_artifact
    from guardmed.guard import GuardedModel

    artifact = load_artifact(calibration) if calibration else None
    guarded = Interview(model, GuardedModel(model, policy=policy), decoding) if policy else None
    bare = Interview(model, None, decoding) if both or guarded is None else None
    for definition in definitions:
        folder = out if len(definitions) == 1 else out / definition.id
        if bare is not None:
            plain, rows = _one(bare, definition, selection, artifact, "bare" if both else "", fresh)
            write_report(plain, rows, folder / "bare" if both else folder, language=language.value)
            _print(plain, folder / "bare" if both else folder)
            if not both:
                continue
        assert guarded is not None
        report, shielded = _one(guarded, definition, selection, artifact, "guarded", fresh)
        if bare is not None:
            report = report.model_copy(update={"compared": compare(rows, shielded, names=("bare", f"guarded by {policy}"))})
        write_report(report, shielded, folder, language=language.value)
        _print(report, folder)


def _one(
    interview: Interview, definition: Definition, selection: Selection, artifact: Artifact | None, name: str, fresh: bool
) -> tuple[AuditReport, list[Observation]]:
    from contextlib import nullcontext

    from guardmed.audit import audit_model, count_prompts, model_store
    from guardmed.cli.console import progress
    from guardmed.resources import cache_folder

    title = definition.title["en"] + (f" ({name})" if name else "")
    total = count_prompts(interview, definition, selection)
    with nullcontext() if fresh else model_store(interview, cache_folder("audit")) as store, progress(title, total=total, unit="questions") as update:
        return audit_model(interview, definition, selection=selection, calibration=artifact, store=store, advance=update)


def _records(
    path: str, *, out: Path, outcome: Sequence[str], reference: Sequence[str], axes: Sequence[str], margin: float, alpha: float, language: PageLanguage
) -> None:
    from guardmed.audit import AuditReport, Settings, analyse, read_observations, write_report
    from guardmed.audit.collected import kept

    margins = {name: _positive(name, value) for name, _, value in (text.partition("=") for text in outcome) if value}
    references = dict(_pair(text) for text in reference)
    everything = read_observations(path, outcomes=[text.partition("=")[0] for text in outcome])
    _known_groups(everything, references)
    rows = kept(everything, axes)
    settings = Settings(margin=margin, alpha=alpha, margins=margins, references=references)
    title = "standard input" if path == "-" else Path(path).stem
    report = AuditReport.of(rows, analyse(rows, settings), settings, title=title)
    write_report(report, rows, out, language=language.value)
    _print(report, out)


def _pair(text: str) -> tuple[str, str]:
    from guardmed.errors import UsageError

    name, equals, group = text.partition("=")
    if not (name and equals and group):
        raise UsageError(f"--reference {text!r} is not AXIS=GROUP.", mend="Write, for instance, --reference sex=male.")
    return name, group


def _known_groups(rows: Sequence[Observation], references: Mapping[str, str]) -> None:
    from guardmed.audit.collected import kept
    from guardmed.errors import UsageError

    for axis, group in references.items():
        groups = list(dict.fromkeys(row.group for row in kept(rows, [axis])))
        if group not in groups:
            raise UsageError(f"The axis {axis!r} has no group {group!r}.", mend=f"It has {', '.join(groups)}.")


def _positive(name: str, text: str) -> float:
    from guardmed.errors import UsageError

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"The margin {text!r} of {name} is not a positive number.", mend=f"Write, for instance, --outcome {name}=0.1.")
    return value


def _known_axes(definitions: Sequence[Definition], selection: Selection) -> None:
    from guardmed.errors import UsageError

    for definition in definitions:
        known = [axis.id for axis in definition.axes]
        for name in selection.axes:
            if name not in known:
                raise UsageError(f"{definition.id} has no axis {name!r}.", mend=f"It has {', '.join(known)}.")


def _list(names: Sequence[str]) -> None:
    from guardmed.audit import load_definition
    from guardmed.cli.console import out, render
    from guardmed.reporting import Table

    found = [load_definition(name) for name in names]
    rows = [[one.id, one.title["en"], one.title.get("zh", ""), str(len(one.vignettes)), str(len(one.axes))] for one in found]
    out().print(render(Table("Audits", ["Name", "Title", "标题", "Cases", "Axes"], rows)))


def _lint(definitions: Sequence[Definition]) -> int:
    import datetime

    from guardmed.audit import lint
    from guardmed.cli.console import out

    errors = 0
    for definition in definitions:
        found = lint(definition, today=datetime.datetime.now(datetime.UTC).date())
        for finding in found:
            out().print(f"{finding.level}: {definition.id}: {finding.place}: {finding.problem}", markup=False, soft_wrap=True)
        errors += sum(finding.level == "error" for finding in found)
        out().print(f"{definition.id}: {len(definition.vignettes)} vignettes, {len(found)} findings")
    return 1 if errors else 0


def _plan(definition: Definition, selection: Selection, *, max_new_tokens: int, systems: int) -> None:
    from guardmed.audit import plan
    from guardmed.audit.outcomes import title
    from guardmed.cli.console import out, render
    from guardmed.reporting import Table

    made = plan(definition, selection=selection, max_new_tokens=max_new_tokens, systems=systems)
    rows = [
        [
            one.axis,
            title(one.outcome),
            str(one.groups),
            str(one.pairs),
            f"{one.level:.2g}",
            f"±{one.margin:g}",
            *("–" if gap is None else f"{gap:.3f}" for gap in one.gaps),
        ]
        for one in made.powers
    ]
    header = ["Axis", "Outcome", "Groups", "Pairs", "Level of one gap", "Margin", "little noise", "some", "much"]
    out().print(render(Table(f"{definition.title['en']}: smallest true gap found four times in five", header, rows)))
    out().print(
        "Noise: 5, 10, 20 % of cases answered differently for shares; a standard deviation of 0.05, 0.10, 0.20 between groups for others.\n"
        f"Cost: {made.variants:,} variants, {made.prompts:,} distinct prompts, about {made.tokens_read:,} tokens to read, "
        f"at most {made.tokens_written:,} to write.",
        soft_wrap=True,
    )


def _print(report: AuditReport, folder: Path) -> None:
    from guardmed.cli.console import out

    print_report(report)
    out().print(f"Report: {folder / 'report.html'}", soft_wrap=True, markup=False)


def print_report(report: AuditReport, *, all_outcomes: bool = False) -> None:
    """An audit's verdicts on the terminal: primary outcomes and failures, or all."""
    from guardmed.audit.page import brief_table, verdict_block
    from guardmed.cli.console import out, render

    console = out()
    console.print(render(brief_table(report, every=all_outcomes)))
    block = verdict_block(report)
    console.print(f"{block.word}. {block.sentence}", soft_wrap=True, markup=False)
