"""Whether a gate's report is true: of these files, by its own evidence, today.

Everything is looked at again that can be without asking the checkpoint anything: its files, their
fingerprint, what each figure follows from, and how the results follow from the figures.

What that can't show is whether the checkpoint ever gave the answers that the report tells of. Whoever
changes an item's outcome and with it every figure, result, verdict, page and seal that follows from
it, or leaves out a waiver with all its traces, has a report that nothing in it denies. Only a signature
shows that, or the gate itself, which reaches the same report from the same checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from guardmed.errors import DataError, GuardMedError, UsageError
from guardmed.files import digest_value, read_json
from guardmed.gate.baseline import load_baseline
from guardmed.gate.cache import code_digest
from guardmed.gate.checks import GateVerdict
from guardmed.gate.emit import FORMATS
from guardmed.gate.evidence import scan_evidence
from guardmed.gate.judging import compared
from guardmed.gate.report import FILES, GateReport, report_page
from guardmed.gate.reread import date_faults, evidence_faults, read_parts, result_faults
from guardmed.gate.scan import ScanResult, inspect_folder
from guardmed.gate.scan.files import shown
from guardmed.gate.signing import verify as verify_signature
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.policy.packs import packs_digest
from guardmed.records import Frozen
from guardmed.version import VERSION

Area = Literal[
    "report", "files", "scan", "fingerprint", "configuration", "evidence", "checks", "policies", "installation", "waivers", "dates", "baseline",
    "other files", "signature",
]  # fmt: skip

# What holds where nothing is wrong.
AREAS: Mapping[Area, str] = MappingProxyType(
    {
        "report": "It is whole, and its seal fits.",
        "files": "Each has the SHA-256 that the report names; none is missing, none was added.",
        "scan": "It finds in them what it found then.",
        "fingerprint": "The report is about these files.",
        "configuration": "It is the one whose digest the report names.",
        "evidence": "It is about this fingerprint, and its figures follow from its items.",
        "checks": "Results and verdict follow from evidence, configuration, baseline and waivers.",
        "policies": "They are those that the gate ran with.",
        "installation": "It is the code that gathered the evidence.",
        "waivers": "What was set aside may still be.",
        "dates": "Nothing is of the future.",
        "baseline": "It is the one that the report was compared with, if any.",
        "other files": "What lies beside the report says what it says.",
        "signature": "It was made with that key, over this report and what was written with it.",
    }
)
SIGNATURE: Final = "evidence.sig"

_AGAIN: Final = "Don't rely on it: get the report again from where it was made, or run the gate again."
_RUN: Final = "Run the gate again."
_TOLD: Final = 600


class Problem(Frozen):
    """One thing that is not as the report says.

    Attributes
    ----------
    what : str
        One of ``AREAS``.
    told : str
        What is wrong, and where.
    mend : str
        What to do about it.
    """

    what: Area
    told: str
    mend: str = ""


class Verification(Frozen):
    """What a verification found.

    Attributes
    ----------
    problems : tuple of Problem
        In the order of ``AREAS``.
    notes : tuple of str
        What could not be looked at, and why.
    checked : tuple of str
        The areas that were looked at, whatever was found.
    verdict : str or None
        What the report says of the checkpoint, if that can be read.
    """

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    checked: tuple[Area, ...] = ()
    verdict: GateVerdict | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True)
class _Note:
    """Why an area was not looked at, or not wholly."""

    told: str


_Found = Iterator[Problem | _Note]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A report as far as it can be read, and what it is held against.

    Attributes
    ----------
    read : frozenset of str
        The fields of the report that there are.
    """

    path: Path
    report: GateReport
    read: frozenset[str]
    folder: Path
    adapter: Path | None
    found: ScanResult
    baseline: Path | None
    key: Path | None
    now: datetime

    @property
    def same_code(self) -> bool:
        """Whether the code here gathered the evidence."""
        evidence = self.report.evidence.values() if "evidence" in self.read else ()
        return {found.about.get("sources") for found in evidence} == {code_digest()}


