"""What alignment did to a model: conduct, knowledge, calibration and distance, on what training never saw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from guardmed.align.conduct import answered, turned_away
from guardmed.align.results import AccuracyChange, Conduct, Figures, Language, Mean, Rate, Sample
from guardmed.align.settings import EvaluateSettings
from guardmed.audit.store import AnswerStore
from guardmed.calibration.fit import fit_temperature
from guardmed.calibration.items import Item, load_items
from guardmed.calibration.metrics import ece
from guardmed.calibration.run import Rows
from guardmed.claims.split import split_claims
from guardmed.claims.token import token_score
from guardmed.errors import CalibrationError
from guardmed.gate.asking import Asker, Subject
from guardmed.gate.bank import in_danger
from guardmed.gate.config import written_prompts
from guardmed.models.base import LanguageModel, Sampling, TokenScores
from guardmed.policy import Policy
from guardmed.records import Record, read_records
from guardmed.stats import bootstrap_mean, mcnemar_exact, paired_difference, wilson

Kind = Literal["harmful", "twin", "sounds-dangerous", "everyday"]
KINDS: tuple[Kind, ...] = ("harmful", "twin", "sounds-dangerous", "everyday")
Advance = Callable[[int, int], None]
T = TypeVar("T")
_BATCH = 32
_KL_TOKENS = 16


class _Row(Record):
    prompt: str = Field(min_length=1)
    lang: Language
    kind: Kind
    topic: str = ""


@dataclass(frozen=True)
class Suite:
    """What is asked before and after.

    Attributes
    ----------
    rows : tuple
        Prompts of every language and kind, with topic.
    items : tuple of Item
        Questions; the first half fits the temperature.
    """

    rows: tuple[_Row, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Measured:
    """Figures, and what they were counted from, so that two models can be compared item by item.

    Attributes
    ----------
    figures : Figures
    answers : tuple of str
        To the suite's prompts, in order.
    right : bool array of shape (questions,)
    """

    figures: Figures
    answers: tuple[str, ...]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class BaseAnswers:
    """What the base said at temperature 1, and how likely it was: the sample that the divergence is estimated on.

    Attributes
    ----------
    prompts, texts : tuple of str
    logprobs : tuple of float64 arrays of shape (tokens,)
    """

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    logprobs: tuple[NDArray[np.float64], ...]


def kept_aside() -> list[str]:
    """Every prompt that figures are reported on; none may be trained on."""
    return [row.prompt for file in written_prompts() for row in read_records(file, _Row)]


def load_suite(settings: EvaluateSettings, *, seed: int) -> Suite:
    """Draw prompts and questions, the same for the same seed."""
    rng = np.random.default_rng(seed)
    cells: dict[tuple[Language, Kind], list[_Row]] = defaultdict(list)
    for file in written_prompts():
        for row in read_records(file, _Row):
            cells[row.lang, row.kind].append(row)
    rows = [row for cell in cells.values() for row in _drawn(cell, settings.prompts, rng)]
    items = [item for item in load_items() if item.kind == "choice"]
    return Suite(tuple(rows), tuple(_drawn(items, settings.questions, rng)))


def _drawn(things: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    return [things[place] for place in rng.permutation(len(things))[:count]]


def base_answers(model: LanguageModel, suite: Suite, *, seed: int) -> BaseAnswers:
    """Sample the base's own answers to everyday prompts, 16 tokens each."""
    prompts = sorted((row.prompt for row in suite.rows if row.kind == "everyday"), key=len)
    kept: list[tuple[str, str]] = []
    for at in range(0, len(prompts), _BATCH):
        batch = prompts[at : at + _BATCH]
        found = model.generate(batch, Sampling(max_new_tokens=_KL_TOKENS, temperature=1.0, seed=seed))
        kept += [(prompt, one[0].text) for prompt, one in zip(batch, found, strict=True) if one[0].text.strip()]
    scores = [found.logprobs for found in _scored(model, kept)]
    return BaseAnswers(tuple(prompt for prompt, _ in kept), tuple(text for _, text in kept), tuple(scores))


def measure(
    model: LanguageModel,
    suite: Suite,
    settings: EvaluateSettings,
    *,
    policy: Policy,
    store: AnswerStore,
    base: BaseAnswers | None = None,
    advance: Advance | None = None,
) -> Measured:
    """Measure a model.

    Parameters
    ----------
    model : LanguageModel
    suite : Suite
    settings : EvaluateSettings
    policy : Policy
        Judges what answers hold.
    store : AnswerStore
        Answers that were paid for; a model that was measured before is measured from them.
    base : BaseAnswers, optional
        Of the model that training began from, for the divergence.
    advance : callable, optional
        Told how many answers of how many are there.
    """
    total = len(suite.rows) + len(suite.items)

    def tell(done: int) -> None:
        if advance:
            advance(done, total)

    asker = Asker(Subject(model.fingerprint, lambda: model), store, max_new_tokens=settings.tokens)
    found = asker.answers([row.prompt for row in suite.rows], advance=lambda done, _: tell(done))
    texts = [str(answer["text"]) for answer in found]
    rows = asker.options(suite.items, advance=lambda done, _: tell(len(suite.rows) + done)) if suite.items else Rows(np.zeros((0, 1)), np.zeros(0))
    targets = rows.targets.astype(np.int64)
    right = rows.values.argmax(axis=1) == targets
    temperature, raw, calibrated = _calibration(rows.values, targets)
    figures = Figures(
        fingerprint=model.fingerprint,
        conduct=_conduct(suite, texts, policy),
        unhinted=_unhinted(model, suite, settings, policy, store),
        accuracy=_rate(int(right.sum()), len(right)),
        temperature=temperature,
        ece_raw=raw,
        ece=calibrated,
        claim_support=_support(model, suite, texts),
        kl=_divergence(model, base),
    )
    return Measured(figures, tuple(texts), right)


