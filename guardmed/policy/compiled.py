"""Compiles the rules of packs: conditions become trees of patterns and detectors, each kept once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from guardmed.errors import PolicyError
from guardmed.policy.detectors import Backends, Detector, Doses, Harmless, Identifiers, Intent
from guardmed.policy.dose import DoseFinder
from guardmed.policy.judge import Judge
from guardmed.policy.load import Pack
from guardmed.policy.pattern import Pattern, Phrasebook, any_of
from guardmed.policy.schema import Condition, Rule
from guardmed.policy.similar import Similar

T = TypeVar("T")
_MOST_WAYS = 64


@dataclass(frozen=True, slots=True)
class Leaf:
    """One look of a rule: a pattern of the matcher, by its index, or a detector."""

    pattern: int = -1
    detector: Detector | None = None


@dataclass(frozen=True)
class Node:
    """A compiled condition: everything in it must hold in one window."""

    leaves: tuple[Leaf, ...]
    any_of: tuple[Node, ...]
    all_of: tuple[Node, ...]
    none_of: tuple[Node, ...]

    @cached_property
    def _ways(self) -> tuple[int, ...]:
        """Sets of patterns, a bit for each, of which one must be there whole for the condition to hold."""
        ways = {sum({1 << leaf.pattern for leaf in self.leaves if leaf.detector is None})}
        alternatives = {way for child in self.any_of for way in child._ways} or {0}
        for more in (alternatives, *(child._ways for child in self.all_of)):
            # Beyond a few, what is asked for less strictly is asked for faster.
            ways = {way | other for way in ways for other in more} if len(ways) * len(more) <= _MOST_WAYS else ways
        return tuple(ways)

    def possible(self, patterns: int) -> bool:
        """Whether it could hold where only these patterns could occur; cheap, and false for most rules."""
        # any() over a generator would cost more than what it looks at.
        for way in self._ways:  # noqa: SIM110
            if way & patterns == way:
                return True
        return False


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its compiled conditions."""

    rule: Rule
    node: Node
    exempt: Node | None


class Compiler:
    """Turns the conditions of one pack into nodes; rules share patterns, and the same one is searched for once."""

    def __init__(self, pack: Pack, backends: Backends, patterns: dict[Pattern, int]) -> None:
        self._pack = pack
        self._backends = backends
        self._patterns = patterns
        self._phrases = Phrasebook(pack.terms)
        self._doses = DoseFinder(pack.limits) if pack.limits else None

    def node(self, condition: Condition) -> Node:
        """A condition as a tree."""
        children = ([self.node(child) for child in group] for group in (condition.any_of, condition.all_of, condition.none_of))
        return Node(tuple(self._leaves(condition)), *map(tuple, children))

    def exempt(self, rule: Rule) -> Node | None:
        """What lifts a rule in a clause: its own exemption, or the pack's doubt."""
        ways = [self.node(rule.exempt)] if rule.exempt else []
        if self._pack.doubt is not None and rule.doubtful:
            model = self._given(self._pack.intent, "is open to doubt", "Leave doubt out of pack.yaml, or train an intent model.")
            ways.append(Node((Leaf(detector=Harmless(model, self._pack.doubt)),), (), (), ()))
        return Node((), tuple(ways), (), ()) if ways else None

    def _leaves(self, condition: Condition) -> Iterator[Leaf]:
        if condition.phrase:
            yield self._pattern(self._phrases.pattern(phrase) for by_language in condition.phrase.values() for phrase in by_language)
        if condition.regex:
            yield self._pattern(Pattern(regex) for by_language in condition.regex.values() for regex in by_language)
        if condition.dose:
            yield Leaf(detector=Doses(self._given(self._doses, "checks doses", "Add a dose_limits.yaml."), condition.dose.times))
        if condition.classifier:
            mend = "Train one: python benchmarks/train_intent.py"
            yield Leaf(detector=Intent(self._given(self._pack.intent, "asks an intent model", mend), condition.classifier.over))
        if condition.phi:
            yield Leaf(detector=Identifiers(condition.phi.labels))
        if condition.similar:
            encoder = self._given(self._backends.encoder, "compares with exemplars", "Name an encoder: --encoder FOLDER, or Backends(encoder=...).")
            yield Leaf(detector=Similar(encoder, condition.similar.exemplars, condition.similar.over))
        if condition.judge:
            judge = self._given(self._backends.judge, "asks a judge", "Name a model: --judge MODEL, or Backends(judge=...).")
            yield Leaf(detector=Judge(judge, tuple(condition.judge.question.items()), condition.judge.over))

    def _given(self, part: T | None, does: str, mend: str) -> T:
        """What a rule needs; a check that can't be made is an error, not a check that passed."""
        if part is None:
            raise PolicyError(f"A rule of the pack {self._pack.manifest.id} {does}, but nothing is there for it.", mend=mend)
        return part

    def _pattern(self, patterns: Iterable[Pattern]) -> Leaf:
        return Leaf(pattern=self._patterns.setdefault(any_of(patterns), len(self._patterns)))


def leaves(node: Node) -> Iterator[Leaf]:
    """Every look of a tree but those that must find nothing."""
    yield from node.leaves
    for child in (*node.any_of, *node.all_of):
        yield from leaves(child)
