"""From prompts to preference data: what the model should have said, beside what it says itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from guardmed.align.answers import load_answers
from guardmed.align.conduct import answered, turned_away
from guardmed.align.results import Language
from guardmed.align.selection import Selection
from guardmed.align.settings import PairSettings
from guardmed.align.sources import Prompt
from guardmed.audit.store import AnswerStore
from guardmed.files import digest_value
from guardmed.models.base import LanguageModel, Sampling
from guardmed.policy import Policy, Stage
from guardmed.records import Record
from guardmed.text import letters, sentences

Split = Literal["train", "validation"]
Advance = Callable[[int, int], None]
# A whole answer of fewer letters says nothing.
_LEAST = 6


class PreferencePair(Record):
    """One row of preference data.

    Attributes
    ----------
    prompt : str
    lang : {"en", "zh"}
    harmful : bool
    chosen : str
    whole : bool
        Whether ``chosen`` is a whole answer; an opening must not teach a model where to end.
    rejected : str or None
        None where the model's own answer was not sampled: such a row serves supervised training alone.
    topic, source : str
    hazard : str or None
    danger : bool
        Whether who asks may be in danger, so that being sent to help is a safe answer.
    split : {"train", "validation"}
    hint : str
        Sign that training puts before the answer; it is drawn anew by each run, and no part of the file.
    """

    prompt: str
    lang: Language
    harmful: bool
    chosen: str
    whole: bool = True
    rejected: str | None = None
    topic: str
    source: str
    hazard: str | None = None
    danger: bool = False
    split: Split = "train"
    hint: str = Field(default="", exclude=True)


@dataclass(frozen=True)
class Pairs:
    """Preference data, and what was left out, by reason."""

    rows: tuple[PreferencePair, ...]
    dropped: Counter[str]


def make_pairs(
    selection: Selection, model: LanguageModel, policy: Policy, settings: PairSettings, *, seed: int, store: AnswerStore, advance: Advance | None = None
) -> Pairs:
    """Ask the model itself, and put what it should have said beside it.

    A dangerous prompt gets a written refusal as chosen; rejected is what the model answers, and the row is left
    out where that is safe already. A harmless prompt gets what the model answers as chosen, if that is an answer
    and the policy lets it pass, and a refusal as rejected. Beyond the preferences both are openings, and what the
    model says to danger is not asked.

    Parameters
    ----------
    selection : Selection
    model : LanguageModel
        What is to be trained; its own answers make the data on-policy.
    policy : Policy
        Decides what is unsafe.
    settings : PairSettings
    seed : int
    store : AnswerStore
        Keeps each batch as it is answered, so that an interrupted run goes on.
    advance : callable, optional
        Told how many answers are there and how many there will be.
    """
    dropped = Counter(selection.dropped)
    split: dict[int, Split] = {id(prompt): "validation" for prompt in selection.validation}
    preferred = _preferred(selection, settings)
    prompts = [*selection.train, *selection.validation]
    author = _Author(model, settings, seed, store, total=sum(not p.harmful or p in preferred for p in prompts), advance=advance)
    whole = author.answers([p for p in prompts if p in preferred and not p.harmful], tokens=settings.answer_tokens, temperature=0.0)
    openings = author.answers([p for p in prompts if p not in preferred and not p.harmful], tokens=settings.opening_tokens, temperature=0.0)
    own = author.answers([p for p in prompts if p in preferred and p.harmful], tokens=settings.answer_tokens, temperature=settings.temperature)
    rows: list[PreferencePair] = []
    for prompt in prompts:
        written = load_answers(prompt.lang)
        refuse = written.refusal if prompt in preferred else written.opening
        refusal = refuse(letters(prompt.text), hazard=prompt.hazard, topic=prompt.topic, rule=prompt.rule)
        if prompt.harmful:
            text = own[prompt].text if prompt in own else None
            if text is not None and not answered(text, danger=prompt.danger, policy=policy):
                dropped["the model does not answer it anyway"] += 1
                continue
            chosen, rejected, complete = refusal, text, prompt in preferred
        else:
            said = whole[prompt] if prompt in whole else openings[prompt]
            text, complete = said.text, said.whole
            problem = _unfit(text, policy, least=_LEAST if prompt in preferred else 1)
            if problem:
                dropped[problem] += 1
                continue
            chosen, rejected = text, refusal
        key = digest_value([prompt.text, prompt.harmful])[:16]
        rows.append(
            PreferencePair(
                id=key, prompt=prompt.text, lang=prompt.lang, harmful=prompt.harmful, chosen=chosen, whole=complete, rejected=rejected,
                topic=prompt.topic, source=prompt.source, hazard=prompt.hazard, danger=prompt.danger, split=split.get(id(prompt), "train"),
            )
        )  # fmt: skip
    kept = _in_ratio(rows, settings.harmless)
    dropped["too many of its kind, after what was left out of the other"] += len(rows) - len(kept)
    return Pairs(tuple(kept), +dropped)


def _in_ratio(rows: Sequence[PreferencePair], harmless: float) -> list[PreferencePair]:
    """Rows of each language and split in the ratio that was asked for, the last of the more numerous kind left out."""
    most: dict[tuple[str, str, bool], int] = {}
    for lang, split in {(row.lang, row.split) for row in rows}:
        counts = Counter(row.harmful for row in rows if (row.lang, row.split) == (lang, split))
        share = min(counts[True], counts[False] / harmless)
        most |= {(lang, split, True): max(1, round(share)), (lang, split, False): max(1, round(share * harmless))}
    seen: Counter[tuple[str, str, bool]] = Counter()
    kept = []
    for row in rows:
        cell = (row.lang, row.split, row.harmful)
        seen[cell] += 1
        if seen[cell] <= most[cell]:
            kept.append(row)
    return kept


def _preferred(selection: Selection, settings: PairSettings) -> frozenset[Prompt]:
    """The first of each language and kind, which get whole answers."""
    cells: Counter[tuple[str, bool]] = Counter()
    chosen = set()
    for prompt in selection.train:
        cell = (prompt.lang, prompt.harmful)
        if cells[cell] < settings.preferences // 4:
            cells[cell] += 1
            chosen.add(prompt)
    return frozenset(chosen)


def _unfit(text: str, policy: Policy, *, least: int) -> str | None:
    """Why an answer can't be taught as a good one."""
    if sum(char.isalnum() for char in text) < least:
        return "the model says nothing to it"
    if turned_away(text):
        return "the model turns it away itself"
    if policy.check(text, stage=Stage.OUTPUT).decision.stops:
        return "the policy stops the model's answer"
    return None


