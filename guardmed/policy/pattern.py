"""The phrase language of policy files, compiled to a linear-time engine.

Clinicians write phrases, not regular expressions:

==============  ==============================================================
``overdose on``  the words in a row, any case, any spaces between them
``overdos*``     a word that begins so
``(a|b c|d)``    one of several
``[please]``     may be there or not
``...``          a gap: up to six words, or twelve Chinese characters, never
                 past the end of a sentence
``<opioids>``    any phrase of the pack's word list of that name
==============  ==============================================================

Everything compiles to RE2, whose matching time is linear in the text whatever the pattern, so no
input can make a policy check hang (Cox, "Regular Expression Matching in the Wild", 2010).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import re2
from ahocorasick_rs import AhoCorasick

from guardmed.errors import PolicyError
from guardmed.text import Span

_TOKEN = re.compile(r"\.\.\.|<[\w-]+>|[()\[\]|]|[^\s()\[\]|<>.]+(?:\.(?!\.\.)[^\s()\[\]|<>.]*)*|\s+|.")
_CJK = re.compile(r"[⺀-鿿豈-﫿]")
_ENGLISH_GAP = r"(?:[^\w.!?\n]+[\w'’-]+){0,6}?[^\w.!?\n]+"
_CHINESE_GAP = r"[^。！？!?；\n]{0,12}?"
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, and what a text must hold for it to match.

    Attributes
    ----------
    regex : str
        In RE2 syntax.
    english, chinese : frozenset of str, optional
        One of these stands, in lower case, in whatever the expression matches, and the match does not go past the end
        of an English, or a Chinese, sentence. ``None`` for both where nothing is known.
    """

    regex: str
    english: frozenset[str] | None = None
    chinese: frozenset[str] | None = None

    @property
    def unknown(self) -> bool:
        """Whether it could match any text."""
        return self.english is None and self.chinese is None


def any_of(patterns: Iterable[Pattern]) -> Pattern:
    """A pattern that matches what any of some matches."""
    patterns = list(patterns)
    regex = "|".join(f"(?:{pattern.regex})" for pattern in patterns)
    if any(pattern.unknown for pattern in patterns):
        return Pattern(regex)
    none: frozenset[str] = frozenset()
    return Pattern(regex, none.union(*(p.english or none for p in patterns)), none.union(*(p.chinese or none for p in patterns)))


def phrase_to_regex(phrase: str, terms: Mapping[str, Iterable[str]]) -> str:
    """Translate one phrase; see :class:`Phrasebook` for many."""
    return Phrasebook(terms).pattern(phrase).regex


