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
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import re2

from guardmed.errors import PolicyError
from guardmed.text import Span

_TOKEN = re.compile(r"\.\.\.|<[\w-]+>|[()\[\]|]|[^\s()\[\]|<>.]+(?:\.(?!\.\.)[^\s()\[\]|<>.]*)*|\s+|.")
_CJK = re.compile(r"[⺀-鿿豈-﫿]")
_ENGLISH_GAP = r"(?:[^\w.!?\n]+[\w'’-]+){0,6}?[^\w.!?\n]+"
_CHINESE_GAP = r"[^。！？!?；\n]{0,12}?"
_MAX_DEPTH = 4


def phrase_to_regex(phrase: str, terms: Mapping[str, Iterable[str]]) -> str:
    """Translate one phrase; see :class:`Phrasebook` for many."""
    return Phrasebook(terms).regex(phrase)


class Phrasebook:
    """Translates phrases to RE2 syntax, each word list once.

    Parameters
    ----------
    terms : mapping of str to iterable of str
        The pack's word lists for ``<name>``.
    """

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        self._terms = terms
        self._lists: dict[str, str] = {}

    def regex(self, phrase: str, *, _depth: int = 0) -> str:
        """Translate one phrase.

        Raises
        ------
        PolicyError
            Unbalanced brackets, an unknown word list, or an empty phrase.
        """
        if not phrase.strip():
            raise PolicyError("An empty phrase matches everything.", mend="Remove it or write words.")
        if _depth > _MAX_DEPTH:
            raise PolicyError(f"The phrase {phrase!r} nests word lists more than {_MAX_DEPTH} deep.", mend="Does a list contain itself?")
        tokens = _TOKEN.findall(phrase.strip())
        parts, rest = self._sequence(tokens, 0, phrase, _CJK.search(phrase) is not None, _depth)
        if rest != len(tokens):
            raise PolicyError(f"The phrase {phrase!r} has a bracket that was never opened.", mend="Balance ( ) and [ ].")
        return parts

    def _sequence(self, tokens: list[str], at: int, phrase: str, chinese: bool, depth: int) -> tuple[str, int]:
        """Alternatives of sequences up to a closing bracket; returns the regex and where it stopped."""
        branches: list[str] = []
        pieces: list[tuple[str, bool]] = []  # regex, may it be absent
        while at < len(tokens):
            token = tokens[at]
            if token in (")", "]"):
                break
            at += 1
            if token.isspace():
                continue
            if token == "|":
                branches.append(_join(pieces, chinese))
                pieces = []
            elif token in ("(", "["):
                inner, at = self._sequence(tokens, at, phrase, chinese, depth)
                if at >= len(tokens) or tokens[at] != (")" if token == "(" else "]"):
                    raise PolicyError(f"The phrase {phrase!r} has a bracket that is never closed.", mend="Balance ( ) and [ ].")
                at += 1
                pieces.append((f"(?:{inner})", token == "["))
            elif token == "...":
                pieces.append((_CHINESE_GAP if chinese else _ENGLISH_GAP, False))
            elif token.startswith("<") and token.endswith(">"):
                pieces.append((self._list(token[1:-1], phrase, depth), False))
            else:
                pieces.append((_word(token), False))
        branches.append(_join(pieces, chinese))
        return "|".join(branches), at

    def _list(self, name: str, phrase: str, depth: int) -> str:
        if name not in self._terms:
            known = ", ".join(sorted(self._terms)) or "none"
            raise PolicyError(f"The phrase {phrase!r} names the word list <{name}>, which does not exist.", mend=f"Known: {known}.")
        if name not in self._lists:
            # Longest first, because RE2 takes the leftmost alternative.
            words = sorted(set(self._terms[name]), key=lambda word: (-len(word), word))
            self._lists[name] = "(?:" + "|".join(self.regex(word, _depth=depth + 1) for word in words) + ")"
        return self._lists[name]