def _unhinted(model: LanguageModel, suite: Suite, settings: EvaluateSettings, policy: Policy, store: AnswerStore) -> dict[Language, Conduct] | None:
    """The control: how much of its conduct a model that listens to hints keeps without them."""
    if getattr(model, "hint", None) is None:
        return None
    alone: LanguageModel = model.without_hint()  # type: ignore[attr-defined]
    asker = Asker(Subject(alone.fingerprint, lambda: alone), store, max_new_tokens=settings.tokens)
    return _conduct(suite, [str(answer["text"]) for answer in asker.answers([row.prompt for row in suite.rows])], policy)


def accuracy_change(before: Measured, after: Measured) -> AccuracyChange:
    """Accuracy after minus before, paired by question (Tango, 1998), with McNemar's exact p."""
    gained, lost = int((after.right & ~before.right).sum()), int((before.right & ~after.right).sum())
    total = len(before.right)
    interval = paired_difference(gained, lost, total)
    value = (gained - lost) / total if total else 0.0
    return AccuracyChange(value=value, low=interval.low, high=interval.high, p=mcnemar_exact(gained, lost))


def side_by_side(suite: Suite, before: Measured, after: Measured, count: int) -> tuple[Sample, ...]:
    """Some prompts with both answers, as many of each language and kind as there are places."""
    cells: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for row, old, new in zip(suite.rows, before.answers, after.answers, strict=True):
        cells[row.lang, row.kind].append(Sample(prompt=row.prompt, lang=row.lang, kind=row.kind, before=old, after=new))
    each = max(1, count // max(1, len(cells)))
    return tuple(sample for cell in cells.values() for sample in cell[:each])[:count]


def _calibration(rows: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float | None, float | None, float | None]:
    """Temperature of the first half; expected calibration error of the second before and after it."""
    half = len(targets) // 2
    if not half:
        return None, None, None

    def error(probs: NDArray[np.float64]) -> float:
        return float(ece(probs.max(axis=1), (probs.argmax(axis=1) == targets[half:]).astype(np.float64)))

    raw = error(rows[half:])
    try:
        fitted = fit_temperature(rows[:half], targets[:half])
    except CalibrationError:
        return None, raw, None
    return float(fitted.temperature), raw, error(fitted.apply(rows[half:]))


def _conduct(suite: Suite, texts: Sequence[str], policy: Policy) -> dict[Language, Conduct]:
    counts: dict[tuple[Language, Kind], list[bool]] = defaultdict(list)
    for row, text in zip(suite.rows, texts, strict=True):
        counts[row.lang, row.kind].append(answered(text, danger=in_danger(row.topic), policy=policy) if row.kind == "harmful" else turned_away(text))
    langs = dict.fromkeys(lang for lang, _ in counts)
    return {
        lang: Conduct(
            compliance=_share(counts[lang, "harmful"]),
            over_refusal={kind: _share(counts[lang, kind]) for kind in KINDS[1:]},
        )
        for lang in langs
    }


def _support(model: LanguageModel, suite: Suite, texts: Sequence[str]) -> Mean:
    """Mean token score of the claims in answers to everyday prompts; answers are what is resampled."""
    answers = [(row.prompt, text) for row, text in zip(suite.rows, texts, strict=True) if row.kind == "everyday" and text.strip()]
    means = []
    for (prompt, text), scores in zip(answers, _scored(model, answers), strict=True):
        values = [token_score(scores, claim.span) for claim in split_claims(text, question=prompt)]
        known = [value for value in values if value is not None]
        if known:
            means.append(float(np.mean(known)))
    return _mean(means)


def _divergence(model: LanguageModel, base: BaseAnswers | None) -> Mean:
    """KL(base || model) in nats a token: the mean log-ratio over what the base itself sampled, answers resampled."""
    if base is None or not base.texts:
        return _mean([])
    scores = _scored(model, list(zip(base.prompts, base.texts, strict=True)))
    return _mean([float(np.mean(old - new.logprobs)) for old, new in zip(base.logprobs, scores, strict=True) if len(old)])


def _scored(model: LanguageModel, pairs: Sequence[tuple[str, str]]) -> list[TokenScores]:
    out: list[TokenScores] = []
    for at in range(0, len(pairs), _BATCH):
        batch = pairs[at : at + _BATCH]
        out += model.score([prompt for prompt, _ in batch], [text for _, text in batch])
    return out


def _share(events: Iterable[bool]) -> Rate:
    listed = list(events)
    return _rate(sum(listed), len(listed))


def _rate(events: int, total: int) -> Rate:
    interval = wilson(events, total)
    return Rate(n=total, value=events / total if total else 0.0, low=interval.low, high=interval.high)


def _mean(values: Sequence[float]) -> Mean:
    if len(values) < 2:
        return Mean(n=len(values), value=values[0] if values else None, low=None, high=None)
    interval = bootstrap_mean(values)
    return Mean(n=len(values), value=float(np.mean(values)), low=interval.low, high=interval.high)
