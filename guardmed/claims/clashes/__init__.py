"""Clashes: contradictions between two texts that can be seen without a model."""

from guardmed.claims.clashes.api import Clash, against_question, clashes, clashes_within
from guardmed.claims.clashes.reading import Reading, read

__all__ = ["Clash", "Reading", "against_question", "clashes", "clashes_within", "read"]
