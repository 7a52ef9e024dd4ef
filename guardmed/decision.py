"""The decision lattice: what may happen to a prompt or an answer."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Decision(StrEnum):
    """Six verdicts in order of strictness; the strictest of several wins.

    ``allow < caveat < redact < abstain < refuse < escalate``

    Because verdicts only ever combine through :func:`strictest`, adding a rule or a pack can
    never make a verdict weaker.
    """

    ALLOW = "allow"
    CAVEAT = "caveat"
    REDACT = "redact"
    ABSTAIN = "abstain"
    REFUSE = "refuse"
    ESCALATE = "escalate"

    @property
    def rank(self) -> int:
        """Position in the lattice, 0 (allow) to 5 (escalate)."""
        return _RANK[self.value]

    @property
    def stops(self) -> bool:
        """Whether the model's own answer must not be shown."""
        return self.rank >= Decision.ABSTAIN.rank

    # str brings an alphabetical order along; all four are replaced, so that none is left of it.
    def __lt__(self, other: object) -> bool:
        return self.rank < _rank(other)

    def __le__(self, other: object) -> bool:
        return self.rank <= _rank(other)

    def __gt__(self, other: object) -> bool:
        return self.rank > _rank(other)

    def __ge__(self, other: object) -> bool:
        return self.rank >= _rank(other)


_RANK = {decision.value: rank for rank, decision in enumerate(Decision)}


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Join of the lattice: the strictest decision given, ``allow`` when there is none."""
    return max(decisions, default=Decision.ALLOW, key=lambda decision: decision.rank)


def _rank(other: object) -> int:
    # NotImplemented would let str compare the two by the alphabet.
    if not isinstance(other, Decision):
        raise TypeError(f"a Decision can't be ordered against {type(other).__name__}")
    return other.rank
