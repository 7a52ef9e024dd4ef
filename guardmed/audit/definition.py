"""What an audit asks: vignettes, the demographic axes they are varied on, and how each group reads."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import DataError
from guardmed.files import digest_value
from guardmed.records import Frozen
from guardmed.resources import data_folder

Language = Literal["en", "zh"]
Kind = Literal["choice", "rating", "open"]
Intent = Literal["benign", "harmful"]
# A slot holds a text, or several of which each vignette takes one by its place.
Slots = dict[Language, dict[str, str | tuple[str, ...]]]
SLOT = re.compile(r"\{(\w+)\}")
CROSS = "×"
_GENDERED = re.compile(r"\b(?:he|she|him|her|his|hers|man|woman|male|female)\b|(?<![其吉司西])他(?![汀莫唑克])|[她男女]", re.IGNORECASE)


class Group(Frozen):
    """One group of an axis, what its slots hold, and what reports call it (its id, if not said)."""

    id: str
    title: dict[Language, str] = Field(default_factory=dict)
    slots: Slots = Field(default_factory=dict)


class Axis(Frozen):
    """One demographic axis.

    Attributes
    ----------
    languages : tuple of str
        In which it is varied; both by default.
    reference : str
        The group others are held against, and the one that reads first.
    unstated : dict
        What the slots hold when the axis is not being varied; without it, vignettes name a group.
    """

    id: str
    title: dict[Language, str]
    languages: tuple[Language, ...] = ("en", "zh")
    reference: str
    unstated: Slots | None = None
    groups: tuple[Group, ...] = Field(min_length=2)

    def group(self, name: str) -> Group:
        """A group by its id."""
        return next(group for group in self.groups if group.id == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of its groups."""
        return tuple(group.id for group in self.groups)


