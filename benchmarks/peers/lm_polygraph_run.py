"""LM-Polygraph's own estimators in its own environment, and the bare answer that each side's times are told in.

    ENV/bin/python benchmarks/peers/lm_polygraph_run.py JOB.json

``benchmarks/claims_vs_peers.py`` writes the job and reads the last line printed, a JSON object. Nothing of GuardMed is
imported. The estimators are LM-Polygraph's, untouched, run through its ``UEManager``: ``calculate`` and ``estimate`` of one
prompt. What else its ``__call__`` does after each batch (collecting garbage, copying statistics) is left out, in its favour.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

TOP_K = 50
"""Both sides sample among so many tokens, at temperature 1: LM-Polygraph's default."""


def load(job: dict[str, Any], *, attention: str = "sdpa") -> tuple[Any, Any]:
    """The model in float32 and its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    tokenizer = AutoTokenizer.from_pretrained(job["folder"], padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return AutoModelForCausalLM.from_pretrained(job["folder"], dtype=torch.float32, attn_implementation=attention).eval(), tokenizer


def bare(model: Any, tokenizer: Any, tokens: int) -> Callable[[str], object]:
    """Greedy decoding by transformers alone, from text to text."""
    import torch

    def work(text: str) -> object:
        inputs = tokenizer([text], return_tensors="pt")
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
        return tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    return work


def measured(work: Callable[[str], object], model: Any, tokenizer: Any, prompts: Sequence[str]) -> dict[str, Any]:
    """Seconds that pass, and seconds of the processor, for each prompt but the first.

    The first warms up, and tells how often the model is called.
    """
    calls = [0]

    def count(*_: object) -> None:
        calls[0] += 1

    hook = model.register_forward_hook(count)
    work(prompts[0])
    hook.remove()
    wall, processor = [], []
    for text in prompts[1:]:
        started = time.perf_counter(), time.process_time()
        work(text)
        wall.append(time.perf_counter() - started[0])
        processor.append(time.process_time() - started[1])
    return {"wall": wall, "processor": processor, "calls": calls[0], "read": sum(len(tokenizer(text)["input_ids"]) for text in prompts)}


def manager_of(model: Any, tokenizer: Any, job: dict[str, Any], estimators: list[Any], *, everything: bool = False) -> Any:
    """A manager of the default calculators of statistics; without hidden states and attentions, which few estimators need, unless asked."""
    from lm_polygraph import Dataset, UEManager, WhiteboxModel
    from lm_polygraph.defaults.register_default_stat_calculators import register_default_stat_calculators
    from lm_polygraph.utils.builder_enviroment_stat_calculator import BuilderEnvironmentStatCalculator
    from lm_polygraph.utils.generation_parameters import GenerationParameters

    white = WhiteboxModel(model, tokenizer, model_path=job["folder"], generation_parameters=GenerationParameters(top_k=TOP_K))
    return UEManager(
        Dataset([], [], batch_size=1),
        white,
        estimators,
        available_stat_calculators=register_default_stat_calculators("Whitebox", output_attentions=everything, output_hidden_states=everything),
        builder_env_stat_calc=BuilderEnvironmentStatCalculator(white),
        generation_metrics=[],
        ue_metrics=[],
        processors=[],
        ignore_exceptions=False,
        verbose=False,
        max_new_tokens=job["tokens"],
    )


def estimate(manager: Any, text: str) -> dict[str, float]:
    """Uncertainty of the answer to one prompt, by each estimator."""
    given = {"input_texts": [text], "target_texts": [""], "model": manager.model}
    statistics = manager.calculate(given, manager.stat_calculators, [text])
    found, _ = manager.estimate(statistics, manager.estimators)
    return {name: float(values[0]) for (_, name), values in found.items()}


def single_pass() -> list[Any]:
    from lm_polygraph.estimators import MaximumSequenceProbability, MeanTokenEntropy, Perplexity

    return [MaximumSequenceProbability(), Perplexity(), MeanTokenEntropy()]


def of_samples() -> list[Any]:
    from lm_polygraph.estimators import EigValLaplacian, LexicalSimilarity

    return [LexicalSimilarity("rougeL"), EigValLaplacian("Jaccard_score")]


def without_nli() -> list[Any]:
    """What a single model gives, with neither an NLI model nor training."""
    from lm_polygraph import estimators as known

    return [
        *single_pass(), known.SelfCertainty(), known.RenyiNeg(), known.FisherRao(), known.BoostedProbSequence(), known.PTrue(),
        *of_samples(), known.DegMat("Jaccard_score"), known.Eccentricity("Jaccard_score"),
        known.MonteCarloSequenceEntropy(), known.MonteCarloNormalizedSequenceEntropy(),
    ]  # fmt: skip


def run(job: dict[str, Any]) -> dict[str, Any]:
    part = job["part"]
    model, tokenizer = load(job, attention="eager" if part == "kept" else "sdpa")
    if part == "bare":
        return measured(bare(model, tokenizer, job["tokens"]), model, tokenizer, job["prompts"])
    if part == "auroc":
        manager = manager_of(model, tokenizer, job, without_nli())
        rows = [estimate(manager, text) for text in job["prompts"]]
        return {"scores": {name: [-row[name] for row in rows] for name in rows[0]}}
    # It lets an answer end after two tokens, whatever it is asked for; without an end every side decodes the same number.
    model.generation_config.eos_token_id = None
    manager = manager_of(model, tokenizer, job, of_samples() if part == "samples" else single_pass(), everything=part == "kept")
    return measured(lambda text: estimate(manager, text), model, tokenizer, job["prompts"])


def main() -> None:
    found = run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    found["versions"] = {name: version(name) for name in ("lm-polygraph", "torch", "transformers")}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
