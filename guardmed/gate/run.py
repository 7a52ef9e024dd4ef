"""Runs a gate: scan, gather what is missing, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from guardmed.audit.ask import Guard
from guardmed.audit.store import AnswerStore, answer_store
from guardmed.errors import ExecutionError, GuardMedError
from guardmed.files import digest_value
from guardmed.gate.asking import Asker, Subject
from guardmed.gate.bank import files_of
from guardmed.gate.baseline import day_of
from guardmed.gate.cache import EvidenceCache, FindingsCache, code_digest, newest, settings_digest
from guardmed.gate.checks import CheckResult, judge_all, verdict
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Evidence
from guardmed.gate.report import BaselineRef, GateReport, environment, sealed
from guardmed.gate.scan import ScanResult, inspect_folder
from guardmed.gate.suites import Advance, Suite, scan_evidence, silent
from guardmed.gate.waivers import Applied, Waivers, judge_waivers, load_waivers, quarantined, too_many
from guardmed.models.base import LanguageModel
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.policy import Policy, load_policy
from guardmed.policy.load import load_packs

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
    """

    name: str
    folder: Path | None
    load: Callable[[], LanguageModel]
    adapter: Path | None = None
    guard: Callable[[LanguageModel, Policy], Guard] | None = None


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

    def report(self) -> GateReport:
        """Everything, judged and sealed."""
        waivers = load_waivers(self._config.beside(self._config.waivers)) if self._config.waivers else Waivers(schema_version=1)
        policy_digest = digest_value([pack.digest for pack in load_packs(self._config.suites.policy)])
        self._gather()
        results, applied = self._judged(waivers)
        before = self._baseline
        report = GateReport(
            name=self._config.name,
            created=self._now.isoformat(timespec="seconds"),
            checkpoint=self._checkpoint.name,
            fingerprint=self._fingerprint,
            manifest=self._manifest,
            config=self._config,
            config_digest=digest_value(self._config.model_dump(mode="json")),
            policy_digest=policy_digest,
            verdict=verdict(results),
            checks=tuple(results),
            waivers=applied,
            evidence=self._evidence,
            baseline=None
            if before is None
            else BaselineRef(
                seal=before.seal, checkpoint=before.checkpoint, fingerprint=before.fingerprint, created=before.created, evidence=_compared(before, self._config)
            ),
            versions=environment(),
        )
        return report.model_copy(update={"seal": sealed(report)})

    def _gather(self) -> None:
        stages = self._config.stages()
        self._advance("artifact_scan", 0, 0)
        try:
            scanned = self._scanned()
        except Exception as error:  # noqa: BLE001 - becomes missing evidence, which blocks
            self._failures["artifact_scan"] = _told(error)
            scanned = None
        if scanned is None or not scanned.sound:
            self._failures |= {stage: "Not run: the checkpoint's files are not sound." for stage in stages if stage != "artifact_scan"}
            return
        found = {stage: self._keeping.evidence.get(self._key(stage)) for stage in stages if stage != "artifact_scan"}
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
        on_top = inspect_folder(adapter, base=folder) if adapter is not None else None
        if folder.is_dir():
            self._fingerprint = fingerprint_folder(folder, adapter, known=found.manifest, known_adapter=on_top.manifest if on_top else None)
        found = found.beside(on_top, "adapter/") if on_top else found
        self._manifest = dict(found.manifest)
        seconds = (datetime.now(UTC) - started).total_seconds()
        self._evidence["artifact_scan"] = self._signed(scan_evidence(found).model_copy(update={"seconds": round(seconds, _SECONDS)}))
        return found

    def _measure(self, missing: Sequence[StageName], scanned: ScanResult) -> None:
        """Run the stages that were not found, each answer kept as it comes."""
        fingerprint = self._fingerprint or ""
        policy = load_policy(self._config.suites.policy)
        around = self._checkpoint.guard
        guard = (lambda model: around(model, policy)) if self._config.suites.guarded and around is not None else None
        if self._config.suites.guarded and guard is None:
            raise ExecutionError("The configuration asks for the guarded checkpoint, but no guard was given.", mend="Pass one to run_gate.")
        place = self._keeping.folder
        with answer_store(place, fingerprint[:24]) if place is not None else nullcontext(AnswerStore()) as store:
            asker = Asker(Subject(fingerprint, self._checkpoint.load, guard), store, max_new_tokens=self._config.suites.max_new_tokens)
            for stage in missing:
                suite = Suite(self._config, policy, asker, scanned, fingerprint, whole=self._whole(stage), advance=self._advance)
                self._advance(stage, 0, 0)
                try:
                    evidence = self._signed(suite.run(stage))
                    if not evidence.finite:
                        raise ExecutionError(f"{evidence.metric} is no number.", mend="The checkpoint may compute NaN.")
                except Exception as error:  # noqa: BLE001 - becomes missing evidence, which blocks
                    self._failures[stage] = _told(error)
                    continue
                self._evidence[stage] = evidence
                self._keeping.evidence.put(self._key(stage), evidence)

    def _judged(self, waivers: Waivers) -> tuple[list[CheckResult], tuple[Applied, ...]]:
        today, known = self._now.date(), self._known()
        without = {stage: quarantined(waivers, stage, today=today, now_known=known) for stage in self._evidence}
        results = judge_all(self._config, self._evidence, _compared(self._baseline, self._config) if self._baseline is not None else None, without=without)
        results = [
            result.model_copy(update={"told": self._failures[result.stage]}) if result.verdict == "missing" and result.stage in self._failures else result
            for result in results
        ]
        results = [_hollow(result, without, self._evidence) for result in results]
        stages = {check.id: check.stage for check in self._config.checks}
        applied = judge_waivers(waivers, results, stages=stages, today=today, now_known=known, fingerprint=self._fingerprint)
        waived = {one.target: one for one in applied if one.kind == "waiver" and one.state == "applied"}
        return [_waived(result, waived.get(result.id)) for result in results] + [_blocking(one, stages) for one in applied if one.blocks], applied

    def _known(self) -> date | None:
        """The newest day that what is at hand proves to have come."""
        days = [day for day in (day_of(self._baseline), newest(list(self._evidence.values()))) if day is not None]
        return max(days, default=None)

    def _whole(self, stage: StageName) -> bool:
        return (self._baseline is not None or self._promoting) and any(check.kind == "no_regression" for check in self._config.of(stage))

    def _about(self, stage: StageName) -> dict[str, str]:
        settings = settings_digest(self._config, stage, files_of(self._config), whole=self._whole(stage))
        return {"fingerprint": self._fingerprint or "", "sources": code_digest(), "settings": settings, "seed": str(self._config.suites.seed)}

    def _key(self, stage: StageName) -> str:
        return digest_value([stage, self._about(stage)])

    def _signed(self, evidence: Evidence) -> Evidence:
        """Evidence that says what it is of, and since when it is known."""
        try:
            about = self._about(evidence.stage)
        except GuardMedError:
            about = {"fingerprint": self._fingerprint or "", "sources": code_digest()}
        return evidence.model_copy(update={"about": about, "measured": self._now.isoformat(timespec="seconds")})


