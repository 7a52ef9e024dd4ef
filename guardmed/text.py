"""Text in two languages: normalising with offsets, language, sentences and clauses.

Every span that GuardMed reports is in characters of the *original* text; matching happens on a
normalised copy, and :class:`Normalised` maps back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Half-open range of characters, ``text[start:end]``."""

    start: int
    end: int

    def overlaps(self, other: Span) -> bool:
        """Whether the two share at least one character."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: Span) -> bool:
        """Whether ``other`` lies wholly inside."""
        return self.start <= other.start and other.end <= self.end

    def of(self, text: str) -> str:
        """The characters the span covers."""
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text folded for matching, with the way back.

    Attributes
    ----------
    text : str
        Folded text.
    original : str
        What was given.
    offsets : tuple of int or None
        For each folded character the index of the character it came from, and one more entry for
        the end; ``None`` where both texts are the same.
    """

    text: str
    original: str
    offsets: tuple[int, ...] | None

    def back(self, span: Span) -> Span:
        """The span of the original text that a span of the folded text came from."""
        if self.offsets is None or span.start >= span.end:
            return span
        return Span(self.offsets[span.start], self.offsets[span.end - 1] + 1)


# Letters of other scripts that look like Latin ones (Unicode TS #39, the commonest confusables).
_HOMOGLYPHS = str.maketrans(
    "аеорсухіјѕԁԛԝһӏАВЕКМНОРСТУХІЈЅαορντυκιγεΑΒΕΖΗΙΚΜΝΟΡΤΥΧɑɡıℓ",
    "aeopcyxijsdqwhlABEKMHOPCTYXIJSaopvtukiyeABEZHIKMNOPTYXagil",
)
_FOLDS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "μ": "µ"})
# Chinese characters bound a word here, so that a long text of them is not read again and again.
_ALPHABETIC_WORD = re.compile(r"[^\W\u3400-\u9fff\uf900-\ufaff]+")
_CJK = re.compile(r"[㐀-䶿一-鿿豈-﫿]")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ɏ]+")
_FOREIGN_LETTER = re.compile(r"[^\W\d_A-Za-zÀ-ɏ㐀-䶿一-鿿豈-﫿]")


@lru_cache(maxsize=65536)
def _fold(char: str) -> str:
    """What one character becomes: compatibility forms folded, invisible ones dropped."""
    if unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc", "Co", "Cn", "Cs") and char not in "\n\t\r ":
        return ""
    if char.isspace():
        return "\n" if char in "\n\r\u2028\u2029" else " "
    folded = char.translate(_FOLDS)
    # Chinese sentence marks keep their own form: they end sentences without a space after them.
    return folded if folded in "，。！？；：、…（）" else unicodedata.normalize("NFKC", folded)


def normalise(text: str) -> Normalised:
    """Fold a text for matching.

    Compatibility forms (full-width letters and digits), smart quotes and dashes are folded,
    zero-width, control and combining characters dropped, runs of spaces made one, and look-alike
    letters of other scripts folded where a word mixes them with Latin ones.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return Normalised(text, text, None)
    folded: list[str] = []
    offsets: list[int] = []
    for index, char in enumerate(text):
        for piece in _fold(char):
            if piece == " " and folded and folded[-1] == " ":
                continue
            folded.append(piece)
            offsets.append(index)
    offsets.append(len(text))
    out = "".join(folded)
    if not out.isascii():
        out = _ALPHABETIC_WORD.sub(_latinised, out)
    return Normalised(out, text, tuple(offsets))


def _latinised(word: re.Match[str]) -> str:
    """A word that mixes scripts with Latin letters, all in Latin ones; any other as it is."""
    text = word.group()
    if text.isascii() or not any(char.isascii() and char.isalpha() for char in text):
        return text
    return text.translate(_HOMOGLYPHS)


def language(text: str) -> str:
    """Main language of a text: ``"zh"``, ``"en"``, ``"other"``, or ``"und"`` without any letter.

    One Chinese character weighs as much as two thirds of a Latin word, so that English drug
    names inside a Chinese sentence don't turn it English.
    """
    chinese = len(_CJK.findall(text))
    latin = len(_LATIN_WORD.findall(text))
    foreign = len(_FOREIGN_LETTER.findall(text))
    if not chinese and not latin and not foreign:
        return "und"
    if foreign > 3 * (latin + chinese):
        return "other"
    return "zh" if chinese * 2 / 3 > latin else "en"


_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|etc|approx|dr|mr|mrs|ms|prof|st|no|fig|vol|al|dept|inc|ltd|dx|hx|rx|tx|sx|pt"
    r"|b\.i\.d|t\.i\.d|q\.i\.d|q\.d|p\.o|p\.r\.n|i\.v|i\.m|s\.c|a\.m|p\.m|o\.d|b\.d|t\.d\.s|q\.d\.s|u\.s|ph\.d|m\.d|min|max|wt|ht|tab|cap|inj)"
    r"|\b[A-Z])$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。！？；;…\n]+[\"'”’)\]）】』」]*")
_CLAUSE_END = re.compile(
    r"[,，、:：](?![0-9])|\s[-–—]\s|——|"
    r"\b(?:and|but|or|because|although|though|however|while|whereas|so that|unless|since)\b|(?:但是|但|然而|因为|所以|而且|并且|虽然|不过|如果)",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"\s*(?:[-*•·]|\(?\d{1,2}[.)、]|[一二三四五六七八九十]、)\s*")


def sentences(text: str) -> list[Span]:
    """Split into sentences, without surrounding white space.

    Full stops inside numbers ("3.5 mg"), after abbreviations ("b.i.d.", "No. 5", "Dr.") and after
    list marks ("2.") end nothing; a line break always does.
    """
    spans: list[Span] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if match.end() < start or not _ends_sentence(text, start, match):
            continue
        spans.append(Span(start, match.end()))
        start = match.end()
    spans.append(Span(start, len(text)))
    return list(_stripped(text, spans))


def clauses(text: str, sentence: Span | None = None) -> list[Span]:
    """Split a sentence (the whole text by default) at commas, colons, dashes and conjunctions.

    A piece without a single word or character of its own stays with its neighbour.
    """
    whole = sentence or Span(0, len(text))
    spans: list[Span] = []
    start = whole.start
    for match in _CLAUSE_END.finditer(text, whole.start, whole.end):
        # A conjunction opens the next clause, a mark closes this one.
        cut = match.start() if match.group()[0].isalpha() else match.end()
        if cut > start and re.search(r"\w", text[start:cut]) and re.search(r"\w", text[cut : whole.end]):
            spans.append(Span(start, cut))
            start = cut
    spans.append(Span(start, whole.end))
    return list(_stripped(text, spans))


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match.group()
    if "\n" in mark:
        return True
    if mark[0] != ".":
        return mark[0] != ";" or match.end() == len(text) or text[match.end()].isspace()
    after = text[match.end() : match.end() + 1]
    if after and not after.isspace() and not _CJK.match(after):
        return False
    before = text[start : match.start()]
    if _ABBREVIATION.search(before[-8:]) and text[match.end() :].strip():
        return False
    return _LIST_MARK.fullmatch(text[start : match.end()]) is None


def _stripped(text: str, spans: list[Span]) -> Iterator[Span]:
    for span in spans:
        piece = span.of(text)
        lead = len(piece) - len(piece.lstrip())
        tail = len(piece.rstrip())
        if tail > lead:
            yield Span(span.start + lead, span.start + tail)
