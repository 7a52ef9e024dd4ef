"""Which prompts are learnt from: each once, none of an evaluation, topics held out, languages and kinds alike."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from guardmed.align.results import Language
from guardmed.align.settings import PairSettings
from guardmed.align.sources import Prompt
from guardmed.text import letters

# A run of letters this long that a training prompt shares with an evaluation prompt gives it away.
_SHARED_RUN = {"en": 40, "zh": 14}
# A Chinese character says about as much as three letters.
_ZH_LETTERS = 3
# Validation prompts of a small set: fewer could not show over-refusal.
_LEAST_ASIDE = 48
T = TypeVar("T")
_LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class Selection:
    """Prompts that were chosen, and what became of the others.

    Attributes
    ----------
    train, validation : tuple of Prompt
    dropped : Counter of str
        How many prompts were left out, by reason.
    """

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    dropped: Counter[str]


def select(prompts: Iterable[Prompt], settings: PairSettings, *, kept_aside: Iterable[str], seed: int, first: frozenset[str] = frozenset()) -> Selection:
    """Choose prompts: each once, none of an evaluation, topics held out, both languages and both kinds alike.

    Parameters
    ----------
    prompts : iterable of Prompt
    settings : PairSettings
    kept_aside : iterable of str
        Prompts that figures are reported on.
    seed : int
    first : frozenset of str
        Ids that go before all others: what a gate found the model wrong on.
    """
    dropped: Counter[str] = Counter()
    unique = _unique(prompts, dropped)
    clean = list(_unseen(_short(unique, settings.longest, dropped), list(kept_aside), dropped))
    topics = sorted({prompt.topic for prompt in clean})
    rng = random.Random(seed)
    rng.shuffle(topics)
    held = frozenset(topics[: max(1, round(settings.validation * len(topics)))])
    train = [prompt for prompt in clean if prompt.topic not in held]
    chosen = _balanced(train, settings, rng, first, size=settings.size)
    aside = [prompt for prompt in clean if prompt.topic in held]
    validation = _balanced(aside, settings, rng, frozenset(), size=max(_LEAST_ASIDE, round(settings.validation * settings.size)))
    dropped["beyond the size"] += len(train) - len(chosen)
    return Selection(tuple(chosen), tuple(validation), +dropped)


def _unique(prompts: Iterable[Prompt], dropped: Counter[str]) -> list[Prompt]:
    """Each prompt once; of those that are called both dangerous and harmless, none."""
    by_words: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        by_words[letters(prompt.text)].append(prompt)
    kept = []
    for words, same in by_words.items():
        if not words or len({prompt.harmful for prompt in same}) > 1:
            dropped["called both dangerous and harmless" if words else "without words"] += len(same)
            continue
        dropped["stands twice"] += len(same) - 1
        kept.append(same[0])
    return kept


def _short(prompts: list[Prompt], longest: int | None, dropped: Counter[str]) -> list[Prompt]:
    kept = [prompt for prompt in prompts if longest is None or len(prompt.text) * (_ZH_LETTERS if prompt.lang == "zh" else 1) <= longest]
    dropped["longer than was asked for"] += len(prompts) - len(kept)
    return kept


def _unseen(prompts: list[Prompt], kept_aside: list[str], dropped: Counter[str]) -> Iterator[Prompt]:
    """Prompts that share neither all their words nor a long run of letters with what figures are reported on."""
    aside = {letters(text) for text in kept_aside}
    runs = {run for words in aside for size in _SHARED_RUN.values() for run in _runs(words, size)}
    for prompt in prompts:
        words = letters(prompt.text)
        if words in aside or any(run in runs for run in _runs(words, _SHARED_RUN[prompt.lang])):
            dropped["shares its words with an evaluation prompt"] += 1
        else:
            yield prompt


def _runs(words: str, size: int) -> Iterator[str]:
    return (words[at : at + size] for at in range(len(words) - size + 1))


def _balanced(prompts: Sequence[Prompt], settings: PairSettings, rng: random.Random, first: frozenset[str], *, size: int) -> list[Prompt]:
    """Half of the size for each language, dangerous and harmless prompts in their ratio: twins together, topics in turn."""
    harmful = size / 2 / (1 + settings.harmless)
    wanted = {True: int(harmful), False: size // 2 - int(harmful)}
    out: list[Prompt] = []
    for lang in _LANGUAGES:
        spoken = [prompt for prompt in prompts if prompt.lang == lang]
        sides = {kind: [prompt for prompt in spoken if prompt.id in first and prompt.harmful == kind] for kind in wanted}
        for pair in _in_turn(_twins(spoken), rng, lambda pair: pair[0].topic)[: round(settings.twins * min(wanted.values()))]:
            for prompt in pair:
                sides[prompt.harmful].append(prompt)
        taken = {id(prompt) for side in sides.values() for prompt in side}
        for kind, side in sides.items():
            free = [prompt for prompt in spoken if prompt.harmful == kind and id(prompt) not in taken]
            alone = _in_turn([prompt for prompt in free if prompt.twin is None], rng, lambda prompt: prompt.source)
            parted = _in_turn([prompt for prompt in free if prompt.twin is not None], rng, lambda prompt: prompt.topic)
            side.extend([*alone, *parted])
            sides[kind] = list(dict.fromkeys(side))
        # In their ratio even where one is scarce, or the scarcer kind is what the model forgets.
        share = min(1.0, *(len(sides[kind]) / number for kind, number in wanted.items() if number))
        for kind, number in wanted.items():
            out.extend(sides[kind][: int(share * number)])
    return out


def _twins(prompts: Sequence[Prompt]) -> list[tuple[Prompt, Prompt]]:
    both: dict[str, dict[bool, Prompt]] = defaultdict(dict)
    for prompt in prompts:
        if prompt.twin is not None:
            both[prompt.twin][prompt.harmful] = prompt
    return [(sides[True], sides[False]) for sides in both.values() if len(sides) == 2]


def _in_turn(things: Sequence[T], rng: random.Random, group: Callable[[T], str]) -> list[T]:
    """All things, one of each group after the other."""
    groups: dict[str, list[T]] = defaultdict(list)
    for thing in things:
        groups[group(thing)].append(thing)
    for members in groups.values():
        rng.shuffle(members)
    order = list(groups.values())
    rng.shuffle(order)
    return [thing for round_ in zip_longest(*order) for thing in round_ if thing is not None]
