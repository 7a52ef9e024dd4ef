"""``guardmed calibrate --claims``: from labelled claims to thresholds that hold for whole answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardmed.claims.conformal import ConformalThresholds, Kept


def take_thresholds(records: str, *, out: Path, alpha: float, holdout: float, model: str | None, adapter: Path | None, nli: str | None) -> None:
    """Score labelled claims, take thresholds from one part of the answers, measure them on the other, and write them."""
    from guardmed.claims import CHECKS, support_source
    from guardmed.claims.conformal import fit_thresholds, measure
    from guardmed.claims.labelled import LabelledAnswer, halves, scored_answers
    from guardmed.claims.nli import load_nli
    from guardmed.cli.console import loading, progress
    from guardmed.files import write_json
    from guardmed.records import read_records

    answers = read_records(records, LabelledAnswer)
    loaded = None
    if model is not None:
        from guardmed.models import load_model

        with loading(model) as report:
            loaded = load_model(model, adapter=adapter, progress=report)
    judge = load_nli(nli) if nli is not None else None
    with progress("Checking claims", total=len(answers)) as update:
        scored = scored_answers(answers, model=loaded, nli=judge, advance=update)
    fit, held = halves(scored, holdout=holdout)
    own = [check for check in CHECKS if check in ("consistency", "nli" if judge is not None else "") or (loaded is not None and check != "nli")]
    source = support_source(own, model=loaded.fingerprint if loaded is not None else "", nli=judge.fingerprint if judge is not None else "")
    thresholds = fit_thresholds(fit, alpha=alpha, score_source=source)
    write_json(out, thresholds.model_dump(mode="json"))
    show_thresholds(thresholds, source=str(out), kept=measure(thresholds, held) if held else None)


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
    console.print(render(Table(caption, ["Answers", "Supported from", "Unsupported under", "Answers", "Claims"], rows)))
    for note in thresholds.notes:
        console.print(f"{note[:1].upper()}{note[1:]}.", soft_wrap=True)
    if kept is not None:
        figures = [
            ["answers held out", str(kept.answers)],
            ["of these with a false claim left", f"{kept.with_false:.1%}"],
            ["of which anything is left", f"{kept.shown:.1%}"],
            ["true claims kept", _share(kept.true_kept)],
            ["false claims kept", _share(kept.false_kept)],
        ]
        console.print(render(Table("On answers that were held out", ["", ""], figures)))
    console.print(f"{thresholds.score_source[:60]}, {thresholds.answers} answers → {source}", soft_wrap=True)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
