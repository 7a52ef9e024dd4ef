"""The gate: blocks a checkpoint that is unsafe, unmeasured or worse than the last one."""

from guardmed.gate.config import GateConfig, load_config
from guardmed.gate.report import GateReport, write_report
from guardmed.gate.run import load_baseline, run_gate

__all__ = ["GateConfig", "GateReport", "load_baseline", "load_config", "run_gate", "write_report"]
