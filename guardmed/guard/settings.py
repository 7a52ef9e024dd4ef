"""How strict the guard is about what it can't verify."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from guardmed.records import Frozen

Check = Literal["token", "p_true", "consistency", "clash", "likelihood", "nli"]
OnUnsupported = Literal["caveat", "mark", "hedge", "cut", "abstain"]


class GuardSettings(Frozen):
    """Claim checks and what follows from them.

    Attributes
    ----------
    checks : tuple of str
        ``token`` costs nothing, ``p_true`` one short batch, ``consistency`` up to ``samples`` answers, ``clash`` the reading
        of numbers, denials and sides in all of these and in the question, ``likelihood`` a
        reading of each of them, ``nli`` another model's.
    samples : int
        Most answers drawn for checks that compare; drawing ends early where more would hardly change a verdict.
    nli : str or None
        A model that tells whether one text follows from another, a folder or a hub id; for the check ``nli``.
    on_unsupported : {"caveat", "mark", "hedge", "cut", "abstain"}
        What is done about claims without support: a caution behind the answer; also a mark or a hedge behind each; or
        they are cut; or nothing is shown where cutting would leave too little.
    keep_at_least : float
        For ``cut`` and ``abstain``: share of the claims, and of the text, without which nothing is shown.
    caveat_below, abstain_below : float
        Confidence under which the answer carries a caution, or is not shown at all.
    encoder : str or None
        Sentence encoder for rules with ``similar``: a folder or a hub id.
    trace_text : bool
        Whether OpenTelemetry spans carry prompts and answers; leave it off where patients write.
    """

    checks: tuple[Check, ...] = ("token", "p_true")
    samples: int = Field(default=5, ge=2, le=50)
    nli: str | None = None
    on_unsupported: OnUnsupported = "caveat"
    keep_at_least: float = Field(default=0.5, ge=0, le=1)
    caveat_below: float = Field(default=0.6, ge=0, le=1)
    abstain_below: float = Field(default=0.2, ge=0, le=1)
    encoder: str | None = None
    trace_text: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> GuardSettings:
        if self.abstain_below > self.caveat_below:
            raise ValueError("abstain_below must not exceed caveat_below")
        if ("nli" in self.checks) != (self.nli is not None):
            raise ValueError("the check nli needs a model, and a model for it the check: give both, or neither")
        return self
