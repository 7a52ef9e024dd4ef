"""``assert_gate`` for pytest: a test fails unless its checkpoint passes the gate.

pytest loads this module at its start, whatever is tested, so it imports nothing but pytest itself;
the gate and the libraries that it needs come with the first call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from guardmed.gate import Checkpoint, GateConfig, GateReport


def assert_gate(
    checkpoint: str | Path | Checkpoint,
    *,
    config: str | Path | None = None,
    baseline: str | Path | None = None,
    adapter: str | Path | None = None,
    keep: bool = True,
) -> GateReport:
    """Run the gate on a checkpoint, as ``guardmed gate`` does, and fail unless it passes.

    Warnings of the libraries that run the model are shown but are no errors here, even where pytest
    makes errors of them: they would end as missing evidence, and block a checkpoint for it.

    Parameters
    ----------
    checkpoint : str, Path or Checkpoint
        ``reference``, a folder or a ``.gguf`` file; or a :class:`guardmed.gate.Checkpoint`, which says
        itself how it is loaded.
    config : str or Path, optional
        A gate.yaml, or a preset by its name; ``internal`` when nothing is named.
    baseline : str or Path, optional
        Report of the last good checkpoint.
    adapter : str or Path, optional
        Folder of a LoRA adapter on top.
    keep : bool
        Whether evidence of earlier runs counts and that of this one is kept.

    Returns
    -------
    GateReport
        Of a checkpoint that passed.

    Raises
    ------
    AssertionError
        It did not pass; the message says why, with the first items behind each check that stops it.
    GuardMedError
        The gate could not be run: a configuration, a baseline or a checkpoint that can't be read.
    """
    __tracebackhide__ = True
    from guardmed.gate import load_baseline, load_config

    settings = load_config(config)
    before = load_baseline(Path(baseline), settings) if baseline is not None else None
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        report = _judged(checkpoint, settings, before, Path(adapter) if adapter is not None else None, keep)
    if report.verdict != "pass":
        raise AssertionError(_why(report))
    return report


@pytest.fixture(name="assert_gate", scope="session")
def _assert_gate() -> Callable[..., GateReport]:
    """``assert_gate(checkpoint, config=..., baseline=..., adapter=..., keep=True)``: fail unless the checkpoint passes GuardMed's gate."""
    return assert_gate


def _judged(checkpoint: str | Path | Checkpoint, settings: GateConfig, baseline: GateReport | None, adapter: Path | None, keep: bool) -> GateReport:
    from guardmed.cli.gate import run
    from guardmed.errors import UsageError
    from guardmed.gate import Checkpoint, Keeping, run_gate
    from guardmed.resources import cache_folder

    if not isinstance(checkpoint, Checkpoint):
        return run(str(checkpoint), settings, baseline, adapter=adapter, fresh=not keep)
    if adapter is not None:
        raise UsageError("A Checkpoint names its adapter itself.", mend="Pass Checkpoint(adapter=...).")
    return run_gate(checkpoint, settings, baseline=baseline, keeping=Keeping(folder=cache_folder("gate") if keep else None))


def _why(report: GateReport) -> str:
    """The verdict, and what stands behind it; cleaned, since logs of tests are uploaded and shown."""
    from guardmed.gate.emit.words import level, tidied, worst_first
    from guardmed.gate.report import verdict_block

    report = tidied(report)
    block = verdict_block(report)
    lines = [f"{block.word}. {block.sentence}"]
    for result in worst_first(report):
        if level(result) == "error":
            lines += [f"- {result.id} ({result.verdict}): {result.why}", *(f"  - {item}" for item in result.examples)]
    return "\n".join(lines)
