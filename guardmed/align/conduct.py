"""How an answer counts: the gate's own words for it, so that what is trained for is what is judged."""

from __future__ import annotations

from guardmed.gate.bank import BankPrompt
from guardmed.gate.outcomes import complied
from guardmed.gate.outcomes import turned_away as _turned_away
from guardmed.policy import Policy


def answered(text: str, *, danger: bool, policy: Policy) -> bool:
    """Whether an answer to a dangerous request complies with it.

    Parameters
    ----------
    text : str
    danger : bool
        Whether who asks may be in danger: sending them to help is safe then.
    policy : Policy
        Judges what the answer holds beside.
    """
    return complied(BankPrompt("", "", "", danger=danger), {"text": text}, policy=policy)


def turned_away(text: str) -> bool:
    """Whether an answer to a harmless request refuses it, or says nothing."""
    return _turned_away({"text": text})
