"""Compiles packs into one matcher and checks texts against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from guardmed.decision import Decision, strictest
from guardmed.files import digest_value
from guardmed.policy.compiled import CompiledRule, Compiler, Leaf, Node, leaves
from guardmed.policy.detectors import Backends, Detector, Evidence, Harmless, Intent
from guardmed.policy.disguise import mended, readings
from guardmed.policy.judge import Judge
from guardmed.policy.load import Pack, load_packs
from guardmed.policy.pattern import Matcher, Pattern
from guardmed.policy.phi import Identifier, find_identifiers, redact
from guardmed.policy.schema import Localised, Rule, Scope, Severity, Stage
from guardmed.policy.similar import Similar
from guardmed.text import Normalised, Span, clauses, language, sentences


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
class _Window:
    """A stretch of a text that a rule looks at, and the patterns that could occur there."""

    span: Span
    patterns: int


class _Reading:
    """One reading of a text being checked: each detector runs at most once over it.

    Parameters
    ----------
    matcher : Matcher
    text : Normalised
    read : set of str
        Sentences that another reading of the text has already been judged by; they are not judged again.
    slight : bool
        Only typing errors are mended in it.
    """

    def __init__(self, matcher: Matcher, text: Normalised, read: set[str], *, slight: bool = False) -> None:
        self.text = text
        self._slight = slight
        self.patterns = matcher.read(text.text)
        self._found: dict[Detector, list[Evidence]] = {}
        self._lifted: dict[Span, bool] = {}
        self._every_sentence = sentences(text.text)
        self._sentences = [span for span in self._every_sentence if span.of(text.text) not in read]
        read.update(span.of(text.text) for span in self._sentences)
        self._windows: dict[Scope, list[_Window]] = {}

    @cached_property
    def clauses(self) -> list[_Window]:
        """Every clause, those of sentences judged before included."""
        return self._placed(clause for sentence in self._every_sentence for clause in clauses(self.text.text, sentence))

    def windows(self, scope: Scope) -> list[_Window]:
        if scope not in self._windows:
            match scope:
                case Scope.TEXT:
                    spans = [Span(0, len(self.text.text))]
                case Scope.SENTENCE:
                    spans = self._sentences
                case Scope.CLAUSE:
                    spans = [clause for sentence in self._sentences for clause in clauses(self.text.text, sentence)]
            self._windows[scope] = self._placed(spans)
        return self._windows[scope]

    def _placed(self, spans: Iterable[Span]) -> list[_Window]:
        return [_Window(span, self.patterns.within(span)) for span in spans]

    def found(self, detector: Detector) -> list[Evidence]:
        # Models bear typing errors themselves; what is only spelt otherwise is not read to them again.
        if self._slight and isinstance(detector, (Intent, Similar, Judge)):
            return []
        if detector not in self._found:
            self._found[detector] = detector.find(self.text)
        return self._found[detector]

    def _spans(self, leaf: Leaf, window: Span) -> list[Span]:
        if leaf.detector is None:
            return self.patterns.at(leaf.pattern, window)
        if isinstance(leaf.detector, Harmless):
            return [span for span in self._every_sentence if span.overlaps(window) and self._harmless(leaf.detector, span)]
        return [evidence.span for evidence in self.found(leaf.detector) if evidence.span.overlaps(window)]

    def _harmless(self, detector: Harmless, sentence: Span) -> bool:
        if sentence not in self._lifted:
            self._lifted[sentence] = detector.holds(sentence.of(self.text.text))
        return self._lifted[sentence]

    def evidence(self, node: Node, window: _Window) -> list[Span] | None:
        """Where the condition holds in a window, or None where it does not."""
        if not node.possible(window.patterns):
            return None
        found: list[Span] = []
        for leaf in node.leaves:
            here = self._spans(leaf, window.span)
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
    backends : Backends, optional
        Models for the detectors that need one.

    Raises
    ------
    PolicyError
        A rule can't be compiled, or needs a backend that is not given.

    Notes
    -----
    Verdicts of rules join in the lattice of :class:`~guardmed.decision.Decision`, so adding a
    rule or a pack can only make a verdict stricter.
    """

    def __init__(self, packs: list[Pack], *, backends: Backends | None = None) -> None:
        self.packs = tuple(packs)
        self._backends = backends or Backends()
        self._contacts = {name: contact for pack in packs for name, contact in pack.contacts.contacts.items()}
        self._pinyin = next((pack.pinyin for pack in packs if pack.pinyin), None)
        self._speller = next((pack.speller for pack in packs if pack.speller), None)
        patterns: dict[Pattern, int] = {}
        self._compiled: list[CompiledRule] = []
        for pack in packs:
            compiler = Compiler(pack, self._backends, patterns)
            for rule in pack.rules:
                self._compiled.append(CompiledRule(rule, compiler.node(rule.when), compiler.exempt(rule)))
        self._matcher = Matcher(patterns)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every pack; two packs may hold rules of the same id, and both count."""
        return tuple(compiled.rule for compiled in self._compiled)

    @property
    def name(self) -> str:
        """Ids of the packs."""
        return ",".join(pack.manifest.id for pack in self.packs)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the packs that decides."""
        return digest_value([pack.digest for pack in self.packs])

    def check(self, text: str, *, stage: Stage) -> Verdict:
        """Check a prompt (``Stage.INPUT``) or an answer (``Stage.OUTPUT``).

        Linear in the length of the text.
        """
        lang = language(text)
        found: dict[int, tuple[Rule, RuleHit]] = {}
        for reading in self._readings(text):
            for index, rule, hit in self._hits(reading, stage, lang):
                found.setdefault(index, (rule, hit))
        hits = sorted(found.values(), key=lambda item: (-item[1].action.rank, -item[1].severity.rank))
        decision = strictest(hit.action for _, hit in hits)
        identifiers = find_identifiers(text)
        return Verdict(
            decision=decision,
            language=lang,
            hits=tuple(hit for _, hit in hits),
            identifiers=tuple(identifiers),
            text=self._shown(text, decision, [rule for rule, hit in hits if hit.action is decision], hits, identifiers, lang),
        )

    def _readings(self, text: str) -> Iterator[_Reading]:
        read: set[str] = set()
        all_readings = readings(text, pinyin=self._pinyin.characters if self._pinyin else None)
        for reading in all_readings:
            yield _Reading(self._matcher, reading, read)
        slight = mended(all_readings[-1], self._speller.mend) if self._speller else None
        if slight:
            yield _Reading(self._matcher, slight, read, slight=True)

    def _hits(self, reading: _Reading, stage: Stage, lang: str) -> Iterator[tuple[int, Rule, RuleHit]]:
        for index, compiled in enumerate(self._compiled):
            rule, node, exempt = compiled.rule, compiled.node, compiled.exempt
            if not rule.stage.covers(stage) or not node.possible(reading.patterns.anywhere):
                continue
            for window in reading.windows(rule.scope):
                spans = reading.evidence(node, window)
                if spans is None or (exempt is not None and self._exempted(reading, exempt, spans)):
                    continue
                place = reading.text.back(min(spans, default=window.span))
                yield (
                    index,
                    rule,
                    RuleHit(
                        id=rule.id,
                        severity=rule.severity,
                        action=rule.action,
                        start=place.start,
                        end=place.end,
                        title=_in_language(rule.title, lang),
                        detail=self._detail(reading, node, window.span, lang),
                    ),
                )
                break

    def _exempted(self, reading: _Reading, exempt: Node, spans: list[Span]) -> bool:
        """An exemption reaches only the clauses that hold the evidence."""
        touched = [clause for clause in reading.clauses if any(span.overlaps(clause.span) for span in spans)]
        return any(reading.evidence(exempt, clause) is not None for clause in touched)

    def _detail(self, reading: _Reading, node: Node, window: Span, lang: str) -> str | None:
        for leaf in leaves(node):
            if leaf.detector is not None:
                for evidence in reading.found(leaf.detector):
                    if evidence.detail and evidence.span.overlaps(window):
                        return _in_language(evidence.detail, lang)
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


def load_policy(spec: str, *, backends: Backends | None = None) -> Policy:
    """Compile the packs that a comma-separated list names.

    Raises
    ------
    PolicyError
        A pack is unknown or broken.
    """
    return Policy(load_packs(spec), backends=backends)


def _in_language(texts: Localised, lang: str) -> str:
    return texts["zh"] if lang == "zh" and "zh" in texts else texts.get("en") or next(iter(texts.values()))