class Phrasebook:
    """Translates phrases to RE2 syntax, each word list once.

    Parameters
    ----------
    terms : mapping of str to iterable of str
        The pack's word lists for ``<name>``.
    """

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        self._terms = terms
        self._lists: dict[str, _Piece] = {}

    def pattern(self, phrase: str) -> Pattern:
        """Translate one phrase.

        Raises
        ------
        PolicyError
            Unbalanced brackets, an unknown word list, or an empty phrase.
        """
        piece = self._phrase(phrase, 0)
        if piece.ends:
            return Pattern(piece.regex)
        return Pattern(piece.regex, chinese=piece.literals) if _CJK.search(phrase) else Pattern(piece.regex, english=piece.literals)

    def _phrase(self, phrase: str, depth: int) -> _Piece:
        if not phrase.strip():
            raise PolicyError("An empty phrase matches everything.", mend="Remove it or write words.")
        if depth > _MAX_DEPTH:
            raise PolicyError(f"The phrase {phrase!r} nests word lists more than {_MAX_DEPTH} deep.", mend="Does a list contain itself?")
        tokens = _TOKEN.findall(phrase.strip())
        piece, rest = self._alternatives(tokens, 0, phrase, _CJK.search(phrase) is not None, depth)
        if rest != len(tokens):
            raise PolicyError(f"The phrase {phrase!r} has a bracket that was never opened.", mend="Balance ( ) and [ ].")
        return piece

    def _alternatives(self, tokens: list[str], at: int, phrase: str, chinese: bool, depth: int) -> tuple[_Piece, int]:
        """Alternatives of sequences up to a closing bracket, and where it stopped."""
        branches: list[_Piece] = []
        pieces: list[_Piece] = []
        while at < len(tokens):
            token = tokens[at]
            if token in (")", "]"):
                break
            at += 1
            if token.isspace():
                continue
            if token == "|":
                branches.append(_row(pieces, chinese))
                pieces = []
            elif token in ("(", "["):
                inner, at = self._alternatives(tokens, at, phrase, chinese, depth)
                if at >= len(tokens) or tokens[at] != (")" if token == "(" else "]"):
                    raise PolicyError(f"The phrase {phrase!r} has a bracket that is never closed.", mend="Balance ( ) and [ ].")
                at += 1
                pieces.append(_Piece(f"(?:{inner.regex})", inner.literals, optional=token == "[", ends=inner.ends))
            elif token == "...":
                pieces.append(_Piece(_CHINESE_GAP if chinese else _ENGLISH_GAP))
            elif token.startswith("<") and token.endswith(">"):
                pieces.append(self._list(token[1:-1], phrase, depth))
            else:
                pieces.append(_word(token))
        branches.append(_row(pieces, chinese))
        return _either(branches), at

    def _list(self, name: str, phrase: str, depth: int) -> _Piece:
        if name not in self._terms:
            known = ", ".join(sorted(self._terms)) or "none"
            raise PolicyError(f"The phrase {phrase!r} names the word list <{name}>, which does not exist.", mend=f"Known: {known}.")
        if name not in self._lists:
            # Longest first, because RE2 takes the leftmost alternative.
            words = sorted(set(self._terms[name]), key=lambda word: (-len(word), word))
            one = _either([self._phrase(word, depth + 1) for word in words])
            self._lists[name] = _Piece(f"(?:{one.regex})", one.literals, ends=one.ends)
        return self._lists[name]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a phrase, with the literals of which one must stand in it; ``None`` where nothing must.

    ``ends`` says that it holds the end of a sentence, so that a match may go past it.
    """

    regex: str
    literals: frozenset[str] | None = None
    optional: bool = False
    ends: bool = False


def _either(branches: list[_Piece]) -> _Piece:
    known = [branch.literals for branch in branches if branch.literals is not None]
    literals = frozenset().union(*known) if len(known) == len(branches) else None
    return _Piece("|".join(branch.regex for branch in branches), literals, ends=any(branch.ends for branch in branches))


def _row(pieces: list[_Piece], chinese: bool) -> _Piece:
    """Pieces in a row; an optional piece takes its separator along when it is absent."""
    between = r"\s*" if chinese else r"[\s,'\"-]+"
    out = ""
    pending = False  # whether a separator is due before the next piece
    for piece in pieces:
        if piece.regex in (_CHINESE_GAP, _ENGLISH_GAP):
            out, pending = out + piece.regex, False
        elif piece.optional:
            out += f"(?:{between if pending else ''}{piece.regex}{'' if pending else between})?"
        else:
            out += (between if pending else "") + piece.regex
            pending = True
    needed = [piece.literals for piece in pieces if piece.literals is not None and not piece.optional]
    return _Piece(out, max(needed, key=_rarity, default=None), ends=any(piece.ends for piece in pieces))


def _rarity(literals: frozenset[str]) -> tuple[int, int]:
    """The longer the shortest and the fewer they are, the fewer texts hold one; a Chinese character says as much as three letters."""
    return min(sum(3 if _CJK.match(char) else 1 for char in literal) for literal in literals), -len(literals)


def _word(token: str) -> _Piece:
    body = token.rstrip("*")
    literals, ends = frozenset([body.lower()]) if body else None, _END.search(body) is not None
    regex = re.sub(r"([\\.+*?^$|{}\[\]()/-])", r"\\\1", body)
    if _CJK.search(token):
        return _Piece(regex, literals, ends=ends)
    left = r"\b" if body[:1].isascii() and (body[:1].isalnum() or body[:1] == "_") else ""
    right = r"[\w'-]*" if token.endswith("*") else (r"\b" if body[-1:].isascii() and body[-1:].isalnum() else "")
    return _Piece(f"{left}{regex}{right}", literals, ends=ends)


@lru_cache(maxsize=1)
def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


# No phrase matches across one of these: its gaps and separators leave them out.
_ENGLISH_END = re.compile(r"[.!?]")
_CHINESE_END = re.compile(r"[。！？!?；]")
_END = re.compile(f"{_ENGLISH_END.pattern}|{_CHINESE_END.pattern}")


class Matcher:
    """Many regular expressions, of which few occur in any text.

    One pass of an automaton over the literals that the expressions need (Aho and Corasick,
    doi:10.1145/360825.360855) says which of them *could* occur, and where; only those are searched for, and only
    when asked about. An expression without known literals always could.

    Parameters
    ----------
    patterns : iterable of Pattern or str
        A string is a regular expression alone.

    Raises
    ------
    PolicyError
        One of them is not RE2 syntax (look-around and back-references are not linear in time).
    """

    def __init__(self, patterns: Iterable[Pattern | str]) -> None:
        self._patterns = [Pattern(pattern) if isinstance(pattern, str) else pattern for pattern in patterns]
        self._single = [_compiled(pattern.regex) for pattern in self._patterns]
        self._always = sum(1 << index for index, pattern in enumerate(self._patterns) if pattern.unknown)
        owners: dict[str, list[int]] = {}
        for index, pattern in enumerate(self._patterns):
            for kind, literals in enumerate((pattern.english, pattern.chinese)):
                for literal in literals or ():
                    owners.setdefault(literal, [0, 0])[kind] |= 1 << index
        self._owners = list(owners.values())
        self._literals = AhoCorasick(list(owners)) if owners else None

    def read(self, text: str) -> Occurrences:
        """Prepare a text to be asked about."""
        hits = self._literals.find_matches_as_indexes(_lowered(text), overlapping=True) if self._literals else []
        return Occurrences(self._single, text, [(self._owners[index], start, end) for index, start, end in hits], self._always)


def _compiled(regex: str) -> Any:
    try:
        compiled = re2.compile(regex.encode(), _options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise PolicyError(f"The pattern {regex!r} is not valid: {reason}.", mend="Use RE2 syntax: no look-around, no back-references.") from None
    if compiled.fullmatch(b""):
        raise PolicyError(f"The pattern {regex!r} also matches where nothing stands.", mend="Put a word outside its optional parts.")
    return compiled


def _lowered(text: str) -> str:
    """Lower case, with every character at its place."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(char if len(char.lower()) > 1 else char.lower() for char in text)


