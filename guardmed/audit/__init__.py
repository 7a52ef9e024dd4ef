"""Counterfactual demographic audits: does an answer change with who the patient is?"""

from guardmed.audit.analyse import Observation, OutcomeResult, Settings, analyse
from guardmed.audit.definition import Definition, definition_names, load_definition
from guardmed.audit.report import AuditReport, write_report
from guardmed.audit.run import audit_model, count_variants, run_definition

__all__ = [
    "AuditReport",
    "Definition",
    "Observation",
    "OutcomeResult",
    "Settings",
    "analyse",
    "audit_model",
    "count_variants",
    "definition_names",
    "load_definition",
    "run_definition",
    "write_report",
]