def _compared(baseline: GateReport, config: GateConfig) -> dict[StageName, Evidence]:
    """The baseline's items that regressions are measured on, without their texts."""
    wanted = {check.stage for check in config.checks if check.kind == "no_regression"}
    return {
        stage: found.model_copy(update={"items": tuple(item.model_copy(update={"shown": ""}) for item in found.items), "canaries": (), "detail": {}})
        for stage, found in baseline.evidence.items()
        if stage in wanted
    }


def _hollow(result: CheckResult, without: Mapping[StageName, frozenset[str]], evidence: Mapping[StageName, Evidence]) -> CheckResult:
    """A check whose suite has too much of it in quarantine."""
    found = evidence.get(result.stage)
    if found is None:
        return result
    count = sum(item.id in without[result.stage] for item in found.items)
    if not too_many(count, len(found.items)):
        return result
    return result.model_copy(
        update={"verdict": "fail", "told": f"{count} of {len(found.items)} items are in quarantine, too many for the rest to stand for the suite."}
    )


def _waived(result: CheckResult, applied: Applied | None) -> CheckResult:
    if applied is None:
        return result
    return result.model_copy(update={"verdict": "waived", "told": f"{result.told} Waived by {applied.owner} until {applied.expires}: {applied.reason}"})


def _blocking(applied: Applied, stages: Mapping[str, StageName]) -> CheckResult:
    """A waiver or quarantine that is out of order, as what it is: a check that failed."""
    stage = stages.get(applied.target) or next((one for one in stages.values() if applied.target.startswith(f"{one}/")), "artifact_scan")
    why = "Whatever is set aside has an owner, a reason, and a last day that has not passed."
    return CheckResult(id=f"{applied.kind} {applied.id}", stage=stage, kind="zero_tolerance", verdict="fail", critical=True, why=why, told=applied.told)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, GuardMedError) else f"The stage broke off: {type(error).__name__}: {str(error)[:_TOLD]}"