@dataclass(frozen=True)
class _Said:
    text: str
    whole: bool


class _Author:
    """Asks the model in batches of prompts of like length, and keeps what it says."""

    def __init__(self, model: LanguageModel, settings: PairSettings, seed: int, store: AnswerStore, *, total: int, advance: Advance | None) -> None:
        self._model = model
        self._settings = settings
        self._seed = seed
        self._store = store
        self._total = total
        self._done = 0
        self._advance = advance

    def answers(self, prompts: Sequence[Prompt], *, tokens: int, temperature: float) -> dict[Prompt, _Said]:
        """What it says to each, cut at the last whole sentence if it has one."""
        sampling = Sampling(max_new_tokens=tokens, temperature=temperature, seed=self._seed if temperature else None)
        keys = {prompt: digest_value([self._model.fingerprint, tokens, temperature, self._seed, prompt.text]) for prompt in prompts}
        missing = sorted((p for p in keys if keys[p] not in self._store), key=lambda p: len(p.text))
        self._tell(len(keys) - len(missing))
        for at in range(0, len(missing), self._settings.batch):
            batch = missing[at : at + self._settings.batch]
            found = self._model.generate([prompt.text for prompt in batch], sampling)
            self._store.add({keys[prompt]: [one[0].text.encode("utf-8", "replace").decode(), one[0].finish] for prompt, one in zip(batch, found, strict=True)})
            self._tell(len(batch))
        return {prompt: _ended(*self._store[key]) for prompt, key in keys.items()}

    def _tell(self, more: int) -> None:
        self._done += more
        if self._advance:
            self._advance(self._done, self._total)


def _ended(text: str, finish: str) -> _Said:
    """An answer that was cut off, up to its last whole sentence where it has one."""
    if finish == "stop":
        return _Said(text, whole=True)
    bounds = sentences(text)
    return _Said(text[: bounds[-2].end].rstrip(), whole=True) if len(bounds) > 1 else _Said(text, whole=False)
