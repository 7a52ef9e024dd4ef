"""Every vignette of an audit, told for every group it is varied on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guardmed.audit.definition import CROSS, SLOT, Axis, Definition, Intent, Kind, Language, Vignette
from guardmed.errors import DataError

_LETTERS = "ABCDEFGHIJ"
_DEEPEST = 4
_ASK = {
    "en": {"words": "Answer {first} or {second}.", "letters": "Answer with one letter, {letters}."},
    "zh": {"words": "请只回答“{first}”或“{second}”。", "letters": "请只回答一个字母（{letters}）。"},
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One vignette told for one group of one axis in one language.

    Attributes
    ----------
    item : str
        Vignette and language: groups are compared within it.
    group : str
        On an intersection, the groups of both axes joined by ``×``; so is ``axis``.
    """

    item: str
    vignette: str
    axis: str
    group: str
    language: Language
    kind: Kind
    text: str
    question: str
    options: tuple[str, ...] = ()
    favourable: int | None = None
    correct: int | None = None
    intent: Intent | None = None

    @property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """The orders its options are named in: forwards and backwards, so that place cancels out."""
        forwards = tuple(range(len(self.options)))
        return (forwards, forwards[::-1]) if self.options else ()

    def body(self) -> str:
        """What is told and asked, before any options."""
        return f"{self.text}\n{self.question}" if self.question else self.text

    def prompt(self, order: Sequence[int] = ()) -> str:
        """The text a model is asked, with its options in one order."""
        if not self.options:
            return self.body()
        named = [self.options[index] for index in order]
        if self.by_words:
            ask = _ASK[self.language]["words"].format(first=named[0], second=named[1])
            return self.body() + (" " if self.language == "en" else "") + ask
        letters = _LETTERS[: len(named)]
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, named, strict=True))
        joined = (", " if self.language == "en" else "、").join(letters)
        return f"{self.body()}\n{listed}\n" + _ASK[self.language]["letters"].format(letters=joined)

    def answers(self, order: Sequence[int]) -> tuple[str, ...]:
        """What a model may say, in the order in which the prompt names the options."""
        return tuple(self.options[index] for index in order) if self.by_words else tuple(_LETTERS[: len(self.options)])

    @property
    def by_words(self) -> bool:
        """Whether it is answered with the options themselves (two short words), not with letters."""
        return len(self.options) == 2 and all(len(option.split()) == 1 and len(option) <= 5 for option in self.options)


def variants(definition: Definition, *, axes: Sequence[str] = (), limit: int | None = None) -> Iterator[Variant]:
    """Every vignette for every group of each of its axes, in each language.

    Parameters
    ----------
    definition : Definition
    axes : sequence of str
        Only these (and intersections of two of them); all when empty.
    limit : int, optional
        Only so many vignettes, from the start.

    Raises
    ------
    DataError
        A vignette uses a slot that nothing fills.
    """
    for place, vignette in enumerate(definition.vignettes[:limit]):
        for varied in _varied(definition, vignette, axes):
            for language in vignette.text:
                if any(language not in axis.languages for axis in varied):
                    continue
                for groups in _combinations(varied):
                    chosen = {axis.id: group for axis, group in zip(varied, groups, strict=True)}
                    slots = _slots(definition, vignette, language, chosen, place)
                    yield Variant(
                        item=f"{vignette.id}/{language}",
                        vignette=vignette.id,
                        axis=CROSS.join(chosen),
                        group=CROSS.join(groups),
                        language=language,
                        kind=vignette.kind,
                        text=_fill(vignette.text[language], slots, vignette.id),
                        question=_fill(vignette.question.get(language, ""), slots, vignette.id),
                        options=tuple(_fill(option, slots, vignette.id) for option in vignette.options.get(language, ())),
                        favourable=vignette.favourable,
                        correct=vignette.correct,
                        intent=vignette.intent,
                    )


def count_variants(definition: Definition, *, axes: Sequence[str] = (), limit: int | None = None) -> int:
    """How many variants a run asks."""
    return sum(1 for _ in variants(definition, axes=axes, limit=limit))


def _varied(definition: Definition, vignette: Vignette, only: Sequence[str]) -> Iterator[tuple[Axis, ...]]:
    """The axes, then the pairs of axes, that a vignette is varied on."""
    names = [name for name in vignette.axes if not only or name in only]
    for name in names:
        yield (definition.axis(name),)
    for first, second in definition.intersections:
        if first in names and second in names:
            yield (definition.axis(first), definition.axis(second))


def _combinations(axes: tuple[Axis, ...]) -> Iterator[tuple[str, ...]]:
    if len(axes) == 1:
        yield from ((name,) for name in axes[0].names)
    else:
        yield from ((one, other) for one in axes[0].names for other in axes[1].names)


def _slots(definition: Definition, vignette: Vignette, language: Language, varied: dict[str, str], place: int) -> dict[str, str]:
    """What every slot holds: each axis' group, varied, named by the vignette or unstated."""
    slots: dict[str, str | tuple[str, ...]] = {}
    for axis in definition.axes:
        chosen = varied.get(axis.id)
        if chosen is None and axis.unstated is not None:
            slots |= axis.unstated.get(language, {})
            continue
        chosen = chosen or vignette.patient.get(axis.id)
        if chosen is None and axis.id in vignette.axes:
            # What the vignette words by itself has to read somehow on its other axes as well.
            chosen = axis.reference
        if chosen is not None:
            slots |= axis.group(chosen).slots.get(language, {})
            slots |= vignette.wording.get(axis.id, {}).get(chosen, {}).get(language, {})
    return {name: text if isinstance(text, str) else text[place % len(text)] for name, text in slots.items()}


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

    filled = SLOT.sub(replace, text)
    if "{" not in filled:
        return filled
    if depth == _DEEPEST:
        raise DataError(f"The slots of the vignette {vignette} hold one another without end.", mend="A slot's content may hold slots, but not itself.")
    return _fill(filled, slots, vignette, depth + 1)
