"""Records raw token scores while transformers generates, keeping one step of logits at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import StoppingCriteria


class Recorder(StoppingCriteria):  # type: ignore[misc, unused-ignore]
    """Sees each step twice: the model's raw output, then the token that was chosen from it.

    transformers' own ``output_logits`` keeps every step's whole vocabulary until the end (1 MB a
    token for the reference model); here each step is reduced to three numbers at once.

    Parameters
    ----------
    rows : int
        Batch size.
    stops : callable, optional
        Called with a row index and its newest token id; true ends the row.
    cancelled : threading.Event, optional
        Ends everything when set.
    """

    def __init__(self, rows: int, *, stops: Callable[[int, int], bool] | None = None, cancelled: threading.Event | None = None) -> None:
        self._stops = stops
        self._cancelled = cancelled
        self._logits: torch.Tensor | None = None
        self._steps: list[torch.Tensor] = []
        self._done = torch.zeros(rows, dtype=torch.bool)
        self._on_token: Callable[[int], None] | None = None

    @contextmanager
    def attached(self, model: torch.nn.Module, *, on_token: Callable[[int], None] | None = None) -> Iterator[None]:
        """Listen to a model's outputs while the context lasts."""
        self._on_token = on_token

        def keep(_module: torch.nn.Module, _args: Any, output: Any) -> None:
            self._logits = output.logits[:, -1, :].detach()

        handle = model.register_forward_hook(keep)
        try:
            yield
        finally:
            handle.remove()
            self._logits = None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Called by ``generate`` after each token; reduces the step and says which rows end."""
        chosen = input_ids[:, -1:]
        if self._logits is not None:
            self._steps.append(reduce_logits(self._logits, chosen.squeeze(1)))
            self._logits = None
        if self._on_token is not None:
            self._on_token(int(chosen[0, 0]))
        if self._stops is not None:
            for row in range(len(chosen)):
                if not self._done[row] and self._stops(row, int(chosen[row, 0])):
                    self._done[row] = True
        if self._cancelled is not None and self._cancelled.is_set():
            self._done[:] = True
        return self._done.to(input_ids.device)

    def scores(self, row: int, count: int) -> NDArray[np.float64]:
        """Array of shape (3, count): log-probability, entropy and margin of a row's first tokens."""
        if not self._steps or count == 0:
            return np.zeros((3, 0))
        stacked: NDArray[np.float64] = torch.stack([step[row] for step in self._steps[:count]], dim=1).double().cpu().numpy()
        return stacked


def reduce_logits(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Three numbers for each row of logits.

    Parameters
    ----------
    logits : tensor of shape (rows, vocabulary)
    chosen : long tensor of shape (rows,)

    Returns
    -------
    tensor of shape (rows, 3)
        Log-probability of the chosen token, entropy, and gap of the two best, in nats.
    """
    wide = logits.float()
    norm = torch.logsumexp(wide, dim=-1)
    best = torch.topk(wide, 2, dim=-1).values
    # H = log Z - sum p x, without a second copy of the vocabulary in log space.
    probs = torch.softmax(wide, dim=-1)
    entropy = norm - (probs * torch.where(probs > 0, wide, torch.zeros_like(wide))).sum(dim=-1)
    logprob = wide.gather(1, chosen[:, None]).squeeze(1) - norm
    return torch.stack([logprob, entropy.clamp_min(0.0), best[:, 0] - best[:, 1]], dim=1)
