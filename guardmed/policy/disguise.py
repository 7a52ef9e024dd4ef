"""Reads through disguises: what a text says once its tricks are undone.

=====================  =========================================================
traditional Chinese    安眠藥 is read as 安眠药
parted letters         ``k i l l``, ``k.i.l.l``, ``自*杀`` without what parts them
letters as digits      ``k1ll``, ``su!c!de``, ``p@racetam0l``
encoded                base64, hexadecimal and percent-encoded runs, decoded
typing errors          ``ovredose``, with :mod:`guardmed.policy.spelling`
pinyin                 ``zen me zi sha`` as 怎么自杀, with :mod:`guardmed.policy.pinyin`
=====================  =========================================================

Full-width and look-alike letters and invisible characters are already undone by
:func:`guardmed.text.normalise`. Each reading is checked beside the plain text and can only make a
verdict stricter. It does not see ciphers, words run together without any gap, or pictures.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from guardmed.text import Normalised, normalise

if TYPE_CHECKING:
    from opencc import OpenCC

_CHINESE = re.compile(r"[㐀-䶿一-鿿豈-﫿]")
_GAP = r"[ .\-_*·•~/|,]{1,2}"
_PARTED_LATIN = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z](?:(?P<gap>{_GAP})[A-Za-z](?![A-Za-z0-9])(?:(?P=gap)[A-Za-z](?![A-Za-z0-9]))+)")
# Where nearly every letter stands alone, two of them are a word as well.
_PARTED_SHORT = re.compile(r"(?<![A-Za-z0-9])[A-Za-z](?P<gap>[.\-_*·•~|])[A-Za-z](?![A-Za-z0-9])(?:(?P=gap)[A-Za-z](?![A-Za-z0-9]))*")
_PARTED_CHINESE = re.compile(r"(?<=[㐀-䶿一-鿿])[ .\-_*·•~/|+#@^]{1,3}(?=[㐀-䶿一-鿿])")
_DIGIT_WORD = re.compile(r"(?<![\w@$!|+])(?=[\w@$!|+]*[A-Za-z])[A-Za-z0134578@$!|+]{3,}(?![\w@$])")
# Where several words are so written, so are the short ones, and ones that could be a quantity elsewhere.
_ANY_DIGIT_WORD = re.compile(r"(?<![\w@$!|+.])[A-Za-z0134578@$!|+]+(?![\w@$])")
_SEVERAL = 3
_DOSE_LIKE = re.compile(r"\d{2,}|\d+(?:mcg|mg|g|kg|ml|iu|h|hrs?)", re.IGNORECASE)
_DIGITS = str.maketrans("034578@$+", "oeastbast")
# A one is an i or an l.
_ONES = (str.maketrans("1!|", "iii"), str.maketrans("1!|", "lll"))
_QUANTITY_LIKE = re.compile(
    r"hba1c|q\d+h|\d+(?:\.\d+)?(?:mcg|mg|g|kg|ml|l|iu|h|hr|hrs|x|d|st|nd|rd|th|yo|y|m|cm|mm|am|pm|k|s|p)s?|[a-z]{1,4}-?\d+|\d+[a-z]\d*", re.IGNORECASE
)
_DOMAIN = re.compile(r"[\w.-]*\.\w")
_WORDS = re.compile(r"[A-Za-z]{5,}")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{16,}={0,2}(?![A-Za-z0-9+/=])")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}[ ]?){8,}(?![A-Za-z0-9])")
_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def mended(text: Normalised, mend: Callable[[str], str]) -> Normalised | None:
    """The reading with its typing errors mended word by word, where there are any."""
    out = _rewritten(text, _WORDS, lambda match: mend(match.group()))
    return None if out.text == text.text else out


def readings(text: str, *, pinyin: Callable[[str], str | None] | None = None) -> list[Normalised]:
    """The plain reading of a text, and the others where it is disguised.

    Parameters
    ----------
    text : str
    pinyin : callable, optional
        Gives the characters that a text in pinyin stands for, or ``None``.

    Returns
    -------
    list of Normalised
        The plain one first; the spans of all of them lead back to ``text``.
    """
    plain = normalise(text)
    undone = _simplified(_joined(_decoded(plain)))
    found = dict.fromkeys([plain.text])
    out = [plain]
    for ones in _ONES:
        reading = _lettered(undone, ones)
        if reading.text not in found:
            found[reading.text] = None
            out.append(reading)
    if pinyin is not None and not _CHINESE.search(undone.text):
        characters = pinyin(undone.text)
        if characters:
            out.append(_whole(characters, text))
    return out


def _whole(reading: str, original: str) -> Normalised:
    """A reading without a place of its own for each character: all of it leads to the whole text."""
    last = max(len(original) - 1, 0)
    return Normalised(reading, original, (0, *([last] * (len(reading) - 1)), len(original)))


def _rewritten(text: Normalised, pattern: re.Pattern[str], rewrite: Callable[[re.Match[str]], str | None]) -> Normalised:
    """The text with every match rewritten (``None`` leaves it), and the way back kept."""
    pieces: list[str] = []
    offsets: list[int] = []
    at = 0
    back = text.offsets or range(len(text.text) + 1)
    for match in pattern.finditer(text.text):
        new = rewrite(match)
        if new is None or new == match.group():
            continue
        pieces += [text.text[at : match.start()], new]
        offsets += back[at : match.start()]
        first, last = back[match.start()], back[match.end() - 1] if match.end() > match.start() else back[match.start()]
        # What is as long keeps its places; anything else begins and ends where the match did.
        offsets += back[match.start() : match.end()] if len(new) == len(match.group()) else [first] * (len(new) - 1) + [last] if new else []
        at = match.end()
    if not pieces:
        return text
    offsets += back[at:]
    return Normalised("".join([*pieces, text.text[at:]]), text.original, tuple(offsets))


def _joined(text: Normalised) -> Normalised:
    """Letters parted one by one, joined; a wider gap stays a gap between words."""
    if _all_parted(text.text):
        # Runs of spaces were made one, so the words' own gaps are in the original only.
        words = re.split(r"\s{2,}|\s+[/|]\s+", text.original.strip())
        if len(words) > 1:
            return _whole(" ".join(re.sub(r"[\s.\-_*·•~/|]", "", word) for word in words), text.original)
        text = _rewritten(text, _PARTED_SHORT, _closed)
    text = _rewritten(text, _PARTED_LATIN, _closed)
    parted = len(_PARTED_CHINESE.findall(text.text))
    if parted and (parted >= 2 or "*" in text.text or "." in text.text):
        text = _rewritten(text, _PARTED_CHINESE, lambda match: "")
    return text


def _closed(match: re.Match[str]) -> str:
    letters = match.group().replace(match["gap"], "")
    # "I k i l l": the first is a word of its own.
    return f"I {letters[1:]}" if match["gap"] == " " and letters[0] == "I" else letters


def _all_parted(text: str) -> bool:
    letters = re.findall(r"[A-Za-z]+", text)
    return len(letters) >= 8 and sum(len(run) == 1 for run in letters) > 0.8 * len(letters)


def _lettered(text: Normalised, ones: dict[int, int]) -> Normalised:
    """Words that mix letters with digits that look like letters."""
    several = sum(_is_word(match, _QUANTITY_LIKE) for match in _DIGIT_WORD.finditer(text.text)) >= _SEVERAL
    pattern, spared = (_ANY_DIGIT_WORD, _DOSE_LIKE) if several else (_DIGIT_WORD, _QUANTITY_LIKE)

    def letters(match: re.Match[str]) -> str | None:
        word = match.group().rstrip("!|")
        return word.translate(_DIGITS).translate(ones) + match.group()[len(word) :] if _is_word(match, spared) else None

    return _rewritten(text, pattern, letters)


def _is_word(match: re.Match[str], spared: re.Pattern[str]) -> bool:
    """Whether digits stand for letters here: no quantity, no address, no plain word."""
    word = match.group()
    address = "@" in word and _DOMAIN.match(match.string, match.end())
    return not (address or spared.fullmatch(word) or word.rstrip("!|+").isalpha())


def _decoded(text: Normalised) -> Normalised:
    """Runs of base64, hexadecimal or percent-encoding that hold readable text."""
    if text.text.count("%") > 1:
        text = _rewritten(text, _PERCENT, lambda match: _readable(match.group(), unquote_to_bytes, shortest=1))
    for pattern, decode in _ENCODINGS:
        text = _rewritten(text, pattern, lambda match, decode=decode: _readable(match.group(), decode))  # type: ignore[misc]
    return text


def _from_base64(run: str) -> bytes:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(run + "=" * (-len(run) % 4), validate=True)


_ENCODINGS: tuple[tuple[re.Pattern[str], Callable[[str], bytes]], ...] = (
    (_BASE64, _from_base64),
    (_HEX, bytes.fromhex),
)


def _readable(run: str, decode: Callable[[str], bytes], *, shortest: int = 2) -> str | None:
    """What a run decodes to, where that is text: bytes that are not stay as they stand."""
    try:
        text = decode(run).decode("utf-8")
    except ValueError:
        return None
    letters = sum(char.isalpha() or char.isspace() for char in text)
    return text if len(text) >= shortest and letters >= 0.7 * len(text) and all(char.isprintable() or char.isspace() for char in text) else None


@lru_cache(maxsize=1)
def _converter() -> OpenCC:
    # Reading its dictionaries takes longer than any check.
    from opencc import OpenCC

    return OpenCC("t2s")


def _simplified(text: Normalised) -> Normalised:
    """Traditional characters as simplified ones."""
    if not _CHINESE.search(text.text):
        return text
    converted = _converter().convert(text.text)
    return text if converted == text.text or len(converted) != len(text.text) else Normalised(converted, text.original, text.offsets)
