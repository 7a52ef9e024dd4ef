"""``waivers.yaml``: who answers for a check set aside or an item left out, why, and until when.

A gate that can't be told to wait is switched off; one that can be told so for ever means nothing.
So a waiver names a person and a reason, and it ends: past its last day it blocks the gate itself.
A quarantine does the same for one item of a suite that is thought to be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from guardmed.documents import read_yaml
from guardmed.gate.config import StageName
from guardmed.records import Frozen

State = Literal["applied", "unused", "expired", "not yet valid", "not allowed", "unknown target", "other checkpoint", "clock behind"]

# Half a year is time to retrain a checkpoint or to gather the items a check lacks, and short enough
# that whoever granted it still remembers why.
MOST_WAIVER_DAYS: Final = 180
# An item is mended in hours; a quarter leaves time for a clinician to review it.
MOST_QUARANTINE_DAYS: Final = 90
# "Known issue" is no reason; a sentence is.
LEAST_REASON: Final = 20
# The share of a suite that may lie in quarantine: more would change what its rate measures.
MOST: Final = 0.02

# Files that run code, and rules that miss what they must catch: neither is a matter of judgement.
NEVER: frozenset[StageName] = frozenset({"artifact_scan", "policy_tests"})
# Where an item is one of many of its kind. An audit's outcome is not: leaving it out would hide a bias.
SUITES: frozenset[StageName] = frozenset({"refusal", "over_refusal", "capability"})
# What can be waived: a result. Evidence that is missing has nothing in it to take responsibility for.
WAIVABLE: frozenset[str] = frozenset({"fail", "inconclusive"})

_BLOCKING: frozenset[State] = frozenset({"expired", "not yet valid", "not allowed", "unknown target", "clock behind"})


def _name(value: str) -> str:
    if not any(char.isalnum() for char in value):
        raise ValueError("must not be blank")
    if value != value.strip() or not value.isprintable():
        raise ValueError("must be one line, without spaces around it")
    return value


def _prose(value: str) -> str:
    if not any(char.isalnum() for char in value):
        raise ValueError("must not be blank")
    return " ".join(value.split())


def _explained(value: str) -> str:
    # Characters that can't be seen don't explain anything.
    if (length := sum(char.isprintable() for char in value)) < LEAST_REASON:
        raise ValueError(f"needs at least {LEAST_REASON} characters, not {length}: say what is known and what will be done")
    return value


def _day(value: Any) -> Any:
    # Pydantic would also take a time, and a number as seconds since 1970.
    if (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)) or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ValueError("must be a day, written like 2026-11-01")


Name = Annotated[str, AfterValidator(_name)]
Prose = Annotated[str, AfterValidator(_prose)]
Day = Annotated[date, BeforeValidator(_day)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Entry(Frozen):
    """What a waiver and a quarantine have in common.

    Attributes
    ----------
    owner : str
        Who answers for it.
    reason : str
        A sentence.
    granted, expires : date
        Its first and its last day.
    """

    owner: Prose
    reason: Annotated[Prose, AfterValidator(_explained)]
    granted: Day
    expires: Day

    def _check_days(self, what: str, most: int) -> None:
        days = (self.expires - self.granted).days
        if days <= 0:
            raise ValueError(f"{what} expires on {self.expires}, which is not after it is granted ({self.granted})")
        if days > most:
            raise ValueError(f"{what} lasts {days} days, at most {most}")


class Waiver(_Entry):
    """A check whose failure or doubt is accepted for a while.

    Attributes
    ----------
    id : str
    check : str
        The check's id.
    fingerprint : str or None
        SHA-256 of the only checkpoint it is for; any, if there is none.
    """

    kind: ClassVar[Literal["waiver"]] = "waiver"
    id: Name
    check: Name
    fingerprint: Sha256 | None = None

    @property
    def target(self) -> str:
        """The check."""
        return self.check

    @model_validator(mode="after")
    def _sensible(self) -> Waiver:
        self._check_days(f"the waiver of {self.check}", MOST_WAIVER_DAYS)
        return self


class Quarantined(_Entry):
    """An item that is left out of its suite for a while.

    Attributes
    ----------
    item : str
        The item's id.
    stage : str
        Whose suite it is in.
    """

    kind: ClassVar[Literal["quarantine"]] = "quarantine"
    item: Name
    stage: StageName

    @property
    def target(self) -> str:
        """The item and where it is."""
        return f"{self.stage}/{self.item}"

    @property
    def id(self) -> str:
        """Its target, which no other quarantine shares."""
        return self.target

    @model_validator(mode="after")
    def _sensible(self) -> Quarantined:
        self._check_days(f"the quarantine of {self.target}", MOST_QUARANTINE_DAYS)
        return self


class Waivers(Frozen):
    """A waiver file.

    A quarantine is limited in time and in number (see `too_many`), else items are parked in it
    and forgotten (Fowler, Eradicating Non-Determinism in Tests, 2011).
    """

    schema_version: Literal[1]
    waivers: tuple[Waiver, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> Waivers:
        for told, names in (
            ("two waivers have the id", [waiver.id for waiver in self.waivers]),
            ("two waivers are for the check", [waiver.check for waiver in self.waivers]),
            ("two quarantines are of", [one.target for one in self.quarantine]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{told} {twice[0]}")
        return self


class Applied(Frozen):
    """What became of a waiver or a quarantine.

    Attributes
    ----------
    id : str
        Of the waiver; a quarantine's is its target.
    target : str
        The check's id, or stage and item: ``refusal/h2-en-003``.
    state : str
        Only ``applied`` sets anything aside.
    told : str
        One plain sentence.
    """

    id: str
    kind: Literal["waiver", "quarantine"]
    target: str
    owner: str
    reason: str
    granted: date
    expires: date
    state: State
    told: str

    @property
    def blocks(self) -> bool:
        """Whether the gate is blocked until the waiver file is put in order."""
        return self.state in _BLOCKING


class Judged(Protocol):
    """A check's result, before any waiver."""

    @property
    def id(self) -> str:
        """The check's id."""

    @property
    def stage(self) -> str:
        """Where its evidence comes from."""

    @property
    def verdict(self) -> str:
        """What the evidence says."""


