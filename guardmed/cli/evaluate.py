"""``guardmed eval``: accuracy, F1, latency and safety of models, side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from guardmed.audit.ask import Guard
    from guardmed.audit.store import AnswerStore
    from guardmed.evaluate import EvalReport, Scored, Selection, Suite, SystemRef
    from guardmed.models.base import LanguageModel


class QuestionLanguage(StrEnum):
    """Languages of questions."""

    EN = "en"
    ZH = "zh"


class Form(StrEnum):
    """Ways to ask multiple choice."""

    TEXT = "text"
    LETTERS = "letters"


def evaluate(
    suites: Annotated[list[str] | None, typer.Argument(help="mcq, ner, icd, open, latency, safety or all. With --table: folders.", show_default="all")] = None,
    model: Annotated[list[str] | None, typer.Option(help="As models are named everywhere; repeatable.", show_default="reference")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter, for a single model.")] = None,
    guard: Annotated[str, typer.Option(help="Policies of a guard that each model is also measured behind; none for the bare model alone.")] = "clinical",
    data: Annotated[Path | None, typer.Option(help="A file in a published shape (docs/eval.md) instead of the suite's written set.")] = None,
    records: Annotated[str | None, typer.Option(help="For ner: predictions already made, by a tagger say. No model is needed.")] = None,
    language: Annotated[list[QuestionLanguage] | None, typer.Option(help="Only questions in this language.", show_default="both")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many items of each suite and language.")] = None,
    form: Annotated[Form, typer.Option(help="Multiple choice: the option's own likelihood, or its letter's, for models taught to answer so.")] = Form.TEXT,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Length of free answers.", show_default="each suite's own")] = None,
    seed: Annotated[int, typer.Option(help="By which items are drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html, report.md and records.jsonl.")] = Path("out/eval"),
    table: Annotated[bool, typer.Option("--table", help="Ask nothing: join the reports of the folders named into one table.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything anew instead of going on from the journal.")] = False,
) -> None:
    """Measure models on medical tasks, each bare and behind the guard, with intervals and controls.

    Killed at any moment, it goes on where it was when run again.
    """
    from guardmed.errors import UsageError
    from guardmed.evaluate import Selection, joined, load_report
    from guardmed.evaluate import suites as read_suites
    from guardmed.files import writable

    names = suites or ["all"]
    if table:
        if suites is None or model or data or records:
            raise UsageError("--table joins reports of folders, and asks nothing.", mend="Write: guardmed eval --table FOLDER FOLDER --out FOLDER")
        _write(joined([load_report(Path(name)) for name in names]), [], out)
        return
    if adapter is not None and len(model or ()) > 1:
        raise UsageError("An adapter belongs to one model.", mend="Evaluate it by itself, and join the tables with --table.")
    file = str(data) if data else None
    selections = [
        Selection(language=one.value, data=file, limit=limit, seed=seed, form=form.value, max_new_tokens=max_new_tokens) for one in language or QuestionLanguage
    ]
    if records is not None:
        if names != ["ner"] or model:
            raise UsageError("--records are predictions of entities.", mend="Write: guardmed eval ner --records FILE, without --model.")
        writable(out)
        _predictions(records, selections, out, strict=bool(language))
        return
    asked = read_suites(names, selections, strict=bool(language))  # before any model is loaded: a file may not fit
    writable(out)
    _models(asked, model or ["reference"], adapter=adapter, guard=None if guard == "none" else guard, out=out, fresh=fresh)


def _models(asked: Sequence[Suite], models: Sequence[str], *, adapter: Path | None, guard: str | None, out: Path, fresh: bool) -> None:
    from guardmed.cli.console import loading, progress
    from guardmed.evaluate import System
    from guardmed.evaluate import evaluate as run
    from guardmed.models import load_model

    refs: list[SystemRef] = []
    scored: list[Scored] = []
    for spec in models:
        with loading(spec) as told:
            loaded = load_model(spec, adapter=adapter, progress=told)
        title = f"{spec} + {adapter.name}" if adapter else spec
        systems = [System(loaded, title)] + ([System(loaded, f"{title}, guarded", _guard(guard))] if guard else [])
        with _store(loaded, fresh) as store:
            for system in systems:
                with progress(system.name, total=sum(suite.size for suite in asked), unit="answers") as update:
                    ref, found = run(system, asked, store=store, advance=update)
                refs.append(ref)
                scored += found
    _finish(refs, scored, out)


def _guard(policy: str) -> Callable[[LanguageModel], Guard]:
    from guardmed.guard import GuardedModel

    return lambda model: GuardedModel(model, policy=policy)


def _store(model: LanguageModel, fresh: bool) -> AbstractContextManager[AnswerStore]:
    from guardmed.audit.store import AnswerStore, answer_store
    from guardmed.resources import cache_folder

    return nullcontext(AnswerStore()) if fresh else answer_store(cache_folder("eval"), model.fingerprint.removeprefix("sha256:")[:24])


def _predictions(path: str, selections: Sequence[Selection], out: Path, *, strict: bool) -> None:
    from guardmed.evaluate import SystemRef
    from guardmed.evaluate.ner import Entities
    from guardmed.evaluate.run import found_in_language
    from guardmed.evaluate.spans import read_sentences

    name = "standard input" if path == "-" else Path(path).stem
    sets = found_in_language([partial(Entities.of, one, usual=sys.maxsize) for one in selections], strict=strict)
    predictions = read_sentences(path, texts={sentence.id: sentence.text for one in sets for sentence in one.sentences})
    scored = found_in_language([partial(one.predicted, predictions, source=name, system=name) for one in sets], strict=strict)
    _finish([SystemRef(name=name, model=name)], scored, out)


def _finish(refs: Sequence[SystemRef], scored: Sequence[Scored], out: Path) -> None:
    import datetime

    from guardmed.evaluate import numbered, report_of

    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    _write(report_of(refs, [one.result for one in scored], created=created), numbered(scored), out)


def _write(report: EvalReport, rows: list[dict[str, Any]], out: Path) -> None:
    from guardmed.cli.console import out as console
    from guardmed.evaluate import write_report

    write_report(report, rows, out)
    print_report(report)
    console().print(f"Report: {out / 'report.html'}", soft_wrap=True)


def print_report(report: EvalReport) -> None:
    """The tables of each language, and what must be known of them."""
    from guardmed.cli.console import out, render
    from guardmed.evaluate.page import brief_table, unlike
    from guardmed.evaluate.results import LANGUAGES

    for language in LANGUAGES:
        if (found := brief_table(report, language)) is not None:
            out().print(render(found))
        for note in unlike(report, language):
            out().print(note, soft_wrap=True)
