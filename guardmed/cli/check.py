"""``guardmed check``: records in, verdicts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardmed.cli.options import EncoderOption, JudgeOption

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(help="Check records (JSONL, CSV or Parquet): prompts, responses, refusals, claims.", no_args_is_help=True, rich_markup_mode="rich")

Records = Annotated[str, typer.Option("--records", help="Input file by suffix (.jsonl, .csv, .parquet); - is JSONL on standard input.")]
Out = Annotated[str, typer.Option("--out", help="Output file by suffix; - is JSONL on standard output.")]
PolicyOption = Annotated[str, typer.Option("--policy", help="Policy packs, comma-separated names or folders.")]


@app.command("prompts")
def prompts(records: Records, out: Out = "-", policy: PolicyOption = "clinical", encoder: EncoderOption = None, judge: JudgeOption = None) -> None:
    """Decide for each prompt whether a model may answer it."""
    from guardmed.cli.console import backends
    from guardmed.policy import Stage, load_policy
    from guardmed.records import Record

    class Prompt(Record):
        prompt: str

    compiled = load_policy(policy, backends=backends(encoder=encoder, judge=judge))

    def decide(record: Prompt) -> dict[str, Any]:
        started = time.perf_counter()
        verdict = compiled.check(record.prompt, stage=Stage.INPUT)
        return {
            "id": record.id,
            "decision": verdict.decision.value,
            "language": verdict.language,
            "rules": [_rule(hit) for hit in verdict.hits],
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
        }

    _run(records, out, Prompt, decide)


@app.command("responses")
def responses(records: Records, out: Out = "-", policy: PolicyOption = "clinical", encoder: EncoderOption = None, judge: JudgeOption = None) -> None:
    """Decide for each answer whether it may be shown, and what of it."""
    from guardmed.cli.console import backends
    from guardmed.policy import Stage, load_policy
    from guardmed.records import Record

    class Response(Record):
        response: str
        prompt: str | None = None

    compiled = load_policy(policy, backends=backends(encoder=encoder, judge=judge))

    def decide(record: Response) -> dict[str, Any]:
        started = time.perf_counter()
        verdict = compiled.check(record.response, stage=Stage.OUTPUT)
        return {
            "id": record.id,
            "decision": verdict.decision.value,
            "language": verdict.language,
            "rules": [_rule(hit) for hit in verdict.hits],
            "text": verdict.text,
            "phi": [{"label": found.label, "start": found.span.start, "end": found.span.end} for found in verdict.identifiers],
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
        }

    _run(records, out, Response, decide)


@app.command("refusals")
def refusals(records: Records, out: Out = "-") -> None:
    """Tell for each answer whether it refuses: full, partial or none."""
    from guardmed.policy.refusal import classify_refusal
    from guardmed.records import Record

    class Response(Record):
        response: str
        prompt: str | None = None

    def decide(record: Response) -> dict[str, Any]:
        verdict = classify_refusal(record.response)
        return {"id": record.id, "refusal": verdict.refusal, "score": round(verdict.score, 6)}

    _run(records, out, Response, decide)


@app.command("claims")
def claims(
    records: Records,
    out: Out = "-",
    model: Annotated[str, typer.Option(help="A model that scores the claims, or none to use the samples alone.")] = "none",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    nli: Annotated[str | None, typer.Option(help="A model that tells whether a claim follows from a sample: a folder or a hub id.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Thresholds of guardmed calibrate --claims, for the verdicts.")] = None,
) -> None:
    """Say for each claim how far it is supported: by samples, and by a model's own belief."""
    from guardmed.claims import check_claims, locate_claims, split_claims
    from guardmed.claims.conformal import load_thresholds
    from guardmed.claims.nli import load_nli
    from guardmed.cli.console import loading
    from guardmed.cli.thresholds import source_of
    from guardmed.errors import DataError
    from guardmed.records import Record

    class Answer(Record):
        question: str = ""
        claims: list[str] | None = None
        answer: str | None = None
        samples: tuple[str, ...] = ()
        group: str | None = None

    bands = load_thresholds(thresholds) if thresholds is not None else None
    entailment = load_nli(nli) if nli is not None else None
    loaded = None
    if model != "none":
        from guardmed.models import load_model

        with loading(model) as report:
            loaded = load_model(model, adapter=adapter, progress=report)

    def decide(record: Answer) -> dict[str, Any]:
        if record.claims is None and record.answer is None:
            raise DataError(f"{records}: record {record.id!r} has neither claims nor answer.", mend="Give one of them.")
        found = locate_claims(record.claims, record.answer) if record.claims is not None else split_claims(record.answer or "")
        answer = record.answer if record.answer is not None else " ".join(record.claims or [])
        question = record.question.strip() or None
        tokens = loaded.score([question], [answer])[0] if loaded is not None and question and record.answer is not None else None
        if bands is not None:
            bands.check(score_source=source_of(len(record.samples), model=loaded, nli=entailment))
        checked = check_claims(
            found,
            model=loaded,
            prompt=question,
            answer=answer if question else None,
            tokens=tokens,
            samples=record.samples,
            nli=entailment,
            judge=bands.band(record.group).verdict if bands is not None else None,
        )
        return {
            "id": record.id,
            "claims": [
                {"text": c.text, "start": c.start, "end": c.end, "support": round(c.support, 6), "verdict": c.verdict, "scores": c.scores, "kind": c.kind}
                for c in checked
            ],
        }

    _run(records, out, Answer, decide)


def _rule(hit: Any) -> dict[str, Any]:
    return {"id": hit.id, "severity": hit.severity.value, "action": hit.action.value, "start": hit.start, "end": hit.end}


def _run(records: str, out: str, model: type[BaseModel], decide: Callable[[Any], dict[str, Any]]) -> None:
    from guardmed.cli.console import progress
    from guardmed.records import read_records, write_records

    rows = read_records(records, model)
    with progress("Checking", total=len(rows)) as update:

        def checked() -> Iterator[dict[str, Any]]:
            for row in rows:
                yield decide(row)
                update()

        write_records(out, checked())