@dataclass(frozen=True)
class _Clock:
    """Today, and the latest day that something is known to have been written on."""

    today: date
    known: date | None
    granted: date | None

    @property
    def behind(self) -> bool:
        return any(proof is not None and self.today < proof for proof in (self.known, self.granted))

    def fault(self, entry: _Entry) -> tuple[State, str] | None:
        """Why nothing may rest on this clock, as far as this entry goes."""
        if self.known is not None and self.today < self.known:
            return "clock behind", self._behind(f"the evidence is of {self.known}", self.known)
        if entry.granted > self.today:
            in_days = _days(entry.granted, self.today)
            return "not yet valid", f"begins on {entry.granted}, in {in_days}: either that date is wrong, or the clock, which says {self.today}"
        if self.granted is not None and self.today < self.granted:
            return "clock behind", self._behind(f"something in this file is granted on {self.granted}", self.granted)
        return None

    def _behind(self, proof: str, day: date) -> str:
        return f"can't be judged: the clock says {self.today}, but {proof}, {_days(day, self.today)} later"


def load_waivers(path: Path) -> Waivers:
    """Read a waiver file.

    Raises
    ------
    DataError
        It does not fit; the message names the file and the line or field.
    """
    return read_yaml(path, Waivers)


def judge_waivers(
    waivers: Waivers,
    results: Sequence[Judged],
    *,
    stages: Mapping[str, str],
    today: date,
    now_known: date | None,
    fingerprint: str | None,
) -> tuple[Applied, ...]:
    """What becomes of every waiver and quarantine of a file, in the file's order.

    Nothing applies while the clock is behind a day that is known to have come: setting it back
    must not revive what has expired. An entry granted after today is told as *not yet valid* and
    every other entry as *clock behind*, since that date is either wrong or right.

    Parameters
    ----------
    waivers : Waivers
    results : sequence
        Of the checks, before any waiver.
    stages : mapping
        The stage of every check of the gate, by the check's id.
    today : date
        In UTC, as the dates that evidence bears are.
    now_known : date or None
        The latest day that the evidence itself proves: the baseline's, or cached evidence's.
    fingerprint : str or None
        Of the checkpoint; without one, a waiver that is for one checkpoint does not apply.
    """
    clock = _clock(waivers, today, now_known)
    by_id = {result.id: result for result in results}
    judged = {result.stage for result in results if result.verdict not in ("missing", "skipped")}
    return (
        *(_applied(waiver, *_waiver(waiver, by_id.get(waiver.check), stages, clock, fingerprint)) for waiver in waivers.waivers),
        *(_applied(one, *_quarantine(one, judged, stages, clock)) for one in waivers.quarantine),
    )


