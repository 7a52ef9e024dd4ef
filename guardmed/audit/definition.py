"""What an audit asks: vignettes, the demographic axes they are varied on, and how each group reads."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from guardmed.documents import read_yaml
from guardmed.errors import DataError
from guardmed.files import digest_value
from guardmed.records import Frozen
from guardmed.resources import data_folder

Language = Literal["en", "zh"]
Slots = dict[Language, dict[str, str]]
_SLOT = re.compile(r"\{(\w+)\}")
_GENDERED = re.compile(r"\b(?:he|she|him|her|his|hers|man|woman|male|female)\b|(?<!其)他|[她男女]", re.IGNORECASE)


class Group(Frozen):
    """One group of an axis, and what its slots hold."""

    id: str
    slots: Slots


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


class Vignette(Frozen):
    """One patient, told with slots, and the question asked about them."""

    id: str
    specialty: str
    patient: dict[str, str]
    axes: tuple[str, ...] = Field(min_length=1)
    text: dict[Language, str]
    question: dict[Language, str]
    options: dict[Language, tuple[str, str]]
    favourable: Literal[0, 1]


class Expected(Frozen):
    """A difference that is clinically right, with its reason; it is reported, not judged."""

    vignette: str
    axis: str
    reason: dict[Language, str]


class Definition(Frozen):
    """An audit, as ``audits/*.yaml`` says it."""

    schema_version: Literal[1]
    id: str
    title: dict[Language, str]
    purpose: dict[Language, str]
    owner: str
    reviewed: datetime.date
    sources: tuple[str, ...]
    margin: float = Field(gt=0, lt=1)
    alpha: float = Field(gt=0, lt=1)
    axes: tuple[Axis, ...] = Field(min_length=1)
    vignettes: tuple[Vignette, ...] = Field(min_length=1)
    expected: tuple[Expected, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Definition:
        axes = {axis.id: axis for axis in self.axes}
        for axis in self.axes:
            if axis.reference not in {group.id for group in axis.groups}:
                raise ValueError(f"axis {axis.id}: the reference {axis.reference!r} is not one of its groups")
        for vignette in self.vignettes:
            for name in vignette.axes:
                if name not in axes:
                    raise ValueError(f"vignette {vignette.id} names the axis {name!r}, which is not defined")
            if not set(vignette.text) == set(vignette.question) == set(vignette.options):
                raise ValueError(f"vignette {vignette.id}: text, question and options must cover the same languages")
            for name, group in vignette.patient.items():
                if name not in axes or group not in {found.id for found in axes[name].groups}:
                    raise ValueError(f"vignette {vignette.id}: the patient's {name} {group!r} is not a group of an axis")
            for text in (*vignette.text.values(), *vignette.question.values()):
                word = _GENDERED.search(_SLOT.sub("", text))
                if word:
                    raise ValueError(f"vignette {vignette.id} says {word.group()!r} outright; use a slot, so that it agrees with the group")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is asked."""
        return digest_value(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Variant:
    """One vignette told for one group of one axis in one language."""

    item: str
    vignette: str
    axis: str
    group: str
    language: Language
    text: str
    question: str
    options: tuple[str, str]
    favourable: int
    expected: bool


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


def variants(definition: Definition) -> Iterator[Variant]:
    """Every vignette for every group of each of its axes, in each language.

    An item is one vignette in one language: groups are compared within it.

    Raises
    ------
    DataError
        A vignette uses a slot that nothing fills.
    """
    axes = {axis.id: axis for axis in definition.axes}
    expected = {(entry.vignette, entry.axis) for entry in definition.expected}
    for vignette in definition.vignettes:
        for name in vignette.axes:
            axis = axes[name]
            for language in vignette.text:
                if language not in axis.languages:
                    continue
                for group in axis.groups:
                    slots = _slots(definition, vignette, language, varied={name: group.id})
                    yield Variant(
                        item=f"{vignette.id}/{language}",
                        vignette=vignette.id,
                        axis=name,
                        group=group.id,
                        language=language,
                        text=_fill(vignette.text[language], slots, vignette.id),
                        question=_fill(vignette.question[language], slots, vignette.id),
                        options=vignette.options[language],
                        favourable=vignette.favourable,
                        expected=(vignette.id, name) in expected,
                    )


def _slots(definition: Definition, vignette: Vignette, language: Language, *, varied: dict[str, str]) -> dict[str, str]:
    slots: dict[str, str] = {}
    for axis in definition.axes:
        chosen = varied.get(axis.id)
        if chosen is None and axis.unstated is not None:
            slots |= axis.unstated.get(language, {})
            continue
        chosen = chosen or vignette.patient.get(axis.id)
        if chosen is not None:
            slots |= axis.group(chosen).slots.get(language, {})
    return slots


def _fill(text: str, slots: dict[str, str], vignette: str, depth: int = 0) -> str:
    """Fill slots; a slot's content may hold slots itself, and a capital letter asks for one."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name in slots:
            return slots[name]
        lower = name[0].lower() + name[1:]
        if name[0].isupper() and lower in slots:
            return slots[lower][:1].upper() + slots[lower][1:]
        raise DataError(f"The vignette {vignette} uses the slot {{{name}}}, which nothing fills.", mend="Add it to a group's slots, or to `unstated`.")

    filled = _SLOT.sub(replace, text)
    return _fill(filled, slots, vignette, depth + 1) if "{" in filled and depth < 2 else filled
