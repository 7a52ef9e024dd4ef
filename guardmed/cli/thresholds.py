"""``guardmed calibrate --claims``: from labelled claims to thresholds that hold for whole answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardmed.claims.conformal import ConformalThresholds, Kept
    from guardmed.claims.nli import Nli
    from guardmed.models.base import LanguageModel


def take_thresholds(records: str, *, out: Path, alpha: float, holdout: float, model: str | None, adapter: Path | None, nli: str | None) -> None:
    """Score labelled claims, take thresholds from one part of the answers, measure them on the other, and write them."""
    from guardmed.claims.conformal import fit_thresholds, measure
    from guardmed.claims.labelled import LabelledAnswer, halves, samples_of, scored_answers
    from guardmed.claims.nli import load_nli
    from guardmed.cli.console import loading, progress
    from guardmed.files import write_json
    from guardmed.records import read_records

    answers = read_records(records, LabelledAnswer)
    count = samples_of(answers)
    loaded = None
    if model is not None:
        from guardmed.models import load_model

        with loading(model) as report:
            loaded = load_model(model, adapter=adapter, progress=report)
    judge = load_nli(nli) if nli is not None else None
    with progress("Checking claims", total=len(answers)) as update:
        scored = scored_answers(answers, model=loaded, nli=judge, advance=update)
    fit, held = halves(scored, holdout=holdout)
    thresholds = fit_thresholds(fit, alpha=alpha, score_source=source_of(count, model=loaded, nli=judge))
    write_json(out, thresholds.model_dump(mode="json"))
    show_thresholds(thresholds, source=str(out), kept=measure(thresholds, held) if held else None)


def source_of(samples: int, *, model: LanguageModel | None, nli: Nli | None) -> str:
    """What the support of claims is made of on the command line: of samples, where there are some, and of what the models say."""
    from guardmed.claims import CHECKS, support_source

    needs = {"token": model, "p_true": model, "likelihood": model, "nli": nli}
    own = [check for check in CHECKS if check not in needs or needs[check] is not None]
    compared = own if samples else [check for check in own if check in ("token", "p_true")]
    return support_source(compared, samples=samples, model=model.fingerprint if model is not None else "", nli=nli.fingerprint if nli is not None else "")


def show_thresholds(thresholds: ConformalThresholds, *, source: str, kept: Kept | None = None) -> None:
    """Print thresholds by group, and what they did to answers that were held out."""
    from guardmed.cli.console import out, render
    from guardmed.reporting import Table

    console = out()
    bands = {"all answers": thresholds.overall, **thresholds.groups}
    rows = [
        [name, "none" if band.supported_from is None else f"{band.supported_from:.4f}", f"{band.unsupported_below:.4f}", str(band.answers), str(band.claims)]
        for name, band in bands.items()
    ]
    caption = f"Support from which a claim is shown, so that at most {thresholds.alpha:g} of answers keep a false one"
    console.print(render(Table(caption, ["Group", "Supported from", "Unsupported under", "Answers", "Claims"], rows)))
    for note in thresholds.notes:
        console.print(f"{note[:1].upper()}{note[1:]}.", soft_wrap=True)
    if kept is not None:
        figures = [
            ["answers", str(kept.answers)],
            ["with a false claim left", f"{kept.with_false:.1%}"],
            ["with anything left", f"{kept.shown:.1%}"],
            ["true claims kept", _share(kept.true_kept)],
            ["false claims kept", _share(kept.false_kept)],
        ]
        console.print(render(Table("On answers that were held out", ["What", "Share"], figures)))
    console.print(f"{thresholds.score_source.partition(' of ')[0].capitalize()}; {thresholds.answers} answers → {source}", soft_wrap=True)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
