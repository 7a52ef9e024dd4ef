"""What leaves the machine: a report without controls, places of this machine, or more of a prompt than a reader needs.

Emitted files are uploaded, shown in browsers and signed, and hold what a model wrote; so every
emitter starts from :func:`tidied` and adds nothing that the report did not hold.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from guardmed.gate.checks import CheckResult
from guardmed.gate.config import GateConfig
from guardmed.gate.evidence import Evidence, ItemOutcome
from guardmed.gate.report import GateReport
from guardmed.gate.waivers import Applied

ITEM = 200
SENTENCE = 1000
_NAME = 120
_READ = 10_000

Level = Literal["error", "warning", "note", "none"]
Tell = Callable[..., str]
_WORST_FIRST = ("fail", "missing", "inconclusive", "waived", "skipped", "pass")

_SHORT = ("name", "created", "fingerprint", "config_digest", "policy_digest", "guardmed_version")

_OF_WAIVERS = ("id", "target", "owner", "reason", "told")
# The names of the checkpoint's files and the baseline's items stay in report.json.
_INSIDE: Mapping[str, object] = MappingProxyType({"manifest": {}, "baseline": None, "versions": {}, "seal": ""})

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ADDRESS = re.compile(r"@?\w+://\S*")
_PART = r"[^\s/\\'\"`,;:()<>|]+"
# Units such as "/kg/day" are no folders; after a Chinese character only the usual roots are.
_UNITS = r"(?!/(?:kg|mg|mcg|µg|mL|ml|dL|dl|m2|m²|day|dose|hour|min|week)/)"
_ROOTS = r"/(?:home|Users|root|tmp|var|opt|mnt|media|data|srv|usr|etc|private|Volumes|builds|work|workspace|github|content|kaggle)"
_QUOTED = re.compile(r"""(['"`])(?:file:/{0,2})?(?:~[\w.-]*)?(?:/|[A-Za-z]:[\\/]|\\\\)(?=\S)((?:(?!\1).)+)\1""")
_BARE = re.compile(
    rf"(?<![\w/.])(?:file:/{{0,2}})?(?:~[\w.-]*)?{_UNITS}/(?:{_PART}/)+(?:{_PART})?"
    rf"|(?<=[\u3400-\u9fff]){_ROOTS}/(?:{_PART}/)*(?:{_PART})?"
    rf"|(?<![A-Za-z0-9])[A-Za-z]:[\\/](?:{_PART}[\\/])*(?:{_PART})?"
    rf"|\\\\{_PART}\\(?:{_PART}\\)*(?:{_PART})?"
)


def tidied(report: GateReport) -> GateReport:
    """The report as it may be shown to others.

    Texts lose control, format and unpaired characters; paths become names, those of the
    checkpoint's files relative to it; worst items carry their id and are shortened to 200
    characters; evidence keeps its figures and leaves its items. What a waived check told ends with
    its owner and last day, however long it is.
    """
    places = _places(report.checkpoint)
    name = name_of(report.checkpoint)

    def tell(text: str, limit: int = SENTENCE) -> str:
        return shortened(_placeless(plain(text[:_READ]), places, name), limit)

    checks = tuple(
        result.model_copy(
            update={
                "id": tell(result.id, _NAME),
                "why": tell(result.why),
                "told": _told(result, waived_by(report, result), tell),
                "examples": tuple(tell(item, ITEM) for item in _named(result, report.evidence.get(result.stage))),
            }
        )
        for result in report.checks
    )
    evidence = {stage: found.model_copy(update=_figures(found, tell)) for stage, found in report.evidence.items()}
    waivers = tuple(
        one.model_copy(update={name: tell(getattr(one, name), _NAME if name in ("id", "target", "owner") else SENTENCE) for name in _OF_WAIVERS})
        for one in report.waivers
    )
    short = {field: tell(value, _NAME) for field in _SHORT if (value := getattr(report, field)) is not None}
    config = _settings(report.config, tell)
    return report.model_copy(update={**short, **_INSIDE, "checkpoint": name, "config": config, "checks": checks, "waivers": waivers, "evidence": evidence})


def waived_by(report: GateReport, result: CheckResult) -> Applied | None:
    """The waiver that sets a check aside, if one does."""
    if result.verdict != "waived":
        return None
    return next((one for one in report.waivers if one.kind == "waiver" and one.state == "applied" and one.target == result.id), None)


def quarantines(report: GateReport) -> list[Applied]:
    """The items that are left out."""
    return [one for one in report.waivers if one.kind == "quarantine" and one.state == "applied"]


def aside(one: Applied) -> dict[str, str]:
    """Who answers for what is set aside, why, and until when."""
    return {"id": one.id, "owner": one.owner, "expires": one.expires.isoformat(), "reason": one.reason}


def set_aside(report: GateReport) -> dict[str, Any]:
    """Waived checks by their id, and items left out; empty where nothing is set aside."""
    waived = {result.id: aside(waiver) for result in report.checks if (waiver := waived_by(report, result)) is not None}
    left_out = [aside(one) for one in quarantines(report)]
    return {name: found for name, found in (("waived", waived), ("quarantined", left_out)) if found}


def level(result: CheckResult) -> Level:
    """How grave a check's outcome is: an error ends the gate with another code than 0."""
    if result.verdict in ("fail", "missing"):
        return "error"
    if result.verdict == "inconclusive":
        return "error" if result.critical else "warning"
    if result.verdict == "waived":
        return "warning"
    return "note" if result.verdict == "skipped" else "none"


def worst_first(report: GateReport) -> list[CheckResult]:
    """Checks from the gravest to the one that holds; within a verdict the critical ones first."""
    return sorted(report.checks, key=lambda result: (_WORST_FIRST.index(result.verdict), not result.critical))


def message(result: CheckResult) -> str:
    """What a check found, and under it its worst items."""
    return "\n".join([result.told, *(f"- {item}" for item in result.examples)])


def figure(value: float) -> float | None:
    """A figure that every reader of JSON understands; None for infinity and NaN."""
    return round(value, 6) if math.isfinite(value) else None


def plain(text: str) -> str:
    """One line of characters that XML 1.0 allows and that don't change how their neighbours look.

    Left out are control, format (zero-width, bidirectional) and unpaired surrogate characters
    and noncharacters; every run of white space becomes one space. See XML 1.0, section 2.2.
    """
    if text.isprintable():
        return " ".join(text.split(" ")) if "  " in text else text
    kept = "".join(" " if char.isspace() else char for char in text if char.isspace() or not _unseen(char))
    return " ".join(kept.split())


def shortened(text: str, limit: int) -> str:
    """At most so many characters, the last a mark where something was left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def name_of(checkpoint: str) -> str:
    """What a checkpoint is called, without the place on this machine or the address where it lies.

    A relative path inside the working folder stays as it is; of any other only the last part.
    """
    text = _ADDRESS.sub("", plain(checkpoint))
    parted = text.replace("\\", "/")
    path = posixpath.normpath(parted)
    if path.startswith(("/", "~", "../")) or _DRIVE.match(text):
        path = path.rstrip("/").rsplit("/", 1)[-1].lstrip("~")
    return "checkpoint" if path in ("", ".", "..") or re.fullmatch(r"[A-Za-z]:", path) else shortened(path, _NAME)


def _told(result: CheckResult, waiver: Applied | None, tell: Tell) -> str:
    if waiver is None:
        return tell(result.told)
    by = f"Waived by {waiver.owner} until {waiver.expires}: {waiver.reason}"
    # Whoever reads no further than the end of a sentence must still know whom to ask, and until when.
    said = tell(f"Waived by {tell(waiver.owner, _NAME)} until {waiver.expires}: {tell(waiver.reason, SENTENCE // 2)}")
    return f"{tell(result.told.removesuffix(by).rstrip(), SENTENCE - len(said) - 1)} {said}"


def _figures(found: Evidence, tell: Tell) -> dict[str, object]:
    """Evidence without its items: of canaries it stays known how many there were."""
    canaries = tuple(ItemOutcome.model_construct(id="", outcome=item.outcome) for item in found.canaries)
    texts = {name: tell(getattr(found, name), _NAME) for name in ("metric", "digest", "measured")}
    return {**texts, "items": (), "canaries": canaries, "detail": {}, "about": {}}


def _settings(config: GateConfig, tell: Tell) -> GateConfig:
    """A configuration whose texts may be shown; of its files it names the last part."""
    suites = config.suites
    named = {"policy": ", ".join(tell(name, _NAME) for name in suites.policy.split(",")), "prompts": tuple(tell(name, _NAME) for name in suites.prompts)}
    changed = tuple(tell(line) for line in config.changed)
    return config.model_copy(update={"suites": suites.model_copy(update=named), "changed": changed, "preset": config.preset and tell(config.preset, _NAME)})


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs") or (ord(char) & 0xFFFE) == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF


def _named(result: CheckResult, found: Evidence | None) -> list[str]:
    """Worst items after their ids, which for files are their names."""
    ids: dict[str, list[str]] = {}
    for item in found.items if found is not None else ():
        if item.outcome:
            ids.setdefault(item.shown, []).append(item.id)
    return [f"{ids[shown].pop(0)}: {shown}" if ids.get(shown) else shown for shown in result.examples]


def _places(checkpoint: str) -> list[tuple[re.Pattern[str], bool]]:
    """Patterns of the checkpoint's folder as an error may name it, and of the folders above it."""
    whole = os.path.abspath(os.path.expanduser(plain(checkpoint)))  # noqa: PTH100, PTH111 - must not touch the disk
    own = {whole, plain(checkpoint).rstrip("/\\")} - {""}
    above = {os.path.dirname(whole), os.getcwd(), os.path.expanduser("~")}  # noqa: PTH109, PTH111, PTH120
    found = [(place, True) for place in own if "/" in place or "\\" in place] + [(place, False) for place in above if len(place) > 1]
    found.sort(key=lambda one: -len(one[0]))
    return [(re.compile(rf"(?<![A-Za-z0-9_/.-]){re.escape(place)}(?:[\\/]+|(?![A-Za-z0-9_.-]))"), mine) for place, mine in found]


def _placeless(text: str, places: list[tuple[re.Pattern[str], bool]], name: str) -> str:
    for place, mine in places:
        text = place.sub(lambda found, mine=mine: "" if found[0][-1] in "/\\" else name if mine else _last(found[0]), text)  # type: ignore[misc]
    text = _QUOTED.sub(lambda found: f"{found[1]}{_last(found[2])}{found[1]}", text)
    return _BARE.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
