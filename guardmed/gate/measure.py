"""Loads the checkpoint and gathers what is missing, stage by stage.

Imported only where something is missing: a verdict from evidence that is kept needs neither models nor policies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from guardmed.audit.store import AnswerStore, answer_store
from guardmed.errors import ExecutionError
from guardmed.gate.asking import Asker, Subject
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Advance, Evidence
from guardmed.gate.scan import ScanResult
from guardmed.gate.suites import Suite
from guardmed.policy import load_policy

if TYPE_CHECKING:
    from guardmed.gate.run import Checkpoint


def measure(
    checkpoint: Checkpoint,
    config: GateConfig,
    whole: Mapping[StageName, bool],
    *,
    scanned: ScanResult,
    fingerprint: str,
    quarantined: Mapping[StageName, frozenset[str]],
    folder: Path | None,
    advance: Advance,
) -> Iterator[tuple[StageName, Evidence | BaseException]]:
    """Run stages, each answer kept as it comes; what a stage raised stands in place of its evidence.

    Parameters
    ----------
    whole : mapping
        The stages, in order, and whether each asks every prompt even where fewer would settle its rate.
    folder : Path or None
        Where answers are kept.

    Raises
    ------
    ExecutionError
        Another gate of the same checkpoint is running, or a guard is asked for that was not given.
    """
    policy = load_policy(config.suites.policy)
    around = checkpoint.guard
    if config.suites.guarded and around is None:
        raise ExecutionError("The configuration asks for the guarded checkpoint, but no guard was given.", mend="Pass one to run_gate.")
    guard = (lambda model: around(model, policy)) if config.suites.guarded and around is not None else None
    with answer_store(folder, fingerprint[:24]) if folder is not None else nullcontext(AnswerStore()) as store:
        asker = Asker(Subject(fingerprint, checkpoint.load, guard), store, max_new_tokens=config.suites.max_new_tokens)
        for stage, every in whole.items():
            suite = Suite(config, policy, asker, scanned, fingerprint, whole=every, quarantined=quarantined, advance=advance)
            advance(stage, 0, 0)
            try:
                evidence = suite.run(stage)
                if not evidence.finite:
                    raise ExecutionError(f"{evidence.metric} is no number.", mend="The checkpoint may compute NaN.")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - becomes missing evidence, which blocks
                yield stage, error
                continue
            yield stage, evidence
