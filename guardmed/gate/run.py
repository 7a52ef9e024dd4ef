"""Runs a gate: scan, gather what is missing, judge."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from guardmed.errors import DataError, GuardMedError
from guardmed.files import digest_value, read_json
from guardmed.gate.checks import judge_all, verdict
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Evidence
from guardmed.gate.report import GateReport
from guardmed.gate.suites import Suite
from guardmed.models.base import LanguageModel
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.policy import load_policy
from guardmed.records import describe

Advance = Callable[[StageName, int, int], None]


def run_gate(
    checkpoint: str,
    config: GateConfig,
    *,
    folder: Path | None,
    load: Callable[[], LanguageModel],
    baseline: GateReport | None = None,
    advance: Advance | None = None,
) -> GateReport:
    """Gather the evidence that the checks need, in order, and judge it.

    The scan comes first; a checkpoint whose files are not sound is never loaded. A stage that
    fails to run leaves its evidence missing, and missing evidence blocks.

    Parameters
    ----------
    checkpoint : str
        What the report calls it.
    config : GateConfig
    folder : Path or None
        Its files.
    load : callable
        Loads the model.
    baseline : GateReport, optional
        For ``no_regression`` checks.
    advance : callable, optional
        Told the stage, and how many of its items are done and to do.
    """
    policy = load_policy(config.suites.policy)
    suite = Suite(config.suites, policy, folder, load, advance)
    evidence: dict[str, Evidence] = {}
    failures: dict[str, str] = {}
    for stage in config.stages():
        if advance:
            advance(stage, 0, 0)
        try:
            evidence[stage] = suite.run(stage)
        except GuardMedError as error:
            failures[stage] = str(error)
        except Exception as error:  # noqa: BLE001 - becomes missing evidence, which blocks
            failures[stage] = f"{type(error).__name__}: {error}"
        if stage == "artifact_scan" and (stage in failures or evidence[stage].value):
            failures |= {later: "Not run: the checkpoint's files are not sound." for later in config.stages() if later != stage}
            break
    results = judge_all(config.checks, evidence, {} if baseline is None else baseline.evidence)
    results = [
        result.model_copy(update={"told": failures[result.stage]}) if result.verdict == "missing" and result.stage in failures else result for result in results
    ]
    return GateReport(
        name=config.name,
        checkpoint=checkpoint,
        fingerprint=fingerprint_folder(folder) if folder is not None and folder.is_dir() else None,
        config_digest=digest_value(config.model_dump(mode="json")),
        policy_digest=policy.digest,
        verdict=verdict(results),
        checks=tuple(results),
        evidence=evidence,
    )


def load_baseline(path: Path) -> GateReport:
    """Read an earlier gate's report.

    Raises
    ------
    DataError
        It is not one.
    """
    try:
        return GateReport.model_validate(read_json(path))
    except ValidationError as error:
        raise DataError(f"{path} is not a gate report: {describe(error)}.", mend="Name the report.json of an earlier gate.") from None
