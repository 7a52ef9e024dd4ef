"""Compiles packs into one matcher and checks texts against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from guardmed.decision import Decision, strictest
from guardmed.errors import PolicyError
from guardmed.files import digest_value
from guardmed.policy.dose import DoseFinder, ExcessDose
from guardmed.policy.intent import IntentModel
from guardmed.policy.load import Pack, load_packs
from guardmed.policy.pattern import Matcher, Phrasebook
from guardmed.policy.phi import Identifier, find_identifiers, redact
from guardmed.policy.schema import Condition, Localised, Rule, Scope, Severity, Stage
from guardmed.text import Normalised, Span, clauses, language, normalise, sentences


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that was broken, and the first place where, in the original text."""

    id: str
    severity: Severity
    action: Decision
    start: int
    end: int
    title: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of one text.

    Attributes
    ----------
    decision : Decision
        The strictest of the hits' actions; ``allow`` without hits.
    language : str
        ``en``, ``zh``, ``other`` or ``und``.
    hits : tuple of RuleHit
        Strictest first.
    identifiers : tuple of Identifier
        Protected health information, whether or not a rule acts on it.
    text : str
        What may be shown: the text itself, with identifiers masked when the decision is
        ``redact``, with the rule's caution added when it is ``caveat``; the rule's answer instead
        when it is stricter.
    """

    decision: Decision
    language: str
    hits: tuple[RuleHit, ...]
    identifiers: tuple[Identifier, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One detector of a rule; ``index`` is its place among the patterns, dose finders or intent models."""

    kind: Literal["pattern", "dose", "phi", "intent"]
    index: int = -1
    times: float = 1.0
    labels: tuple[str, ...] = ()
    over: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Node:
    """A compiled condition: everything in it must hold in one window."""

    leaves: tuple[_Leaf, ...]
    any_of: tuple[_Node, ...]
    all_of: tuple[_Node, ...]
    none_of: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _CompiledRule:
    """A rule with its compiled conditions, and the patterns without which it can't hold."""

    rule: Rule
    node: _Node
    exempt: _Node | None
    needed: frozenset[int]


class _Reading:
    """One text being checked: each detector runs at most once over it."""

    def __init__(self, policy: Policy, text: Normalised) -> None:
        self.text = text
        self._policy = policy
        self.patterns = policy.matcher.read(text.text)
        self._doses: dict[tuple[int, float], list[ExcessDose]] = {}
        self._intents: dict[int, float] = {}
        self._phi: dict[tuple[str, ...], list[Span]] = {}
        self._windows: dict[Scope, list[Span]] = {}

    def windows(self, scope: Scope) -> list[Span]:
        if scope not in self._windows:
            folded = self.text.text
            if scope is Scope.TEXT:
                spans = [Span(0, len(folded))]
            else:
                spans = sentences(folded)
                if scope is Scope.CLAUSE:
                    spans = [clause for sentence in spans for clause in clauses(folded, sentence)]
            self._windows[scope] = spans
        return self._windows[scope]

    def doses(self, leaf: _Leaf) -> list[ExcessDose]:
        key = leaf.index, leaf.times
        if key not in self._doses:
            self._doses[key] = self._policy.finders[leaf.index].excesses(self.text.text, times=leaf.times)
        return self._doses[key]

    def intent(self, index: int) -> float:
        if index not in self._intents:
            self._intents[index] = self._policy.intents[index].probability(self.text.text)
        return self._intents[index]

    def spans(self, leaf: _Leaf) -> list[Span]:
        if leaf.kind == "pattern":
            return self.patterns.at(leaf.index)
        if leaf.kind == "dose":
            return [dose.span for dose in self.doses(leaf)]
        if leaf.kind == "intent":
            limits = dict(leaf.over)
            over = limits.get(language(self.text.original), limits["en"])
            return [Span(0, len(self.text.text))] if self.intent(leaf.index) > over else []
        if leaf.labels not in self._phi:
            self._phi[leaf.labels] = [found.span for found in find_identifiers(self.text.text, leaf.labels)]
        return self._phi[leaf.labels]

    def possible(self, node: _Node) -> bool:
        """Whether everything the condition needs occurs at all; cheap, and false for most rules."""
        return (
            all(self.spans(leaf) for leaf in node.leaves)
            and all(self.possible(child) for child in node.all_of)
            and (not node.any_of or any(self.possible(child) for child in node.any_of))
        )

    def evidence(self, node: _Node, window: Span) -> list[Span] | None:
        """Where the condition holds in a window, or None where it does not."""
        found: list[Span] = []
        for leaf in node.leaves:
            here = [span for span in self.spans(leaf) if span.overlaps(window)]
            if not here:
                return None
            found += here
        if node.any_of:
            hits = [spans for child in node.any_of if (spans := self.evidence(child, window)) is not None]
            if not hits:
                return None
            found += [span for spans in hits for span in spans]
        for child in node.all_of:
            spans = self.evidence(child, window)
            if spans is None:
                return None
            found += spans
        if any(self.evidence(child, window) is not None for child in node.none_of):
            return None
        return found


