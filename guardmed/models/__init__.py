"""Language models behind one protocol.

``load_model`` opens whatever a specification names; ``Sampling`` says how to decode;
``LanguageModel`` is what the guard, the audits and the gate talk to.
"""

from guardmed.models.base import Capabilities, Generation, LanguageModel, Message, Prompt, Sampling, TokenScores
from guardmed.models.load import load_model

__all__ = ["Capabilities", "Generation", "LanguageModel", "Message", "Prompt", "Sampling", "TokenScores", "load_model"]
