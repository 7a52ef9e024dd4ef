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


def letters(text: str) -> str:
    """Letters and digits alone, in lower case: two texts that differ in blanks and marks only are the same."""
    return "".join(char for char in normalise(text).text.casefold() if char.isalnum())


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


# A full stop after these ends nothing.
_ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|vs|cf|approx|ca|viz|resp|incl|dr|mr|mrs|ms|prof|st|figs?|vol|dept|refs?|dx|hx|rx|tx|sx|pt|pts|tab|tabs|cap|caps|inj|wt|ht|min|max|hrs?|wks?|yrs?)$",
    re.IGNORECASE,
)
# After these it does where a capital or a Chinese character follows: "twice b.i.d. Take it with food."
_MAY_END = re.compile(
    r"\b(?:etc|al|inc|ltd|b\.i\.d|t\.i\.d|q\.i\.d|q\.d|q\.o\.d|q\.h\.s|h\.s|p\.o|p\.r\.n|i\.v|i\.m|s\.c|p\.c|a\.c|a\.m|p\.m|o\.d|b\.d|t\.d\.s|q\.d\.s)$"
    r"|\d ?(?:min|hrs?|wks?|yrs?)$",
    re.IGNORECASE,
)
# After these only where the next word is one that opens sentences: "the U.S. It is", not "the U.S. Army".
_TITLE = re.compile(r"\b(?:u\.s|u\.k|e\.u|ph\.d|m\.d)$", re.IGNORECASE)
_OPENS = re.compile(r"\s*(?:A|An|And|As|But|Do|For|He|However|If|In|It|Its|Most|She|Some|Take|That|The|There|These|They|This|We|When|You|Your)\b")
_NUMBERED = re.compile(r"\bnos?$", re.IGNORECASE)
# A capital is the initial of a name, but not where it tells a kind: "vitamin D.", "hepatitis B or C."
_CAPITAL = re.compile(r"(?:^|[^\w.])(?:(?P<kind>(?:[A-Z] )?\w+) )?[A-Z]$")
_KINDS = re.compile(
    r"(?:vitamins?|hepatitis|type|group|grade|class|stage|factor|category|influenza|option|answer|choice|part|plan|phase|level|schedule|test|protein|coenzyme"
    r"|streptococc\w+|immunoglobulin|troponin|drug|treatment|regimen|patient|case|arm|cohort|study|trial|table|figure|appendix|is|are|was|and|or|than|not)$",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"[A-Z]\.")
_SENTENCE_END = re.compile(r"[.!?。｡！？；;…\n]+[\"'”’)\]）】』」]*(?:\[\d{1,3}(?:[,，–-] ?\d{1,3}){0,9}\])*")
_INK = re.compile(r"\S")
_WORD_CHARACTER = re.compile(r"\w")
_CLAUSE_END = re.compile(
    r"[,，、:：](?![0-9])|\s[-–—]\s|——|"
    r"\b(?:and|but|or|because|although|though|however|while|whereas|so that|unless|since)\b|(?:但是|但|然而|因为|所以|而且|并且|虽然|不过|如果)",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"\(?(?:\d{1,2}|[A-Za-z])\.")


def sentences(text: str) -> list[Span]:
    """Split into sentences, without surrounding white space.

    Full stops inside numbers ("3.5 mg"), after abbreviations ("b.i.d.", "No. 5", "Dr."), after the
    initials of names and after list marks ("2.") end nothing; a line break always does. Numbers of
    references ("[1]") stay with the sentence before them. The time is linear in the length.
    """
    spans: list[Span] = []
    start, ink = 0, _first_ink(text, 0)
    for match in _SENTENCE_END.finditer(text):
        if match.end() < start or not _ends_sentence(text, start, ink, match):
            continue
        spans.append(Span(start, match.end()))
        start = match.end()
        ink = ink if ink >= start else _first_ink(text, start)
    spans.append(Span(start, len(text)))
    return list(_stripped(text, spans))


def clauses(text: str, sentence: Span | None = None) -> list[Span]:
    """Split a sentence (the whole text by default) at commas, colons, dashes and conjunctions.

    A piece without a single word or character of its own stays with its neighbour. The time is
    linear in the length.
    """
    whole = sentence or Span(0, len(text))
    spans: list[Span] = []
    start = whole.start
    word = _WORD_CHARACTER.search(text, start, whole.end)
    last = next((index for index in range(whole.end - 1, start - 1, -1) if text[index].isalnum() or text[index] == "_"), -1)
    for match in _CLAUSE_END.finditer(text, whole.start, whole.end):
        # A conjunction opens the next clause, a mark closes this one.
        cut = match.start() if match.group()[0].isalpha() else match.end()
        if cut > start and word is not None and word.start() < cut <= last:
            spans.append(Span(start, cut))
            start = cut
            word = _WORD_CHARACTER.search(text, start, whole.end)
    spans.append(Span(start, whole.end))
    return list(_stripped(text, spans))


def _first_ink(text: str, start: int) -> int:
    found = _INK.search(text, start)
    return found.start() if found else len(text)


def _ends_sentence(text: str, start: int, ink: int, match: re.Match[str]) -> bool:
    mark = match.group()
    if "\n" in mark:
        return True
    if mark[0] != ".":
        return mark[0] != ";" or match.end() == len(text) or text[match.end()].isspace()
    after = text[match.end() : match.end() + 1]
    if after and not after.isspace() and not _CJK.match(after):
        return False
    # Enough for the longest abbreviation, and for the word before a capital.
    before = text[max(start, match.start() - 24) : match.start()]
    follows = _first_ink(text, match.end())
    if _LIST_MARK.fullmatch(text, ink, match.end()):
        return False
    return follows == len(text) or not _abbreviated(text, before, follows)


def _abbreviated(text: str, before: str, follows: int) -> bool:
    """Whether the full stop after ``before`` belongs to an abbreviation; ``follows`` is what comes after it."""
    opens = text[follows].isupper() or _CJK.match(text, follows) is not None
    if _MAY_END.search(before):
        return not opens
    if _NUMBERED.search(before):
        return text[follows].isdigit() or text[follows] == "#"
    if _TITLE.search(before):
        return _OPENS.match(text, follows) is None
    capital = _CAPITAL.search(before)
    if capital is not None:
        word = capital["kind"] or ""
        tells_kind = _KINDS.search(word) is not None or (before.endswith("I") and word.islower())
        return not (opens and tells_kind) or _INITIAL.match(text, follows) is not None
    return _ABBREVIATION.search(before) is not None


def _stripped(text: str, spans: list[Span]) -> Iterator[Span]:
    for span in spans:
        piece = span.of(text)
        lead = len(piece) - len(piece.lstrip())
        tail = len(piece.rstrip())
        if tail > lead:
            yield Span(span.start + lead, span.start + tail)
