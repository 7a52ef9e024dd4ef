"""One stage of alignment from end to end: measure, train, save, measure again, and write down what was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from guardmed.align.card import model_card
from guardmed.align.dpo import dpo_trainer
from guardmed.align.evaluate import BaseAnswers, Measured, Suite, accuracy_change, base_answers, load_suite, measure, side_by_side
from guardmed.align.grpo import grpo_trainer
from guardmed.align.hinting import hint_of, hinted
from guardmed.align.pairs import PreferencePair
from guardmed.align.ppo import ppo_trainer
from guardmed.align.probe import Watch
from guardmed.align.results import RUN, AlignRun, DataUsed, Point, Rate, Stage, write_run
from guardmed.align.reward import REWARD, check_reward, hold_out, ranked_right, reward_trainer, save_reward
from guardmed.align.settings import AlignSettings, EvaluateSettings, HintSettings, StageSettings
from guardmed.align.sft import sft_trainer
from guardmed.audit.store import answer_store
from guardmed.errors import DataError, UsageError
from guardmed.files import digest_value, writable, write_text
from guardmed.models import LanguageModel, load_model
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.policy import Policy
from guardmed.resources import cache_folder
from guardmed.version import VERSION, installed

# Told what is being done, how much of it is done, and how much there is to do.
Tell = Callable[[str, int, int], None]
# What a run does not depend on, or what names a folder.
_PLACES = frozenset({"output_dir", "logging_dir", "run_name", "report_to", "disable_tqdm", "hub_token", "push_to_hub_token"})
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def run_stage(
    stage: Stage,
    model: str,
    rows: Sequence[PreferencePair],
    settings: AlignSettings,
    *,
    out: Path,
    policy: Policy,
    data: str,
    adapter: Path | None = None,
    terms: list[str] | None = None,
    reward: Path | None = None,
    against: str | None = None,
    resume: bool = False,
    tell: Tell | None = None,
) -> AlignRun:
    """Train a model and write a run folder.

    Parameters
    ----------
    stage : {"sft", "reward", "dpo", "ppo", "grpo"}
    model : str
        Specification of what training begins from.
    rows : sequence of PreferencePair
    settings : AlignSettings
    out : Path
        Gets ``adapter``, ``checkpoint`` (``reward`` for a reward model), ``run.json`` and the checkpoint's card.
    policy : Policy
        Judges answers; for ``grpo`` it is the reward.
    data : str
        What the pairs are called.
    adapter : Path, optional
        LoRA adapter to merge before training.
    terms : list of str, optional
        New words for the vocabulary.
    reward : Path, optional
        Folder of a reward model, for ``ppo``.
    against : str, optional
        Specification of the model that the result is compared with, where that is not what training begins from.
    resume : bool
        Go on from the newest whole training state.
    tell : callable, optional

    Raises
    ------
    DataError
        There is nothing to train on.
    UsageError, ModelError
        PPO has no reward model, or a reward model is to be probed for answers.
    """
    from transformers import PrinterCallback, set_seed

    from guardmed.align.training import curve, load_trainee, lora_config, save_checkpoint, train

    told = tell or (lambda title, done, total: None)
    if stage == "reward":
        rows, settings = hold_out(rows), _without_answers(settings)
    if stage == "ppo":
        check_reward(reward)
    if not any(row.split == "train" for row in rows):
        raise DataError(f"{data} holds no rows to train on.", mend="Make pairs: guardmed align pairs.")
    writable(out)
    own: StageSettings = getattr(settings, stage)
    started = time.perf_counter()
    before = look_before(against or model, None if against else adapter, settings, policy, told)
    set_seed(settings.seed)  # adapters are drawn before TRL would set it
    trainee = load_trainee(model, adapter=adapter, settings=settings.load, terms=terms)
    if trainee.hint is None and settings.hint is not None:
        trainee.hint = hint_of(policy, settings.hint)
    began, asked = trainee.fingerprint or before.fingerprint, rows
    if trainee.hint is not None:
        asked = hinted(rows, trainee.hint, share=(settings.hint or HintSettings()).share, seed=settings.seed)
    watch = Watch(rows, policy, trainee.tokenizer, own.probe, hint=trainee.hint, advance=lambda done, total: told("Training", done, total))
    makers: dict[Stage, Callable[..., Any]] = {
        "sft": sft_trainer,
        "reward": reward_trainer,
        "dpo": dpo_trainer,
        "ppo": partial(ppo_trainer, reward=reward),
        "grpo": partial(grpo_trainer, policy=policy),
    }
    training = [row for row in asked if row.split == "train"]
    trainer = makers[stage](trainee, training, own, lora=lora_config(trainee, settings.lora), out=out, seed=settings.seed, watch=watch)
    trainer.remove_callback(PrinterCallback)  # standard output is for results
    learning, every = trainee.trainable, trainee.parameters
    train(trainer, out=out, resume=resume)
    watch.restore(trainee.model)
    judge = {"reward_fingerprint": fingerprint_folder(reward)} if stage == "ppo" and reward else {}
    points, steps, used = curve(trainer), int(trainer.state.global_step), len(trainer.train_dataset)
    told_arguments = plain_arguments(trainer.args)
    del trainer
    (out / RUN).unlink(missing_ok=True)  # where it stands, the checkpoint beside it is the one it tells of
    if stage == "reward":
        points = _with_rate(points, ranked_right(trainee.model, trainee.tokenizer, [row for row in asked if row.split == "validation"]), steps)
        save_reward(trainee, out)
    else:
        save_checkpoint(trainee, out)
    del trainee
    folder = REWARD if stage == "reward" else "checkpoint"
    after = look_after(out / folder, before, settings, policy, told)
    run = AlignRun(
        stage=stage,
        model=model,
        adapter=str(adapter) if adapter else None,
        base_fingerprint=began,
        against=against,
        settings={
            **settings.model_dump(mode="json", include={"policy", "lora", "load", "hint", "evaluate"}),
            stage: {"probe": own.probe.model_dump(mode="json"), "arguments": told_arguments, **judge},
        },
        seed=settings.seed,
        versions={"guardmed": VERSION, **installed(_LIBRARIES)},
        data=DataUsed(name=data, digest=digest_value([row.model_dump(mode="json") for row in rows]), examples=used),
        steps=steps,
        seconds=time.perf_counter() - started,
        trainable=learning,
        parameters=every,
        stopped=watch.stopped,
        curve=points,
        probes=tuple(watch.probes),
        before=before.measured.figures if before.measured else None,
        after=after.figures if after else None,
        change=accuracy_change(before.measured, after) if before.measured and after else None,
        samples=side_by_side(before.suite, before.measured, after, settings.evaluate.samples) if before.measured and after else (),
        checkpoint=None if stage == "reward" else folder,
    )
    write_run(run, out)
    write_text(out / folder / "README.md", model_card(run))
    return run


def _without_answers(settings: AlignSettings) -> AlignSettings:
    """Settings of a model that writes no answers: there is nothing to probe, and no conduct to measure."""
    if settings.reward.probe.every:
        raise UsageError("A reward model writes no answers to look at.", mend="Leave reward.probe.every at 0.")
    return settings.model_copy(update={"evaluate": EvaluateSettings(prompts=0, questions=0, samples=0)})


def _with_rate(points: tuple[Point, ...], rate: Rate | None, step: int) -> tuple[Point, ...]:
    """A reward model's curve, with what it was scored on at the end."""
    if rate is None:
        return points
    *rest, last = points or (Point(step=step, values={}),)
    return (*rest, last.model_copy(update={"values": {**last.values, **{f"held_out/{name}": float(value) for name, value in rate.model_dump().items()}}}))


