"""Evaluation: the figures that medical models are published with, with intervals and controls, beside what such tables never show.

A suite reads its data (``selection``, ``spans``, ``codes``), asks one system (``asking``), scores the
answers (``figures``) and gives a result (``results``); ``run`` runs suites, ``page`` sets systems side by side.
"""

from guardmed.evaluate.asking import Answer, Asking, System
from guardmed.evaluate.results import EvalReport, Figure, Scored, SuiteResult, SystemRef, joined, load_report, write_report
from guardmed.evaluate.run import SUITES, Suite, evaluate, numbered, report_of, suites
from guardmed.evaluate.selection import Selection

__all__ = [
    "SUITES", "Answer", "Asking", "EvalReport", "Figure", "Scored", "Selection", "Suite", "SuiteResult", "System", "SystemRef", "evaluate", "joined",
    "load_report", "numbered", "report_of", "suites", "write_report",
]  # fmt: skip
