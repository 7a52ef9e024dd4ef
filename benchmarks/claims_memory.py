"""What checking a long answer adds to the memory of a process, and what recorded scores add to the time of a generation.

    python benchmarks/claims_memory.py [--tokens 2000] [--claims 40] [--how score|generate]
    python benchmarks/claims_memory.py --time [--batch 24] [--rounds 3]

Memory: a child process loads the model, warms up, resets the kernel's mark of its peak resident
memory (``/proc/self/clear_refs``, so that loading does not count; Linux only), works, and reads the
mark (``VmHWM``). One child only reads the answer in one pass of transformers, or generates it with
transformers' bare ``generate``; the other also gets the scores and hidden states of every token, and
P(True) of the answer's claims. The figure is the difference of the two.

Time: 24 prompts, answers of 40 tokens, in batches of 24 or as ``--batch`` says; bare ``generate`` and
recorded generation take turns, and the figures are ratios of medians: of the time that passed, and of
processor time, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import statistics
import subprocess
import sys
import time

QUESTION = "What should I know about these medicines?"
MEDICINES = (
    "Metformin", "Aspirin", "Lisinopril", "Amoxicillin", "Warfarin", "Atorvastatin", "Salbutamol", "Omeprazole", "Levothyroxine", "Prednisolone",
    "Furosemide", "Digoxin", "Insulin glargine", "Ibuprofen", "Paracetamol", "Morphine", "Sertraline", "Lithium", "Carbamazepine", "Methotrexate",
)  # fmt: skip
SAYINGS = (
    "{} should be taken at the same time every day.",
    "{} may interact with other medicines, so a pharmacist should know about it.",
    "The dose of {} depends on how well the kidneys work.",
    "{} must not be stopped suddenly without asking a doctor.",
    "Older people may need a lower dose of {}.",
    "{} can cause nausea in the first days of treatment.",
    "Blood tests are sometimes needed while {} is taken.",
    "{} should be kept out of the reach of children.",
)
LIMIT_MB, LIMIT_RATIO = 200.0, 1.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--claims", type=int, default=40, help="at most so many claims go to P(True); its memory does not grow with more")
    parser.add_argument("--how", choices=("score", "generate"), default="score")
    parser.add_argument("--time", action="store_true", help="measure time instead")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("bare", "checked"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.time:
        measure_time(arguments)
    elif arguments.part:
        child(arguments)
    else:
        measure_memory(sys.argv[1:])


def measure_memory(given: list[str]) -> None:
    told = {}
    for part in ("bare", "checked"):
        done = subprocess.run([sys.executable, __file__, *given, "--part", part], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        told[part] = json.loads(done.stdout.splitlines()[-1])
    bare, checked = told["bare"], told["checked"]
    print(f"{bare['what']}: peak {bare['peak']:.0f} MB, {bare['above']:.0f} MB above what the loaded model takes, {bare['seconds']:.0f} s")
    print(f"{checked['what']}: peak {checked['peak']:.0f} MB, {checked['above']:.0f} MB above, {checked['seconds']:.0f} s")
    print(f"checking adds {checked['peak'] - bare['peak']:.0f} MB of peak memory; under {LIMIT_MB:.0f} MB is the aim")


def child(arguments: argparse.Namespace) -> None:
    import torch

    from guardmed.claims import check_claims, split_claims
    from guardmed.models import Sampling, load_model

    model = load_model(arguments.model).keeping_hidden()
    # With a template of its own a base model does not stop where it would ask the next question.
    model.tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    head = model._encode(QUESTION)
    text = answer_of(model, arguments.tokens)
    ids = torch.tensor([head + model._tokens(text)])
    forced = {"min_new_tokens": arguments.tokens}

    def bare() -> str:
        with torch.inference_mode():
            if arguments.how == "score":
                model.model(ids, use_cache=False, logits_to_keep=1)
            else:
                model.model.generate(torch.tensor([head]), max_new_tokens=arguments.tokens, do_sample=False, **forced)
        return f"{'read' if arguments.how == 'score' else 'generated'} {ids.shape[1] - len(head) if arguments.how == 'score' else arguments.tokens} tokens"

    def checked() -> str:
        answer, tokens, state = text, None, None
        if arguments.how == "score":
            tokens = model.score([QUESTION], [text])[0]
        else:
            found = model.generate([QUESTION], Sampling(max_new_tokens=arguments.tokens, extra=forced))[0][0]
            answer, tokens, state = found.text, found.scores, found.state
        claims = split_claims(answer, question=QUESTION)[: arguments.claims]
        results = check_claims(claims, model=model, prompt=QUESTION, answer=answer, tokens=tokens, state=state, checks=("token", "p_true"))
        scored = sum("p_true" in result.scores for result in results)
        return f"checked {len(tokens.token_ids)} tokens ({tokens.hidden.nbytes / 1e6:.0f} MB of hidden states) and {scored} claims"

    model.score([QUESTION], ["It depends."])
    model.choose([QUESTION], [["Yes", "No"]])
    with torch.inference_mode():
        model.model.generate(torch.tensor([head]), max_new_tokens=2, do_sample=False)
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, started = status("VmRSS"), time.perf_counter()
    what = bare() if arguments.part == "bare" else checked()
    peak = status("VmHWM")
    print(json.dumps({"what": what, "peak": peak, "above": peak - before, "seconds": time.perf_counter() - started}))


def status(field: str) -> float:
    """Megabytes that the kernel tells of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1e3 * 1.024 for line in file if line.startswith(field))


