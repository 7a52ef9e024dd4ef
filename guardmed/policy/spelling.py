"""Mends typing errors: an unknown Latin word becomes the commonest known one that is one slip away.

A slip is two letters swapped, one missing, one too many or one wrong (Damerau, 1964). It sees words of five
letters and more; it leaves a word that is known as it is, even where it is the wrong one.
"""

from __future__ import annotations

import gzip
from functools import cached_property
from pathlib import Path

from guardmed.errors import PolicyError
from guardmed.files import digest_file

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SHORTEST, _LONGEST = 5, 24
# What a word is mended to must be well known.
_COMMON = 4


class Speller:
    """Knows words and how common they are.

    Parameters
    ----------
    path : Path
        Gzipped lines of ``word<TAB>count`` (``benchmarks/word_tables.py``).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_file(self._path)

    def mend(self, word: str) -> str:
        """The word, or the commonest known one a slip away from an unknown one."""
        lowered = word.lower()
        if lowered in self._counts or not _SHORTEST <= len(word) <= _LONGEST:
            return word
        near = [other for other in _slips(lowered) if self._counts.get(other, 0) >= _COMMON]
        return max(near, key=self._counts.__getitem__) if near else word

    @cached_property
    def _counts(self) -> dict[str, int]:
        try:
            with gzip.open(self._path, "rt", encoding="utf-8") as file:
                return {word: int(count) for word, count in (line.rstrip("\n").split("\t") for line in file)}
        except (OSError, EOFError, ValueError) as error:
            raise PolicyError(f"{self._path} can't be read: {error}.", mend="Make it again: python benchmarks/word_tables.py") from None


def _slips(word: str) -> set[str]:
    """Every string one slip away."""
    halves = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    swapped = {a + b[1] + b[0] + b[2:] for a, b in halves if len(b) > 1}
    dropped = {a + b[1:] for a, b in halves if b}
    added = {a + letter + b for a, b in halves for letter in _LETTERS}
    changed = {a + letter + b[1:] for a, b in halves if b for letter in _LETTERS}
    # The first letter is seldom the wrong one.
    return {slip for slip in swapped | dropped | added | changed if slip[:1] == word[:1]}