def _join(pieces: list[tuple[str, bool]], chinese: bool) -> str:
    """Put pieces in a row; an optional piece takes its separator along when it is absent."""
    between = r"\s*" if chinese else r"[\s,'\"-]+"
    out = ""
    pending = False  # whether a separator is due before the next piece
    for regex, optional in pieces:
        gap = regex in (_CHINESE_GAP, _ENGLISH_GAP)
        if gap:
            out, pending = out + regex, False
        elif optional:
            out += f"(?:{between if pending else ''}{regex}{'' if pending else between})?"
        else:
            out += (between if pending else "") + regex
            pending = True
    return out


def _word(token: str) -> str:
    body = token.rstrip("*")
    regex = re.sub(r"([\\.+*?^$|{}\[\]()/-])", r"\\\1", body)
    if _CJK.search(token):
        return regex
    left = r"\b" if body[:1].isascii() and (body[:1].isalnum() or body[:1] == "_") else ""
    right = r"[\w'-]*" if token.endswith("*") else (r"\b" if body[-1:].isascii() and body[-1:].isalnum() else "")
    return f"{left}{regex}{right}"


@lru_cache(maxsize=1)
def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


# Stands behind every text that is filtered: an answer without it means that the filter gave up.
_CANARY = "guardmedcanary"


class Matcher:
    """Many regular expressions, of which few occur in any text.

    A filter of the literals that each expression needs (one pass, RE2's ``FilteredRE2``) says which
    of them *could* occur; only those are searched for, and only when asked about.

    Parameters
    ----------
    regexes : list of str
        In RE2 syntax, case folded.

    Raises
    ------
    PolicyError
        One of them is not RE2 syntax (look-around and back-references are not linear in time).
    """

    def __init__(self, regexes: list[str]) -> None:
        self._filter = re2.Filter()
        for regex in [*regexes, _CANARY]:
            try:
                self._filter.Add(regex.encode(), _options())
            except re2.error:
                raise PolicyError(
                    f"The pattern {regex!r} is not valid: {_reason(regex)}.", mend="Use RE2 syntax: no look-around, no back-references."
                ) from None
        self._filter.Compile()
        # The filter owns the compiled expressions, and lives as long as they do.
        self._single = [self._filter.re(index) for index in range(len(regexes) + 1)]
        for regex, single in zip(regexes, self._single, strict=False):
            if single.fullmatch(b""):
                raise PolicyError(f"The pattern {regex!r} also matches where nothing stands.", mend="Put a word outside its optional parts.")

    def read(self, text: str) -> Occurrences:
        """Prepare a text to be asked about."""
        found = self._filter.Match(f"{text.lower()}\n{_CANARY}".encode("utf-8", "replace"), True) or []
        canary = len(self._single) - 1
        return Occurrences(self._single, text, frozenset(found) if canary in found else None)


def _reason(regex: str) -> str:
    try:
        re2.compile(regex.encode(), _options())
    except re2.error as error:
        return error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
    return "too large"


class Occurrences:
    """Where the expressions of a :class:`Matcher` occur in one text; each is searched for once."""

    def __init__(self, single: list[Any], text: str, candidates: frozenset[int] | None) -> None:
        self._single = single
        self._candidates = candidates
        self._data = text.encode("utf-8", "replace")
        self._ascii = len(self._data) == len(text)
        self._found: dict[int, list[Span]] = {}

    def may(self, indices: frozenset[int]) -> bool:
        """Whether all of some expressions could occur; false is certain."""
        return self._candidates is None or indices <= self._candidates

    def at(self, index: int) -> list[Span]:
        """Every place of one expression, in order."""
        if self._candidates is not None and index not in self._candidates:
            return []
        if index not in self._found:
            self._found[index] = self._search(index)
        return self._found[index]

    def _search(self, index: int) -> list[Span]:
        spans = [match.span() for match in self._single[index].finditer(self._data)]
        if self._ascii:
            return [Span(start, end) for start, end in spans]
        # From bytes to characters in one walk: matches come in order and don't overlap.
        out: list[Span] = []
        byte, char = 0, 0
        for start, end in spans:
            first = char + len(self._data[byte:start].decode("utf-8"))
            byte, char = end, first + len(self._data[start:end].decode("utf-8"))
            out.append(Span(first, char))
        return out
