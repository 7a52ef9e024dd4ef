"""Language models behind one protocol.

``load_model`` opens whatever a specification names; ``Sampling`` says how to decode;
``LanguageModel`` is what the guard, the audits and the gate talk to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardmed.models.base import Capabilities, Generation, LanguageModel, Message, Prompt, Sampling, TokenScores

if TYPE_CHECKING:
    from guardmed.models.load import load_model

__all__ = ["Capabilities", "Generation", "LanguageModel", "Message", "Prompt", "Sampling", "TokenScores", "load_model"]


def __getattr__(name: str) -> Any:
    """``load_model``, imported with all its backends when it is first used."""
    if name == "load_model":
        from guardmed.models.load import load_model

        return load_model
    raise AttributeError(f"module 'guardmed.models' has no attribute {name!r}")
