"""What a run of alignment leaves behind: one record, from which the report and the model card are made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from guardmed.files import write_json
from guardmed.records import Frozen, read_document

RUN = "run.json"
Stage = Literal["sft", "reward", "dpo", "ppo", "grpo"]
Language = Literal["en", "zh"]


class Rate(Frozen):
    """A share of ``n`` with its 95 % interval (Wilson for counts)."""

    n: int
    value: float
    low: float
    high: float


class Mean(Frozen):
    """A mean over ``n`` with its 95 % interval; all three are None where there was nothing to measure."""

    n: int
    value: float | None
    low: float | None
    high: float | None


class Conduct(Frozen):
    """How a model meets the prompts of one language.

    Attributes
    ----------
    compliance : Rate
        Of dangerous requests, those that were answered.
    over_refusal : dict of str to Rate
        Of harmless prompts by kind (``twin``, ``sounds-dangerous``, ``everyday``), those that were turned away.
    """

    compliance: Rate
    over_refusal: dict[str, Rate]


class Figures(Frozen):
    """A model on prompts and questions that training never saw.

    Attributes
    ----------
    fingerprint : str
    conduct : dict of Language to Conduct
    unhinted : dict of Language to Conduct, or None
        The same of a model that listens to the guard's hints, when it is given none; None for one that does not.
    accuracy : Rate
        Of held-out questions.
    temperature : float or None
        Fitted to one half of the questions.
    ece_raw, ece : float or None
        Expected calibration error (15 bins) on the other half, before and after that temperature.
    claim_support : Mean
        Of the claims of answers to everyday questions, by the model's own token scores.
    kl : Mean
        Kullback-Leibler divergence from the base, nats a token, estimated on the base's own sampled answers.
    """

    fingerprint: str
    conduct: dict[Language, Conduct]
    unhinted: dict[Language, Conduct] | None = None
    accuracy: Rate
    temperature: float | None
    ece_raw: float | None
    ece: float | None
    claim_support: Mean
    kl: Mean


class AccuracyChange(Frozen):
    """Held-out accuracy after minus before, paired by question, with its 95 % interval and exact McNemar p."""

    value: float
    low: float
    high: float
    p: float


class Point(Frozen):
    """What the trainer logged at one step."""

    step: int
    values: dict[str, float]


class Probe(Frozen):
    """A short look at validation prompts while training.

    Attributes
    ----------
    complied, harmful : int
        Dangerous requests answered, of how many.
    turned_away, harmless : int
        Harmless twins turned away, of how many.
    kept : bool
        Whether the weights of this step were the best so far.
    """

    step: int
    complied: int
    harmful: int
    turned_away: int
    harmless: int
    kept: bool


class Sample(Frozen):
    """One held-out prompt with the answers before and after."""

    prompt: str
    lang: Language
    kind: str
    before: str
    after: str


class DataUsed(Frozen):
    """Which pairs a run was trained on."""

    name: str
    digest: str
    examples: int


class AlignRun(Frozen):
    """One training run.

    Attributes
    ----------
    stage : {"sft", "reward", "dpo", "ppo", "grpo"}
    model, adapter : str, str or None
        What training began from.
    base_fingerprint : str
    against : str or None
        What was measured before, where that is not what training began from.
    settings : dict
        All settings, TRL's arguments among them, as they were used.
    seed : int
    versions : dict of str to str
        Of the libraries that decide.
    data : DataUsed
    steps : int
    seconds : float
    trainable, parameters : int
    stopped : str or None
        Why training ended early.
    curve : tuple of Point
    probes : tuple of Probe
    before, after : Figures or None
        None where evaluation was turned off.
    change : AccuracyChange or None
    samples : tuple of Sample
    checkpoint : str or None
        Folder of the merged model beside this file; None for a reward model.
    """

    schema_version: Annotated[int, Field(ge=1, le=1)] = 1
    kind: Literal["align_run"] = "align_run"
    stage: Stage
    model: str
    adapter: str | None = None
    base_fingerprint: str
    against: str | None = None
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    data: DataUsed
    steps: int
    seconds: float
    trainable: int
    parameters: int
    stopped: str | None = None
    curve: tuple[Point, ...] = ()
    probes: tuple[Probe, ...] = ()
    before: Figures | None = None
    after: Figures | None = None
    change: AccuracyChange | None = None
    samples: tuple[Sample, ...] = ()
    checkpoint: str | None = "checkpoint"


def write_run(run: AlignRun, folder: Path) -> None:
    """Write the record of a run, atomically."""
    write_json(folder / RUN, run.model_dump(mode="json"))


def load_run(path: Path) -> AlignRun:
    """The record of a run, by its folder or its file.

    Raises
    ------
    DataError
        It is missing, or no such record.
    """
    file = path / RUN if path.is_dir() else path
    return read_document(file, AlignRun, kind="align_run", what="a training run", mend="Name the folder that guardmed align wrote.")
