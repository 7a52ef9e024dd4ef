"""``guardmed align``: from policies to preference pairs, and from pairs to a model that refuses what it must, and only that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from guardmed.align.results import AlignRun, Stage
    from guardmed.align.settings import AlignSettings

app = typer.Typer(help="Fine-tune a model until it refuses what it must, and only that.", no_args_is_help=True, rich_markup_mode="rich")

ModelOption = Annotated[str, typer.Option(help="What training begins from: reference, a folder or a hub id.")]
WarmOption = Annotated[str, typer.Option(help="What training begins from: a checkpoint that align sft wrote, a folder or a hub id.")]
AdapterOption = Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter to merge before.")]
PairsOption = Annotated[Path, typer.Option(help="Folder that align pairs wrote, or a file of such rows.")]
AgainstOption = Annotated[str | None, typer.Option(help="Model to compare the result with; what training begins from by default.")]
ConfigOption = Annotated[Path | None, typer.Option(help="align.yaml.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="A setting on top, as dpo.arguments.beta=0.2; repeatable.")]
PlanOption = Annotated[bool, typer.Option("--plan", help="Say how much memory it takes, and stop.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on from the newest whole training state.")]


@app.command()
def pairs(
    out: Annotated[Path, typer.Option(help="Folder for pairs.jsonl, card.json and card.md.")] = Path("out/align/pairs"),
    model: ModelOption = "reference",
    adapter: AdapterOption = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(help="Rows of id, prompt and label (harmful or harmless), or a folder of contrast pairs; PATH or PATH=LICENCE; repeatable."),
    ] = None,
    failures: Annotated[Path | None, typer.Option(help="Folder that guardmed gate wrote: what the model got wrong there goes first.")] = None,
    config: ConfigOption = None,
    changes: SetOption = None,
) -> None:
    """Make preference pairs: what the model should have said, beside what it says itself.

    Prompts come from the tests of the policy's rules and from --prompts; those that figures are reported on
    (policies/prompts) are left out, and so is whatever shares a long run of words with one of them.
    """
    from guardmed.align.datacard import card_tables, write_pairs
    from guardmed.align.evaluate import kept_aside
    from guardmed.align.gather import UNKNOWN, gather
    from guardmed.align.pairs import make_pairs
    from guardmed.align.selection import select
    from guardmed.align.sources import failed_ids
    from guardmed.audit.store import answer_store
    from guardmed.cli.console import loading, progress, render
    from guardmed.cli.console import out as console
    from guardmed.files import writable
    from guardmed.models import load_model
    from guardmed.policy import load_policy
    from guardmed.reporting import Table
    from guardmed.resources import cache_folder

    settings = read_settings(config, changes)
    writable(out)
    policy = load_policy(settings.policy)
    named = [(Path(path), licence or UNKNOWN) for path, _, licence in (one.partition("=") for one in prompts or [])]
    gathered = gather(policy, named)
    aside = kept_aside()
    first = failed_ids(failures) if failures is not None else frozenset()
    selection = select(gathered.prompts, settings.pairs, kept_aside=aside, seed=settings.seed, first=first)
    with loading(model) as told:
        loaded = load_model(model, adapter=adapter, progress=told)
    with answer_store(cache_folder("align"), loaded.fingerprint[:24]) as store, progress("Asking the model", total=None) as update:
        made = make_pairs(
            selection,
            loaded,
            policy,
            settings.pairs,
            seed=settings.seed,
            store=store,
            advance=lambda done, total: update(completed=done, total=total),
        )
    card = write_pairs(
        made, out, model=model, fingerprint=loaded.fingerprint, policy=settings.policy, seed=settings.seed, sources=gathered.sources, kept_aside=len(aside)
    )
    for block in card_tables(card):
        if isinstance(block, Table):
            console().print(render(block))
    console().print(f"Pairs: {out}", soft_wrap=True)


@app.command()
def sft(
    pairs: PairsOption = Path("out/align/pairs"),
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("out/align/sft"),
    model: ModelOption = "reference",
    adapter: AdapterOption = None,
    against: AgainstOption = None,
    add_tokens: Annotated[Path | None, typer.Option(help="New words for the vocabulary, one a line.")] = None,
    config: ConfigOption = None,
    changes: SetOption = None,
    resume: ResumeOption = False,
    plan: PlanOption = False,
) -> None:
    """Supervised fine-tuning on the chosen answers."""
    from guardmed.align.templates import read_terms

    terms = read_terms(add_tokens) if add_tokens is not None else None
    train("sft", model, pairs, out, adapter=adapter, against=against, config=config, changes=changes, resume=resume, plan=plan, terms=terms)


def from_pairs(stage: Stage) -> Callable[..., None]:
    """The command of a stage that needs a model, pairs, and nothing of its own."""

    def command(
        model: WarmOption = "out/align/sft/checkpoint",
        pairs: PairsOption = Path("out/align/pairs"),
        out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path(f"out/align/{stage}"),
        adapter: AdapterOption = None,
        against: AgainstOption = None,
        config: ConfigOption = None,
        changes: SetOption = None,
        resume: ResumeOption = False,
        plan: PlanOption = False,
    ) -> None:
        train(stage, model, pairs, out, adapter=adapter, against=against, config=config, changes=changes, resume=resume, plan=plan)

    return command


app.command("dpo", help="Direct preference optimisation. A refusal must have some probability to be preferred, so run align sft before.")(from_pairs("dpo"))
app.command("reward", help="Train a reward model on the pairs, for align ppo; it is scored on topics that it never saw.")(from_pairs("reward"))
app.command("grpo", help="Group relative policy optimisation with the guard's own verdict as reward. Run align sft before.")(from_pairs("grpo"))


@app.command()
def ppo(
    model: WarmOption = "out/align/sft/checkpoint",
    pairs: PairsOption = Path("out/align/pairs"),
    judge: Annotated[Path, typer.Option("--reward", help="Folder of the reward model that align reward wrote.")] = Path("out/align/reward/reward"),
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("out/align/ppo"),
    adapter: AdapterOption = None,
    against: AgainstOption = None,
    config: ConfigOption = None,
    changes: SetOption = None,
    plan: PlanOption = False,
) -> None:
    """Proximal policy optimisation against a trained reward model. It can't be resumed: TRL keeps no state of it."""
    train("ppo", model, pairs, out, adapter=adapter, against=against, config=config, changes=changes, resume=False, plan=plan, judge=judge)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, in the order they were made.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.md.")] = Path("out/align/report"),
) -> None:
    """Curves, and tables of before and after, of one run or of several that follow one another."""
    from guardmed.align.report import write_align_report
    from guardmed.align.results import load_run
    from guardmed.cli.console import out as console

    write_align_report([load_run(run) for run in runs], out)
    console().print(f"Report: {out / 'report.html'}", soft_wrap=True)


