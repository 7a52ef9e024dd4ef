"""What the guard gives back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from guardmed.claims import CheckedClaim
from guardmed.decision import Decision
from guardmed.policy import RuleHit

SCHEMA_VERSION = 1
Stage = Literal["input", "output", "claims", "answered", "check_failed"]


@dataclass(frozen=True)
class GuardedResponse:
    """One guarded answer.

    Attributes
    ----------
    decision : Decision
    text : str
        What may be shown: the answer, or what is said instead of it.
    stage : {"input", "output", "claims", "answered", "check_failed"}
        What decided: the policy on the prompt, the policy on the answer, the claim checks, nothing
        (the answer went through), or a check that raised.
    reasons : tuple of str
        In words, strictest first.
    rules : tuple of RuleHit
    claims : tuple of CheckedClaim
        Claims of the model's answer; empty when it was not shown.
    confidence : float or None
        0 to 1, that the answer's least supported claim holds; None where it was not measured.
    calibrated : bool
        Whether the confidence is a calibrated probability.
    language : str
    model : str
    policy_digest : str
    latency_ms : float
    """

    decision: Decision
    text: str
    stage: Stage
    language: str
    model: str
    policy_digest: str
    reasons: tuple[str, ...] = ()
    rules: tuple[RuleHit, ...] = ()
    claims: tuple[CheckedClaim, ...] = ()
    confidence: float | None = None
    calibrated: bool = False
    latency_ms: float = 0.0
    schema_version: int = field(default=SCHEMA_VERSION, init=False)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, enums as their strings."""
        return json.loads(json.dumps(asdict(self), ensure_ascii=False, default=str))  # type: ignore[no-any-return]

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(self.as_dict(), ensure_ascii=False)
