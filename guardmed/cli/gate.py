"""``guardmed gate``: CI that blocks unsafe checkpoints."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardmed.gate import GateConfig, GateReport
    from guardmed.guard import GuardedModel
    from guardmed.models.base import LanguageModel
    from guardmed.policy import Policy


class Format(StrEnum):
    """Further files of a gate; the names of ``guardmed.gate.emit.FORMATS``."""

    JUNIT = "junit"
    SARIF = "sarif"
    GITLAB = "gitlab"
    CARD = "card"
    INTOTO = "intoto"


def gate(
    checkpoint: Annotated[str, typer.Argument(help="reference, a folder, a .gguf file or a hub id.")],
    config: Annotated[str | None, typer.Option(help="gate.yaml, or research, internal, patient-facing, china-genai.", show_default="internal")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter on top.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="Report of the last good checkpoint, as --promote-to wrote it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html and report.md.")] = Path("out/gate"),
    emit: Annotated[
        list[Format] | None,
        typer.Option(help="Also junit.xml, sarif.json, codequality.json (gitlab), model-index.yaml (card) or statement.json (intoto); repeatable."),
    ] = None,
    promote_to: Annotated[Path | None, typer.Option(help="Where the report becomes the new baseline; only if it passes.")] = None,
    sign: Annotated[Path | None, typer.Option(help="Private key (PEM, elliptic curve) to sign the report with; needs the extra signing.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be asked and what it could find, and stop.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything again, whatever is kept from earlier runs.")] = False,
) -> None:
    """Gather evidence on a checkpoint and block it unless every check holds.

    Exit codes: 0 pass, 1 blocked, 2 usage or configuration, 3 execution error, 4 inconclusive on a
    critical check, 5 nothing evaluated. In GitHub Actions it also annotates the run and adds to the
    step's summary.
    """
    from guardmed.errors import UsageError
    from guardmed.files import writable
    from guardmed.gate import clear, load_baseline, load_config, promote, write_report
    from guardmed.gate.emit import FORMATS
    from guardmed.gate.emit import emit as write_formats

    if plan:
        print_plan(load_config(config))
        return
    writable(out)
    with held(out):
        clear(out, also=[name for name, _ in FORMATS.values()])
        settings = load_config(config)
        before = load_baseline(baseline, settings) if baseline is not None else None
        if sign is not None and not sign.is_file():
            raise UsageError(f"There is no key {sign}.", mend="Name the file of a private key in PEM.")
        report = run(checkpoint, settings, before, adapter=adapter, promoting=promote_to is not None, fresh=fresh)
        write_report(report, out)
        written = write_formats(report, emit or [], out)
        if sign is not None:
            sign_files([out / "report.json", *written], sign, out / "evidence.sig")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        tell_github(report, out)
    else:
        print_report(report, out)
    if promote_to is not None:
        tell_promoted(report, promote_to, promote)
    raise typer.Exit(report.exit_code)


def run(
    checkpoint: str, settings: GateConfig, baseline: GateReport | None, *, adapter: Path | None = None, promoting: bool = False, fresh: bool = False
) -> GateReport:
    """Run a gate with a progress bar."""
    from guardmed.cli.console import loading, progress
    from guardmed.errors import ModelError
    from guardmed.gate import Checkpoint, Keeping, run_gate
    from guardmed.models.load import resolve
    from guardmed.resources import cache_folder

    folder: Path | None = Path(checkpoint) if Path(checkpoint).is_dir() else None
    if folder is None:
        with loading(checkpoint) as told:
            folder = resolve(checkpoint, progress=told)
    if folder is None:
        raise ModelError(f"{checkpoint} is not on this machine.", mend="Download it to a folder first; a gate reads files, not names.")
    if adapter is not None and not adapter.is_dir():
        raise ModelError(f"There is no folder {adapter}.", mend="Name the folder of an adapter that peft saved.")

    def guard(model: LanguageModel, policy: Policy) -> GuardedModel:
        from guardmed.guard import GuardedModel

        return GuardedModel(model, policy=policy)

    def load() -> LanguageModel:
        from guardmed.models import load_model

        return load_model(str(folder), adapter=adapter)

    judged = Checkpoint(
        name=checkpoint,
        folder=folder,
        adapter=adapter,
        load=load,
        guard=guard,
        guard_digest=guard_digest() if settings.suites.guarded else "",
    )
    with progress("Gate", total=None) as update:
        return run_gate(
            judged,
            settings,
            baseline=baseline,
            promoting=promoting,
            keeping=Keeping(folder=None if fresh else cache_folder("gate")),
            advance=lambda stage, done, total: update(title=f"Gate: {stage.replace('_', ' ')}", completed=done, total=total or None),
        )


def guard_digest() -> str:
    """What makes the guard of a guarded gate another than others, beside its policy."""
    from guardmed.files import digest_value
    from guardmed.guard import GuardSettings

    return digest_value(GuardSettings().model_dump(mode="json"))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder of reports against another gate that would write to it."""
    from filelock import FileLock, Timeout

    from guardmed.errors import ExecutionError

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ExecutionError(f"Another gate is writing to {folder}.", mend="Wait for it, or name another --out.") from None
    try:
        yield
    finally:
        lock.release()


def print_plan(settings: GateConfig) -> None:
    """What a gate would ask, and what it could find."""
    from guardmed.cli.console import out, render
    from guardmed.gate.plan import plan_tables

    for table in plan_tables(settings):
        out().print(render(table))


def sign_files(files: list[Path], key: Path, signature: Path) -> None:
    """Sign what was written; an encrypted key's password is in GUARDMED_KEY_PASSWORD."""
    from guardmed.gate.signing import sign

    sign(files, key, signature, password=os.environ.get("GUARDMED_KEY_PASSWORD"))


def tell_promoted(report: GateReport, path: Path, promote: Callable[[GateReport, Path], None]) -> None:
    """Write the new baseline, or say why there is none; the gate's own exit code stands."""
    from guardmed.cli.console import fail, out
    from guardmed.errors import DataError

    try:
        promote(report, path)
    except DataError as error:
        fail(error.problem, error.mend)
        return
    out().print(f"Baseline: {path}. To allow no other, write into gate.yaml: baseline: {report.seal}", soft_wrap=True)


def print_report(report: GateReport, folder: Path) -> None:
    """Checks, waivers, times and the verdict."""
    from guardmed.cli.console import out, render
    from guardmed.gate.emit.words import plain
    from guardmed.gate.report import checks_table, times_text, verdict_block, waivers_table

    console = out()
    console.print(render(checks_table(report)))
    if report.waivers:
        console.print(render(waivers_table(report)))
    console.print(times_text(report), soft_wrap=True)
    block = verdict_block(report)
    console.print(f"[bold]{block.word}.[/bold]", end=" ", markup=True)
    console.print(plain(block.sentence), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}")


def tell_github(report: GateReport, folder: Path) -> None:
    """The report with no line of it read as a command, then annotations, and the step's summary."""
    from guardmed.cli.console import fail
    from guardmed.gate.emit import summary, workflow_commands
    from guardmed.gate.emit.github import SUMMARY

    token = secrets.token_hex(16)
    typer.echo(f"::stop-commands::{token}")
    print_report(report, folder)
    typer.echo(f"::{token}::\n{workflow_commands(report)}", nl=False)
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with open(place, "a", encoding="utf-8", newline="\n") as file:
            file.write(summary(report, limit=SUMMARY - file.tell()))
    except OSError as error:  # the verdict stands without it
        fail(f"The step's summary was not written: {error.strerror}.", None)