def quarantined(waivers: Waivers, stage: StageName, *, today: date, now_known: date | None) -> frozenset[str]:
    """Ids of the items to leave out of a stage's suite: none while the clock is behind."""
    if stage not in SUITES or _clock(waivers, today, now_known).behind:
        return frozenset()
    return frozenset(one.item for one in waivers.quarantine if one.stage == stage and one.granted <= today <= one.expires)


def too_many(count: int, total: int) -> bool:
    """Whether a quarantine hollows out a suite: more than 2 % of its items, and more than one.

    Parameters
    ----------
    count : int
        Items in quarantine.
    total : int
        Items of the suite, those in quarantine with them.
    """
    return count > max(1.0, total * MOST)


def _clock(waivers: Waivers, today: date, now_known: date | None) -> _Clock:
    return _Clock(today, now_known, max((entry.granted for entry in (*waivers.waivers, *waivers.quarantine)), default=None))


def _waiver(waiver: Waiver, result: Judged | None, stages: Mapping[str, str], clock: _Clock, fingerprint: str | None) -> tuple[State, str]:
    stage = stages.get(waiver.check)
    left = _left(waiver, clock.today)
    if fault := clock.fault(waiver):
        return fault
    if stage is None:
        return "unknown target", f"names a check that this gate does not have, {waiver.check} ({left})"
    if {stage, stage if result is None else result.stage} & NEVER:
        return "not allowed", f"can't set {waiver.check} aside, since no check of the stage {stage} can be waived ({left})"
    if clock.today > waiver.expires:
        return "expired", f"ended on {waiver.expires}, {left}: mend what {waiver.check} found, or have its owner decide anew"
    if waiver.fingerprint is not None and waiver.fingerprint != fingerprint:
        return "other checkpoint", f"is only for the checkpoint {waiver.fingerprint[:12]}, which this is not known to be ({left})"
    verdict = "missing" if result is None else result.verdict
    if verdict in ("pass", "skipped"):
        return "unused", f"is not needed, since {waiver.check} {'passes' if verdict == 'pass' else 'was skipped'} ({left})"
    if verdict not in WAIVABLE:
        return "not allowed", f"can't set {waiver.check} aside, which is {verdict}: only fail and inconclusive can be waived ({left})"
    return "applied", f"sets {waiver.check} aside, which is {verdict}, until {waiver.expires} ({left})"


def _quarantine(one: Quarantined, judged: set[str], stages: Mapping[str, str], clock: _Clock) -> tuple[State, str]:
    left = _left(one, clock.today)
    if fault := clock.fault(one):
        return fault
    if one.stage not in stages.values():
        return "unknown target", f"names a stage that this gate does not have, {one.stage} ({left})"
    if one.stage not in SUITES:
        return "not allowed", f"can't leave anything out, since nothing of the stage {one.stage} is one item of many ({left})"
    if clock.today > one.expires:
        return "expired", f"ended on {one.expires}, {left}: mend the item, or have its owner decide anew"
    if one.stage not in judged:
        return "unused", f"is not needed, since nothing of the stage {one.stage} was judged ({left})"
    return "applied", f"leaves the item out until {one.expires} ({left})"


def _applied(entry: Waiver | Quarantined, state: State, told: str) -> Applied:
    subject = f"Waiver {entry.id}" if entry.kind == "waiver" else f"The quarantine of {entry.target}"
    days = {"granted": entry.granted, "expires": entry.expires}
    return Applied(id=entry.id, kind=entry.kind, target=entry.target, owner=entry.owner, reason=entry.reason, **days, state=state, told=f"{subject} {told}.")


def _left(entry: _Entry, today: date) -> str:
    if today == entry.expires:
        return "its last day is today"
    return f"{_days(entry.expires, today)} {'left' if today < entry.expires else 'past'}"


def _days(one: date, other: date) -> str:
    count = abs((one - other).days)
    return f"{count} day{'' if count == 1 else 's'}"
