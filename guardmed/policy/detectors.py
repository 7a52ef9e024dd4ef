"""What a rule can look with: one protocol, one class a kind of look.

``phrase`` and ``regex`` are searched for all at once by :class:`~guardmed.policy.pattern.Matcher`; every
other detector is one of these. Each says in its own module what it can and can't see:
:mod:`~guardmed.policy.dose`, :mod:`~guardmed.policy.phi`, :mod:`~guardmed.intent`,
:mod:`~guardmed.policy.similar`, :mod:`~guardmed.policy.judge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from guardmed.intent import IntentModel
from guardmed.policy.dose import DoseFinder
from guardmed.policy.phi import find_identifiers
from guardmed.policy.schema import Language, Localised
from guardmed.text import Normalised, Span, language, sentences

if TYPE_CHECKING:
    from guardmed.models.base import LanguageModel
    from guardmed.policy.similar import Encoder


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a detector found what it looks for, and what it has to say of it."""

    span: Span
    detail: Localised | None = None


class Detector(Protocol):
    """Looks for one thing. Equal detectors find the same, so each runs once over a text."""

    def find(self, text: Normalised) -> list[Evidence]:
        """Evidence in the folded text, the strongest first."""


@dataclass(frozen=True, slots=True)
class Backends:
    """Models that some detectors need and a pack can't bring along.

    Attributes
    ----------
    encoder : Encoder or None
        For ``similar``.
    judge : LanguageModel or None
        For ``judge``; a guard lends the model it guards.
    """

    encoder: Encoder | None = None
    judge: LanguageModel | None = None


@dataclass(frozen=True, slots=True)
class Doses:
    """Doses of more than ``times`` the limit."""

    finder: DoseFinder
    times: float

    def find(self, text: Normalised) -> list[Evidence]:
        """The amounts, the worst first, with what they exceed."""
        excesses = sorted(self.finder.excesses(text.text, times=self.times), key=lambda excess: -excess.ratio)
        return [Evidence(excess.span, excess.describe()) for excess in excesses]


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Protected health information of the given labels."""

    labels: tuple[str, ...]

    def find(self, text: Normalised) -> list[Evidence]:
        """Each identifier."""
        return [Evidence(found.span) for found in find_identifiers(text.text, self.labels)]


@dataclass(frozen=True, slots=True)
class Intent:
    """A probability of harmful intent over that of the text's language; it speaks of the whole text."""

    model: IntentModel
    over: Mapping[Language, float] = field(hash=False)

    def find(self, text: Normalised) -> list[Evidence]:
        """The whole text, or nothing."""
        over = self.over.get("zh" if language(text.text) == "zh" else "en", self.over["en"])
        return [Evidence(Span(0, len(text.text)))] if self.model.probability(text.text) > over else []


@dataclass(frozen=True, slots=True)
class Harmless:
    """A sentence that means harm with less than a small probability; each sentence is read for itself.

    A sentence that asks for harm therefore stays what it is beside others that don't.
    """

    model: IntentModel
    under: Mapping[Language, float] = field(hash=False)

    def find(self, text: Normalised) -> list[Evidence]:
        """The sentences."""
        return [Evidence(span) for span in sentences(text.text) if self.holds(span.of(text.text))]

    def holds(self, sentence: str) -> bool:
        """Whether one sentence is such; reading all of a long text for the sake of one would be slow."""
        return self.model.probability(sentence) < self.under.get("zh" if language(sentence) == "zh" else "en", self.under["en"])
