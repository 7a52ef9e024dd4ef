"""``guardmed calibrate``: from records, or from a model and a question set, to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from guardmed.calibration import ModelRef, Rows
    from guardmed.calibration.artifact import ScoreSource

_SOURCES: dict[str, ScoreSource] = {"options": "option_likelihood", "claims": "claim_support", "stated": "stated_confidence"}


def calibrate(
    out: Annotated[Path, typer.Option(help="Where the artifact goes (.json).")],
    records: Annotated[str | None, typer.Option(help="Records with probs and label, or score and correct; or .npz with predictions and ground_truth.")] = None,
    model: Annotated[str | None, typer.Option(help="Score this model itself instead.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    claims: Annotated[str | None, typer.Option(help="Claims with labels (and samples): thresholds for whole answers, instead of a map of scores.")] = None,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.999, help="For --claims: largest share of answers that may keep a false claim.")] = 0.1,
    nli: Annotated[str | None, typer.Option(help="For --claims: a model that tells whether one text follows from another.")] = None,
    entities: Annotated[str | None, typer.Option(help="OpenMed's entity predictions with `correct`, instead of records.")] = None,
    items: Annotated[
        str | None, typer.Option(help="Question set for --model, a file or hub:NAME (docs/question-sets.md); the written clinical sets by default.")
    ] = None,
    skip_multiple: Annotated[bool, typer.Option(help="Leave out questions with several right options, instead of refusing the file.")] = False,
    source: Annotated[str, typer.Option(help="For --model: options (multiple choice), claims (belief in statements) or stated (what it says).")] = "options",
    form: Annotated[str, typer.Option(help="For --source options: text or letters.")] = "text",
    orders: Annotated[int, typer.Option(min=1, max=26, help="For --form letters: average over so many rotations of the options.")] = 1,
    limit: Annotated[int | None, typer.Option(min=60, help="Only so many items.")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="temperature, vector (probs); platt, beta, isotonic, histogram (scores); auto. By the kind of scores when left out."),
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of the rows, from the end, that is only measured on.")] = 0.5,
    target_risk: Annotated[float | None, typer.Option(min=0.001, max=0.999, help="Also find the confidence from which at most this share is wrong.")] = None,
    against: Annotated[Path | None, typer.Option(help="An older artifact, to see whether it still serves.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="For --entities: where the thresholds.json for OpenMed's deidentify goes.")] = None,
    target_precision: Annotated[float, typer.Option(min=0.01, max=0.999, help="For --thresholds: precision of each label.")] = 0.95,
    language: Annotated[str, typer.Option(help="For --thresholds: language of the entities, as OpenMed names it.")] = "en",
    report: Annotated[Path | None, typer.Option(help="Folder for report.html and report.md.")] = None,
) -> None:
    """Fit a calibration and measure it on rows that were held out."""
    from guardmed.calibration import calibrate as run
    from guardmed.calibration import load_artifact
    from guardmed.calibration.maps import METHODS
    from guardmed.cli.console import out as console
    from guardmed.cli.show import show_calibration
    from guardmed.errors import UsageError

    if claims is not None:
        from guardmed.cli.thresholds import take_thresholds

        others = {"--records": records, "--entities": entities, "--items": items, "--method": method, "--target-risk": target_risk, "--against": against}
        named = [name for name, given in {**others, "--thresholds": thresholds, "--report": report}.items() if given is not None]
        if named:
            raise UsageError(f"--claims takes thresholds of its own; {named[0]} has no part in them.", mend=f"Leave {' and '.join(named)} out.")
        take_thresholds(claims, out=out, alpha=alpha, holdout=holdout, model=model, adapter=adapter, nli=nli)
        return
    if sum(given is not None for given in (records, model, entities)) != 1:
        raise UsageError("Give either --records or --model or --entities or --claims, and one only.", mend="See guardmed calibrate --help.")
    if nli is not None:
        raise UsageError("--nli is for --claims.", mend="Leave it out, or give labelled claims.")
    if thresholds is not None and entities is None:
        raise UsageError("--thresholds are made of --entities.", mend="Give OpenMed's predictions.")
    if method not in (None, "auto", *METHODS):
        raise UsageError(f"There is no method {method!r}.", mend=f"Use one of {', '.join(METHODS)}, or auto.")
    if source not in _SOURCES or form not in ("text", "letters"):
        raise UsageError(f"--source {source} --form {form} is not a way to score.", mend="Use options, claims or stated, and text or letters.")
    score_source: ScoreSource = "records"
    owner: ModelRef | None = None
    template: str | None = None
    if records is not None:
        rows = read_rows(records)
    elif entities is not None:
        score_source, rows = "entity_confidence", read_entities(entities)
    else:
        from guardmed.calibration.scoring import prompt_digest

        score_source = _SOURCES[source]
        template = prompt_digest(score_source, form)  # type: ignore[arg-type]
        rows, owner = score_rows(str(model), adapter=adapter, items=items, source=score_source, form=form, orders=orders, limit=limit, skip=skip_multiple)  # type: ignore[arg-type]
    chosen: Any = method or ("temperature" if rows.values.ndim == 2 else "platt")
    result = run(
        rows,
        method=chosen,
        holdout=holdout,
        score_source=score_source,
        model=owner,
        prompt_digest=template,
        target_risk=target_risk,
        older=load_artifact(against) if against is not None else None,
    )
    result.artifact.save(out)
    show_calibration(result.artifact, source=str(out))
    if thresholds is not None:
        write_thresholds(thresholds, rows, target_precision=target_precision, holdout=holdout, language=language)
    if report is not None:
        from guardmed.calibration.report import write_report

        write_report(result, report)
        console().print(f"Report: {report / 'report.html'}")


def read_rows(path: str) -> Rows:
    """Rows of a records file or an ``.npz``."""
    import numpy as np

    from guardmed.calibration import Rows
    from guardmed.errors import DataError
    from guardmed.records import Record, read_records

    if path.endswith(".npz"):
        try:
            with np.load(path, allow_pickle=False) as data:
                labels = np.asarray(data["ground_truth"]).squeeze()
                values = np.asarray(data["predictions"], dtype=np.float64)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} can't be read: {error}.", mend="It must hold the arrays predictions (rows, classes) and ground_truth (rows).") from None
        return Rows(values, (labels.argmax(axis=1) if labels.ndim == 2 else labels).astype(np.float64))

    class Row(Record):
        id: str | int | float = ""
        probs: list[float] | None = None
        label: int | None = None
        score: float | None = None
        correct: bool | None = None
        group: str | None = None
        question: str | int | None = None

    rows = read_records(path, Row)
    groups = tuple(row.group or "none" for row in rows) if any(row.group for row in rows) else ()
    questions = tuple(str(row.question if row.question is not None else row.id) for row in rows) if any(row.question is not None for row in rows) else ()
    for index, row in enumerate(rows):
        problem = _row_problem(row.probs, row.label, row.score, row.correct, by_class=rows[0].probs is not None)
        if problem:
            raise DataError(f"{path}, record {index + 1} ({row.id!r}): {problem}.", mend="Give probs and label, or score and correct, in every record.")
    if rows[0].probs is not None:
        width = max(len(row.probs or []) for row in rows)
        values = np.zeros((len(rows), width))
        for index, row in enumerate(rows):
            values[index, : len(row.probs or [])] = row.probs
        return Rows(values, np.array([float(row.label or 0) for row in rows]), groups, questions)
    return Rows(np.array([float(row.score or 0) for row in rows]), np.array([float(bool(row.correct)) for row in rows]), groups, questions)


def _row_problem(probs: list[float] | None, label: int | None, score: float | None, correct: bool | None, *, by_class: bool) -> str | None:
    if not by_class:
        if score is None or correct is None:
            return "score or correct is missing"
        return None if 0 <= score <= 1 else f"score {score} is not between 0 and 1"
    if probs is None or label is None:
        return "probs or label is missing"
    if not 0 <= label < len(probs):
        return f"label {label} is not one of {len(probs)} classes (counted from 0)"
    return None if all(p >= 0 for p in probs) and sum(probs) > 0 else "probs must be positive numbers"


def read_entities(path: str) -> Rows:
    """Rows of OpenMed's entity predictions; says how many hits of rules are left out."""
    from guardmed.calibration.entities import EntityRecord, entity_rows, rule_hits
    from guardmed.cli.console import err
    from guardmed.records import read_records

    predictions = read_records(path, EntityRecord)
    left_out = rule_hits(predictions)
    if left_out:
        err().print(f"{left_out} of {len(predictions)} entities were found by rules alone; they are left out.")
    return entity_rows(predictions)


