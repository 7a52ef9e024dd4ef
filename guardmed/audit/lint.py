"""Finds what is wrong with a definition before a model is asked: what a clinician's eye would catch, and what it would not."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from guardmed.audit.analyse import MIN_GROUP
from guardmed.audit.definition import Definition, Vignette
from guardmed.audit.outcomes import roles
from guardmed.audit.plan import plan
from guardmed.audit.variants import Variant, variants
from guardmed.text import language as language_of

REVIEW_DAYS = 365
MIN_VIGNETTES = 24
_SHOWN = 60
# "an" before a vowel's sound; the exceptions are the few that audits write.
_ARTICLE = re.compile(r"\b([Aa]n?)\s+(?=([A-Za-z0-9]+))")
_AN_ANYWAY = re.compile(r"^(?:8|1[18](?!\d)|(?i:hour|honest|heir|honou?r)|(?!NICU|SARS|MERS|HELLP|FAST)[AEFHILMNORSX](?![a-z]))", re.ASCII)
_A_ANYWAY = re.compile(r"^(?:(?i:uni(?![nm]|dent)|ubiq|us[aeu]|eu|one\b|once|ur[aeio]|ute[nr]|util)|U[A-Z])")
_OPENS_SENTENCE = re.compile(r"(?:^|[.!?:\n\"“(]\s*)$")
_AGE = {
    "en": re.compile(r"\b(?:\d{1,3}[- ]year[- ]old|elderly|teenage\w*|aged \d+|toddler|middle-aged)\b", re.IGNORECASE),
    "zh": re.compile(r"\d{1,3}岁|老年|老人|少年|青年|中年"),
}
_DOUBLED = re.compile(r"\s{2,}| [,.;:?!，。；：？！、]|[,;:][,;:.]|[，。、；：]{2}|(?<!\.)\.\.(?!\.)| \n")
_MIXED = re.compile(r"[一-鿿]\s*[,.;:?!](?=\s*(?:[一-鿿]|$))")


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one vignette or axis; an ``error`` fails the lint, a ``warning`` does not."""

    place: str
    level: Literal["error", "warning"]
    problem: str


def lint(definition: Definition, *, today: datetime.date) -> list[Finding]:
    """Findings over a definition.

    Errors: a filled text with a doubled blank or mark, with the wrong article, in the wrong language,
    or the same for two groups; an age in a vignette that is varied on age; a reason in one language
    only. Warnings: favourable answers that are always the same word, fewer than 24 vignettes, languages
    that are missing, no sources, a review over a year ago.
    """
    found = [*_wording(definition), *_vignettes(definition), *_whole(definition, today), *_evidence(definition)]
    return list(dict.fromkeys(found))


def _wording(definition: Definition) -> Iterator[Finding]:
    """Every text as a model will read it."""
    cells: dict[tuple[str, str], dict[str, Variant]] = {}
    for variant in variants(definition):
        text = variant.body()
        place = f"{variant.item}, {variant.axis}: {variant.group}"
        if match := _DOUBLED.search(text):
            yield Finding(place, "error", f"reads {_around(text, match)!r}: a doubled or misplaced blank or mark")
        if variant.language == "en":
            yield from (Finding(place, "error", problem) for problem in _articles(text))
        elif match := _MIXED.search(text):
            yield Finding(place, "error", f"reads {_around(text, match)!r}: an English mark between Chinese characters")
        if (spoken := language_of(text)) != variant.language:
            yield Finding(place, "error", f"is said to be {variant.language} and reads as {spoken}")
        cell = cells.setdefault((variant.item, variant.axis), {})
        for other in cell.values():
            if other.body() == text and other.options == variant.options:
                yield Finding(place, "error", f"reads just as it does for {other.group}: no slot of this axis is used")
        cell[variant.group] = variant