class Policy:
    """One or more packs, compiled once, checked many times.

    Parameters
    ----------
    packs : list of Pack

    Notes
    -----
    Verdicts of rules join in the lattice of :class:`~guardmed.decision.Decision`, so adding a
    rule or a pack can only make a verdict stricter.
    """

    def __init__(self, packs: list[Pack]) -> None:
        self.packs = tuple(packs)
        self.finders: list[DoseFinder] = []
        self.intents: list[IntentModel] = []
        self._contacts = {name: contact for pack in packs for name, contact in pack.contacts.contacts.items()}
        self._regexes: dict[str, int] = {}
        self._compiled: list[_CompiledRule] = []
        for pack in packs:
            self._phrases = Phrasebook(pack.terms)
            if pack.limits:
                self.finders.append(DoseFinder(pack.limits))
            if pack.intent:
                self.intents.append(pack.intent)
            for rule in pack.rules:
                node, exempt = self._node(rule.when, pack), self._node(rule.exempt, pack) if rule.exempt else None
                self._compiled.append(_CompiledRule(rule, node, exempt, frozenset(_needed(node))))
        self.matcher = Matcher(list(self._regexes))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every pack; two packs may hold rules of the same id, and both count."""
        return tuple(compiled.rule for compiled in self._compiled)

    @property
    def name(self) -> str:
        """Ids of the packs."""
        return ",".join(pack.manifest.id for pack in self.packs)

    @property
    def digest(self) -> str:
        """SHA-256 of everything in the packs that decides."""
        return digest_value([pack.digest for pack in self.packs])

    def check(self, text: str, *, stage: Stage) -> Verdict:
        """Check a prompt (``Stage.INPUT``) or an answer (``Stage.OUTPUT``).

        Linear in the length of the text.
        """
        reading = _Reading(self, normalise(text))
        lang = language(text)
        hits = sorted(self._hits(reading, stage, lang), key=lambda item: (-item[1].action.rank, -item[1].severity.rank))
        decision = strictest(hit.action for _, hit in hits)
        identifiers = find_identifiers(text)
        return Verdict(
            decision=decision,
            language=lang,
            hits=tuple(hit for _, hit in hits),
            identifiers=tuple(identifiers),
            text=self._shown(text, decision, [rule for rule, hit in hits if hit.action is decision], hits, identifiers, lang),
        )

    def _hits(self, reading: _Reading, stage: Stage, lang: str) -> Iterator[tuple[Rule, RuleHit]]:
        for compiled in self._compiled:
            rule, node, exempt = compiled.rule, compiled.node, compiled.exempt
            if not rule.stage.covers(stage) or not reading.patterns.may(compiled.needed) or not reading.possible(node):
                continue
            for window in reading.windows(rule.scope):
                spans = reading.evidence(node, window)
                if spans is None or (exempt is not None and self._exempted(reading, exempt, spans)):
                    continue
                place = reading.text.back(min(spans, default=window))
                yield (
                    rule,
                    RuleHit(
                        id=rule.id,
                        severity=rule.severity,
                        action=rule.action,
                        start=place.start,
                        end=place.end,
                        title=_in_language(rule.title, lang),
                        detail=self._detail(reading, node, window, lang),
                    ),
                )
                break

    def _exempted(self, reading: _Reading, exempt: _Node, spans: list[Span]) -> bool:
        """An exemption reaches only the clauses that hold the evidence."""
        touched = [clause for clause in reading.windows(Scope.CLAUSE) if any(span.overlaps(clause) for span in spans)]
        return any(reading.evidence(exempt, clause) is not None for clause in touched)

    def _detail(self, reading: _Reading, node: _Node, window: Span, lang: str) -> str | None:
        for leaf in _leaves(node):
            if leaf.kind == "dose":
                doses = [dose for dose in reading.doses(leaf) if dose.span.overlaps(window)]
                if doses:
                    worst = max(doses, key=lambda dose: dose.ratio)
                    return _in_language(worst.describe(), lang)
        return None

    def _shown(self, text: str, decision: Decision, rules: list[Rule], hits: list[tuple[Rule, RuleHit]], identifiers: list[Identifier], lang: str) -> str:
        if decision.stops:
            return self.message(rules[0], lang, next(hit.detail for rule, hit in hits if rule is rules[0]))
        shown = redact(text, identifiers) if decision is Decision.REDACT else text
        cautions = dict.fromkeys(self.message(rule, lang, hit.detail) for rule, hit in hits if hit.action is Decision.CAVEAT)
        return "\n\n".join([shown, *cautions])

    def cautions(self, verdict: Verdict) -> list[str]:
        """What a verdict's cautioning rules say, to stand under an answer."""
        rules = {rule.id: rule for rule in self.rules}
        return [self.message(rules[hit.id], verdict.language, hit.detail) for hit in verdict.hits if hit.action is Decision.CAVEAT]

    def message(self, rule: Rule, lang: str, detail: str | None = None) -> str:
        """What a person is told when a rule stops or cautions, in their language."""
        text = _in_language(rule.template, lang)
        if rule.escalate_to:
            text = f"{text}\n{_in_language(self._contacts[rule.escalate_to].text, lang)}"
        return f"{text}\n({detail})" if detail else text

    def _node(self, condition: Condition, pack: Pack) -> _Node:
        leaves: list[_Leaf] = []
        if condition.phrase:
            phrases = [phrase for by_language in condition.phrase.values() for phrase in by_language]
            leaves.append(self._pattern(self._phrases.regex(phrase) for phrase in phrases))
        if condition.regex:
            leaves.append(self._pattern(regex for by_language in condition.regex.values() for regex in by_language))
        if condition.dose:
            if not pack.limits:
                raise PolicyError(f"The pack {pack.manifest.id} checks doses but has no dose_limits.yaml.", mend="Add one.")
            leaves.append(_Leaf("dose", index=len(self.finders) - 1, times=condition.dose.times))
        if condition.classifier:
            if not pack.intent:
                raise PolicyError(
                    f"The pack {pack.manifest.id} asks an intent model but has no intent.npz.", mend="Train one: python benchmarks/train_intent.py"
                )
            leaves.append(_Leaf("intent", index=len(self.intents) - 1, over=tuple(condition.classifier.over.items())))
        if condition.phi:
            leaves.append(_Leaf("phi", labels=condition.phi.labels))
        return _Node(
            tuple(leaves),
            tuple(self._node(child, pack) for child in condition.any_of),
            tuple(self._node(child, pack) for child in condition.all_of),
            tuple(self._node(child, pack) for child in condition.none_of),
        )

    def _pattern(self, regexes: Iterable[str]) -> _Leaf:
        regex = "|".join(f"(?:{regex})" for regex in regexes)
        # Rules share word lists; the same pattern is searched for once.
        return _Leaf("pattern", index=self._regexes.setdefault(regex, len(self._regexes)))


def load_policy(spec: str) -> Policy:
    """Compile the packs that a comma-separated list names.

    Raises
    ------
    PolicyError
        A pack is unknown or broken.
    """
    return Policy(load_packs(spec))


def _needed(node: _Node) -> Iterator[int]:
    """Patterns that must all occur; alternatives are left out."""
    yield from (leaf.index for leaf in node.leaves if leaf.kind == "pattern")
    for child in node.all_of:
        yield from _needed(child)


def _leaves(node: _Node) -> Iterator[_Leaf]:
    yield from node.leaves
    for child in (*node.any_of, *node.all_of):
        yield from _leaves(child)


def _in_language(texts: Localised, lang: str) -> str:
    return texts["zh"] if lang == "zh" and "zh" in texts else texts.get("en") or next(iter(texts.values()))
