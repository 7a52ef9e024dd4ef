"""The guard: decisions, checked generation, checked streaming."""

from guardmed.guard.engine import GuardedModel, wrap
from guardmed.guard.response import GuardedResponse
from guardmed.guard.settings import GuardSettings

__all__ = ["GuardSettings", "GuardedModel", "GuardedResponse", "wrap"]
