"""Clinical refusal policies: YAML that clinicians edit, compiled to a matcher that can't hang."""

from guardmed.policy.detectors import Backends
from guardmed.policy.match import Policy, RuleHit, Verdict, load_policy
from guardmed.policy.schema import Stage

__all__ = ["Backends", "Policy", "RuleHit", "Stage", "Verdict", "load_policy"]