class _Runs:
    """Which patterns could occur in which stretch of a text between two ends of sentences."""

    def __init__(self, text: str, end: re.Pattern[str], hits: Iterable[tuple[int, int, int]]) -> None:
        self._bounds = [0, *(match.end() for match in end.finditer(text)), len(text)]
        self._masks = [0] * (len(self._bounds) - 1)
        for mask, start, stop in hits:
            for run in self._touched(start, stop):
                self._masks[run] |= mask

    def _touched(self, start: int, stop: int) -> range:
        return range(bisect_right(self._bounds, start, hi=len(self._masks)) - 1, bisect_left(self._bounds, stop, lo=1, hi=len(self._masks)))

    def mask(self, window: Span) -> int:
        out = 0
        for run in self._touched(window.start, window.end):
            out |= self._masks[run]
        return out

    def holding(self, index: int, window: Span) -> Iterator[tuple[int, int]]:
        """Where the runs begin and end that a window touches and that one pattern could occur in."""
        for run in self._touched(window.start, window.end):
            if self._masks[run] >> index & 1:
                yield self._bounds[run], self._bounds[run + 1]


class Occurrences:
    """Where the expressions of a :class:`Matcher` occur in one text; nothing is searched for twice.

    Sets of expressions are whole numbers, a bit for each.
    """

    def __init__(self, single: list[Any], text: str, hits: list[tuple[list[int], int, int]], always: int) -> None:
        self._single = single
        self._text = text
        self._always = always
        self._english = _Runs(text, _ENGLISH_END, ((english, start, stop) for (english, _), start, stop in hits))
        self._chinese = _Runs(text, _CHINESE_END, ((chinese, start, stop) for (_, chinese), start, stop in hits))
        self._found: dict[tuple[int, int, int], list[Span]] = {}

    @cached_property
    def anywhere(self) -> int:
        """Which expressions could match at all."""
        return self.within(Span(0, len(self._text)))

    def within(self, window: Span) -> int:
        """Which expressions could match something that overlaps a window."""
        return self._always | self._english.mask(window) | self._chinese.mask(window)

    def at(self, index: int, window: Span | None = None) -> list[Span]:
        """Every place of one expression, in order; with a window, those that overlap it."""
        window = window or Span(0, len(self._text))
        if self._always >> index & 1:
            found = self._search(index, 0, len(self._text))
        else:
            runs = {*self._english.holding(index, window), *self._chinese.holding(index, window)}
            found = sorted({span for run in runs for span in self._search(index, *run)})
        return [span for span in found if span.overlaps(window)]

    def _search(self, index: int, start: int, stop: int) -> list[Span]:
        key = (index, start, stop)
        if key not in self._found:
            self._found[key] = list(_spans(self._single[index], self._text[start:stop], start))
        return self._found[key]


def _spans(regex: Any, text: str, start: int) -> Iterator[Span]:
    """Where an expression matches, in characters counted from ``start``."""
    data = text.encode("utf-8", "replace")
    # From bytes to characters in one walk: matches come in order and don't overlap.
    byte, char = 0, start
    for match in regex.finditer(data):
        first, last = match.span()
        begin = char + len(data[byte:first].decode("utf-8"))
        byte, char = last, begin + len(data[first:last].decode("utf-8"))
        yield Span(begin, char)
