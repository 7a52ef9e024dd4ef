"""The intent model: whether a request means harm, learned from pairs that share their words.

A logistic regression on hashed n-grams of characters and words, trained on requests and their
harmless twins (``benchmarks/train_intent.py``). It sees wording that no rule lists, in English and
Chinese, on one core in about a millisecond. It does not see meaning: a wording unlike anything it
was trained on gets a probability near one half and passes.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardmed.errors import PolicyError
from guardmed.files import digest_file
from guardmed.text import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKETS = 1 << 18
CHARACTERS = (1, 2, 3, 4)
WORDS = (1, 2, 3)
# A request hidden in a long text must not be thinned out by the rest: long texts are read in parts.
PART = 400
_WORD = re.compile(r"[a-z0-9']+|[一-鿿]")


def features(text: str) -> tuple[Counter[int], Counter[int]]:
    """Counts of hashed n-grams: of characters, and of words."""
    folded = normalise(text).text.lower().strip()
    characters = Counter(zlib.crc32(folded[at : at + n].encode()) % BUCKETS for n in CHARACTERS for at in range(len(folded) - n + 1))
    words = _WORD.findall(folded)
    phrases = Counter(zlib.crc32(("w " + " ".join(words[at : at + n])).encode()) % BUCKETS for n in WORDS for at in range(len(words) - n + 1))
    return characters, phrases


class IntentModel:
    """Weights of the two blocks of n-grams, read from an ``.npz`` without pickles.

    Parameters
    ----------
    path : Path
        Holds ``characters`` and ``words`` (float16, one weight a bucket) and ``bias``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_file(self._path)

    def probability(self, text: str) -> float:
        """Probability that a request means harm, the highest over its parts."""
        import math

        parts = [text[at : at + PART] for at in range(0, len(text), PART // 2)][: max(1, 2 * len(text) // PART)] or [""]
        return max(1 / (1 + math.exp(-self._score(part))) for part in parts)

    def _score(self, text: str) -> float:
        total: float = self._weights["bias"]
        for counts, block in zip(features(text), ("characters", "words"), strict=True):
            norm = sum(count * count for count in counts.values()) ** 0.5
            if norm:
                weights = self._weights[block]
                total += sum(float(weights[bucket]) * count for bucket, count in counts.items()) / norm
        return total

    @cached_property
    def _weights(self) -> dict[str, Any]:
        import numpy as np

        try:
            with np.load(self._path, allow_pickle=False) as data:
                blocks: dict[str, NDArray[np.float16]] = {name: data[name] for name in ("characters", "words")}
                bias = float(data["bias"])
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise PolicyError(f"{self._path} can't be read: {error}.", mend="Train it again: python benchmarks/train_intent.py") from None
        if any(block.shape != (BUCKETS,) for block in blocks.values()):
            raise PolicyError(f"{self._path} is not an intent model of {BUCKETS} buckets.", mend="Train it again: python benchmarks/train_intent.py")
        return {name: block.tolist() for name, block in blocks.items()} | {"bias": bias}
