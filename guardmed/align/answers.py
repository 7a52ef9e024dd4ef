"""The refusals that ``guardmed align pairs`` teaches: a decision, its reason, and the safe thing instead.

They are composed of sentences in ``policies/answers/LANG.yaml``, grouped by what would be harmed.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import UsageError
from guardmed.records import Frozen
from guardmed.resources import data_folder

DEFAULT = "other"
LANGUAGES = ("en", "zh")
_WITHOUT_REASON = 3  # one refusal in three goes straight from the decision to what helps
_OWN_OPENINGS = 4

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Sentence = Annotated[str, StringConstraints(pattern=r"^\S.*[.!?。！？]$")]


class Group(Frozen):
    """What is said of one kind of harm, and the prompts it answers.

    Attributes
    ----------
    hazards, topics : tuple of str
        Names used by the contrast pairs; a topic is named where its hazard would lead elsewhere.
    rules : tuple of str
        Input rules of the clinical pack.
    openings : tuple of str
        Its own, where the common ones would be too curt to somebody in danger.
    reasons, instead : tuple of str
        Why it is declined, and the safe thing to do or the place to turn to.
    urgent : tuple of str
        Whom to call. Only where a life may be at stake; then it closes every refusal.
    """

    id: Name
    hazards: tuple[Name, ...] = ()
    topics: tuple[Name, ...] = ()
    rules: tuple[Name, ...] = ()
    openings: tuple[Sentence, ...] = ()
    reasons: tuple[Sentence, ...] = Field(min_length=4)
    instead: tuple[Sentence, ...] = Field(min_length=4)
    urgent: tuple[Sentence, ...] = ()

    @model_validator(mode="after")
    def _varies(self) -> Self:
        if len(self.urgent) == 1:
            raise ValueError("a group has no urgent sentence or at least two")
        if 0 < len(self.openings) < _OWN_OPENINGS:
            raise ValueError(f"a group has no openings of its own or at least {_OWN_OPENINGS}")
        return self

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every sentence of the group."""
        return (*self.openings, *self.reasons, *self.instead, *self.urgent)


class Answers(Frozen):
    """The sentences of one language."""

    schema_version: Literal[1]
    lang: Literal["en", "zh"]
    openings: tuple[Sentence, ...] = Field(min_length=14)
    groups: tuple[Group, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.groups[-1].id != DEFAULT:
            raise ValueError(f"the last group must be {DEFAULT!r}, which serves whatever no other group names")
        for kind in ("hazards", "topics", "rules"):
            _once(kind, [name for group in self.groups for name in getattr(group, kind)])
        _once("groups", [group.id for group in self.groups])
        _once("sentences", [*self.openings, *(text for group in self.groups for text in group.sentences)])
        return self

    def group(self, hazard: str | None, topic: str | None = None, rule: str | None = None) -> Group:
        """The group that answers a prompt.

        A rule that the prompt broke says most about it, then the topic, then the hazard. A rule that
        belongs to the default group (``harmful-intent``) says nothing of the subject and is passed over.
        """
        *named, default = self.groups
        by_rule = (group for group in named if rule in group.rules)
        by_topic = (group for group in self.groups if topic in group.topics)
        by_hazard = (group for group in named if hazard in group.hazards)
        return next(by_rule, None) or next(by_topic, None) or next(by_hazard, default)

    def opening(self, key: str, *, hazard: str | None = None, topic: str | None = None, rule: str | None = None) -> str:
        """The first sentence of :meth:`refusal`, which declines."""
        openings = self.group(hazard, topic, rule).openings or self.openings
        return openings[_draws(key)[0] % len(openings)]

    def refusal(self, key: str, *, hazard: str | None = None, topic: str | None = None, rule: str | None = None) -> str:
        """A refusal for one prompt.

        Parameters
        ----------
        key : str
            Says which sentences are taken, through its SHA-256: the same key, the same refusal.
        hazard, topic, rule : str, optional
            What is known of the prompt; see :meth:`group`.

        Returns
        -------
        str
            An opening, mostly a reason, what helps instead and, where a life may be at stake, whom to call.
        """
        group = self.group(hazard, topic, rule)
        draws = _draws(key)
        parts = [self.opening(key, hazard=hazard, topic=topic, rule=rule)]
        if draws[1] % _WITHOUT_REASON:
            parts.append(group.reasons[draws[2] % len(group.reasons)])
        parts.append(group.instead[draws[3] % len(group.instead)])
        if group.urgent:
            parts.append(group.urgent[draws[4] % len(group.urgent)])
        return ("" if self.lang == "zh" else " ").join(parts)


@lru_cache(maxsize=len(LANGUAGES))
def load_answers(lang: str) -> Answers:
    """The refusals of a language, ``en`` or ``zh``.

    Raises
    ------
    UsageError
        There are none in that language.
    DataError
        The file does not fit the schema.
    """
    if lang not in LANGUAGES:
        raise UsageError(f"There are no refusals in {lang!r}.", mend=f"Known: {', '.join(LANGUAGES)}.")
    return read_yaml(data_folder("policies") / "answers" / f"{lang}.yaml", Answers)


def _draws(key: str) -> list[int]:
    digest = hashlib.sha256(key.encode("utf-8")).digest()
    return [int.from_bytes(digest[at : at + 4], "big") for at in range(0, 20, 4)]


def _once(what: str, names: list[str]) -> None:
    """Refuse a name that stands twice: which of its groups counts would hang on their order."""
    for name, following in pairwise(sorted(names)):
        if name == following:
            raise ValueError(f"{what}: {name!r} stands twice")
