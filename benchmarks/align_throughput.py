"""Peak memory and tokens a second of LoRA DPO, through GuardMed and through plain TRL.

    python benchmarks/align_throughput.py [--preset 7b|1b|tiny] [--batch 1] [--length 512] [--steps 20] [--rounds 3]

A Llama of the preset's shape with random weights, pairs of random words, and a tokenizer made in
memory: nothing is loaded or fetched. Each run is a process of its own; GuardMed and TRL take turns,
and the figures are medians of the rounds. Every sequence is cut to ``--length`` tokens, so both see as
many. The first steps warm up and are not timed.

Memory is the peak that PyTorch allocated on the GPU, from the model's first weight on; on a CPU it is
the peak resident memory of the process, libraries included. Targets, for 7b: 16 GB, and tokens a second
within 5 % of plain TRL's. Without a GPU only ``tiny`` runs; for the others the plan's estimate is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

SHAPES = {
    "7b": {"num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000},
    "1b": {"num_hidden_layers": 22, "hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000},
    "tiny": {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "vocab_size": 1000},
}  # fmt: skip
RANK, WARM_UP = 16, 3
LIMIT_BYTES, LIMIT_RATIO = 16e9, 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=tuple(SHAPES), default="7b")
    parser.add_argument("--batch", type=int, default=1, help="pairs of a step")
    parser.add_argument("--length", type=int, default=512, help="tokens of a sequence")
    parser.add_argument("--steps", type=int, default=20, help="timed ones")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep-activations", action="store_true", help="no gradient checkpointing: faster, in more memory")
    parser.add_argument("--part", choices=tuple(TRAINERS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments)))
        return
    print_plan(arguments)
    if arguments.preset != "tiny" and not on_gpu():
        print("not run: no GPU")
        return
    compare(arguments)


def on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def print_plan(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from guardmed.align.plan import estimate, plan_table

    planned = estimate(
        {"model_type": "llama", **SHAPES[arguments.preset]},
        stage="dpo",
        batch=arguments.batch,
        length=arguments.length,
        completion=arguments.length // 2,
        rank=RANK,
        layers=None,
        dtype="float32" if arguments.preset == "tiny" and not on_gpu() else "bfloat16",
        checkpointing=not arguments.keep_activations,
    )
    made = plan_table(planned)
    shown = Table(*made.header, title=made.caption)
    for row in made.rows:
        shown.add_row(*map(str, row))
    Console(width=120).print(shown)
    print(f"planned peak: {planned.total / 1e9:.2f} GB (target {LIMIT_BYTES / 1e9:.0f} GB, for 7b)")


def compare(arguments: argparse.Namespace) -> None:
    figures: dict[str, list[dict[str, float]]] = {part: [] for part in TRAINERS}
    for index in range(arguments.rounds):
        # Who begins changes, so that a machine that warms up or slows down favours neither.
        for part in list(TRAINERS) if index % 2 else list(TRAINERS)[::-1]:
            command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures[part].append(json.loads(done.stdout.splitlines()[-1]))
    rate = {part: statistics.median(one["rate"] for one in found) for part, found in figures.items()}
    peak = {part: statistics.median(one["peak"] for one in found) for part, found in figures.items()}
    for part in TRAINERS:
        print(f"{part:>8}: {rate[part]:12,.0f} tokens a second, peak {peak[part] / 1e9:.2f} GB")
    ratio = rate["guardmed"] / rate["trl"]
    print(f"tokens a second beside plain TRL: {ratio:.3f} (target at least {LIMIT_RATIO})")
    if arguments.preset == "7b":
        print(f"peak of GuardMed: {peak['guardmed'] / 1e9:.2f} GB (target at most {LIMIT_BYTES / 1e9:.0f} GB)")
        sys.exit(ratio < LIMIT_RATIO or peak["guardmed"] > LIMIT_BYTES)


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """One run in this process: tokens a second after the warm-up, and the peak."""
    import datasets
    import torch
    from transformers import TrainerCallback, logging

    class Clock(TrainerCallback):
        """When the warm-up ended and when the last step did, everything on the GPU included."""

        begun = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step in (WARM_UP, state.max_steps):
                if on_gpu():
                    torch.cuda.synchronize()
                self.begun, self.ended = self.ended, time.perf_counter()

    logging.set_verbosity_error()
    datasets.disable_progress_bars()
    warnings.simplefilter("ignore", FutureWarning)  # names that transformers will drop, which TRL and PEFT use
    if not on_gpu():
        torch.set_num_threads(1)  # the work of a tiny model is less than that of sharing it
    torch.manual_seed(0)
    clock = Clock()
    with tempfile.TemporaryDirectory() as out:
        trainer = TRAINERS[arguments.part](arguments, make_model(arguments.preset), make_tokenizer(arguments.preset), Path(out))
        trainer.add_callback(clock)
        trainer.train()
    tokens = 2 * arguments.batch * arguments.length
    logged = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry][-1]
    if logged != tokens * (arguments.steps + WARM_UP):
        raise SystemExit(f"{logged} tokens were seen, not {tokens * (arguments.steps + WARM_UP)}: the figures would not compare")
    peak = torch.cuda.max_memory_allocated() if on_gpu() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"rate": tokens * arguments.steps / (clock.ended - clock.begun), "peak": peak}


def make_model(preset: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**SHAPES[preset], bos_token_id=1, eos_token_id=2, pad_token_id=0, use_cache=False)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if on_gpu() else torch.float32)
    try:
        with torch.device("cuda" if on_gpu() else "cpu"):
            return LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)


def make_tokenizer(preset: str) -> Any:
    """One token a word, as many words as the model has rows."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    words = special + [f"w{index}" for index in range(SHAPES[preset]["vocab_size"] - len(special))]
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def texts(arguments: argparse.Namespace) -> list[dict[str, str]]:
    """Pairs that are longer than a sequence may be, so that all are cut to one length."""
    chance = random.Random(0)
    words = SHAPES[arguments.preset]["vocab_size"] - 4

    def saying(count: int) -> str:
        return " ".join(f"w{chance.randrange(words)}" for _ in range(count))

    half = arguments.length // 2
    pairs = arguments.batch * (arguments.steps + WARM_UP)
    return [{"prompt": saying(half), "chosen": " " + saying(arguments.length), "rejected": " " + saying(arguments.length)} for _ in range(pairs)]


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """TRL's arguments, the same for both."""
    return {
        "max_length": arguments.length, "per_device_train_batch_size": arguments.batch, "max_steps": arguments.steps + WARM_UP,
        "learning_rate": 1e-4, "beta": 0.1, "logging_steps": arguments.steps + WARM_UP, "bf16": on_gpu(), "use_cpu": not on_gpu(),
        "report_to": "none", "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": on_gpu(),
    }  # fmt: skip


