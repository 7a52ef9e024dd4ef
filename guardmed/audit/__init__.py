"""Counterfactual demographic audits: does an answer change with who the patient is?

A definition is told (``variants``), asked (``ask``, kept in ``store``), measured (``run``,
``properties``), laid out as tables (``table``), judged (``analyse``) and shown (``page``).
"""

from guardmed.audit.analyse import Settings, analyse
from guardmed.audit.ask import Decoding, Interview
from guardmed.audit.collected import read_observations
from guardmed.audit.compare import Comparison, compare
from guardmed.audit.definition import Definition, definition_names, load_definition
from guardmed.audit.lint import lint
from guardmed.audit.page import report_page
from guardmed.audit.plan import plan
from guardmed.audit.report import AuditReport, load_report, write_report
from guardmed.audit.results import Analysis, OutcomeResult
from guardmed.audit.run import audit_model, count_prompts, model_store
from guardmed.audit.selection import Selection
from guardmed.audit.table import Observation

__all__ = [
    "Analysis",
    "AuditReport",
    "Comparison",
    "Decoding",
    "Definition",
    "Interview",
    "Observation",
    "OutcomeResult",
    "Selection",
    "Settings",
    "analyse",
    "audit_model",
    "compare",
    "count_prompts",
    "definition_names",
    "lint",
    "load_definition",
    "load_report",
    "model_store",
    "plan",
    "read_observations",
    "report_page",
    "write_report",
]
