"""Records raw token scores, and hidden states where asked, while transformers generates, one step at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import StoppingCriteria

from guardmed.errors import UsageError

# Logits reduced at once: on a CPU what its caches hold, elsewhere enough to keep it busy.
_AT_ONCE = {"cpu": 1 << 20}
_AT_ONCE_ELSEWHERE = 1 << 24
# Steps whose numbers are kept in one piece.
_BLOCK = 256
# Log-probabilities below this weigh nothing in float32, and -inf times 0 would be NaN.
_NOTHING = -1e4


class Recorder(StoppingCriteria):  # type: ignore[misc, unused-ignore]
    """Sees each step twice: the model's raw output, then the token that was chosen from it.

    transformers' own ``output_logits`` keeps every step's whole vocabulary until the end (1 MB a
    token for the reference model); here each step is reduced to four numbers at once. Of hidden
    states one vector a layer and token is kept; transformers' ``output_hidden_states`` keeps every
    layer's, the prompt's too.

    Parameters
    ----------
    rows : int
        Batch size.
    stops : callable, optional
        Called with a row index and its newest token id; true ends the row.
    cancelled : threading.Event, optional
        Ends everything when set.
    tap : Tap, optional
        Layers whose hidden states are kept. The model reads a token only in the step after it was
        chosen, so that rows then end one step later; :meth:`length` says where they would have.
    limit : int, optional
        Tokens after which every row ends.
    """

    def __init__(
        self,
        rows: int,
        *,
        stops: Callable[[int, int], bool] | None = None,
        cancelled: threading.Event | None = None,
        tap: Tap | None = None,
        limit: int | None = None,
    ) -> None:
        self._stops = stops
        self._cancelled = cancelled
        self._tap = tap
        self._limit = limit
        self._logits: torch.Tensor | None = None
        self._steps = _Steps()
        self._read = _Steps()
        self._seen = 0
        # How many tokens each row has once it has ended, 0 before.
        self._ends = torch.zeros(rows, dtype=torch.long)
        self._on_token: Callable[[int], None] | None = None

    @contextmanager
    def attached(self, model: torch.nn.Module, *, on_token: Callable[[int], None] | None = None) -> Iterator[None]:
        """Listen to what a model gives in this thread while the context lasts."""
        self._on_token = on_token
        mine = threading.get_ident()

        def keep(_module: torch.nn.Module, _args: Any, output: Any) -> None:
            if threading.get_ident() == mine:
                self._logits = output.logits[:, -1, :].detach()

        handle = model.register_forward_hook(keep)
        try:
            if self._tap is None:
                yield
            else:
                with self._tap.attached():
                    yield
        finally:
            handle.remove()
            self._logits = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Called by ``generate`` after each token; reduces the step and says which rows end."""
        chosen = input_ids[:, -1:]
        if self._logits is not None:
            if self._tap is not None and len(self._steps):
                # What was read in this step is the token of the step before.
                self._read.append(self._tap.last())
            self._steps.append(reduce_logits(self._logits, chosen.squeeze(1)))
            self._logits = None
        self._seen += 1
        if self._on_token is not None and not self._ends[0]:
            self._on_token(int(chosen[0, 0]))
        before = self._ends > 0
        for row, token in enumerate(chosen.squeeze(1).tolist()):
            if not before[row] and ((self._stops is not None and self._stops(row, token)) or self._seen == self._limit):
                self._ends[row] = self._seen
        done = before if self._tap is not None else self._ends > 0
        if self._cancelled is not None and self._cancelled.is_set():
            done = torch.ones_like(done)
        return done.to(input_ids.device)

    def length(self, row: int) -> int:
        """How many tokens a row has, up to and with the one that ended it."""
        return int(self._ends[row]) or self._seen

    def scores(self, row: int, count: int) -> NDArray[np.float64]:
        """Array of shape (4, count): log-probability, entropy, margin and rank of a row's first tokens."""
        if not len(self._steps) or count == 0:
            return np.zeros((4, 0))
        numbers: NDArray[np.float64] = self._steps.of(row, count).cpu().double().numpy().T.copy()
        return numbers

    def hidden(self, row: int, count: int) -> torch.Tensor | None:
        """Hidden states of a row's first tokens, shape (count, layers, width); None where not all of them were read."""
        if self._tap is None or len(self._read) < count:
            return None
        return self._read.of(row, count) if count else self._tap.empty()


class _Steps:
    """Tensors of one shape, one a step, in large pieces.

    Small ones that stay, strewn among the large ones that come and go, would leave no gap of the heap
    that the next, slightly longer keys and values fit into: hundreds of megabytes over a long answer.
    """

    def __init__(self) -> None:
        self._blocks: list[torch.Tensor] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, step: torch.Tensor) -> None:
        """Add a step's, whose first dimension is the rows'."""
        if self._count % _BLOCK == 0:
            self._blocks.append(step.new_empty((_BLOCK, *step.shape)))
        self._blocks[-1][self._count % _BLOCK] = step
        self._count += 1

    def of(self, row: int, count: int) -> torch.Tensor:
        """A row's in the first steps, one behind the other."""
        return torch.cat([block[:, row] for block in self._blocks])[:count]