def read_settings(config: Path | None, changes: list[str] | None) -> AlignSettings:
    """Settings of a file, and ``name=value`` on top, values as YAML writes them."""
    import yaml

    from guardmed.align.settings import load_settings
    from guardmed.errors import UsageError

    found: dict[str, Any] = {}
    for change in changes or []:
        name, given, value = change.partition("=")
        if not given:
            raise UsageError(f"--set {change} gives no value.", mend="Write --set name=value, such as --set lora.rank=32.")
        found[name.strip()] = yaml.safe_load(value)
    return load_settings(config, changes=found)


def train(
    stage: Stage,
    model: str,
    pairs: Path,
    out: Path,
    *,
    adapter: Path | None,
    against: str | None,
    config: Path | None,
    changes: list[str] | None,
    resume: bool,
    plan: bool,
    terms: list[str] | None = None,
    judge: Path | None = None,
) -> None:
    """Run one stage with a progress bar, and tell what came of it."""
    settings = read_settings(config, changes)
    if plan:
        print_plan(stage, model, settings)
        return
    from guardmed.align.datacard import load_pairs
    from guardmed.align.stage import run_stage
    from guardmed.align.training import without_bars
    from guardmed.cli.console import progress
    from guardmed.policy import load_policy

    rows = load_pairs(pairs)
    with progress(f"align {stage}", total=None) as update, without_bars():
        run = run_stage(
            stage,
            model,
            rows,
            settings,
            out=out,
            policy=load_policy(settings.policy),
            data=pairs.name,
            adapter=adapter,
            against=against,
            terms=terms,
            reward=judge,
            resume=resume,
            tell=lambda title, done, total: update(title=f"align {stage}: {title.lower()}", completed=done, total=total or None),
        )
    print_run(run, out)


def print_run(run: AlignRun, out: Path) -> None:
    """Tables of a run."""
    from guardmed.align.report import run_tables
    from guardmed.cli.console import out as console
    from guardmed.cli.show import print_blocks

    print_blocks(run_tables(run))
    ranked = {name.removeprefix("held_out/"): value for name, value in run.curve[-1].values.items() if name.startswith("held_out/")} if run.curve else {}
    if ranked:
        console().print(
            f"Pairs of held-out topics ranked right: {ranked['value']:.1%} (95 % interval {ranked['low']:.1%} to {ranked['high']:.1%}, n {ranked['n']:.0f})"
        )
    if run.checkpoint:
        console().print(f"Checkpoint: {out / run.checkpoint}", soft_wrap=True)
    console().print(f"Report: guardmed align report {out}", soft_wrap=True)


def print_plan(stage: Stage, model: str, settings: AlignSettings) -> None:
    """The memory that a stage takes, by its model's configuration alone."""
    from guardmed.align.plan import estimate_stage, plan_table
    from guardmed.cli.console import out as console
    from guardmed.cli.console import render

    console().print(render(plan_table(estimate_stage(stage, model, settings))))
