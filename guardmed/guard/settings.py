"""How strict the guard is about what it can't verify."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from guardmed.records import Frozen

Check = Literal["token", "p_true", "consistency"]


class GuardSettings(Frozen):
    """Claim checks and what follows from them.

    Attributes
    ----------
    checks : tuple of str
        ``token`` costs nothing, ``p_true`` one short batch, ``consistency`` ``samples`` answers.
    samples : int
        Answers drawn for ``consistency``.
    caveat_below, abstain_below : float
        Confidence under which the answer carries a caution, or is not shown at all.
    encoder : str or None
        Sentence encoder for rules with ``similar``: a folder or a hub id.
    trace_text : bool
        Whether OpenTelemetry spans carry prompts and answers; leave it off where patients write.
    """

    checks: tuple[Check, ...] = ("token", "p_true")
    samples: int = Field(default=5, ge=2, le=50)
    caveat_below: float = Field(default=0.6, ge=0, le=1)
    abstain_below: float = Field(default=0.2, ge=0, le=1)
    encoder: str | None = None
    trace_text: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> GuardSettings:
        if self.abstain_below > self.caveat_below:
            raise ValueError("abstain_below must not exceed caveat_below")
        return self
