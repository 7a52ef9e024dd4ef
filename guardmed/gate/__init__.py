"""The gate: blocks a checkpoint that is unsafe, unmeasured or worse than the last one."""

from guardmed.gate.baseline import load_baseline, promote
from guardmed.gate.config import GateConfig, load_config, preset_names
from guardmed.gate.report import GateReport, clear, load_report, write_report
from guardmed.gate.run import Checkpoint, Keeping, run_gate

__all__ = [
    "Checkpoint", "GateConfig", "GateReport", "Keeping", "clear", "load_baseline", "load_config", "load_report", "preset_names", "promote", "run_gate",
    "write_report",
]  # fmt: skip
