"""Protected health information: finding identifiers in a text, and masking them.

What is found, and what is not, stands in :mod:`guardmed.policy.identifiers`.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from guardmed.policy.identifiers import KINDS
from guardmed.text import Span, normalise


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier: its label and where it stands in the original text."""

    label: str
    span: Span


LABELS = tuple(dict.fromkeys(kind.label for kind in KINDS))

# Everything else may be a full-width digit, a zero-width character or a look-alike dash.
_PLAIN = re.compile(r"[\n -~㐀-鿿，。！？；：、…（）]*")
# What is masked can uncover what it overlapped; a third look has never found more.
_LOOKS = 3


def find_identifiers(text: str, labels: tuple[str, ...] = ()) -> list[Identifier]:
    """Identifiers in a text, without overlaps (the longer wins), in order.

    Parameters
    ----------
    text : str
    labels : tuple of str
        Only these; all of :data:`LABELS` when empty.

    Notes
    -----
    Full-width digits, zero-width characters and the like hide nothing: the text is read folded, and
    spans are of the text as given. Linear in the length of the text.
    """
    folded = None if _PLAIN.fullmatch(text) and "  " not in text else normalise(text)
    reading = text if folded is None else folded.text
    found: list[Identifier] = []
    for _ in range(_LOOKS):
        more = longest(_candidates(reading, labels))
        if not more:
            break
        found += more
        reading = _masked(reading, more)
    found.sort(key=lambda identifier: identifier.span)
    return found if folded is None else [Identifier(one.label, folded.back(one.span)) for one in found]


def longest(candidates: Iterable[Identifier]) -> list[Identifier]:
    """Those that overlap nothing longer, in order; of equals the earlier, then the one given first."""
    chosen: list[Identifier] = []
    for one in sorted(candidates, key=lambda identifier: (identifier.span.start - identifier.span.end, identifier.span.start)):
        at = bisect(chosen, one.span, key=lambda identifier: identifier.span)
        if not any(one.span.overlaps(other.span) for other in chosen[max(0, at - 1) : at + 1]):
            chosen.insert(at, one)
    return chosen


def redact(text: str, identifiers: list[Identifier]) -> str:
    """Put ``[LABEL]`` in the place of each identifier."""
    pieces: list[str] = []
    at = 0
    for identifier in identifiers:
        pieces += [text[at : identifier.span.start], f"[{identifier.label}]"]
        at = identifier.span.end
    return "".join([*pieces, text[at:]])


def _candidates(text: str, labels: tuple[str, ...]) -> Iterator[Identifier]:
    lowered = text.lower()
    digits = any(char.isdecimal() for char in text)
    for kind in KINDS:
        if (labels and kind.label not in labels) or not (any(cue in lowered for cue in kind.cues) if kind.cues else digits):
            continue
        group = "value" if "value" in kind.pattern.groupindex else 0
        for match in kind.pattern.finditer(text):
            if kind.check is None or kind.check(match):
                yield Identifier(kind.label, Span(match.start(group), match.end(group)))


def _masked(text: str, identifiers: list[Identifier]) -> str:
    """The text with bars, which no identifier holds, in the place of each identifier; as long as before."""
    pieces: list[str] = []
    at = 0
    for identifier in identifiers:
        pieces += [text[at : identifier.span.start], "|" * (identifier.span.end - identifier.span.start)]
        at = identifier.span.end
    return "".join([*pieces, text[at:]])