class Vignette(Frozen):
    """One patient or asker, told with slots, and the question asked.

    Attributes
    ----------
    kind : {"choice", "rating", "open"}
        One of several options; one of an ascending scale; a free answer.
    favourable : int or None
        For a choice: the option that gives this patient more care, belief or help.
    correct : int or None
        For a choice or rating: the right option, where guidelines leave no doubt.
    intent : {"benign", "harmful"} or None
        For a free answer: whether it should be given. Refusals of the two are never mixed.
    wording : dict
        This vignette's own filling of slots, over the group's: axis, group, language, slots.
    """

    id: str
    specialty: str
    kind: Kind = "choice"
    patient: dict[str, str] = Field(default_factory=dict)
    axes: tuple[str, ...] = Field(min_length=1)
    text: dict[Language, str]
    question: dict[Language, str] = Field(default_factory=dict)
    options: dict[Language, tuple[str, ...]] = Field(default_factory=dict)
    favourable: int | None = Field(default=None, ge=0)
    correct: int | None = Field(default=None, ge=0)
    intent: Intent | None = None
    wording: dict[str, dict[str, Slots]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Vignette:
        if not self.text:
            raise ValueError(f"vignette {self.id}: there is no text")
        if self.kind == "open":
            if self.options or self.favourable is not None or self.correct is not None:
                raise ValueError(f"vignette {self.id} is open: it takes no options, favourable or correct")
        elif self.intent is not None:
            raise ValueError(f"vignette {self.id}: intent belongs to open vignettes")
        elif not set(self.text) == set(self.question) == set(self.options):
            raise ValueError(f"vignette {self.id}: text, question and options must cover the same languages")
        if self.question and set(self.question) != set(self.text):
            raise ValueError(f"vignette {self.id}: text and question must cover the same languages")
        least = {"choice": 2, "rating": 3, "open": 0}[self.kind]
        for language, options in self.options.items():
            if len(options) < least or len(set(options)) < len(options):
                raise ValueError(f"vignette {self.id} ({language}): a {self.kind} needs at least {least} different options")
            if max(self.favourable or 0, self.correct or 0) >= len(options):
                raise ValueError(f"vignette {self.id} ({language}): favourable or correct is not an option's index")
        if len({len(options) for options in self.options.values()}) > 1:
            raise ValueError(f"vignette {self.id}: its languages have different numbers of options")
        if self.kind == "choice" and self.favourable is None and self.correct is None:
            raise ValueError(f"vignette {self.id}: say which option is favourable, or which is correct")
        if self.kind == "rating" and self.favourable is not None:
            raise ValueError(f"vignette {self.id}: a rating ascends by itself; leave favourable out")
        return self


class Expected(Frozen):
    """A difference that is clinically right, with its reason; it is reported, not judged.

    Attributes
    ----------
    groups : tuple of str
        Only of these groups from the others; of all when empty.
    outcomes : tuple of str
        Only in these; in all when empty.
    """

    vignette: str
    axis: str
    groups: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    reason: dict[Language, str]


class Definition(Frozen):
    """An audit, as ``audits/*.yaml`` says it.

    Attributes
    ----------
    margin : float
        Gap in a share or probability below which groups count as equivalent.
    margins : dict of str to float
        Margins of single outcomes, in their own units.
    alpha : float
        Family-wise error within an axis.
    intersections : tuple of (str, str)
        Pairs of axes that are also varied together.
    secondary : tuple of str
        Outcomes that may fail the audit but need not pass, as too few vignettes measure them.
    """

    schema_version: Literal[1]
    id: str
    title: dict[Language, str]
    purpose: dict[Language, str]
    owner: str
    reviewed: datetime.date
    sources: tuple[str, ...]
    margin: float = Field(gt=0, lt=1)
    margins: dict[str, float] = Field(default_factory=dict)
    alpha: float = Field(gt=0, lt=1)
    axes: tuple[Axis, ...] = Field(min_length=1)
    intersections: tuple[tuple[str, str], ...] = ()
    secondary: tuple[str, ...] = ()
    vignettes: tuple[Vignette, ...] = Field(min_length=1)
    expected: tuple[Expected, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Definition:
        axes = {axis.id: axis for axis in self.axes}
        _once("axes", [axis.id for axis in self.axes])
        for axis in self.axes:
            _once("groups", list(axis.names), where=f"axis {axis.id}: ")
            if axis.reference not in axis.names:
                raise ValueError(f"axis {axis.id}: the reference {axis.reference!r} is not one of its groups")
        for pair in self.intersections:
            if len(set(pair)) < 2 or not set(pair) <= set(axes):
                raise ValueError(f"the intersection {' and '.join(pair)} does not name two axes of this audit")
        ids = [vignette.id for vignette in self.vignettes]
        _once("vignettes", ids)
        for vignette in self.vignettes:
            _check_vignette(vignette, axes)
        for entry in self.expected:
            if entry.vignette not in ids or entry.axis not in axes:
                raise ValueError(f"expected: there is no vignette {entry.vignette!r} with an axis {entry.axis!r}")
            unknown = sorted(set(entry.groups) - set(axes[entry.axis].names))
            if unknown:
                raise ValueError(f"expected, {entry.vignette}: {unknown[0]!r} is no group of {entry.axis}")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is asked."""
        return digest_value(self.model_dump(mode="json"))

    def axis(self, name: str) -> Axis:
        """An axis by its id."""
        return next(axis for axis in self.axes if axis.id == name)

    def excused(self, vignette: str, axis: str, group: str, outcomes: Iterable[str]) -> frozenset[str]:
        """Which of some outcomes may rightly differ for a group, on an axis or an intersection of two."""
        groups = dict(zip(axis.split(CROSS), group.split(CROSS), strict=True))
        entries = [one for one in self.expected if one.vignette == vignette and one.axis in groups and (not one.groups or groups[one.axis] in one.groups)]
        return frozenset(name for name in outcomes if any(not one.outcomes or name in one.outcomes for one in entries))


def definition_names() -> list[str]:
    """Names of the audits that ship with GuardMed."""
    return sorted(path.stem for path in data_folder("audits").glob("*.yaml"))


def load_definition(name: str) -> Definition:
    """Read a definition by name or by path.

    Raises
    ------
    DataError
        There is none of that name, or it does not fit the schema.
    """
    path = data_folder("audits") / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise DataError(f"There is no audit {name!r}.", mend=f"Known: {', '.join(definition_names())}; or name a YAML file.")
    return read_yaml(path, Definition)


def _once(what: str, names: list[str], *, where: str = "") -> None:
    """No name twice, and none that reads as an intersection."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{where}two {what} are called {name}")
        if CROSS in name:
            raise ValueError(f"{where}the name {name!r} holds {CROSS}, which joins two {what}")


def _check_vignette(vignette: Vignette, axes: dict[str, Axis]) -> None:
    for name in (*vignette.axes, *vignette.wording):
        if name not in axes:
            raise ValueError(f"vignette {vignette.id} names the axis {name!r}, which is not defined")
    for name, group in vignette.patient.items():
        if name not in axes or group not in axes[name].names:
            raise ValueError(f"vignette {vignette.id}: the patient's {name} {group!r} is not a group of an axis")
    for name, groups in vignette.wording.items():
        unknown = sorted(set(groups) - set(axes[name].names))
        if unknown:
            raise ValueError(f"vignette {vignette.id}: its wording names {unknown[0]!r}, which is no group of {name}")
    for text in (*vignette.text.values(), *vignette.question.values()):
        word = _GENDERED.search(SLOT.sub("", text))
        if word:
            raise ValueError(f"vignette {vignette.id} says {word.group()!r} outright; use a slot, so that it agrees with the group")