def verify(
    report_path: Path, folder: Path, *, adapter: Path | None = None, baseline: Path | None = None, key: Path | None = None, now: datetime | None = None
) -> Verification:
    """Find whatever is not, or no longer, as a report says; the module says what only a signature shows.

    Parameters
    ----------
    report_path : Path
        ``report.json``, or the folder it is in. Whatever it holds ends as a problem, never as an error.
    folder : Path
        The checkpoint's files.
    adapter : Path, optional
        Files of the LoRA adapter that the gate ran with.
    baseline : Path, optional
        The report that this one was compared with.
    key : Path, optional
        The public key, in PEM, of who should have signed it.
    now : datetime, optional
        The time, in UTC, if not the clock's.

    Raises
    ------
    DataError
        Something that is named is not there.
    UsageError
        A key is named, but ``model-signing`` is not installed.
    """
    path = report_path / "report.json" if report_path.is_dir() else report_path
    for place, what in ((path, "report"), (baseline, "report"), (key, "key")):
        if place is not None and not place.exists():
            raise DataError(f"There is no {what} {place}.", mend="Check the path.")
    for place in (folder, adapter):
        if place is not None and not place.is_dir():
            raise DataError(f"There is no folder {place}.", mend="Name the folder with the files that the gate judged.")
    try:
        parts, told = read_parts(path)
    except Exception as error:  # noqa: BLE001 - a file may hold anything
        parts, told = {}, [f"{path} can't be read as a report: {_why(error)}"]
    found = inspect_folder(folder)
    if adapter is not None:
        found = found.beside(inspect_folder(adapter, base=folder), "adapter/")
    now = now or datetime.now(UTC)
    now = now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)
    report = GateReport.model_construct(**parts)
    case = _Case(path=path, report=report, read=frozenset(parts), folder=folder, adapter=adapter, found=found, baseline=baseline, key=key, now=now)
    problems, notes, checked = [Problem(what="report", told=shown(one, _TOLD), mend=_AGAIN) for one in told], [], ["report"]
    for area, (needs, step) in _STEPS.items():
        if not case.read.issuperset(needs):
            notes.append(f"The report can't be read so far that its {area} could be looked at.")
            continue
        results = list(_guarded(area, partial(step, case)))
        problems += [one.model_copy(update={"told": shown(one.told, _TOLD)}) for one in results if isinstance(one, Problem)]
        notes += [shown(one.told, _TOLD) for one in results if isinstance(one, _Note)]
        checked += [] if results and all(isinstance(one, _Note) for one in results) else [area]
    return Verification.model_validate({"problems": problems, "notes": notes, "checked": checked, "verdict": parts.get("verdict")})


def _guarded(area: Area, step: Callable[[], _Found]) -> _Found:
    """What a step finds; whatever else it ends with is a problem too."""
    try:
        yield from step()
    except UsageError:
        raise
    except GuardMedError as error:
        yield Problem(what=area, told=error.problem, mend=error.mend or "")
    except Exception as error:  # noqa: BLE001 - a report may hold anything
        yield Problem(what=area, told=f"Can't be looked at: {_why(error)}", mend=_AGAIN)


def _files(case: _Case) -> _Found:
    then, now, own = case.report.manifest, case.found.manifest, _own(case)
    mend = "Get the checkpoint again from where it was judged, or run the gate on what it is now."
    for name in sorted({*then, *now}):
        if name not in now:
            forgotten = case.adapter is None and name.startswith("adapter/")
            yield Problem(what="files", told=f"{name} is missing, or can't be read.", mend="Name the adapter that the gate ran with." if forgotten else mend)
        elif name not in then and name not in own:
            yield Problem(what="files", told=f"{name} was added: the gate did not see it.", mend=mend)
        elif name in then and then[name] != now[name]:
            yield Problem(what="files", told=f"{name} was changed: its SHA-256 is {now[name][:16]}…, in the report {then[name][:16]}….", mend=mend)


