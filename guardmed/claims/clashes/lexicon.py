"""What words mean to the search for clashes: read from the two tables, once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from guardmed.claims.clashes.lexicon_en import BASES, LOWER, PREFIXES, ROOTS
from guardmed.claims.clashes.lexicon_en import WORDS as ENGLISH
from guardmed.claims.clashes.lexicon_zh import BODY
from guardmed.claims.clashes.lexicon_zh import WORDS as CHINESE

Kind = Literal["negation", "side", "time", ""]
Relation = Literal["", "between", "behind"]


@dataclass(frozen=True, slots=True)
class Part:
    """What a word or part of it contributes.

    Attributes
    ----------
    denies : bool
        It is a denial; the other fields are empty but for ``light``: such a denial is part of the word that it denies ("un-").
    word : str
        A concept.
    axis, pole : str
        One side of a pair of opposites.
    light : bool
        An adverb or a verb without weight of its own: a denial beside it is about what follows.
    relation : {"", "between", "behind"}
        It relates what is left of it to what is right of it ("X before Y"), or stands behind the second (X在Y之前).
    """

    denies: bool = False
    word: str = ""
    axis: str = ""
    pole: str = ""
    light: bool = False
    relation: Relation = ""


_SIDES_LIST = """
lat vert prox ap med io depth phase vessel chamber nerve ferent auto central breath flex lie cran parent
"""
_SIDES = frozenset(_SIDES_LIST.split())
_TIMES = frozenset(["order", "food", "clock", "late", "seq", "speed", "term"])
SCOPES = ("who", "sex", "grade", "course", "route", "step", "group")
"""Axes that say whom or what a text is about: two texts that differ on one don't contradict each other."""
# A pole of these says the opposite of the other; of the rest, a text may deny one without holding the other.
_COMPATIBLE = {
    "lat": {("left", "one"), ("right", "one")},
    "clock": {("morning", "day"), ("noon", "day"), ("afternoon", "day"), ("noon", "afternoon"), ("afternoon", "night")},
    "food": {("any", "before"), ("any", "after")},
    "who": {("child", "infant"), ("infant", "newborn"), ("child", "teen"), ("adult", "old"), ("child", "newborn")},
    "route": {("iv", "injection"), ("im", "injection"), ("sc", "injection")},
    "grade": {("moderate", "severe"), ("mild", "moderate")},
}  # fmt: skip
_INVERSE = {"+": "-", "-": "+", "left": "right", "right": "left", "before": "after", "after": "before"}
_SUFFIXES = ("ations", "ation", "ments", "ment", "ingly", "ings", "ing", "edly", "ied", "ies", "ers", "er", "ed", "es", "ly", "s", "e", "y")
_KEPT = re.compile(r"(?:itis|osis|asis|ss|us|is|as)$")


def axis_kind(axis: str) -> Kind:
    """What a clash on an axis is called; nothing for one that only says whom a text is about."""
    if axis in _SIDES:
        return "side"
    if axis in _TIMES:
        return "time"
    return "" if axis in SCOPES else "negation"


def poles_agree(axis: str, one: str, other: str) -> bool:
    """Whether both poles of an axis may hold at once."""
    pairs = _COMPATIBLE.get(axis, set())
    return one == other or (one, other) in pairs or (other, one) in pairs


def inverse(pole: str) -> str | None:
    """The pole that says the same with both sides of the relation exchanged."""
    return _INVERSE.get(pole)


@lru_cache(maxsize=1)
def table() -> tuple[dict[str, tuple[Part, ...]], int, int]:
    """Every form with its parts; the most words an English form has, and the most characters a Chinese one has."""
    forms: dict[str, tuple[Part, ...]] = {}
    for line in (ENGLISH + CHINESE).splitlines():
        names, equals, parts = line.partition(" = ")
        if not equals or line.startswith("#"):
            continue
        read = _parts(parts)
        for name in names.split(", "):
            forms[name] = (Part(word=name),) if parts == "=" else read
    for place in BODY.split():
        for char, pole in (("上", "+"), ("下", "-")):
            forms[char + place] = (Part(axis="vert", pole=pole), *forms.get(place, (Part(word=place),)))
    for place in LOWER.split():
        forms[f"lower {place}"] = (Part(axis="vert", pole="-"), *forms.get(place, (Part(word=stem(place)),)))
    return forms, max(name.count(" ") + 1 for name in forms if name.isascii()), max(len(name) for name in forms if not name.isascii())


def _parts(text: str) -> tuple[Part, ...]:
    out: list[Part] = []
    for piece in text.split():
        light, body = piece.startswith("~"), piece.removeprefix("~")
        if body == "!":
            out.append(Part(denies=True, light=len(text.split()) > 1))
        elif body in "<>":
            out[-1] = Part(axis=out[-1].axis, pole=out[-1].pole, relation="between" if body == ">" else "behind")
        elif ":" in body:
            axis, _, pole = body.partition(":")
            out.append(Part(axis=axis, pole=pole, light=light))
        elif body != "-":
            out.append(Part(word=stem(body) if body.isascii() else body, light=light))
    return tuple(out)


@lru_cache(maxsize=8192)
def english(word: str) -> tuple[Part, ...]:
    """Parts of one English word in lower case."""
    forms = table()[0]
    if word in forms:
        return forms[word]
    if word.endswith("-free"):
        return (Part(denies=True, light=True), *english(word.removesuffix("-free")))
    if "-" in word and not any(char.isdigit() for char in word):
        denied = _denied(word)
        return denied if denied is not None else tuple(part for piece in word.split("-") if piece for part in english(piece))
    if word.endswith("'s"):
        return english(word[:-2])
    if word.endswith("n't"):
        return (Part(denies=True),)
    return _graded(word) or _denied(word) or (Part(word=stem(word)),)


def _denied(word: str) -> tuple[Part, ...] | None:
    for prefix in PREFIXES:
        rest = word.removeprefix(prefix)
        if rest != word and rest in BASES:
            known = table()[0].get(rest)
            return (Part(denies=True, light=True), *(known or (Part(word=stem(rest)),)))
    return None


def _graded(word: str) -> tuple[Part, ...] | None:
    """Words such as hyperkalaemia and hypotension."""
    for prefix, pole in (("hyper", "+"), ("hypo", "-")):
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) > 3:
            root = next((concept for name, concept in ROOTS.items() if rest.startswith(name)), None)
            return (Part(axis="dir", pole=pole), Part(word=root)) if root is not None else None
    return None


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without its ending, British and American spelling alike; only good for comparing."""
    word = (
        word.replace("aemi", "emi")
        .replace("oedem", "edem")
        .replace("haem", "hem")
        .replace("oesoph", "esoph")
        .replace("paed", "ped")
        .replace("isation", "ization")
    )
    if len(word) < 5 or not word.isalpha() or _KEPT.search(word):
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)]
    return word
