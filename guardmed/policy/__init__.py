"""Clinical refusal policies: YAML that clinicians edit, compiled to a matcher that can't hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardmed.policy.schema import Stage

if TYPE_CHECKING:
    from guardmed.policy.detectors import Backends
    from guardmed.policy.match import Policy, RuleHit, Verdict, load_policy

__all__ = ["Backends", "Policy", "RuleHit", "Stage", "Verdict", "load_policy"]


def __getattr__(name: str) -> Any:
    """The matcher and its detectors, imported when they are first used: to find a pack's files takes neither."""
    if name == "Backends":
        from guardmed.policy import detectors

        return detectors.Backends
    if name in __all__:
        from guardmed.policy import match

        return getattr(match, name)
    raise AttributeError(f"module 'guardmed.policy' has no attribute {name!r}")