def _own(case: _Case) -> frozenset[str]:
    """The report and what was written with it, where that was into the checkpoint's own folder."""
    place, root = case.path.parent.resolve(), case.folder.resolve()
    names = (case.path.name, *FILES, *(name for name, _ in FORMATS.values()))
    return frozenset((place / name).relative_to(root).as_posix() for name in names) if place.is_relative_to(root) else frozenset()


def _scan(case: _Case) -> _Found:
    kept = case.report.evidence.get("artifact_scan")
    then = {(item.id, item.shown) for item in kept.items} if kept else set()
    now = {(item.id, item.shown) for item in scan_evidence(case.found).items}
    for name, told in sorted(now - then):
        yield Problem(what="scan", told=f"{name}: {told} The report does not tell of it.", mend="Don't load the checkpoint before that is mended.")
    for name, told in sorted(then - now):
        yield Problem(what="scan", told=f"{name}: {told} So the report says, but it is not found now.", mend=_RUN)


def _fingerprint(case: _Case) -> _Found:
    then, known = case.report.fingerprint, case.found.manifest
    on_top = {name.removeprefix("adapter/"): digest for name, digest in known.items() if name.startswith("adapter/")} if case.adapter is not None else None
    now = fingerprint_folder(case.folder, case.adapter, known=known, known_adapter=on_top)
    if then is None:
        yield Problem(what="fingerprint", told="The report names no fingerprint, so it is about no checkpoint in particular.", mend=_RUN)
    elif then != now:
        yield Problem(what="fingerprint", told=f"The report is about the checkpoint {then[:16]}…, and this one is {now[:16]}….", mend=_RUN)


def _configuration(case: _Case) -> _Found:
    if digest_value(case.report.config.model_dump(mode="json")) != case.report.config_digest:
        yield Problem(what="configuration", told="The configuration in the report is not the one whose digest it names.", mend=_AGAIN)


def _evidence(case: _Case) -> _Found:
    return (Problem(what="evidence", told=told, mend=_AGAIN) for told in evidence_faults(case.report))


def _checks(case: _Case) -> _Found:
    return (Problem(what="checks", told=told, mend=_AGAIN) for told in result_faults(case.report, exact=case.same_code))


def _policies(case: _Case) -> _Found:
    spec = case.report.config.suites.policy
    if packs_digest(spec) != case.report.policy_digest:
        yield Problem(what="policies", told=f"The report was made with older policies, or others, than what {spec} is here.", mend=_RUN)


def _installation(case: _Case) -> _Found:
    if case.report.guardmed_version != VERSION:
        yield _Note(f"The report was made by GuardMed {case.report.guardmed_version}, and this is {VERSION}.")
    if not case.same_code:
        yield _Note("GuardMed's code and data here are not those that gathered the evidence, so this installation can't reproduce it bit by bit.")


def _waivers(case: _Case) -> _Found:
    if case.report.waivers and case.report.config.waivers is None:
        yield Problem(what="waivers", told="The report applies waivers, but its configuration names no file of them.", mend=_AGAIN)
    for one in case.report.waivers:
        if one.state == "applied" and one.expires < case.now.date():
            told = f"The {one.kind} {one.id} of {one.owner} was applied and has ended since, on {one.expires}."
            yield Problem(what="waivers", told=told, mend="Mend what it set aside, or have its owner decide anew, and run the gate again.")


def _dates(case: _Case) -> _Found:
    mend = "Set the clock right, here or where the gate ran, and run the gate again."
    return (Problem(what="dates", told=told, mend=mend) for told in date_faults(case.report, now=case.now))


