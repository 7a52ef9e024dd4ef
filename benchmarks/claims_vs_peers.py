"""GuardMed beside LM-Polygraph: what scores of an answer cost, and how well they tell right answers from wrong ones.

    python benchmarks/claims_vs_peers.py [--prompts 8] [--tokens 32] [--rounds 3] [--rows 150] [--json FILE]
    python benchmarks/claims_vs_peers.py --only time
    python benchmarks/claims_vs_peers.py --only auroc [--no-context]

LM-Polygraph (Fadeeva et al., EMNLP 2023 demonstrations; Vashurin et al., TACL 2025) runs in a virtual environment of its own,
made on first use in ``--env``, with the torch and transformers of the environment that runs this. Both sides get the same
model in float32, the same prompts (questions of PubMedQA), the same cores and the same number of torch threads.

Time. Each measurement is a process of its own, which loads the model, warms up on a prompt that does not count, and answers
the others one by one; the sides take turns, and change places from round to round. Loading is not timed. Answers can't end
early, so every side decodes ``--tokens`` tokens an answer, which the number of calls of the model shows. Timed, from text to
result, for each prompt:

- bare: tokenising, transformers' ``generate`` (greedy), decoding; once in each environment, by the same code.
- single pass. GuardMed: ``generate``, which records log-probability, entropy, margin and rank of each token; the answer split
  into claims; the six token scores of each claim and of the whole. LM-Polygraph: MaximumSequenceProbability, Perplexity and
  MeanTokenEntropy in one go, its calculator set not to keep attentions and hidden states.
- everything kept: the same with hidden states. GuardMed keeps those of two layers; LM-Polygraph its default, the last layer's and all
  attentions, for which the model must run in eager attention.
- 10 samples. GuardMed: the greedy answer and 10 samples from one batch; token scores, consistency, clashes and semantic
  entropy by words. LM-Polygraph: the greedy answer, which it always makes, and 10 samples; LexicalSimilarity (ROUGE-L) and
  EigValLaplacian (Jaccard), which need no NLI model. Both at temperature 1 from the 50 likeliest tokens.

A prompt's time is the median over rounds; a ratio is the sum over prompts by that of the bare answer in the same environment,
and in brackets stand the least and the greatest of single rounds. Ratios of processor time, which other work on the machine
disturbs less, are in the JSON.

AUROC. The model's answer to a PubMedQA question is the likeliest of yes, no and maybe; it is right if it is the answer that
the set gives. A score's AUROC is the chance that it ranks a right row above a wrong one, with a percentile interval over rows
drawn with replacement. Scores of generated text come from answers of ``--answer-tokens`` tokens (3, as LM-Polygraph does for
multiple choice). A score that is no number for a row ranks it last. Controls know nothing of the model's belief: length of the greedy
answer, which option was chosen, chance. The best of many scores looks better than it is: each side's best is chosen on one half of the
rows and judged on the other, and the difference is of these.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peers.lm_polygraph_run import TOP_K, bare, load, measured

from guardmed.calibration.metrics import auroc
from guardmed.models.prompting import render
from guardmed.models.reference import reference_folder
from guardmed.resources import cache_folder

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "calibration" / "pubmedqa_labelled_en.jsonl"
PEER = Path(__file__).resolve().parent / "peers" / "lm_polygraph_run.py"
PEER_VERSION = "0.7.0"
SAMPLES, RESAMPLES = 10, 1000
PARTS = {"bare": "bare answer", "single": "single-pass scores", "kept": "everything kept", "samples": f"greedy answer and {SAMPLES} samples"}
LIMITS = {"single": 1.1, "samples": 3.0}
FASTER = 5.0
SIDES = ("GuardMed", "LM-Polygraph")
# The prompt as it is: without a template of its own GuardMed would end an answer where the next question begins.
VERBATIM = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
Floats = NDArray[np.float64]
Row = tuple[str, str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a folder that transformers saved; the reference model if not given")
    parser.add_argument("--env", type=Path, help="virtual environment of LM-Polygraph, made if missing")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=150, help="questions for the AUROC")
    parser.add_argument("--answer-tokens", type=int, default=3)
    parser.add_argument("--no-context", action="store_true", help="ask the questions of the AUROC without their abstracts")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("time", "auroc"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print("\n" + json.dumps(guardmed_side(json.loads(given.job.read_text(encoding="utf-8")))))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    python = environment(given.env or cache_folder("peers") / "lm-polygraph")
    folder = given.model or reference_folder()
    common = {"folder": str(folder), "threads": given.threads, "seed": given.seed}
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").split("\n") if line]
    told: list[Row] = []
    kept: dict[str, Any] = {"given": {name: str(value) for name, value in vars(given).items()}}
    if given.only != "auroc":
        chosen = random.Random(given.seed).sample(rows, given.prompts + 1)
        kept["time"] = measure_time(python, {**common, "tokens": given.tokens, "prompts": rendered(folder, [row["question"] for row in chosen])}, given.rounds)
        kept["processor ratios"] = {part: {side: ratio(kept["time"], part, side, "processor") for side in SIDES} for part in PARTS}
        told += time_rows(kept["time"], given.tokens)
    if given.only != "time":
        chosen = random.Random(given.seed).sample(rows, given.rows)
        kept["auroc"] = measure_auroc(python, {**common, "tokens": given.answer_tokens}, chosen, context=not given.no_context)
        told += auroc_rows(kept["auroc"])
    print("| what | " + " | ".join(SIDES) + " | aim |\n|---|---|---|---|")
    for row in told:
        print(f"| {' | '.join(row)} |")
    if given.json:
        given.json.write_text(json.dumps({**kept, "table": told}, indent=1), encoding="utf-8")


# ---- Processes ----


def environment(folder: Path) -> Path:
    """The Python of LM-Polygraph's environment, which is made where it is missing."""
    python = folder / "bin" / "python"
    ask = ["-c", "from importlib.metadata import version; print(version('lm-polygraph'))"]
    if python.is_file() and subprocess.run([python, *ask], capture_output=True, check=False).returncode == 0:
        return python
    print(f"installing LM-Polygraph {PEER_VERSION} into {folder}", file=sys.stderr, flush=True)
    same = [f"{name}=={version(name).split('+')[0]}" for name in ("torch", "transformers")]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # Torch first and alone, so that the build of it that is found here stays.
    for packages in (same[:1], [*same, f"lm-polygraph=={PEER_VERSION}"]):
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def child(python: Path, side: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """What one side tells of one job, from a process of its own."""
    threads = str(job["threads"])
    env = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, __file__, "--job", file] if side == "GuardMed" else [python, PEER, file]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side}, {job['part']}: {done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rendered(folder: Path, prompts: Sequence[str]) -> list[str]:
    """Prompts as the text that the model is to continue."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [render(prompt, tokenizer) for prompt in prompts]


# ---- GuardMed, in its process ----


def guardmed_side(job: dict[str, Any]) -> dict[str, Any]:
    from guardmed.models.head import quicken
    from guardmed.models.transformers_model import TransformersModel

    bare_model, tokenizer = load(job)
    if job["part"] == "bare":
        found = measured(bare(bare_model, tokenizer, job["tokens"]), bare_model, tokenizer, job["prompts"])
    else:
        quicken(bare_model)  # as load_model does
        model = TransformersModel(bare_model, tokenizer, name="model", fingerprint=job["folder"])
        if job["part"] == "auroc":
            found = believed(model, job)
        else:
            tokenizer.chat_template = VERBATIM
            found = measured(working(model, job), bare_model, tokenizer, job["prompts"])
    return {**found, "versions": {name: version(name) for name in ("guardmed", "torch", "transformers")}}


def working(model: Any, job: Mapping[str, Any]) -> Any:
    """What is timed of a part."""
    from guardmed.claims import check_claims, split_claims
    from guardmed.claims.sampling import answer_and_samples
    from guardmed.claims.semantic import semantic_entropy, sequence_logprob, similar
    from guardmed.claims.token import token_scores
    from guardmed.models.base import Sampling
    from guardmed.text import Span

    full = {"min_new_tokens": job["tokens"]}
    greedy = Sampling(max_new_tokens=job["tokens"], extra=full)
    drawing = Sampling(max_new_tokens=job["tokens"], temperature=1.0, top_k=TOP_K, seed=job["seed"], extra=full)
    keeping = model.keeping_hidden() if job["part"] == "kept" else model

    def one_pass(prompt: str) -> object:
        answer = keeping.generate([prompt], greedy)[0][0]
        spans = [Span(0, len(answer.text)), *(claim.span for claim in split_claims(answer.text, question=prompt))]
        return [token_scores(answer.scores, span) for span in spans]

    def with_samples(prompt: str) -> object:
        answer, samples = answer_and_samples(model, prompt, drawing, SAMPLES)
        texts = [one.text for one in samples]
        claims = split_claims(answer.text, question=prompt)
        checked = check_claims(claims, prompt=prompt, answer=answer.text, tokens=answer.scores, samples=texts, checks=("token", "consistency", "clash"))
        everything = [answer, *samples]
        return checked, semantic_entropy([one.text for one in everything], similar(), logprobs=[sequence_logprob(one) for one in everything])

    return with_samples if job["part"] == "samples" else one_pass


def believed(model: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """The chosen option of each question, and every score of it."""
    from guardmed.models.base import shares

    found: dict[str, Any] = {"chosen": [], "length": [], "scores": {}}
    for prompt, options in zip(job["questions"], job["options"], strict=True):
        share = shares(model.choose([prompt], [options])[0])
        chosen = options[int(share.argmax())]
        scores, length = scores_of(model, prompt, chosen, job)
        found["chosen"].append(chosen)
        found["length"].append(length)
        for name, value in {"share of the option": float(share.max()), **scores}.items():
            found["scores"].setdefault(name, []).append(float("nan") if value is None else value)
    return found


def scores_of(model: Any, prompt: str, chosen: str, job: Mapping[str, Any]) -> tuple[dict[str, float | None], int]:
    """Scores of an option by its words' likelihood, P(True) and samples, and of the greedy answer; and that answer's characters."""
    from guardmed.claims.fuse import fuse
    from guardmed.claims.likelihood import likelihood
    from guardmed.claims.p_true import p_true
    from guardmed.claims.sampling import answer_and_samples
    from guardmed.claims.semantic import key, pairwise, semantic_entropy
    from guardmed.claims.token import token_score, token_scores
    from guardmed.models.base import Sampling
    from guardmed.text import Span

    drawing = Sampling(max_new_tokens=job["tokens"], temperature=1.0, top_k=TOP_K, seed=job["seed"])
    answer, samples = answer_and_samples(model, prompt, drawing, SAMPLES)
    texts = [one.text for one in samples]
    same = pairwise(lambda one, other: key(one).split()[:1] == key(other).split()[:1])
    meant, told = semantic_entropy(texts, same), semantic_entropy([chosen, *texts], same)
    claim = f"The answer is {chosen}."
    scores: dict[str, float | None] = {
        "token": token_score(model.score([prompt], [chosen])[0], Span(0, len(chosen))),
        "p_true": p_true(model, prompt, chosen, [claim])[0],
        "consistency": told.agreeing(0) if told else None,
    }
    scores["fused, equal weights"] = fuse(scores, fusions=())
    scores["likelihood"] = likelihood(model, [claim], texts, question=prompt)[0]
    scores["semantic certainty"] = meant.certainty if meant else None
    greedy = token_scores(answer.scores, Span(0, len(answer.text))) if answer.scores else {}
    return {**scores, **{f"greedy {name}": greedy.get(name) for name in ("token_mean", "token_min", "token_entropy", "token_margin")}}, len(answer.text)


# ---- Time ----


def measure_time(python: Path, job: Mapping[str, Any], rounds: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Each part of each side, once a round."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {part: {side: [] for side in SIDES} for part in PARTS}
    for turn in range(rounds):
        for part in PARTS:
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                one = child(python, side, {**job, "part": part})
                found[part][side].append(one)
                print(f"round {turn + 1}, {part}, {side}: {sum(one['wall']):.1f} s, {one['calls']} calls of the model", file=sys.stderr, flush=True)
    read = {one["read"] for part in found.values() for runs in part.values() for one in runs}
    if len(read) != 1:
        raise SystemExit(f"The sides read different prompts: {sorted(read)} tokens.")
    return found


def seconds(runs: Sequence[Mapping[str, Any]], clock: str = "wall") -> float:
    """Of all prompts, each its median over rounds."""
    return sum(statistics.median(times) for times in zip(*(run[clock] for run in runs), strict=True))


def ratio(found: Mapping[str, Any], part: str, side: str, clock: str = "wall") -> float:
    return seconds(found[part][side], clock) / seconds(found["bare"][side], clock)


def time_rows(found: dict[str, Any], tokens: int) -> list[Row]:
    prompts = len(found["bare"]["GuardMed"][0]["wall"])
    plain = [f"{seconds(found['bare'][side]) / prompts:.2f}" for side in SIDES]
    out: list[Row] = [(f"bare answer of {tokens} tokens, seconds ({prompts} prompts, {len(found['bare']['GuardMed'])} rounds)", plain[0], plain[1], "")]
    for part in list(PARTS)[1:]:
        cells = []
        for side in SIDES:
            each = [ratio({name: {side: [found[name][side][turn]]} for name in ("bare", part)}, part, side) for turn in range(len(found[part][side]))]
            cells.append(f"{ratio(found, part, side):.2f} ({min(each):.2f} to {max(each):.2f})")
        limit = LIMITS.get(part)
        aim = f"GuardMed at most {limit}: {met(ratio(found, part, SIDES[0]) <= limit)}" if limit else ""
        out.append((f"{PARTS[part]}, times the bare answer", cells[0], cells[1], aim))
    for part in ("single", "samples"):
        faster = ratio(found, part, SIDES[1]) / ratio(found, part, SIDES[0])
        aim = f"at least {FASTER:.0f}: {met(faster >= FASTER)}" if part == "samples" else ""
        out.append((f"{PARTS[part]}, how many times faster", f"{faster:.1f}", "1", aim))
    calls = [str(found["samples"][side][0]["calls"]) for side in SIDES]
    out.append((f"{PARTS['samples']}, calls of the model", calls[0], calls[1], ""))
    return out


def met(reached: bool) -> str:
    return "met" if reached else "missed"


# ---- AUROC ----


def measure_auroc(python: Path, job: Mapping[str, Any], rows: Sequence[dict[str, Any]], *, context: bool) -> dict[str, Any]:
    """Both sides' scores of the same questions, and which answers are right."""
    asked = [(f"{row['context']}\n" if context else "") + f"{row['question']} Answer with yes, no or maybe." for row in rows]
    job = {**job, "part": "auroc", "questions": asked, "options": [row["options"] for row in rows], "prompts": rendered(Path(job["folder"]), asked)}
    job["threads"] = max(1, job["threads"] // 2)  # nothing is timed here, so the sides may run side by side
    with ThreadPoolExecutor() as pool:
        ours, theirs = pool.map(lambda side: child(python, side, job), SIDES)
    correct = [float(chosen == row["answer"]) for chosen, row in zip(ours["chosen"], rows, strict=True)]
    return {"correct": correct, "chosen": ours["chosen"], "length": ours["length"], "scores": {SIDES[0]: ours["scores"], SIDES[1]: theirs["scores"]}}


def auroc_rows(found: Mapping[str, Any]) -> list[Row]:
    correct = np.array(found["correct"])
    sides = {side: {name: numbers(values) for name, values in found["scores"][side].items()} for side in SIDES}
    everything = np.arange(len(correct))
    halves = (everything[::2], everything[1::2])
    out: list[Row] = [(f"AUROC on PubMedQA, n = {len(correct)}, {correct.mean():.1%} right", "", "", "")]

    def cell(values: Floats) -> str:
        return f"{area(values, correct, everything):.3f} ({spread([area(values, correct, chosen) for chosen in draws(everything)])})"

    for place, side in enumerate(SIDES):
        for name, values in sorted(sides[side].items(), key=lambda one: -area(one[1], correct, everything)):
            out.append((name, cell(values) if place == 0 else "", cell(values) if place == 1 else "", ""))
    controls = {
        "length of the answer": np.array(found["length"], dtype=np.float64),
        "the option is yes": np.array([float(chosen == "yes") for chosen in found["chosen"]]),
        "random": np.random.default_rng(0).random(len(correct)),
    }
    out += [(f"control: {name}", cell(values), "", "") for name, values in controls.items()]
    best = [apart(sides[side], correct, halves) for side in SIDES]
    drawn = list(zip(draws(halves[0]), draws(halves[1], seed=1), strict=True))
    resampled = [[apart(sides[side], correct, two) for side in SIDES] for two in drawn]
    cells = [f"{best[place]:.3f} ({spread([one[place] for one in resampled])})" for place in (0, 1)]
    out.append(("best, chosen on one half and judged on the other", cells[0], cells[1], ""))
    apart_by = spread([one - other for one, other in resampled], "+")
    out.append(("the same, GuardMed's less LM-Polygraph's", f"{best[0] - best[1]:+.3f} ({apart_by})", "", ""))
    return out


def numbers(values: Sequence[float]) -> Floats:
    """Scores of which those that are no number rank last."""
    given = np.array(values, dtype=np.float64)
    lowest = given[np.isfinite(given)].min(initial=0.0) - 1
    return np.nan_to_num(given, nan=lowest, neginf=lowest)


def area(values: Floats, correct: Floats, chosen: NDArray[np.int64]) -> float:
    """AUROC of some rows; NaN where all are right, or none."""
    found = auroc(values[chosen], correct[chosen])
    return float("nan") if found is None else found


def apart(scores: Mapping[str, Floats], correct: Floats, halves: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float:
    """AUROC of the score that does best on one half, on the other; the mean of both ways."""
    judged = []
    for seen, unseen in (halves, halves[::-1]):
        best = max(scores.values(), key=lambda values: np.nan_to_num(area(values, correct, seen)))
        judged.append(area(best, correct, unseen))
    return float(np.mean(judged))


def draws(rows: NDArray[np.int64], *, seed: int = 0) -> list[NDArray[np.int64]]:
    """Rows drawn with replacement, the same draws at every call."""
    generator = np.random.default_rng(seed)
    return [rows[generator.integers(len(rows), size=len(rows))] for _ in range(RESAMPLES)]


def spread(values: Sequence[float], sign: str = "-") -> str:
    """The middle 95 %."""
    if np.isnan(values).all():
        return "too few rows"
    low, high = np.nanquantile(values, [0.025, 0.975])
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


if __name__ == "__main__":
    main()
