"""The intent model: whether a request means harm, learned from pairs that share their words.

A transformer encoder of six layers in plain numpy: every other layer of a multilingual one that was fine-tuned
on requests and their harmless twins, taught by the whole (``benchmarks/train_intent.py``; after Sanh et al.,
arXiv:1910.01108), in five bits a weight. It sees wording that no rule lists, in English and Chinese. It does not
see facts: whether a dose is too high is for the limit table, and an aim that stands nowhere in the words stays
unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from guardmed.errors import PolicyError
from guardmed.files import digest_file
from guardmed.text import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from threadpoolctl import ThreadpoolController
    from tokenizers import Tokenizer

    Floats = NDArray[np.float32]

# A request hidden in a long text must not be thinned out by the rest: long texts are read in parts that overlap.
PART, STEP = 94, 70
_BEGIN, _END = 0, 2
_WORDS = "embeddings.word_embeddings.weight"
_LEAD = re.compile(r"[^:：]{4,100}[:：](?=[^\n]{12})")
_SPACES = re.compile(r"\s+")


# Several threads on matrices this small wait for one another longer than they compute, on a busy machine a hundred times.
# The number of threads is the process's, so two texts must not be read at once: each would put back what the other set.
_COMPUTING = Lock()


@contextmanager
def _one_thread() -> Iterator[None]:
    with _COMPUTING, _controller().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@dataclass(frozen=True)
class _Network:
    """Weights by name: matrices laid out for ``states @ weight``, and the rows of the word vectors still in levels."""

    tokenizer: Tokenizer
    weights: dict[str, Floats]
    words: tuple[NDArray[np.int8], NDArray[np.float16]]
    heads: int
    layers: int


class IntentModel:
    """An encoder and a linear head, read from an ``.npz`` without pickles.

    Parameters
    ----------
    path : Path
        Holds ``tokenizer`` (the bytes of a ``tokenizers`` file), ``heads``, and for each weight an array, or for a matrix
        ``<name>.levels``, whole numbers, and ``<name>.scale``, one for each block of a row.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return digest_file(self._path)

    def probability(self, text: str) -> float:
        """Probability that a request means harm, the highest over its parts."""
        import numpy as np

        network = self._network
        folded = _SPACES.sub(" ", normalise(text).text.lower()).strip()
        parts = _parts(network.tokenizer.encode(folded).ids)
        # "In my novel, a character asks: ...": what a lead brings in is read for itself as well.
        lead = _LEAD.match(folded)
        if lead:
            parts += _parts(network.tokenizer.encode(folded[lead.end() :]).ids)
        if not parts:
            return 0.0
        with _one_thread():
            logit = max(_logit(network, np.array([_BEGIN, *part, _END])) for part in parts)
        return float(1 / (1 + np.exp(-np.float64(logit))))

    @cached_property
    def _network(self) -> _Network:
        import numpy as np
        from tokenizers import Tokenizer

        try:
            with np.load(self._path, allow_pickle=False) as data:
                arrays: dict[str, Any] = {name: data[name] for name in data.files}
            tokenizer = Tokenizer.from_buffer(arrays.pop("tokenizer").tobytes())
            heads = int(arrays.pop("heads"))
            words = arrays.pop(f"{_WORDS}.levels"), arrays.pop(f"{_WORDS}.scale")
            weights = {name: array.astype(np.float32) for name, array in arrays.items() if not name.endswith((".levels", ".scale"))}
            for name in [name.removesuffix(".levels") for name in arrays if name.endswith(".levels")]:
                weights[name] = np.ascontiguousarray(_unpacked(arrays[f"{name}.levels"], arrays[f"{name}.scale"]).T)
            weights["head.weight"] = weights["head.weight"].T
            layers = sum(name.endswith("attention.self.query.weight") for name in weights)
            network = _Network(tokenizer, weights, words, heads, layers)
            _logit(network, np.zeros(2, dtype=np.int64))
        # tokenizers raises a bare Exception for bytes that are no tokenizer.
        except Exception as error:  # noqa: BLE001
            raise PolicyError(
                f"{self._path} can't be read: {type(error).__name__}: {error}.", mend="Train it again: python benchmarks/train_intent.py"
            ) from None
        return network


def _parts(ids: list[int]) -> list[list[int]]:
    """Pieces in parts that overlap."""
    return [ids[at : at + PART] for at in range(0, max(1, len(ids) - PART + STEP), STEP)] if ids else []


def _unpacked(levels: NDArray[np.int8], scale: NDArray[np.float16]) -> Floats:
    """Rows of weights: each level times the scale of its block."""
    import numpy as np

    blocks = levels.reshape(*scale.shape, -1).astype(np.float32)
    values: Floats = (blocks * scale[..., None].astype(np.float32)).reshape(len(levels), -1)
    return values


def _logit(network: _Network, ids: NDArray[np.int64]) -> float:
    """The head's logit for one part, shape (pieces,)."""
    import numpy as np

    weights, (levels, scale) = network.weights, network.words
    states = _unpacked(levels[ids], scale[ids]) + weights["embeddings.position_embeddings.weight"][: len(ids)]
    states = _normed(weights, "embeddings.LayerNorm", states)
    for index in range(network.layers):
        states = _layer(weights, f"layers.{index}", states, network.heads)
    return float(_linear(weights, "head", np.concatenate([states.mean(0), states.max(0)]))[0])


def _layer(weights: dict[str, Floats], name: str, states: Floats, heads: int) -> Floats:
    import numpy as np

    pieces, width = states.shape
    query, key, value = (
        _linear(weights, f"{name}.attention.self.{part}", states).reshape(pieces, heads, width // heads).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 2, 1) * np.float32((width // heads) ** -0.5)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    seen = ((scores / scores.sum(-1, keepdims=True)) @ value).transpose(1, 0, 2).reshape(pieces, width)
    states = _normed(weights, f"{name}.attention.output.LayerNorm", states + _linear(weights, f"{name}.attention.output.dense", seen))
    wide = _linear(weights, f"{name}.intermediate.dense", states)
    # GELU by its tanh form (Hendrycks and Gimpel, arXiv:1606.08415): numpy has no error function.
    wide = 0.5 * wide * (1 + np.tanh(np.float32(0.7978845608) * (wide + np.float32(0.044715) * wide * wide * wide)))
    return _normed(weights, f"{name}.output.LayerNorm", states + _linear(weights, f"{name}.output.dense", wide))


def _linear(weights: dict[str, Floats], name: str, states: Floats) -> Floats:
    out: Floats = states @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return out


def _normed(weights: dict[str, Floats], name: str, states: Floats) -> Floats:
    centred = states - states.mean(-1, keepdims=True)
    out: Floats = centred / ((centred * centred).mean(-1, keepdims=True) + 1e-12) ** 0.5 * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return out
