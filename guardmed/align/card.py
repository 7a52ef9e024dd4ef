"""The README of an aligned checkpoint: a model card as the Hugging Face hub reads it, with every figure's n and interval.

See ``ModelCardData`` and ``model_index_to_eval_results`` in ``huggingface_hub`` and the hub's "Model Cards" guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from guardmed.align.report import KINDS, LANGUAGES, STAGES, duration, figures_table, trained, verdict
from guardmed.align.results import AlignRun, Figures, Language, Rate, Stage
from guardmed.gate.emit.words import figure, name_of, plain
from guardmed.reporting import Block, Page, Points, Prose, Section

# The hub's name of the reference model.
_HUB = {"reference": "google/gemma-3-270m"}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_METHODS: Mapping[Stage, str] = {
    "sft": "supervised fine-tuning on written answers",
    "reward": "training of a reward model on pairs of answers",
    "dpo": "direct preference optimisation on pairs of answers (Rafailov et al., 2023)",
    "ppo": "proximal policy optimisation against a trained reward model (Schulman et al., 2017)",
    "grpo": "group relative policy optimisation with the guard's verdict as reward (Shao et al., 2024)",
}
_DATASETS: Mapping[Language, str] = {lang: f"GuardMed held-out prompts, {language}" for lang, language in LANGUAGES.items()}
_LIMITS = (
    "This is not a medical device. It must not diagnose, prescribe, or stand in for a clinician.",
    "The figures hold for the prompts and questions that were asked, in those languages and in those words. Other wording, longer conversations and attacks "
    "were not measured here.",
    "Whether an answer refuses is read from its words; an answer that counts as safe may still be wrong.",
    "Training lowers a rate and does not make it zero. A guard is still needed around this model.",
    "Calibration belongs to these very weights: fit it again after any further training, merging or quantisation.",
)


def model_card(run: AlignRun) -> str:
    """README.md of a run's checkpoint: YAML front matter, then what it is, how it was made, what was measured and what it can't do.

    Paths on this machine become names, as the card is there to be published.

    Parameters
    ----------
    run : AlignRun
        Its figures after training become ``model-index``; without them there is none.

    Returns
    -------
    str
        Markdown that ``huggingface_hub.ModelCard`` reads.
    """
    front = yaml.safe_dump(_metadata(run), allow_unicode=True, sort_keys=False, width=120)
    return f"---\n{front}---\n\n{_page(run).markdown()}"


def _metadata(run: AlignRun) -> dict[str, Any]:
    languages = [lang for lang in LANGUAGES if run.after is None or lang in run.after.conduct]
    task = {} if run.stage == "reward" else {"pipeline_tag": "text-generation"}
    fields: dict[str, Any] = {
        "base_model": _base(run),
        "library_name": "transformers",
        **task,
        "tags": ["guardmed", "medical", "safety", "alignment", "trl", run.stage],
        "language": languages,
    }
    results = [] if run.after is None else _results(run.after, run.before)
    return {**fields, "model-index": [{"name": _name(run), "results": results}]} if results else fields


def _results(after: Figures, before: Figures | None) -> list[dict[str, Any]]:
    """One entry for the prompts of each language, and one for the questions."""
    entries = []
    for lang, conduct in after.conduct.items():
        earlier = before.conduct.get(lang) if before else None
        metrics = [_rate("harmful_compliance", "Harmful compliance", conduct.compliance, earlier.compliance if earlier else None)]
        for kind, rate in conduct.over_refusal.items():
            metrics.append(_rate("over_refusal", f"Over-refusal, {KINDS.get(kind, kind)}", rate, earlier.over_refusal.get(kind) if earlier else None))
        entries.append(_entry(_DATASETS[lang], f"guardmed-align/prompts-{lang}", after.fingerprint, metrics))
    for lang, conduct in (after.unhinted or {}).items():
        told = [_rate("harmful_compliance", "Harmful compliance without hints", conduct.compliance, None)]
        told += [_rate("over_refusal", f"Over-refusal without hints, {KINDS.get(kind, kind)}", rate, None) for kind, rate in conduct.over_refusal.items()]
        entries.append(_entry(f"{_DATASETS[lang]}, without the guard's hints", f"guardmed-align/prompts-{lang}-unhinted", after.fingerprint, told))
    metrics = [_rate("accuracy", "Accuracy", after.accuracy, before.accuracy if before else None)]
    for name, value, temperature in (("ECE as it comes", after.ece_raw, 1.0), ("ECE after temperature scaling", after.ece, after.temperature)):
        if value is not None:
            args = {"bins": 15, "temperature": _rounded(temperature)}
            metrics.append({"type": "expected_calibration_error", "name": f"{name} (no interval)", "value": _rounded(value), "args": args})
    entries.append(_entry("GuardMed held-out questions", "guardmed-align/questions", after.fingerprint, metrics))
    return [entry for entry in entries if entry["metrics"]]


def _entry(name: str, kind: str, fingerprint: str, metrics: list[dict[str, Any] | None]) -> dict[str, Any]:
    # The hub takes a source only with an address, so what was measured stands here.
    dataset = {"name": name, "type": kind, "args": {"model_fingerprint": fingerprint}}
    return {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": [metric for metric in metrics if metric is not None]}


def _rate(kind: str, name: str, rate: Rate, before: Rate | None) -> dict[str, Any] | None:
    """A share with its interval in its name, which the hub shows, and in its arguments; None where nothing was asked."""
    if not rate.n:
        return None
    args: dict[str, Any] = {"n": rate.n, "ci": [_rounded(rate.low), _rounded(rate.high)], "confidence": 0.95}
    if before is not None and before.n:
        args["before"] = {"value": _rounded(before.value), "n": before.n, "ci": [_rounded(before.low), _rounded(before.high)]}
    told = f"{name} (95 % interval {rate.low:.3f} to {rate.high:.3f}, n {rate.n})"
    return {"type": kind, "name": told, "value": _rounded(rate.value), "args": args}


def _page(run: AlignRun) -> Page:
    base = _base(run)
    how = [
        f"Method: {_METHODS[run.stage]}, with TRL{' and LoRA adapters' if run.trainable < run.parameters else ''}; {trained(run)} parameters were trained.",
        f"Data: {name_of(run.data.name)}, {run.data.examples} examples, digest `{run.data.digest}`.",
        f"{run.steps} steps in {duration(run.seconds)}, seed {run.seed}." + (f" Stopped early: {plain(run.stopped)}" if run.stopped else ""),
        f"Fingerprint of the base: `{run.base_fingerprint}`.",
    ]
    if run.adapter:
        how.append(f"Training began from an adapter on that base: {name_of(run.adapter)}.")
    if run.versions:
        how.append("Versions: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()) + ".")
    sections = [
        Section("What it is", [Prose(_what(run, base)), Prose(_licence(base))]),
        Section("How it was trained", [Points(how)]),
        Section("What was measured", _measured(run)),
        Section("Limits", [Points(_LIMITS)]),
    ]
    if run.stage != "reward":
        sections.append(Section("How to use it", [Prose(_USE)]))
    return Page(title=_name(run), subtitle=f"{base}, aligned with GuardMed ({STAGES[run.stage]}).", sections=sections)


def _what(run: AlignRun, base: str) -> str:
    if run.stage == "reward":
        return f"A reward model that starts from `{base}`. It scores answers to medical prompts for training by PPO; it does not write any."
    return (
        f"`{base}`, trained to refuse dangerous medical requests, and only those: harmless prompts that look alike are to be answered as before. "
        "It was not trained to know more medicine than its base."
    ) + (_LISTENS if run.after and run.after.unhinted else "")


def _licence(base: str) -> str:
    place = "" if _HUB_ID.fullmatch(base) else f" Before you publish it, put the hub's id of the base in place of `{base}` under `base_model`."
    return f"The licence of the base holds for these weights as well; name it under `license`.{place}"


def _measured(run: AlignRun) -> list[Block]:
    if run.after is None:
        return [Prose("Nothing was measured after training, so nothing is known of what it did.")]
    asked = "On prompts and questions kept out of training, with 95 % intervals and the number of prompts or questions."
    told = verdict([run])
    said = [Prose(f"{told.word}. {told.sentence}")] if run.before else []
    return [Prose(asked), *said, figures_table([run])]


def _base(run: AlignRun) -> str:
    return _HUB.get(run.model, name_of(run.model))


def _name(run: AlignRun) -> str:
    """The base's last name and the stage; folders called checkpoint are told apart by the one above."""
    parts = _base(run).removesuffix("/checkpoint").rsplit("/", 1)
    return f"{parts[-1]}-{run.stage}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else figure(value)


_LISTENS = (
    " It listens to hints: GuardMed's intent model (`intent.npz`, `hint.json`) reads each request first and, where it is sure, begins the answer with a sign: "
    "⚠ for harm, ✓ for none. Run elsewhere, it reads no hints and refuses less; the figures without hints say how much less."
)
_USE = """Keep a guard around it:

```python
import guardmed

model = guardmed.GuardedModel.from_pretrained("path/to/this/folder", policy="clinical")
answer = model.generate("Can I take 8 g of paracetamol a day?")
answer.decision, answer.text
```

And let the gate judge these weights before they are used: `guardmed gate path/to/this/folder`."""
