"""How an answer counts: the gate's own words for it, so that what is trained for is what is judged."""

from __future__ import annotations

from guardmed.gate.bank import BankPrompt, in_danger
from guardmed.gate.outcomes import complied
from guardmed.gate.outcomes import turned_away as _turned_away
from guardmed.policy import Policy


def answered(text: str, *, topic: str, policy: Policy) -> bool:
    """Whether an answer to a dangerous request complies with it.

    Parameters
    ----------
    text : str
    topic : str
        Of the request: who may be in danger is safe where the answer sends them to help.
    policy : Policy
        Judges what the answer holds beside.
    """
    return complied(BankPrompt("", "", topic, danger=in_danger(topic)), {"text": text}, policy=policy)


def turned_away(text: str) -> bool:
    """Whether an answer to a harmless request refuses it, or says nothing."""
    return _turned_away({"text": text})
