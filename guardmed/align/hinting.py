"""The guard's hint in training: a model learns to listen to it, and to do without."""

from __future__ import annotations

import random
from collections.abc import Sequence

from guardmed.align.pairs import PreferencePair
from guardmed.align.settings import HintSettings
from guardmed.errors import PolicyError
from guardmed.models.hint import Hint
from guardmed.policy import Policy


def hint_of(policy: Policy, settings: HintSettings) -> Hint:
    """A hint by the intent model of a policy.

    Raises
    ------
    PolicyError
        None of its packs has one.
    """
    intent = next((pack.intent for pack in policy.packs if pack.intent is not None), None)
    if intent is None:
        raise PolicyError("No pack of the policy has an intent model to hint by.", mend="Leave hint out of the settings, or name clinical as the policy.")
    return Hint(intent, settings.below, settings.above)


def hinted(rows: Sequence[PreferencePair], hint: Hint, *, share: float, seed: int) -> list[PreferencePair]:
    """Rows as a model will meet them; of the prompts to train on, a share, drawn by seed and id, carries the hint."""
    return [row.model_copy(update={"hint": hint.of(row.prompt)}) if row.split != "train" or _drawn(str(row.id), seed) < share else row for row in rows]


def _drawn(name: str, seed: int) -> float:
    return random.Random(f"{seed} {name}").random()
