"""What a policy pack may say: the schema of the YAML in ``policies/``."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from guardmed.decision import Decision
from guardmed.records import Frozen

SCHEMA_VERSION = 1

Language = Literal["en", "zh"]
Localised = dict[Language, str]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Severity(StrEnum):
    """How bad it is when the rule is broken."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (low) to 3 (critical)."""
        return list(Severity).index(self)


class Stage(StrEnum):
    """Where a rule looks: at what was asked, at what was answered, or at both."""

    INPUT = "input"
    OUTPUT = "output"
    BOTH = "both"

    def covers(self, stage: Stage) -> bool:
        """Whether a rule of this stage is read at ``stage``."""
        return self is Stage.BOTH or self is stage


class Scope(StrEnum):
    """How far apart the parts of one rule may lie."""

    CLAUSE = "clause"
    SENTENCE = "sentence"
    TEXT = "text"


class DoseCheck(Frozen):
    """Compare stated doses with the pack's limit table.

    Attributes
    ----------
    times : float
        How many times the limit a dose must exceed, 1 by default.
    """

    times: float = Field(default=1.0, ge=0.1, le=100)


class PhiCheck(Frozen):
    """Look for protected health information of the given labels; all of them by default."""

    labels: tuple[str, ...] = ()


class ClassifierCheck(Frozen):
    """Ask the pack's intent model how probably a request means harm.

    Attributes
    ----------
    over : dict of language to float
        Probability above which it counts as harm; a text of another language is held against the
        English one.
    """

    over: dict[Language, float]

    @model_validator(mode="after")
    def _probabilities(self) -> ClassifierCheck:
        if "en" not in self.over or not all(0 < value < 1 for value in self.over.values()):
            raise ValueError("classifier: over needs at least en, and probabilities between 0 and 1")
        return self


class SimilarCheck(Frozen):
    """Compare each sentence with exemplars by an encoder.

    Attributes
    ----------
    exemplars : tuple of str
        Sentences that mean what is looked for, in any language the encoder knows.
    over : float
        Cosine above which a sentence counts.
    """

    exemplars: tuple[str, ...] = Field(min_length=1)
    over: float = Field(gt=0, lt=1)


class JudgeCheck(Frozen):
    """Ask a language model a question about the text.

    Attributes
    ----------
    question : dict of language to str
        Answered by yes (it counts) or no.
    over : float
        Probability of yes above which it counts.
    """

    question: Localised = Field(min_length=1)
    over: float = Field(default=0.5, gt=0, lt=1)


class Condition(Frozen):
    """A tree of detectors. Everything that one node names must hold at once.

    Attributes
    ----------
    phrase, regex : dict of language to list of str
        Any one of them found is a hit. Texts are searched for every language's, because people mix them.
    dose, phi, classifier, similar, judge : checks with their own settings
    any_of, all_of, none_of : list of Condition
    """

    phrase: dict[Language, list[str]] | None = None
    regex: dict[Language, list[str]] | None = None
    dose: DoseCheck | None = None
    phi: PhiCheck | None = None
    classifier: ClassifierCheck | None = None
    similar: SimilarCheck | None = None
    judge: JudgeCheck | None = None
    any_of: tuple[Condition, ...] = ()
    all_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _finds_something(self) -> Condition:
        positive = (self.phrase, self.regex, self.dose, self.phi, self.classifier, self.similar, self.judge, self.any_of, self.all_of)
        if not any(part if isinstance(part, (dict, tuple)) else part is not None for part in positive):
            raise ValueError("a condition needs at least one of phrase, regex, dose, phi, classifier, similar, judge, any_of, all_of")
        return self

    def only_words(self) -> bool:
        """Whether nothing in the tree looks with anything but words."""
        others = (self.dose, self.phi, self.classifier, self.similar, self.judge)
        return all(other is None for other in others) and all(child.only_words() for child in (*self.any_of, *self.all_of))

    def has_none_of(self) -> bool:
        """Whether anything in the tree can suppress a hit."""
        return bool(self.none_of) or any(child.has_none_of() for child in (*self.any_of, *self.all_of))


class Tests(Frozen):
    """Texts that the rule must catch, and close ones that it must leave alone."""

    violating: tuple[str, ...] = Field(min_length=1)
    near_miss: tuple[str, ...] = Field(min_length=1)


