"""Varies texts for a student to learn from a teacher: words exchanged for near ones, cut, joined, led in and trailed."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from intent.examples import ASIDES, LEADS, Example

NEIGHBOURS = 12
EXCHANGED = 0.25
TYPOS = 0.15


class Augmenter:
    """Makes variants of tokenised texts.

    Parameters
    ----------
    vectors : array of shape (pieces, dimensions)
        One vector a piece of the vocabulary; near pieces are exchanged for one another.
    ordinary : array of bool, shape (pieces,)
        Pieces that may be put in.
    """

    def __init__(self, vectors: NDArray[np.float32], ordinary: NDArray[np.bool_], *, seed: int = 0) -> None:
        self._vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
        self._ordinary = np.flatnonzero(ordinary)
        self._near: dict[int, NDArray[np.int64]] = {}
        self._random = random.Random(seed)

    def exchanged(self, pieces: list[int]) -> list[int]:
        """A quarter of the pieces exchanged for one of their nearest, some dropped."""
        out = []
        for piece in pieces:
            draw = self._random.random()
            if draw < EXCHANGED:
                out.append(int(self._random.choice(self._neighbours(piece))))
            elif draw > 0.96 and len(pieces) > 5:
                continue
            else:
                out.append(piece)
        return out

    def _neighbours(self, piece: int) -> NDArray[np.int64]:
        if piece not in self._near:
            scores = self._vectors[self._ordinary] @ self._vectors[piece]
            self._near[piece] = self._ordinary[np.argpartition(-scores, NEIGHBOURS)[:NEIGHBOURS]]
        return self._near[piece]


def wrapped(example: Example, chance: random.Random) -> str:
    """A text, now and then led in, trailed by an aside, or mistyped: what says nothing of its intent."""
    text, lang = example.text, example.language
    if chance.random() < 0.12:
        text = chance.choice(LEADS[lang]) + text
    if chance.random() < 0.2:
        text = text + chance.choice(ASIDES[lang])
    if lang == "en" and chance.random() < TYPOS:
        text = mistyped(text, chance)
    return text


def mistyped(text: str, chance: random.Random) -> str:
    """One letter in about twenty swapped with the next, doubled or left out."""
    out = list(text)
    for at in range(len(out) - 1):
        if out[at].isalpha() and out[at + 1].isalpha() and chance.random() < 0.04:
            match chance.randrange(3):
                case 0:
                    out[at], out[at + 1] = out[at + 1], out[at]
                case 1:
                    out[at] = ""
                case _:
                    out[at] += out[at]
    return "".join(out)
