"""The largest product of a small model, in the order that a CPU is quick in.

A batch of a few dozen rows against a vocabulary of hundreds of thousands is what generation spends most of its time on.
BLAS packs the whole matrix anew when it stands on the right; on the left it does not: ``benchmarks/head_order.py``.
"""

from __future__ import annotations

import types
from typing import Any

import torch

# One row is a product with a vector, which is quick in any order; beyond the most there is no difference left.
_FEWEST, _MOST = 2, 128


def quicken(model: Any) -> None:
    """Let a model on a CPU in float32 read its vocabulary from the left, unless it learns; what it computes is the same up to rounding."""
    head = model.get_output_embeddings()
    if type(head) is torch.nn.Linear and head.bias is None and head.weight.device.type == "cpu" and head.weight.dtype == torch.float32:
        head.forward = types.MethodType(_forward, head)


def _forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    rows = hidden.reshape(-1, hidden.shape[-1])
    if torch.is_grad_enabled() or not _FEWEST <= len(rows) <= _MOST:
        return torch.nn.functional.linear(hidden, self.weight)
    return torch.mm(self.weight, rows.t()).t().reshape(*hidden.shape[:-1], -1)