@dataclass(frozen=True)
class Before:
    """The base, measured: what the result is compared with."""

    fingerprint: str
    suite: Suite
    answers: BaseAnswers | None
    measured: Measured | None


def look_before(model: str, adapter: Path | None, settings: AlignSettings, policy: Policy, told: Tell) -> Before:
    """Measure what training begins from; where nothing is to be asked, its fingerprint is all."""
    loaded = load_model(model, adapter=adapter)
    suite = load_suite(settings.evaluate, seed=settings.seed)
    if not suite.rows and not suite.items:
        return Before(loaded.fingerprint, suite, None, None)
    answers = base_answers(loaded, suite, seed=settings.seed)
    return Before(loaded.fingerprint, suite, answers, _measured(loaded, suite, settings, policy, answers, "Before", told))


def look_after(checkpoint: Path, before: Before, settings: AlignSettings, policy: Policy, told: Tell) -> Measured | None:
    """Measure the checkpoint as it was written."""
    if before.measured is None:
        return None
    return _measured(load_model(str(checkpoint)), before.suite, settings, policy, before.answers, "After", told)


def _measured(model: LanguageModel, suite: Suite, settings: AlignSettings, policy: Policy, answers: BaseAnswers | None, title: str, told: Tell) -> Measured:
    # The journal is the gate's own, so that neither asks what the other has asked.
    with answer_store(cache_folder("gate"), model.fingerprint[:24]) as store:
        return measure(model, suite, settings.evaluate, policy=policy, store=store, base=answers, advance=lambda done, total: told(title, done, total))


def plain_arguments(arguments: Any) -> dict[str, Any]:
    """A trainer's arguments that differ from TRL's defaults, as JSON, without places on this machine."""
    import dataclasses

    out = {}
    for field in dataclasses.fields(arguments):
        value = getattr(arguments, field.name)
        value = getattr(value, "value", value)
        if field.name not in _PLACES and value != field.default and (value is None or isinstance(value, (bool, int, float, str, list))):
            out[field.name] = value
    return out
