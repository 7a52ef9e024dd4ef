"""Reads pinyin: a text in Latin letters that spells Chinese, as the characters it most probably stands for.

A table of words with their syllables and how often they occur (``benchmarks/word_tables.py``) is searched
for the most probable row of words (Viterbi). It sees syllables parted or run together, without tones or with
tone marks and digits; it does not see abbreviations such as "yw" for 药物.
"""

from __future__ import annotations

import gzip
import math
import re
import unicodedata
from functools import cached_property
from pathlib import Path

from guardmed.errors import PolicyError
from guardmed.files import digest_file

_LATIN = re.compile(r"[a-züê]+[1-5]?")
# Anything that could be a syllable, so that the table is read only when it is needed.
_INITIALS = ("", "zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
_FINALS = "a o e i u v ai ei ao ou an en ang eng er ong ia ie iao iu in ian ing iang iong ua uo uai ui uan un uang ue ve".split()  # noqa: SIM905
_POSSIBLE = frozenset(initial + final for initial in _INITIALS for final in _FINALS)
_LONGEST_SYLLABLE = 6
_LONGEST_WORD = 60
_SHORTEST = 4
# Of a text that is pinyin nearly everything is a syllable; of English text less than half.
_SHARE = 0.9
# Log-probability of a syllable that is no word.
_UNKNOWN = -30.0


class PinyinTable:
    """Words by their syllables.

    Parameters
    ----------
    path : Path
        Gzipped lines of ``syllables<TAB>characters<TAB>count``, the syllables parted by spaces.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_file(self._path)

    def characters(self, text: str) -> str | None:
        """The characters a text spells, or ``None`` where it is not pinyin."""
        words = [word.rstrip("12345") for word in _LATIN.findall(_plain(text))]
        length = sum(map(len, words))
        if not words or not self._likely(words, spare=(1 - _SHARE) * length):
            return None
        parted = [_parted(word, self._syllables) for word in words]
        spelt = sum(len(word) for word, syllables in zip(words, parted, strict=True) if syllables)
        syllables = [syllable for row in parted for syllable in row]
        return self._decoded(syllables) if len(syllables) >= _SHORTEST and spelt >= _SHARE * length else None

    @staticmethod
    def _likely(words: list[str], *, spare: float) -> bool:
        """Whether all but a few letters could be syllables; most texts fail at their first words."""
        for word in words:
            # Nobody runs more than a few syllables together.
            if len(word) > _LONGEST_WORD or not _parted(word, _POSSIBLE):
                spare -= len(word)
                if spare < 0:
                    return False
        return True

    def _decoded(self, syllables: list[str]) -> str:
        words, longest = self._words
        # For each end: the best score, where its last word begins, and that word.
        best: list[tuple[float, int, str]] = [(0.0, 0, ""), *([(-math.inf, 0, "")] * len(syllables))]
        for end in range(1, len(syllables) + 1):
            for start in range(max(0, end - longest), end):
                characters, probability = words.get(" ".join(syllables[start:end]), ("", _UNKNOWN))
                score = best[start][0] + probability
                if score > best[end][0] and (characters or end - start == 1):
                    best[end] = (score, start, characters)
        found, at = [], len(syllables)
        while at:
            _, start, characters = best[at]
            found.append(characters)
            at = start
        return "".join(reversed(found))

    @cached_property
    def _words(self) -> tuple[dict[str, tuple[str, float]], int]:
        """For each row of syllables its commonest word and that word's log-probability."""
        rows: dict[str, tuple[str, int]] = {}
        total = 0
        try:
            with gzip.open(self._path, "rt", encoding="utf-8") as file:
                for line in file:
                    syllables, characters, count = line.rstrip("\n").split("\t")
                    total += int(count)
                    if int(count) > rows.get(syllables, ("", 0))[1]:
                        rows[syllables] = characters, int(count)
        except (OSError, EOFError, ValueError) as error:
            raise PolicyError(f"{self._path} can't be read: {error}.", mend="Make it again: python benchmarks/word_tables.py") from None
        words = {syllables: (characters, math.log(count / total)) for syllables, (characters, count) in rows.items()}
        return words, max((key.count(" ") + 1 for key in words), default=1)

    @cached_property
    def _syllables(self) -> frozenset[str]:
        return frozenset(syllable for row in self._words[0] for syllable in row.split(" "))


def _parted(word: str, syllables: frozenset[str]) -> list[str]:
    """A word as the fewest syllables, or none."""
    best: list[list[str] | None] = [[], *([None] * len(word))]
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - _LONGEST_SYLLABLE), end):
            before = best[start]
            if before is not None and word[start:end] in syllables:
                here = best[end]
                if here is None or len(before) + 1 < len(here):
                    best[end] = [*before, word[start:end]]
    return best[-1] or []


def _plain(text: str) -> str:
    """Lower case, tones dropped, ü written as v."""
    text = text.lower().replace("ü", "v").replace("u:", "v")
    return "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
