"""GuardMed: the safety and calibration layer for medical language models.

``GuardedModel`` wraps generation, ``wrap`` guards a model that is already in memory. Below them:

- ``guardmed.policy``: clinical refusal policies, written in YAML
- ``guardmed.claims``: claim checks without retrieval
- ``guardmed.calibration``: confidences that hold
- ``guardmed.audit``: counterfactual demographic audits
- ``guardmed.gate``: the gate that blocks unsafe checkpoints
- ``guardmed.models``: language models behind one protocol

Importing the package imports none of the heavy libraries; they come when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardmed.decision import Decision
from guardmed.version import VERSION as __version__

if TYPE_CHECKING:
    from guardmed.guard import GuardedModel, GuardedResponse, GuardSettings, wrap

__all__ = ["Decision", "GuardSettings", "GuardedModel", "GuardedResponse", "__version__", "wrap"]


def __getattr__(name: str) -> Any:
    if name in ("GuardedModel", "GuardedResponse", "GuardSettings", "wrap"):
        from guardmed import guard

        return getattr(guard, name)
    raise AttributeError(f"module 'guardmed' has no attribute {name!r}")