def plain_trl(arguments: argparse.Namespace, model: Any, tokenizer: Any, out: Path) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import DPOConfig, DPOTrainer

    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules="all-linear")
    how = {"gradient_checkpointing": not arguments.keep_activations, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    config = DPOConfig(output_dir=str(out), **options(arguments), **how)
    return DPOTrainer(model=model, args=config, train_dataset=Dataset.from_list(texts(arguments)), processing_class=tokenizer, peft_config=lora)


def guardmed_dpo(arguments: argparse.Namespace, model: Any, tokenizer: Any, out: Path) -> Any:
    """What ``guardmed align dpo`` makes of pairs, without its evaluations before and after."""
    from guardmed.align.dpo import dpo_trainer
    from guardmed.align.pairs import PreferencePair
    from guardmed.align.settings import LoraSettings, StageSettings
    from guardmed.align.templates import give_template
    from guardmed.align.training import Trainee, lora_config

    give_template(tokenizer)
    if not arguments.keep_activations:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trainee = Trainee(model, tokenizer)
    pairs = [
        PreferencePair(
            id=str(index),
            prompt=row["prompt"],
            lang="en",
            harmful=True,
            chosen=row["chosen"].strip(),
            rejected=row["rejected"].strip(),
            topic=str(index),
            source="benchmark",
        )
        for index, row in enumerate(texts(arguments))
    ]
    lora = lora_config(trainee, LoraSettings(rank=RANK, alpha=2 * RANK))
    return dpo_trainer(trainee, pairs, StageSettings(arguments=options(arguments)), lora=lora, out=out, seed=0)


TRAINERS = {"guardmed": guardmed_dpo, "trl": plain_trl}

if __name__ == "__main__":
    main()
