"""Protected health information that can be found by form: identifiers, not names.

It sees Chinese resident identity numbers (GB 11643-1999 checksum), mobile and North American
phone numbers, e-mail addresses, US social security numbers, medical record numbers and dates of
birth that say what they are. It does not see names, addresses or free-text descriptions.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass

from guardmed.text import Span


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier: its label and where it stands in the original text."""

    label: str
    span: Span


def _resident_id(text: str) -> bool:
    """GB 11643-1999: 17 digits, a plausible date of birth, and a check character mod 11-2."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    if "10X98765432"[total % 11] != text[17].upper():
        return False
    try:
        born = datetime.date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return born.year >= 1850


def _social_security(text: str) -> bool:
    """Areas 000, 666 and 900 to 999, group 00 and serial 0000 were never issued (SSA)."""
    area, group, serial = text[:3], text[-7:-5].strip("- "), text[-4:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


_DATE = r"(?:\d{4}[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|(?:\d{1,2}(?:st|nd|rd|th)?\s)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s(?:\d{1,2},?\s)?\d{4})"

_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool] | None], ...] = (
    ("RESIDENT_ID", re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[0-9Xx](?![0-9A-Za-z])"), _resident_id),
    ("EMAIL", re.compile(r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}(?![A-Za-z0-9_-])"), None),
    ("PHONE", re.compile(r"(?<![\d-])(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d{4}){2}(?![\d-])"), None),
    ("PHONE", re.compile(r"(?<![\d-])(?:\+?1[-. ]?)?\(?[2-9]\d{2}\)?[-. ][2-9]\d{2}[-. ]\d{4}(?![\d-])"), None),
    ("PHONE", re.compile(r"(?:电话|手机|联系方式)[号码]*(?:是|为)?[：:\s]?(?P<value>0\d{2,3}[- ]?\d{7,8})(?!\d)"), None),
    ("SSN", re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), _social_security),
    ("MRN", re.compile(r"(?<![A-Za-z])(?:MRN|medical record (?:number|no\.?)|patient (?:ID|number))\s?(?:is|#|:|=|no\.?)*\s?(?P<value>[A-Za-z]{0,4}-?\d{4,12})\b", re.IGNORECASE), None),
    ("MRN", re.compile(r"(?:病历号|住院号|门诊号|就诊卡号|病案号)(?:是|为)?[：:\s]?(?P<value>[A-Za-z]{0,3}\d{4,12})"), None),
    ("DATE_OF_BIRTH", re.compile(rf"(?<![A-Za-z])(?:DOB|date of birth|born on)\s?(?:is|:|=)?\s?(?P<value>{_DATE})", re.IGNORECASE), None),
    ("DATE_OF_BIRTH", re.compile(rf"(?:出生日期|出生年月日|生日)(?:是|为)?[：:\s]?(?P<value>{_DATE})"), None),
)  # fmt: skip

LABELS = tuple(dict.fromkeys(label for label, _, _ in _KINDS))


def find_identifiers(text: str, labels: tuple[str, ...] = ()) -> list[Identifier]:
    """Identifiers in a text, without overlaps, in order.

    Parameters
    ----------
    text : str
    labels : tuple of str
        Only these; all of :data:`LABELS` when empty.
    """
    found: list[Identifier] = []
    if not any(char.isdigit() or char == "@" for char in text):
        return found
    for label, pattern, check in _KINDS:
        if labels and label not in labels:
            continue
        for match in pattern.finditer(text):
            group = "value" if "value" in pattern.groupindex else 0
            span = Span(match.start(group), match.end(group))
            if (check is None or check(span.of(text))) and not any(span.overlaps(other.span) for other in found):
                found.append(Identifier(label, span))
    return sorted(found, key=lambda identifier: identifier.span)


def redact(text: str, identifiers: list[Identifier]) -> str:
    """Put ``[LABEL]`` in the place of each identifier."""
    pieces: list[str] = []
    at = 0
    for identifier in identifiers:
        pieces += [text[at : identifier.span.start], f"[{identifier.label}]"]
        at = identifier.span.end
    return "".join([*pieces, text[at:]])