def _baseline(case: _Case) -> _Found:
    then, config = case.report.baseline, case.report.config
    if then is not None and config.baseline not in (None, then.seal):
        yield Problem(what="baseline", told="The report was compared with another baseline than its configuration pins.", mend=_AGAIN)
    if then is not None and any(found.about.get("fingerprint") != then.fingerprint for found in then.evidence.values()):
        yield Problem(what="baseline", told="The evidence of the baseline is not about the checkpoint that it names.", mend=_AGAIN)
    if case.baseline is None:
        if then is not None:
            yield _Note("The baseline was not looked at itself, only what the report holds of it: name its file.")
        return
    before = load_baseline(case.baseline, config)
    if then is None:
        yield Problem(what="baseline", told=f"The report was compared with no baseline, so not with {case.baseline}.", mend=_RUN)
    elif before.seal != then.seal:
        told = f"{case.baseline} is not the baseline that the report was compared with: its seal is {before.seal[:16]}…, not {then.seal[:16]}…."
        yield Problem(what="baseline", told=told, mend="Name the right one, or run the gate again with this one.")
    elif then.evidence != compared(before.evidence, config) or any(getattr(then, name) != getattr(before, name) for name in ("fingerprint", "created")):
        yield Problem(what="baseline", told=f"What the report holds of the baseline is not what {case.baseline} says.", mend=_AGAIN)


def _beside(case: _Case) -> _Found:
    """Pages and files for build servers: more people read these than the report."""
    if case.path.name != "report.json":  # a baseline is written by itself
        return
    page = report_page(case.report)
    writers: dict[str, Callable[[], object]] = {"report.html": page.html, "report.md": page.markdown}
    writers |= {name: partial(write, case.report) for name, write in FORMATS.values()}
    for name, write in writers.items():
        if case.path.with_name(name).exists():
            yield from _guarded("other files", partial(_written, case, name, write))


def _written(case: _Case, name: str, write: Callable[[], object]) -> _Found:
    place, wanted = case.path.with_name(name), write()
    found = place.read_bytes().decode() if isinstance(wanted, str) else read_json(place)
    if found == wanted:
        return
    if name == "statement.json" and (says := _stated(found)) != (right := _stated(wanted)):
        yield Problem(what="other files", told=f"{name} is about {says}; the report is about {right}.", mend=_AGAIN)
    elif case.same_code:
        yield Problem(what="other files", told=f"{name} does not say what the report says.", mend=_AGAIN)
    else:
        yield _Note(f"{name} was written by other code, so it can't be compared with the report.")


def _stated(statement: Any) -> str:
    """What an in-toto statement is about, and what it says of it."""
    try:
        digests = ", ".join(one["digest"]["sha256"] for one in statement["subject"])
        return f"{digests} with the result {statement['predicate']['result']}"
    except (KeyError, TypeError, IndexError):
        return "nothing that can be read"


def _signature(case: _Case) -> _Found:
    place = case.path.with_name(SIGNATURE)
    if case.key is None:
        unsigned = "The report has no signature: if it was changed with such care that nothing in it denies that, nothing here shows it."
        yield _Note("The signature was not checked: name the public key of who should have made it." if place.exists() else unsigned)
    elif not place.exists():
        yield Problem(what="signature", told=f"There is a key, but no signature {place}.", mend="Get it from where the report was made; gate --sign makes it.")
    else:
        others = [other for name, _ in FORMATS.values() if (other := case.path.with_name(name)).exists()]
        verify_signature([case.path, *others], place, case.key)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}, {error}."


# Each area, the fields of a report that it needs, and what looks at it.
_STEPS: Mapping[Area, tuple[tuple[str, ...], Callable[[_Case], _Found]]] = MappingProxyType(
    {
        "files": (("manifest",), _files),
        "scan": (("evidence",), _scan),
        "fingerprint": (("fingerprint",), _fingerprint),
        "configuration": (("config", "config_digest"), _configuration),
        "evidence": (("evidence", "config", "fingerprint", "manifest", "policy_digest"), _evidence),
        "checks": (("evidence", "config", "fingerprint", "checks", "verdict", "waivers", "baseline", "created"), _checks),
        "policies": (("config", "policy_digest"), _policies),
        "installation": (("evidence", "guardmed_version"), _installation),
        "waivers": (("waivers", "config"), _waivers),
        "dates": (("created", "evidence", "baseline"), _dates),
        "baseline": (("baseline", "config"), _baseline),
        "other files": (tuple(GateReport.model_fields), _beside),
        "signature": ((), _signature),
    }
)
