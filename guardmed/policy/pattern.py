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
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import re2

from guardmed.errors import PolicyError
from guardmed.text import Span

_TOKEN = re.compile(r"\.\.\.|<[\w-]+>|[()\[\]|]|[^\s()\[\]|<>.]+(?:\.(?!\.\.)[^\s()\[\]|<>.]*)*|\s+|.")
_CJK = re.compile(r"[⺀-鿿豈-﫿]")
_ENGLISH_GAP = r"(?:[^\w.!?\n]+[\w'’-]+){0,6}?[^\w.!?\n]+"
_CHINESE_GAP = r"[^。！？!?；\n]{0,12}?"
_MAX_DEPTH = 4


def phrase_to_regex(phrase: str, terms: Mapping[str, Iterable[str]], _depth: int = 0) -> str:
    """Translate one phrase to RE2 syntax.

    Parameters
    ----------
    phrase : str
        In the language above.
    terms : mapping of str to iterable of str
        The pack's word lists for ``<name>``.

    Raises
    ------
    PolicyError
        Unbalanced brackets, an unknown word list, or an empty phrase.
    """
    if not phrase.strip():
        raise PolicyError("An empty phrase matches everything.", mend="Remove it or write words.")
    if _depth > _MAX_DEPTH:
        raise PolicyError(f"The phrase {phrase!r} nests word lists more than {_MAX_DEPTH} deep.", mend="Does a list contain itself?")
    chinese = _CJK.search(phrase) is not None
    parts, rest = _sequence(list(_TOKEN.findall(phrase.strip())), 0, phrase, terms, chinese, _depth)
    if rest != len(_TOKEN.findall(phrase.strip())):
        raise PolicyError(f"The phrase {phrase!r} has a bracket that was never opened.", mend="Balance ( ) and [ ].")
    return parts


def _sequence(
    tokens: list[str], at: int, phrase: str, terms: Mapping[str, Iterable[str]], chinese: bool, depth: int
) -> tuple[str, int]:
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
            inner, at = _sequence(tokens, at, phrase, terms, chinese, depth)
            if at >= len(tokens) or tokens[at] != (")" if token == "(" else "]"):
                raise PolicyError(f"The phrase {phrase!r} has a bracket that is never closed.", mend="Balance ( ) and [ ].")
            at += 1
            pieces.append((f"(?:{inner})", token == "["))
        elif token == "...":
            pieces.append((_CHINESE_GAP if chinese else _ENGLISH_GAP, False))
        elif token.startswith("<") and token.endswith(">"):
            pieces.append((_term(token[1:-1], phrase, terms, depth), False))
        else:
            pieces.append((_word(token), False))
    branches.append(_join(pieces, chinese))
    return "|".join(branches), at


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


def _term(name: str, phrase: str, terms: Mapping[str, Iterable[str]], depth: int) -> str:
    if name not in terms:
        known = ", ".join(sorted(terms)) or "none"
        raise PolicyError(f"The phrase {phrase!r} names the word list <{name}>, which does not exist.", mend=f"Known: {known}.")
    # Longest first, because RE2 takes the leftmost alternative.
    words = sorted(set(terms[name]), key=lambda word: (-len(word), word))
    return "(?:" + "|".join(phrase_to_regex(word, terms, depth + 1) for word in words) + ")"


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


class Matcher:
    """Many regular expressions, searched for at once.

    A set automaton finds *which* of them occur in one pass; only those are then searched for
    their spans.

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
        self._set = re2.Set.SearchSet(_options())
        self._single = []
        # The set's automaton gives up, silently, when it needs more than its memory. The empty
        # pattern always matches, so an answer without it means "gave up", never "nothing found".
        self._canary = len(regexes)
        for regex in regexes:
            try:
                self._single.append(re2.compile(regex.encode(), _options()))
                self._set.Add(regex)
            except re2.error as error:
                reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
                raise PolicyError(f"The pattern {regex!r} is not valid: {reason}.", mend="Use RE2 syntax: no look-around, no back-references.") from None
        self._set.Add("")
        self._set.Compile()

    def spans(self, text: str) -> dict[int, list[Span]]:
        """For each pattern that occurs, by its index, every place where it does."""
        if not self._single or not text:
            return {}
        data = text.encode("utf-8", "replace")
        found = self._set.Match(data) or []
        candidates = sorted(set(found) - {self._canary}) if self._canary in found else range(len(self._single))
        spans = {index: list(self._spans(index, data, len(data) == len(text))) for index in candidates}
        return {index: places for index, places in spans.items() if places}

    def _spans(self, index: int, data: bytes, ascii_only: bool) -> Iterator[Span]:
        for match in self._single[index].finditer(data):
            start, end = match.span()
            if ascii_only:
                yield Span(start, end)
            else:
                first = len(data[:start].decode("utf-8"))
                yield Span(first, first + len(data[start:end].decode("utf-8")))