class Rule(Frozen):
    """One clinical rule: what it finds, what then happens, why, and its own tests."""

    id: Identifier
    title: Localised
    severity: Severity
    stage: Stage
    scope: Scope = Scope.SENTENCE
    when: Condition
    exempt: Condition | None = None
    action: Decision
    template: Localised
    escalate_to: str | None = None
    rationale: str
    source: str
    owner: str
    reviewed: datetime.date
    tests: Tests

    @property
    def doubtful(self) -> bool:
        """Whether the intent model may overrule it: it refuses requests by their words alone, and isn't critical.

        What sends somebody to help is not: whoever is in danger means no harm.
        """
        return self.action is Decision.REFUSE and self.severity is not Severity.CRITICAL and self.stage is Stage.INPUT and self.when.only_words()

    @field_validator("action")
    @classmethod
    def _acts(cls, action: Decision) -> Decision:
        if action is Decision.ALLOW:
            raise ValueError("a rule can't allow: verdicts only get stricter (use exempt on the rule that is too strict)")
        return action

    @model_validator(mode="after")
    def _consistent(self) -> Rule:
        if self.severity is Severity.CRITICAL and (self.exempt is not None or self.when.has_none_of()):
            raise ValueError("a critical rule takes no exempt and no none_of: nothing may talk it out of a hit")
        if self.action is Decision.REDACT and self.stage is not Stage.OUTPUT:
            raise ValueError("only answers are redacted: an input rule may caution, refuse or escalate")
        if self.action is Decision.ESCALATE and not self.escalate_to:
            raise ValueError("an escalating rule needs escalate_to, the contact list of contacts.yaml to show")
        missing = set(self.title) ^ set(self.template)
        if missing:
            raise ValueError(f"title and template must cover the same languages (differ in {', '.join(sorted(missing))})")
        return self


MOST_DOUBT = 0.2
"""Largest probability of harm under which a rule may be overruled."""


class Change(Frozen):
    """What another pack does about a rule it takes over, and why.

    Attributes
    ----------
    rule : str
    action : Decision
    reason : dict of language to str
        Told to the person in the place of the rule's template, in the same languages.
    """

    rule: Identifier
    action: Decision
    reason: Localised


class Manifest(Frozen):
    """``pack.yaml``: what a pack is.

    Attributes
    ----------
    extends : str or None
        The pack whose rules all belong to this one too, with its word lists, contacts, limits and intent model.
    changes : tuple of Change
        Other actions for some of those rules; never for a critical one.
    doubt : dict of language to float, optional
        Rules that are open to doubt (:attr:`Rule.doubtful`) don't count in a sentence that the intent model holds
        harmful with less than this probability. Not taken over from a pack that is extended.
    """

    schema_version: Literal[1]
    id: Identifier
    title: Localised
    version: str
    owner: str
    description: Localised
    languages: tuple[Language, ...] = ("en", "zh")
    extends: Identifier | None = None
    changes: tuple[Change, ...] = ()
    doubt: dict[Language, float] | None = None

    @field_validator("doubt")
    @classmethod
    def _small(cls, doubt: dict[Language, float] | None) -> dict[Language, float] | None:
        if doubt is not None and ("en" not in doubt or not all(0 < value <= MOST_DOUBT for value in doubt.values())):
            raise ValueError(f"doubt needs at least en, and probabilities over 0 and at most {MOST_DOUBT}: only a sure model may overrule a rule")
        return doubt


class RuleFile(Frozen):
    """One file of ``rules/``."""

    rules: tuple[Rule, ...] = Field(min_length=1)


class Contact(Frozen):
    """One list of numbers to show, by language, with its source."""

    text: Localised
    source: str
    reviewed: datetime.date


class Contacts(Frozen):
    """``contacts.yaml``: where a person in danger is sent."""

    schema_version: Literal[1]
    contacts: dict[str, Contact]


class Terms(Frozen):
    """A file of ``terms/``: word lists that phrases name as ``<list>``."""

    schema_version: Literal[1]
    terms: dict[str, dict[Language, list[str]]]

    def merged(self) -> dict[str, list[str]]:
        """Each list with all its languages together, since people mix them."""
        return {name: [word for words in by_language.values() for word in words] for name, by_language in self.terms.items()}