def write_thresholds(path: Path, rows: Rows, *, target_precision: float, holdout: float, language: str) -> None:
    """Write what OpenMed reads, and say which labels have no threshold."""
    from guardmed.calibration.entities import thresholds
    from guardmed.cli.console import out, render
    from guardmed.files import write_json
    from guardmed.reporting import Table

    found = thresholds(rows, target_precision=target_precision, holdout=holdout, language=language)
    write_json(path, found)
    lines = [[one["label"], f"{one['threshold']:.4f}", *(_percent(one[name]) for name in ("precision", "recall")), ""] for one in found["groups"]]
    lines += [[label, "–", "–", "–", reason] for label, reason in found["refused"].items()]
    caption = f"Confidence from which to redact, for a precision of {target_precision:g}; precision and recall on held-out rows → {path}"
    out().print(render(Table(caption, ["Label", "From", "Precision", "Recall", ""], lines)))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def score_rows(
    spec: str,
    *,
    adapter: Path | None,
    items: str | None,
    source: ScoreSource,
    form: Literal["text", "letters"],
    orders: int,
    limit: int | None,
    skip: bool,
) -> tuple[Rows, ModelRef]:
    """Rows that a model is scored on, in a fixed shuffled order so that both halves hold every kind."""
    import numpy as np

    from guardmed.calibration import ModelRef, Rows, load_items
    from guardmed.calibration.scoring import option_rows, stated_rows, statement_support
    from guardmed.calibration.shapes import read_set
    from guardmed.cli.console import err, loading, progress
    from guardmed.models import load_model

    if items is None:
        every = load_items()
    else:
        found = read_set(items, skip_multiple=skip)
        every = found.items
        if found.left_out:
            err().print(f"{found.left_out} questions with several right options are left out.")
    if source != "claim_support":
        every = [item for item in every if item.kind == "choice"]
    order = np.random.default_rng(0).permutation(len(every))[:limit]
    chosen = [every[i] for i in order]
    with loading(spec) as report:
        model = load_model(spec, adapter=adapter, progress=report)
    with progress("Scoring questions", total=len(chosen)) as update:
        if source == "option_likelihood":
            rows = option_rows(model, chosen, form=form, orders=orders, advance=update)
        elif source == "stated_confidence":
            rows, unread = stated_rows(model, chosen, advance=update)
            if unread:
                err().print(f"{unread} of {len(chosen)} answers state no letter and confidence; they are left out.")
        else:
            rows = Rows(*statement_support(model, chosen, advance=update), tuple(item.lang for item in chosen))
    return rows, ModelRef(name=model.name, fingerprint=model.fingerprint)
