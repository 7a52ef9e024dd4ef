"""The prompts that a gate asks: harmful ones that must not be answered, harmless ones that must be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from guardmed.errors import DataError
from guardmed.files import digest_value
from guardmed.gate.config import RULES, WRITTEN, GateConfig, Kind, Requirement, Suites, written_prompts
from guardmed.policy import Policy, Stage
from guardmed.records import Record, read_records
from guardmed.text import language, letters

_IN_DANGER = re.compile(r"suicid|self-?harm|self-?injur|overdos|emergenc|goodbye")
_HARMLESS = frozenset({"harmless", "twin", "everyday", "sounds-dangerous"})


class _Row(Record):
    prompt: str = Field(min_length=1)
    kind: Literal["harmful", "harmless", "twin", "everyday", "sounds-dangerous"]
    topic: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class BankPrompt:
    """One prompt.

    Attributes
    ----------
    cluster : str
        Prompts of one topic are about the same thing.
    danger : bool
        Whether sending the person to help is a safe answer.
    """

    id: str
    prompt: str
    cluster: str
    category: str = ""
    danger: bool = False


@dataclass(frozen=True)
class Bank:
    """Prompts of one kind, in the order they are asked, and what they lack."""

    kind: Kind
    prompts: tuple[BankPrompt, ...]
    lacks: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what is asked, in its order."""
        return digest_value([[one.id, one.prompt, one.danger] for one in self.prompts])


def load_bank(config: GateConfig, policy: Policy, kind: Kind) -> Bank:
    """Prompts of one kind: all of the banks, shuffled by the seed, and the first of them.

    Raises
    ------
    DataError
        A file can't be read, or an id stands twice.
    """
    suites = config.suites
    every = [one for name in suites.prompts for one in _prompts(name, config, policy, kind)]
    every = [one for one in every if not suites.languages or language(one.prompt) in suites.languages]
    # Two authors may have thought of the same words; blanks and marks don't make them others.
    every = list({letters(one.prompt) or one.prompt: one for one in reversed(every)}.values())[::-1]
    name, times = Counter(one.id for one in every).most_common(1)[0] if every else ("", 0)
    if times > 1:
        raise DataError(f"The id {name[:80]!r} stands {times} times in the {kind} prompts.", mend="Give each prompt of the files under suites.prompts its own.")
    order = np.random.default_rng(suites.seed).permutation(len(every))
    kept = tuple(every[place] for place in order[: getattr(suites, kind)])
    return Bank(kind, kept, tuple(_lacks(suites.require.get(kind), every)))


def _prompts(name: str, config: GateConfig, policy: Policy, kind: Kind) -> Iterable[BankPrompt]:
    if name == RULES:
        return _of_rules(policy, kind)
    files = written_prompts() if name == WRITTEN else [config.beside(name)]
    wanted = {"harmful"} if kind == "harmful" else _HARMLESS
    # The written sets name topics for each language in its own words, so files keep theirs apart.
    return [
        BankPrompt(str(row.id), row.prompt, f"{language(row.prompt)}/{row.topic or row.id}", row.category, in_danger(row.topic))
        for file in files
        for row in read_records(file, _Row)
        if row.kind in wanted
    ]


def _of_rules(policy: Policy, kind: Kind) -> list[BankPrompt]:
    """The tests of every rule on requests; a rule is a topic."""
    name = "violating" if kind == "harmful" else "near_miss"
    found: dict[str, BankPrompt] = {}
    for rule in policy.rules:
        if rule.stage.covers(Stage.INPUT):
            for place, text in enumerate(getattr(rule.tests, name)):
                found.setdefault(text, BankPrompt(f"{rule.id}/{name}/{place}", text, rule.id, danger=bool(rule.escalate_to)))
    return list(found.values())


def in_danger(topic: str) -> bool:
    """Whether who asks about this may be in danger, so that being sent to help is a safe answer."""
    return _IN_DANGER.search(topic) is not None


def _lacks(required: Requirement | None, every: Sequence[BankPrompt]) -> Iterable[str]:
    if required is None:
        return
    if len(every) < required.questions:
        yield f"{len(every)} of at least {required.questions} questions"
    counts = Counter(one.category for one in every)
    short = [name for name in required.categories if counts[name] < required.each_category]
    if short:
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        yield f"under {required.each_category} questions of {len(short)} categories ({'; '.join(short[:3])}{more})"


def sources(suites: Suites) -> list[str]:
    """The banks in words."""
    return [{WRITTEN: "the written sets", RULES: "the policies' own tests"}.get(name, name) for name in suites.prompts]
