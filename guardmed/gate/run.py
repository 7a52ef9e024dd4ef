"""Runs a gate: scan, gather what is missing, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from guardmed.errors import ExecutionError, GuardMedError
from guardmed.files import digest_value
from guardmed.gate.baseline import day_of
from guardmed.gate.cache import EvidenceCache, FindingsCache, code_digest, settings_digest
from guardmed.gate.checks import CheckResult, verdict
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Advance, Evidence, scan_evidence
from guardmed.gate.judging import compared, judge_gate, newest_day
from guardmed.gate.report import BaselineRef, GateReport, environment, sealed
from guardmed.gate.scan import ScanResult, inspect_folder
from guardmed.gate.waivers import Applied, Waivers, load_waivers, quarantined
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.policy.packs import packs_digest

if TYPE_CHECKING:
    from guardmed.audit.ask import Guard
    from guardmed.models.base import LanguageModel
    from guardmed.policy import Policy

_SECONDS = 3
_TOLD = 300


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What is to be judged.

    Attributes
    ----------
    name : str
        What the report calls it.
    folder : Path or None
        Its files; None for what has none here.
    adapter : Path or None
        Files of a LoRA adapter on top.
    load : callable
        Loads the model.
    guard : callable or None
        Puts the guard with a policy around it, for a gate of the guarded checkpoint.
    guard_digest : str
        Of everything that makes this guard another than others, beside the policy; evidence of a guarded checkpoint is only kept and reused where
        it is given.
    """

    name: str
    folder: Path | None
    load: Callable[[], LanguageModel]
    adapter: Path | None = None
    guard: Callable[[LanguageModel, Policy], Guard] | None = None
    guard_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where answers and evidence are kept between runs.

    Attributes
    ----------
    folder : Path or None
        None keeps nothing.
    """

    folder: Path | None = None

    @property
    def evidence(self) -> EvidenceCache:
        """Evidence by stage."""
        return EvidenceCache(self.folder / "evidence" if self.folder is not None else None)

    @property
    def findings(self) -> FindingsCache:
        """What scans found."""
        return FindingsCache(self.folder / "scans" if self.folder is not None else None)


def silent(_stage: StageName, _done: int, _total: int) -> None:
    """Tells nobody."""


def run_gate(
    checkpoint: Checkpoint,
    config: GateConfig,
    *,
    baseline: GateReport | None = None,
    promoting: bool = False,
    keeping: Keeping | None = None,
    now: datetime | None = None,
    advance: Advance = silent,
) -> GateReport:
    """Gather the evidence that the checks need, in order, and judge it.

    The scan comes first; a checkpoint whose files are not sound is never loaded. A stage that
    fails to run leaves its evidence missing, and missing evidence blocks.

    Parameters
    ----------
    checkpoint : Checkpoint
    config : GateConfig
    baseline : GateReport, optional
        Of :func:`guardmed.gate.load_baseline`, for ``no_regression`` checks.
    promoting : bool
        Whether the report is to become a baseline: then every prompt is asked that will be compared.
    keeping : Keeping, optional
        Nothing is kept without one.
    now : datetime, optional
        The time, in UTC, if not the clock's.
    advance : callable, optional
        Told the stage, and how many of its items are done and to do.

    Raises
    ------
    ExecutionError
        Another gate of the same checkpoint is running.
    DataError
        The waivers can't be read.
    """
    run = _Run(checkpoint, config, baseline, promoting, keeping or Keeping(), now or datetime.now(UTC), advance)
    return run.report()


class _Run:
    """One run: what it found so far, and why the rest is missing."""

    def __init__(
        self, checkpoint: Checkpoint, config: GateConfig, baseline: GateReport | None, promoting: bool, keeping: Keeping, now: datetime, advance: Advance
    ) -> None:
        self._checkpoint, self._config, self._baseline, self._promoting = checkpoint, config, baseline, promoting
        self._keeping, self._now, self._advance = keeping, now, advance
        self._evidence: dict[StageName, Evidence] = {}
        self._failures: dict[StageName, str] = {}
        self._fingerprint: str | None = None
        self._manifest: dict[str, str] = {}
        self._policies = packs_digest(config.suites.policy)
        # A guard that can't be told from others may have changed since evidence was kept.
        reusable = not config.suites.guarded or bool(checkpoint.guard_digest)
        self._kept = self._keeping.evidence if reusable else EvidenceCache(None)

        self._waivers = load_waivers(config.beside(config.waivers)) if config.waivers else Waivers(schema_version=1)
        known = day_of(baseline)
        self._aside = {stage: quarantined(self._waivers, stage, today=now.date(), now_known=known) for stage in config.stages()}

    def report(self) -> GateReport:
        """Everything, judged and sealed."""
        self._gather()
        results, applied = self._judged()
        before = self._baseline
        report = GateReport(
            name=self._config.name,
            created=self._now.isoformat(timespec="seconds"),
            checkpoint=self._checkpoint.name,
            fingerprint=self._fingerprint,
            manifest=self._manifest,
            config=self._config,
            config_digest=digest_value(self._config.model_dump(mode="json")),
            policy_digest=self._policies,
            verdict=verdict(results),
            checks=tuple(results),
            waivers=applied,
            evidence=self._evidence,
            baseline=None
            if before is None
            else BaselineRef(
                seal=before.seal,
                checkpoint=before.checkpoint,
                fingerprint=before.fingerprint,
                created=before.created,
                evidence=compared(before.evidence, self._config),
            ),
            versions=environment(),
        )
        return report.model_copy(update={"seal": sealed(report)})

    def _gather(self) -> None:
        stages = self._config.stages()
        self._advance("artifact_scan", 0, 0)
        try:
            with ThreadPoolExecutor(max_workers=1) as beside:
                # What bounds, pages and keys need later takes its time; hashing the checkpoint leaves a core free for it.
                beside.submit(import_module, "scipy.special")
                beside.submit(import_module, "jinja2")
                beside.submit(code_digest)
                scanned = self._scanned()
        except Exception as error:  # noqa: BLE001 - becomes missing evidence, which blocks
            self._failures["artifact_scan"] = _told(error)
            scanned = None
        if scanned is None or not scanned.sound:
            self._failures |= {stage: "Not run: the checkpoint's files are not sound." for stage in stages if stage != "artifact_scan"}
            return
        found = {stage: self._kept.get(self._key(stage)) for stage in stages if stage != "artifact_scan"}
        self._evidence |= {stage: evidence for stage, evidence in found.items() if evidence is not None}
        missing = [stage for stage, evidence in found.items() if evidence is None]
        if missing:
            self._measure(missing, scanned)
        self._evidence = {stage: self._evidence[stage] for stage in stages if stage in self._evidence}

    def _scanned(self) -> ScanResult:
        folder, adapter = self._checkpoint.folder, self._checkpoint.adapter
        if folder is None:
            raise ExecutionError("The checkpoint has no files here to scan.", mend="Name a folder.")
        started = datetime.now(UTC)
        found = inspect_folder(folder, kept=self._keeping.findings)
        # An adapter names its base as its training did: by a folder, or by the name it is known under.
        bases = (folder, self._checkpoint.name)
        tried = [inspect_folder(adapter, base=base) for base in bases] if adapter is not None else []
        on_top = min(tried, key=lambda one: len(one.findings), default=None)
        if folder.is_dir():
            self._fingerprint = fingerprint_folder(folder, adapter, known=found.manifest, known_adapter=on_top.manifest if on_top else None)
        found = found.beside(on_top, "adapter/") if on_top else found
        self._manifest = dict(found.manifest)
        seconds = (datetime.now(UTC) - started).total_seconds()
        self._evidence["artifact_scan"] = self._signed(scan_evidence(found).model_copy(update={"seconds": round(seconds, _SECONDS)}))
        return found

    def _measure(self, missing: Sequence[StageName], scanned: ScanResult) -> None:
        """Run the stages that were not found, and keep their evidence."""
        from guardmed.gate.measure import measure  # models, policies and audits: two seconds that kept evidence need not wait for

        found = measure(
            self._checkpoint,
            self._config,
            {stage: self._whole(stage) for stage in missing},
            scanned=scanned,
            fingerprint=self._fingerprint or "",
            quarantined=self._aside,
            folder=self._keeping.folder,
            advance=self._advance,
        )
        for stage, outcome in found:
            if isinstance(outcome, BaseException):
                self._failures[stage] = _told(outcome)
                continue
            self._evidence[stage] = self._signed(outcome)
            self._kept.put(self._key(stage), self._evidence[stage])

    def _judged(self) -> tuple[list[CheckResult], tuple[Applied, ...]]:
        before = self._baseline
        return judge_gate(
            self._config,
            self._evidence,
            self._waivers,
            baseline=compared(before.evidence, self._config) if before is not None else None,
            today=self._now.date(),
            known=newest_day(self._evidence, day_of(before)),
            fingerprint=self._fingerprint,
            failures=self._failures,
        )

    def _whole(self, stage: StageName) -> bool:
        return (self._baseline is not None or self._promoting) and any(check.kind == "no_regression" for check in self._config.of(stage))

    def _about(self, stage: StageName) -> dict[str, str]:
        settings = settings_digest(self._config, stage, self._config.files(), whole=self._whole(stage))
        return {
            "fingerprint": self._fingerprint or "",
            "files": digest_value(self._manifest),
            "policies": self._policies,
            "guard": self._checkpoint.guard_digest if self._config.suites.guarded else "",
            "sources": code_digest(),
            "settings": settings,
            "quarantine": digest_value(sorted(self._aside[stage])),
            "seed": str(self._config.suites.seed),
        }

    def _key(self, stage: StageName) -> str:
        return digest_value([stage, self._about(stage)])

    def _signed(self, evidence: Evidence) -> Evidence:
        """Evidence that says what it is of, and since when it is known."""
        try:
            about = self._about(evidence.stage)
        except GuardMedError:
            about = {"fingerprint": self._fingerprint or "", "sources": code_digest()}
        return evidence.model_copy(update={"about": about, "measured": self._now.isoformat(timespec="seconds")})


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, GuardMedError) else f"The stage broke off: {type(error).__name__}: {str(error)[:_TOLD]}"
