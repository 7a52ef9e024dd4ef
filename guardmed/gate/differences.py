"""What two gate reports were not the same in, beside what they found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from guardmed.gate.config import GateConfig
from guardmed.gate.emit.words import plain
from guardmed.gate.explain import DIGEST
from guardmed.gate.report import GateReport
from guardmed.records import Frozen

Kind = Literal["configuration", "policy", "waiver", "baseline", "version", "file"]

KINDS: Mapping[Kind, str] = MappingProxyType(
    {
        "configuration": "configuration",
        "policy": "policies",
        "waiver": "waivers",
        "baseline": "baselines",
        "version": "versions",
        "file": "files of the checkpoints",
    }
)


class Difference(Frozen):
    """Something that was not the same; a side is empty where a report does not have it."""

    kind: Kind
    name: str
    before: str
    after: str


def differences_of(before: GateReport, after: GateReport) -> Iterator[Difference]:
    """Settings, rules, waivers, baselines, versions and files that are not the same."""
    pairs: list[tuple[Kind, Mapping[str, str], Mapping[str, str]]] = [
        ("configuration", _settings(before.config, after.config), _settings(after.config, before.config)),
        ("policy", {"rules": before.policy_digest[:DIGEST]}, {"rules": after.policy_digest[:DIGEST]}),
        ("waiver", _waivers(before), _waivers(after)),
        ("baseline", _baseline(before), _baseline(after)),
        ("version", _versions(before), _versions(after)),
        ("file", {name: digest[:DIGEST] for name, digest in before.manifest.items()}, {name: digest[:DIGEST] for name, digest in after.manifest.items()}),
    ]
    for kind, one, other in pairs:
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                yield Difference(kind=kind, name=plain(name), before=plain(one.get(name, "")), after=plain(other.get(name, "")))


def _settings(config: GateConfig, other: GateConfig) -> dict[str, str]:
    """Every setting of a configuration that decides anything, by its place; a check that the other lacks is one."""
    found = {"baseline": _value(config.baseline), "waivers": _value(config.waivers)}
    found |= {f"suites.{name}": _value(value) for name, value in config.suites.model_dump(mode="json").items()}
    shared = {check.id for check in other.checks}
    for check in config.checks:
        if check.id not in shared:
            found[f"check {check.id}"] = f"{check.kind} of {check.stage}, limit {check.limit:g}, margin {check.margin:g}"
            continue
        found |= {f"check {check.id}: {name}": _value(value) for name, value in check.model_dump(mode="json", exclude={"id"}).items()}
    return found


def _waivers(report: GateReport) -> dict[str, str]:
    return {f"{one.kind} {one.id}": f"{one.state}, {one.owner}, until {one.expires}" for one in report.waivers}


def _baseline(report: GateReport) -> dict[str, str]:
    return {"seal": f"{report.baseline.checkpoint}, {report.baseline.seal[:DIGEST]}"} if report.baseline is not None else {}


def _versions(report: GateReport) -> dict[str, str]:
    """Versions, and the digest of GuardMed's own code, which a version may not tell apart."""
    sources = {found.about["sources"][:DIGEST] for found in report.evidence.values() if "sources" in found.about}
    return report.versions | {"guardmed": report.guardmed_version} | ({"guardmed's code": ", ".join(sorted(sources))} if sources else {})


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_value(part)}" for name, part in value.items()) or "none"
    return "none" if value is None else str(value)
