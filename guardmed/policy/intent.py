"""The intent model: whether a request means harm, learned from pairs that share their words.

A transformer encoder of a few thin layers in plain numpy, which learned from a larger one fine-tuned on
requests and their harmless twins (``benchmarks/train_intent.py``; distillation after Hinton et al.,
arXiv:1503.02531, and Jiao et al., arXiv:1909.10351). It sees wording that no rule lists, in English and
Chinese, on one core in one to two milliseconds for a prompt of ordinary length. It does not see facts:
whether a dose is too high is for the limit table, and an aim that stands nowhere in the words stays unseen.
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
PART = 96
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
    """Weights by name, as float32, and what they imply."""

    tokenizer: Tokenizer
    weights: dict[str, Floats]
    heads: int

    @property
    def layers(self) -> int:
        return sum(name.endswith(".attend.weight") for name in self.weights)


class IntentModel:
    """An encoder and a linear head, read from an ``.npz`` without pickles.

    Parameters
    ----------
    path : Path
        Holds ``tokenizer`` (the bytes of a ``tokenizers`` file), ``heads``, and for each weight an array: float32, or
        int8 beside ``<name>.scale`` of one float32 a row.
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
        ids = network.tokenizer.encode(_SPACES.sub(" ", normalise(text).text.lower()).strip()).ids
        if not ids:
            return 0.0
        parts = [ids[at : at + PART] for at in range(0, max(1, len(ids) - PART // 2), PART // 2)] if len(ids) > PART else [ids]
        with _one_thread():
            logit = max(_logit(network, np.array(part)) for part in parts)
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
            weights = {
                name: array.astype(np.float32) * arrays.get(f"{name}.scale", np.float32(1.0)) for name, array in arrays.items() if not name.endswith(".scale")
            }
            network = _Network(tokenizer, {name: _laid_out(name, array) for name, array in weights.items()}, heads)
            _logit(network, np.zeros(2, dtype=np.int64))
        # tokenizers raises a bare Exception for bytes that are no tokenizer.
        except Exception as error:  # noqa: BLE001
            raise PolicyError(
                f"{self._path} can't be read: {type(error).__name__}: {error}.", mend="Train it again: python benchmarks/train_intent.py"
            ) from None
        return network


def _laid_out(name: str, array: Floats) -> Floats:
    """Matrices of linear layers transposed once, so that ``states @ weight`` runs along memory."""
    import numpy as np

    linear = array.ndim == 2 and name not in ("words.weight", "place")
    return np.ascontiguousarray(array.T if linear else array)


def _logit(network: _Network, ids: NDArray[np.int64]) -> float:
    """The head's logit for one part, shape (pieces,)."""
    import numpy as np

    weights = network.weights
    states = _linear(weights, "widen", weights["words.weight"][ids]) + weights["place"][: len(ids)]
    for index in range(network.layers):
        states = _layer(weights, f"layers.{index}", states, network.heads)
    states = _normed(weights, "norm", states)
    both = np.concatenate([states.mean(0), states.max(0)])
    return float(_linear(weights, "head", both)[0])


def _layer(weights: dict[str, Floats], name: str, states: Floats, heads: int) -> Floats:
    import numpy as np

    pieces, width = states.shape
    packed = _linear(weights, f"{name}.attend", _normed(weights, f"{name}.norm_attend", states))
    query, key, value = packed.reshape(pieces, 3, heads, width // heads).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) * np.float32((width // heads) ** -0.5)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    seen = (scores / scores.sum(-1, keepdims=True)) @ value
    states = states + _linear(weights, f"{name}.join", seen.transpose(1, 0, 2).reshape(pieces, width))
    wide = _linear(weights, f"{name}.widen", _normed(weights, f"{name}.norm_feed", states))
    gated: Floats = states + _linear(weights, f"{name}.narrow", wide / (1 + np.exp(np.clip(-1.702 * wide, -60, 60))))
    return gated


def _linear(weights: dict[str, Floats], name: str, states: Floats) -> Floats:
    out: Floats = states @ weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return out


def _normed(weights: dict[str, Floats], name: str, states: Floats) -> Floats:
    centred = states - states.mean(-1, keepdims=True)
    out: Floats = centred / ((centred * centred).mean(-1, keepdims=True) + 1e-5) ** 0.5 * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return out
