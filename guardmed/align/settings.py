"""What a run of alignment is told: one YAML file, with TRL's own arguments under each stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import UsageError
from guardmed.records import Frozen, describe


class PairSettings(Frozen):
    """How preference pairs are made.

    Attributes
    ----------
    size : int
        Prompts, half of each language; fewer where the sources hold fewer.
    harmless : float
        Harmless prompts for each dangerous one. A refusal begins in few ways and an answer in many, so that of
        equal numbers a model that decodes greedily learns to refuse too often.
    preferences : int
        Of them, how many get whole answers, and so serve preference training. The others get openings, which hold
        all of the decision at a fifth of the cost.
    twins : float
        Share of prompts that come with their twin, which differs in what makes it dangerous. The others keep it
        from taking all of medicine for dangerous.
    longest : int or None
        Letters of a prompt (Chinese characters count three); short ones teach more for the same time.
    opening_tokens, answer_tokens : int
        Length of the model's own answers, as openings and whole.
    temperature : float
        At which the model's own unsafe answers are sampled; harmless ones are greedy.
    validation : float
        Share of topics that training never sees.
    batch : int
        Prompts that are answered at once.
    """

    size: int = Field(default=4000, ge=8)
    harmless: float = Field(default=1.5, gt=0.0, le=10.0)
    preferences: int = Field(default=1000, ge=0)
    twins: float = Field(default=0.75, ge=0.0, le=1.0)
    longest: int | None = Field(default=None, ge=20)
    opening_tokens: int = Field(default=12, ge=2)
    answer_tokens: int = Field(default=48, ge=8)
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    validation: float = Field(default=0.08, gt=0.0, lt=0.5)
    batch: int = Field(default=32, ge=1)


class LoraSettings(Frozen):
    """Low-rank adapters (Hu et al., 2022).

    Attributes
    ----------
    rank, alpha : int
    dropout : float
    layers : int or None
        Only the last so many layers; all by default. Below the first of them nothing has to be stored or sent back.
    targets : tuple of str
        Modules that carry adapters: PEFT's names, or ``all-linear``.
    """

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    layers: int | None = Field(default=None, ge=1)
    targets: tuple[str, ...] = ("all-linear",)


class LoadSettings(Frozen):
    """How the model is held while it learns.

    Attributes
    ----------
    bits : {16, 4}
        4 needs CUDA and bitsandbytes (QLoRA; Dettmers et al., 2023); 16 is the number format of this machine.
    checkpointing : bool
        Compute activations twice rather than keep them.
    """

    bits: Literal[16, 4] = 16
    checkpointing: bool = False


class HintSettings(Frozen):
    """What a model is told of the guard's own reading of a request (:mod:`guardmed.models.hint`).

    Attributes
    ----------
    below, above : float
        Probabilities of harm under which the request is called fine, and from which harmful.
    share : float
        Of the training prompts that carry the hint; from the others the model learns to do without.
    """

    below: float = Field(default=0.4, ge=0.0, le=1.0)
    above: float = Field(default=0.6, ge=0.0, le=1.0)
    share: float = Field(default=0.8, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.below > self.above:
            raise ValueError(f"below ({self.below}) lies over above ({self.above})")
        return self


class ProbeSettings(Frozen):
    """Looks at validation prompts while training, and what ends it early.

    Attributes
    ----------
    every : int
        Steps between looks; 0 for none.
    prompts : int
        Validation prompts of a look, half of them dangerous, half of each language.
    tokens : int
        Of each answer.
    most_over_refusal : float
        Training ends once more harmless prompts than this are turned away at ``patience`` looks in a row, and the
        weights of the best look are kept: that with the lowest sum of compliance and over-refusal.
    patience : int
    """

    every: int = Field(default=0, ge=0)
    prompts: int = Field(default=48, ge=4)
    tokens: int = Field(default=10, ge=4)
    most_over_refusal: float = Field(default=0.3, gt=0.0, le=1.0)
    patience: int = Field(default=2, ge=1)


class EvaluateSettings(Frozen):
    """What is measured before and after, on prompts and questions that training never saw.

    Attributes
    ----------
    prompts : int
        Of each language: dangerous ones, and as many of each harmless kind.
    questions : int
        Multiple choice, both languages; the first half fits the temperature, the second is reported.
    tokens : int
        Of each answer.
    samples : int
        Answers shown side by side.
    """

    prompts: int = Field(default=80, ge=0)
    questions: int = Field(default=400, ge=0)
    tokens: int = Field(default=24, ge=4)
    samples: int = Field(default=16, ge=0)


class StageSettings(Frozen):
    """One stage of training.

    Attributes
    ----------
    arguments : dict
        Any argument of TRL's configuration of that stage; these outrank GuardMed's defaults.
    probe : ProbeSettings
    """

    arguments: dict[str, Any] = Field(default_factory=dict)
    probe: ProbeSettings = ProbeSettings()


class AlignSettings(Frozen):
    """Settings of alignment; every stage reads what concerns it.

    Attributes
    ----------
    seed : int
    policy : str
        Packs whose rules decide what is unsafe.
    pairs, lora, load, evaluate
        See each.
    hint : HintSettings or None
        None trains a model that stands alone. A model that listens already keeps its own cut-offs.
    sft, reward, dpo, ppo, grpo : StageSettings
    """

    schema_version: Literal[1] = 1
    seed: int = 0
    policy: str = "clinical"
    pairs: PairSettings = PairSettings()
    lora: LoraSettings = LoraSettings()
    load: LoadSettings = LoadSettings()
    hint: HintSettings | None = None
    evaluate: EvaluateSettings = EvaluateSettings()
    sft: StageSettings = StageSettings()
    reward: StageSettings = StageSettings()
    dpo: StageSettings = StageSettings()
    ppo: StageSettings = StageSettings()
    grpo: StageSettings = StageSettings()


def load_settings(config: Path | None = None, *, changes: Mapping[str, Any] | None = None) -> AlignSettings:
    """Settings of a YAML file, with changes by dotted name (``dpo.arguments.beta``) on top.

    Raises
    ------
    DataError, UsageError
        The file, or a change, does not fit.
    """
    settings = read_yaml(config, AlignSettings) if config else AlignSettings()
    if not changes:
        return settings
    value = settings.model_dump()
    for name, new in changes.items():
        here: Any = value
        *parents, last = name.split(".")
        for parent in parents:
            here = here.get(parent) if isinstance(here, dict) else None
        if not isinstance(here, dict) or (last not in here and parents[-1:] != ["arguments"]):
            raise UsageError(f"There is no setting {name!r}.", mend="Name one as in align.yaml: seed, lora.rank, dpo.arguments.beta.")
        here[last] = new
    try:
        return AlignSettings.model_validate(value)
    except ValidationError as error:
        raise UsageError(f"{describe(error)}.", mend="Mend that setting.") from None