class Tap:
    """Listens to what chosen layers of a model give.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    layers : sequence of int
        How many layers a hidden state has passed, 1 to the model's depth; the last one's is taken
        before any final normalisation.

    Raises
    ------
    UsageError
        The model has no such layer, or its layers are not found.
    """

    def __init__(self, model: Any, layers: Sequence[int]) -> None:
        stack = _stack(model)
        wrong = sorted(layer for layer in set(layers) if not 1 <= layer <= len(stack))
        if wrong or not layers:
            raise UsageError(f"Hidden states after layers {list(layers)} of a model with {len(stack)}.", mend=f"Name layers from 1 to {len(stack)}.")
        self.layers = tuple(layers)
        self.depth = len(stack)
        self._modules = [stack[layer - 1] for layer in layers]
        self._width = int(_text_config(model).hidden_size)
        self._latest: dict[int, torch.Tensor] = {}

    @contextmanager
    def attached(self) -> Iterator[Tap]:
        """Listen to this thread's passes while the context lasts."""
        mine = threading.get_ident()

        def keep(place: int) -> Callable[..., None]:
            def hook(_module: torch.nn.Module, _args: Any, output: Any) -> None:
                if threading.get_ident() == mine:
                    self._latest[place] = (output if isinstance(output, torch.Tensor) else output[0]).detach()

            return hook

        handles = [module.register_forward_hook(keep(place)) for place, module in enumerate(self._modules)]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()
            self._latest.clear()

    def last(self) -> torch.Tensor:
        """What the last position of the newest pass gave, shape (rows, layers, width)."""
        return torch.stack([self._latest[place][:, -1] for place in range(len(self.layers))], dim=1)

    def of(self, row: int, start: int, end: int) -> torch.Tensor:
        """What some positions of a row of the newest pass gave, shape (end - start, layers, width)."""
        return torch.stack([self._latest[place][row, start:end] for place in range(len(self.layers))], dim=1)

    def empty(self) -> torch.Tensor:
        """Hidden states of no token."""
        return torch.zeros((0, len(self.layers), self._width))


def middle_layers(model: Any) -> tuple[int, ...]:
    """Layers at about half and three quarters of a model's depth.

    What a model knows about the truth of a statement shows best there: Azaria and Mitchell, "The
    Internal State of an LLM Knows When It's Lying" (Findings of EMNLP 2023).
    """
    depth = len(_stack(model))
    return tuple(sorted({-(-depth // 2), -(-3 * depth // 4)}))


def _text_config(model: Any) -> Any:
    return model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config


def _stack(model: Any) -> Any:
    """The list of a model's layers: the first one in it that is as long as the model is deep."""
    depth = getattr(_text_config(model), "num_hidden_layers", None)
    body = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
    for module in body.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == depth:
            return module
    raise UsageError(f"The layers of {type(model).__name__} can't be found, so its hidden states can't be kept.", mend="Do without hidden states.")


def reduce_logits(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Four numbers for each row of logits.

    Parameters
    ----------
    logits : tensor of shape (rows, vocabulary)
    chosen : long tensor of shape (rows,)

    Returns
    -------
    float32 tensor of shape (rows, 4)
        Log-probability of the chosen token, entropy, gap of the two best (all in nats), and how many
        tokens are likelier than the chosen one.
    """
    size = max(1, _AT_ONCE.get(logits.device.type, _AT_ONCE_ELSEWHERE) // logits.shape[-1])
    parts = [_reduced(logits[at : at + size], chosen[at : at + size]) for at in range(0, len(logits), size)]
    return torch.cat(parts) if parts else torch.zeros((0, 4), device=logits.device)


def _reduced(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    best = logits.amax(dim=-1, keepdim=True).float()
    below = logits.float() - best
    at = below.gather(1, chosen[:, None])
    behind = at.squeeze(1) < 0
    first, rank = chosen[:, None], torch.zeros(len(chosen), device=logits.device)
    if not (behind.device.type == "cpu" and not behind.any()):
        # Greedy tokens are the best ones; a search for those and a count of the better ones costs as much as all the rest.
        first = torch.where(behind[:, None], below.argmax(dim=-1, keepdim=True), first)
        rank = (below > at).sum(dim=-1).float()
    margin = -below.scatter_(1, first, -torch.inf).amax(dim=-1)
    below.scatter_(1, first, 0.0).clamp_(min=_NOTHING)
    weights = below.exp()
    total = weights.sum(dim=-1)
    norm = total.log()
    # H = log Z - sum p x, with x counted from the best.
    entropy = norm - torch.linalg.vecdot(weights, below) / total
    return torch.stack([at.squeeze(1) - norm, entropy.clamp_min(0.0), margin, rank], dim=1)