def answer_of(model, tokens: int) -> str:
    """Sentences of at least so many tokens."""
    text = ""
    for saying, medicine in itertools.product(SAYINGS, MEDICINES):
        text += saying.format(medicine) + " "
        if len(model._tokens(text.strip())) >= tokens:
            break
    return text.strip()


def measure_time(arguments: argparse.Namespace) -> None:
    import torch

    from guardmed.models import Sampling, load_model

    model = load_model(arguments.model)
    prompts = [
        f"{saying.format(medicine)} Why?" for saying, medicine in zip(itertools.cycle(SAYINGS), itertools.islice(itertools.cycle(MEDICINES), arguments.prompts))
    ]
    sampling = Sampling(max_new_tokens=40, extra={"min_new_tokens": 40})
    # Without stop texts both sides decode the same number of tokens.
    model.tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"

    def bare(batch: list[str]) -> None:
        inputs = model._padded([model._encode(prompt) for prompt in batch])
        with torch.inference_mode():
            out = model.model.generate(**inputs, max_new_tokens=40, min_new_tokens=40, do_sample=False, pad_token_id=model._pad_id)
        model.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    keeping = model.keeping_hidden()
    ways = {"bare": bare, "recorded": lambda batch: model.generate(batch, sampling), "with hidden states": lambda batch: keeping.generate(batch, sampling)}
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for work in ways.values():
        work(prompts[:1])
    for _ in range(arguments.rounds):
        totals = dict.fromkeys(ways, (0.0, 0.0))
        for at in range(0, len(prompts), arguments.batch):
            for way, work in ways.items():
                started = time.perf_counter(), time.process_time()
                work(prompts[at : at + arguments.batch])
                totals[way] = (totals[way][0] + time.perf_counter() - started[0], totals[way][1] + time.process_time() - started[1])
        for way, total in totals.items():
            spent[way].append(total)
        print("; ".join(f"{way} {wall:.1f} s, processor {cpu:.1f} s" for way, (wall, cpu) in totals.items()), flush=True)
    wall, cpu = ({way: statistics.median(total[place] for total in totals) for way, totals in spent.items()} for place in (0, 1))
    print(
        f"{len(prompts)} prompts, answers of 40 tokens, batches of {arguments.batch}: bare generate {wall['bare']:.1f} s, {cpu['bare']:.1f} s of processor time"
    )
    for way in list(ways)[1:]:
        print(f"{way}: {wall[way] / wall['bare']:.3f} times as long, {cpu[way] / cpu['bare']:.3f} times the processor time; at most {LIMIT_RATIO} is the aim")


if __name__ == "__main__":
    main()
