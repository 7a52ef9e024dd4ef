"""How well scores of claims rank what people labelled, alone and fused; and what the fusions that ship were learnt from.

    python benchmarks/claims_fusion.py                      # samples alone, no model
    python benchmarks/claims_fusion.py --model reference    # and the scores of a model
    python benchmarks/claims_fusion.py --model reference --write calibration/claims.json

The claims are sentences about people's lives that annotators marked accurate or not, with ten other answers each
(``../shared/data/claims/selfcheck_wikibio_en.jsonl``). Fusions are judged on passages that they were not fitted on: six
folds by passage, five times over; intervals resample passages. What ``--write`` writes is fitted on all of them. Scores
of a model take minutes and are kept in ``out/``, by the model's fingerprint.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.metrics import auroc
from guardmed.claims import check_claims, locate_claims
from guardmed.claims.fuse import logit
from guardmed.files import digest_value, read_json, write_json

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "claims" / "selfcheck_wikibio_en.jsonl"
FUSIONS = (
    ("consistency",),
    ("consistency", "standing"),
    ("consistency", "standing", "nli"),
    ("consistency", "standing", "likelihood"),
)
STRENGTH, FOLDS, TIMES, RESAMPLES = 0.1, 6, 5, 1000
Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="none")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
    scored = scores_of(rows, arguments.model)
    accurate = np.array([float(label == "accurate") for row in rows for label in row["labels"]])
    passage = np.array([place for place, row in enumerate(rows) for _ in row["claims"]])
    print(f"{len(accurate)} claims of {len(rows)} passages, {accurate.mean():.1%} accurate\n\n| ranked by | AUROC | 95 % interval |\n|---|---|---|")

    def line(name: str, values: Floats) -> None:
        low, high = interval(values, accurate, passage)
        print(f"| {name} | {auroc(values, accurate):.3f} | {low:.3f} to {high:.3f} |")

    for name in sorted({name for one in scored for name in one}):
        line(name, np.array([one.get(name, 0.5) for one in scored]))
    fitted = []
    for names in FUSIONS:
        if all(name in one for one in scored for name in names):
            values = np.array([[logit(one[name]) for name in names] for one in scored])
            line(f"fused, held out: {', '.join(names)}", held_out(values, accurate, passage))
            fitted.append(fusion(names, values, accurate))
    line("control: length of the claim", np.array([float(len(claim)) for row in rows for claim in row["claims"]]))
    line("control: place in the answer", np.array([-float(place) for row in rows for place in range(len(row["claims"]))]))
    line("control: random", np.random.default_rng(0).random(len(accurate)))
    for name in sorted(rows[0]["peer_scores"].keys() - {"nli"}):
        line(f"published: {name}", -np.array([float(value) for row in rows for value in row["peer_scores"][name]]))
    if arguments.write:
        write_json(arguments.write, {"schema_version": 1, "kind": "claim-fusions", "fusions": fitted})


def scores_of(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, float]]:
    """Every score of every claim, in the order of the file."""
    model = kept = None
    if name != "none":
        from guardmed.models import load_model

        model = load_model(name)
        kept = Path("out") / f"claims-{digest_value([model.fingerprint, rows])[:16]}.json"
        if kept.is_file():
            found: list[dict[str, float]] = read_json(kept)
            return with_published(found, rows)
    scored: list[dict[str, float]] = []
    for row in rows:
        claims, answer = locate_claims(row["claims"], " ".join(row["claims"])), " ".join(row["claims"])
        tokens = model.score([row["question"]], [answer])[0] if model is not None else None
        checked = check_claims(claims, model=model, prompt=row["question"], answer=answer, tokens=tokens, samples=row["samples"])
        scored += [one.scores for one in checked]
    if kept is not None:
        write_json(kept, scored)
    return with_published(scored, rows)


def with_published(scored: list[dict[str, float]], rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """The same, with the published scores of an NLI model (DeBERTa) as those of ``nli``: GuardMed's is one less the paper's."""
    published = [1 - float(value) for row in rows for value in row["peer_scores"]["nli"]]
    return [{**one, "nli": value} for one, value in zip(scored, published, strict=True)]


def fit(values: Floats, accurate: Floats) -> tuple[Floats, float]:
    """Weights and bias of a logistic regression on standardised columns, told for the columns as they are."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = values.mean(axis=0), values.std(axis=0)
    found = LogisticRegression(C=STRENGTH).fit((values - mean) / spread, accurate)
    weights = found.coef_[0] / spread
    return weights, float(found.intercept_[0] - (weights * mean).sum())


def held_out(values: Floats, accurate: Floats, passage: NDArray[np.int64]) -> Floats:
    """Mean log-odds of each claim over fits that saw nothing of its passage."""
    out = np.zeros(len(accurate))
    for seed in range(TIMES):
        order = np.random.default_rng(seed).permutation(passage.max() + 1)
        for fold in range(FOLDS):
            inside = np.isin(passage, order[fold::FOLDS])
            weights, bias = fit(values[~inside], accurate[~inside])
            out[inside] += values[inside] @ weights + bias
    return out / TIMES


def fusion(names: Sequence[str], values: Floats, accurate: Floats) -> dict[str, object]:
    weights, bias = fit(values, accurate)
    return {
        "scores": list(names),
        "weights": [round(float(weight), 4) for weight in weights],
        "bias": round(bias, 4),
        "learnt_on": f"{len(accurate)} claims of the SelfCheckGPT annotations of WikiBio (Manakul et al. 2023)",
    }


def interval(values: Floats, accurate: Floats, passage: NDArray[np.int64]) -> tuple[float, float]:
    """Percentile interval over passages drawn with replacement."""
    generator = np.random.default_rng(0)
    members = [np.flatnonzero(passage == place) for place in range(passage.max() + 1)]
    statistic: Callable[[NDArray[np.int64]], float | None] = lambda chosen: auroc(values[chosen], accurate[chosen])  # noqa: E731
    drawn = [statistic(np.concatenate([members[place] for place in generator.integers(len(members), size=len(members))])) for _ in range(RESAMPLES)]
    low, high = np.quantile([value for value in drawn if value is not None], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
