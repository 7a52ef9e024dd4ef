"""Texts that mean nearly what an exemplar means, by the cosine of their sentence vectors.

It sees paraphrases, and in a multilingual encoder translations. It does not see negation ("lowers fever",
"does not lower fever" are near 1) nor who asks and why, so a rule should join it with another detector. The
encoder is any sentence-transformers folder or hub id (Reimers and Gurevych, arXiv:1908.10084).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from guardmed.errors import UsageError
from guardmed.policy.detectors import Evidence
from guardmed.text import Normalised, sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns texts into vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 a text, shape (texts, dimensions)."""


class SentenceEncoder:
    """A sentence-transformers model, loaded at its first use.

    Parameters
    ----------
    name : str
        A folder or a hub id.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1; on the CPU unless the model was moved.

        Raises
        ------
        UsageError
            The library or the model is missing.
        """
        if self._model is None:
            try:
                from sentence_transformers import SentenceTransformer
            except ImportError:
                raise UsageError("An encoder needs sentence-transformers.", mend="Install it: pip install 'guardmed[encoder]'.") from None
            try:
                self._model = SentenceTransformer(self._name, trust_remote_code=False)
            except (OSError, ValueError) as error:
                raise UsageError(f"There is no encoder {self._name!r}: {error}", mend="Name a sentence-transformers folder or hub id.") from None
        vectors: NDArray[np.float32] = self._model.encode(list(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
        return vectors


@dataclass(frozen=True)
class Similar:
    """Sentences whose cosine with one of ``exemplars`` is over ``over``."""

    encoder: Encoder = field(hash=False)
    exemplars: tuple[str, ...]
    over: float

    def find(self, text: Normalised) -> list[Evidence]:
        """Each sentence that is near enough, the nearest first."""
        spans = sentences(text.text)
        if not spans:
            return []
        scores = self.encoder.encode([span.of(text.text) for span in spans]) @ _vectors(self).T
        best = scores.max(axis=1)
        found = sorted((index for index in range(len(spans)) if best[index] > self.over), key=lambda index: -best[index])
        return [Evidence(spans[index]) for index in found]


@lru_cache(maxsize=64)
def _vectors(similar: Similar) -> NDArray[np.float32]:
    return similar.encoder.encode(similar.exemplars)
