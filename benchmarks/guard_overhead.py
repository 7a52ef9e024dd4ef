"""What the guard costs: bare ``generate`` against a guarded answer of the same tokens, in turn.

    python benchmarks/guard_overhead.py [--tokens 96] [--rounds 5]

Prints the ratio of one run: policy on both sides, token confidence and P(True) included. Prompts
are such that the policy does not stop the answer; both sides decode the same number of tokens, where the
guarded one stops.
"""

from __future__ import annotations

import argparse
import statistics
import time

PROMPTS = ("What is metformin used for?", "How does aspirin work?", "什么是高血压？", "What are the symptoms of anaemia?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="reference")
    arguments = parser.parse_args()

    import torch

    from guardmed.guard import GuardedModel
    from guardmed.models import Sampling, load_model
    from guardmed.models.prompting import render

    model = load_model(arguments.model)
    guarded = GuardedModel(model, policy="clinical")
    lengths: dict[str, int] = {}

    def length(prompt: str) -> int:
        """Tokens that the guarded side decodes, stop texts included."""
        answer = model.generate([prompt], Sampling(max_new_tokens=arguments.tokens))[0][0]
        return len(answer.state.ids) - len(model.tokenizer(render(prompt, model.tokenizer))["input_ids"])

    def bare(prompt: str) -> float:
        started = time.perf_counter()
        inputs = model.tokenizer(render(prompt, model.tokenizer), return_tensors="pt")
        with torch.inference_mode():
            out = model.model.generate(
                **inputs, max_new_tokens=lengths[prompt], min_new_tokens=lengths[prompt], do_sample=False, pad_token_id=model.tokenizer.pad_token_id
            )
        model.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return time.perf_counter() - started

    def checked(prompt: str) -> float:
        started = time.perf_counter()
        response = guarded.generate(prompt, do_sample=False, max_new_tokens=arguments.tokens)
        assert response.stage in ("answered", "claims", "output"), response
        return time.perf_counter() - started

    for prompt in PROMPTS:
        lengths[prompt] = length(prompt)
        bare(prompt), checked(prompt)
    ratios = []
    spent = {"bare": 0.0, "guarded": 0.0}
    for _ in range(arguments.rounds):
        for prompt in PROMPTS:
            a, b = bare(prompt), checked(prompt)
            spent["bare"] += a
            spent["guarded"] += b
            ratios.append(b / a)
    print(f"{len(ratios)} answers of {'/'.join(str(n) for n in lengths.values())} tokens, {model.name}, {next(model.model.parameters()).dtype}")
    print(f"bare {spent['bare'] / len(ratios):.2f} s, guarded {spent['guarded'] / len(ratios):.2f} s an answer")
    print(f"ratio of the sums {spent['guarded'] / spent['bare']:.3f}, median {statistics.median(ratios):.3f}, worst {max(ratios):.3f}; at most 1.25 is the aim")


if __name__ == "__main__":
    main()
