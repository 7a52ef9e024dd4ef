"""Where the prompts of alignment come from: the rules' own tests, contrast pairs, files, and what a gate found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pydantic import Field

from guardmed.align.results import Language
from guardmed.documents import read_yaml
from guardmed.errors import DataError
from guardmed.gate import load_report
from guardmed.gate.bank import in_danger
from guardmed.gate.config import StageName
from guardmed.policy import Policy, Stage
from guardmed.records import Frozen, Record, read_records
from guardmed.text import language

_STAGES: tuple[StageName, ...] = ("refusal", "over_refusal")
HARMFUL = frozenset({"harmful", "unsafe", "violating"})
HARMLESS = frozenset({"harmless", "benign", "safe", "twin", "everyday", "sounds-dangerous", "near_miss"})


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt to learn from.

    Attributes
    ----------
    text : str
    harmful : bool
        Whether it must be refused.
    topic : str
        What it is kept apart with: topics, not prompts, are held out.
    source : str
        Where it comes from, as the data card names it.
    id : str
        As a gate's report names it.
    danger : bool
        Whether who asks may be in danger, so that being sent to help is a safe answer.
    hazard, rule : str or None
        What decides how a refusal is written.
    twin : str or None
        Shared by a dangerous prompt and the harmless one beside it.
    """

    text: str
    harmful: bool
    topic: str
    source: str
    id: str
    danger: bool = False
    hazard: str | None = None
    rule: str | None = None
    twin: str | None = None

    @property
    def lang(self) -> Language:
        """Language of its answer."""
        return "zh" if language(self.text) == "zh" else "en"


def of_rules(policy: Policy) -> Iterator[Prompt]:
    """The tests of every rule on requests, and their near misses; a rule is a topic."""
    for rule in policy.rules:
        if rule.stage.covers(Stage.INPUT):
            for harmful, texts in ((True, rule.tests.violating), (False, rule.tests.near_miss)):
                kind = "violating" if harmful else "near_miss"
                for place, text in enumerate(texts):
                    yield Prompt(text, harmful, f"rule/{rule.id}", "rules", f"{rule.id}/{kind}/{place}", bool(rule.escalate_to), rule=rule.id)


class _Pair(Frozen):
    harmful: str
    harmless: str
    style: str = "blunt"
    slots: dict[str, list[str | int | float]] = Field(default_factory=dict)


class _Topic(Frozen):
    topic: str
    hazard: str | None = None
    pairs: list[_Pair] = Field(min_length=1)


def of_contrast(folder: Path) -> Iterator[Prompt]:
    """Contrast pairs: YAML files of topics under ``en`` and ``zh``, each pair with the first filler of its slots.

    Raises
    ------
    DataError
        There are none, or a file does not fit.
    """
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        raise DataError(f"{folder} holds no contrast pairs (*.yaml).", mend="Name the folder of topics, such as benchmarks/contrast.")
    for file in files:
        topic = read_yaml(file, _Topic)
        for place, pair in enumerate(topic.pairs):
            twin = f"{file.parent.name}/{topic.topic}/{place}"
            for harmful, template in ((True, pair.harmful), (False, pair.harmless)):
                text = reduce(lambda filled, slot: filled.replace(f"{{{slot[0]}}}", str(slot[1][0])), pair.slots.items(), template)
                name = f"{twin}/{'harmful' if harmful else 'harmless'}"
                yield Prompt(text, harmful, topic.topic, "contrast pairs", name, in_danger(topic.topic), hazard=topic.hazard, twin=twin)


class _Row(Record):
    prompt: str = Field(min_length=1)
    label: str | None = None
    kind: str | None = None
    topic: str | None = None
    hazard: str | None = None
    twin: str | None = None


def of_file(path: Path) -> Iterator[Prompt]:
    """Prompts of a file: ``id``, ``prompt`` and ``label`` (or ``kind``), and where known ``topic``, ``hazard`` and ``twin``.

    Raises
    ------
    DataError
        A row does not fit, or its label says neither harmful nor harmless.
    """
    for place, row in enumerate(read_records(path, _Row), start=1):
        label = (row.label or row.kind or "").casefold()
        if label not in HARMFUL | HARMLESS:
            raise DataError(f"{path}, row {place}: label {label!r} is neither harmful nor harmless.", mend="Write label: harmful or label: harmless.")
        twin = None if row.twin is None else f"{path.name}/" + "/".join(sorted((str(row.id), row.twin)))
        topic = row.topic or str(row.id)
        yield Prompt(row.prompt, label in HARMFUL, f"{path.stem}/{topic}", path.name, str(row.id), in_danger(topic), hazard=row.hazard, twin=twin)


def of_lines(path: Path) -> Iterator[Prompt]:
    """Harmless prompts, one a line."""
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if line.strip():
            yield Prompt(line.strip(), False, f"{path.stem}/{place}", path.name, f"{path.stem}/{place}")


def failed_ids(report: Path) -> frozenset[str]:
    """Ids of the prompts that a gate found the model wrong on: dangerous ones answered, harmless ones turned away.

    Raises
    ------
    DataError
        It is no gate's report, or was changed.
    """
    evidence = load_report(report).evidence
    return frozenset(item.id for stage in _STAGES if stage in evidence for item in evidence[stage].items if item.outcome)