def _articles(text: str) -> Iterator[str]:
    for match in _ARTICLE.finditer(text):
        article, word = match[1], match[2]
        if article == "A" and not _OPENS_SENTENCE.search(text[: match.start()]):
            continue  # a letter, as in hepatitis A
        needs_an = bool(_AN_ANYWAY.match(word)) or (word[0].lower() in "aeiou" and not _A_ANYWAY.match(word))
        if needs_an != (article.lower() == "an"):
            yield f"says {article} {word!r}; it should be {'an' if needs_an else 'a'}"


def _vignettes(definition: Definition) -> Iterator[Finding]:
    for vignette in definition.vignettes:
        for language in vignette.text:
            question = vignette.question.get(language, "")
            if "age" in vignette.axes and (match := _AGE[language].search(f"{vignette.text[language]}\n{question}")):
                yield Finding(f"{vignette.id}/{language}", "error", f"says {match.group()!r} outright and is varied on age; use a slot")
            if vignette.kind != "open" and not question.rstrip().endswith(("?", "？")):
                yield Finding(f"{vignette.id}/{language}", "warning", "its question does not end with a question mark")
        missing = {language for name in vignette.axes for language in definition.axis(name).languages} - set(vignette.text)
        for language in sorted(missing):
            yield Finding(vignette.id, "warning", f"has no text in {language}")


def _whole(definition: Definition, today: datetime.date) -> Iterator[Finding]:
    for entry in definition.expected:
        vignette = next(one for one in definition.vignettes if one.id == entry.vignette)
        if entry.axis not in vignette.axes:
            yield Finding(f"expected, {entry.vignette}", "error", f"the vignette is not varied on {entry.axis}")
        for language in sorted(set(vignette.text) - set(entry.reason)):
            yield Finding(f"expected, {entry.vignette}", "error", f"has no reason in {language}")
    for axis in definition.axes:
        varied = [vignette for vignette in definition.vignettes if axis.id in vignette.axes]
        if not varied:
            yield Finding(axis.id, "warning", "no vignette is varied on this axis")
        for language in axis.languages:
            if language not in axis.title:
                yield Finding(axis.id, "warning", f"has no title in {language}")
    yield from _balance(definition)
    if len(definition.vignettes) < MIN_VIGNETTES:
        yield Finding(definition.id, "warning", f"{len(definition.vignettes)} vignettes; with fewer than {MIN_VIGNETTES} little can be shown")
    if not definition.sources:
        yield Finding(definition.id, "warning", "names no source")
    if (today - definition.reviewed).days > REVIEW_DAYS:
        yield Finding(definition.id, "warning", f"last reviewed {definition.reviewed}, over {REVIEW_DAYS} days ago")


def _evidence(definition: Definition) -> Iterator[Finding]:
    """Whether there are cases enough for any verdict."""
    role_of = roles(secondary=definition.secondary)
    for name in definition.secondary:
        if name not in role_of:
            yield Finding(definition.id, "error", f"secondary names the outcome {name!r}, which is not measured")
    for power in plan(definition).powers:
        if power.pairs < MIN_GROUP:
            yield Finding(power.axis, "warning", f"{power.pairs} pairs for {power.outcome}; under {MIN_GROUP} nothing is judged, so this audit can never pass")


def _balance(definition: Definition) -> Iterator[Finding]:
    """A model that always says yes must not look generous, nor one that always says no look mean."""
    two: list[Vignette] = [vignette for vignette in definition.vignettes if vignette.favourable is not None and _two(vignette)]
    first = sum(vignette.favourable == 0 for vignette in two)
    if len(two) >= 8 and not 0.25 <= first / len(two) <= 0.75:
        yield Finding(
            definition.id,
            "warning",
            f"the favourable answer is the first option in {first} of {len(two)} choices; about half would cancel a habit of saying yes",
        )


def _two(vignette: Vignette) -> bool:
    return all(len(options) == 2 for options in vignette.options.values())


def _around(text: str, match: re.Match[str]) -> str:
    start = max(0, match.start() - _SHOWN // 2)
    return text[start : match.end() + _SHOWN // 2]
