"""What a gate found, in the formats that build servers, hubs and verifiers read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from guardmed.files import write_json, write_text
from guardmed.gate.emit.card import model_index
from guardmed.gate.emit.github import summary, workflow_commands
from guardmed.gate.emit.gitlab import code_quality
from guardmed.gate.emit.intoto import statement
from guardmed.gate.emit.junit import junit_xml
from guardmed.gate.emit.sarif import sarif_log
from guardmed.gate.report import GateReport

__all__ = ["FORMATS", "code_quality", "emit", "junit_xml", "model_index", "sarif_log", "statement", "summary", "workflow_commands"]

# What each format is called, the file it is written to and what writes it.
FORMATS: Mapping[str, tuple[str, Callable[[GateReport], object]]] = MappingProxyType(
    {
        "junit": ("junit.xml", junit_xml),
        "sarif": ("sarif.json", sarif_log),
        "gitlab": ("codequality.json", code_quality),
        "card": ("model-index.yaml", model_index),
        "intoto": ("statement.json", statement),
    }
)


def emit(report: GateReport, formats: Iterable[str], folder: Path) -> list[Path]:
    """Write a report in the named formats; each file is whole or not there.

    Raises
    ------
    DataError
        A format can't say what the report lacks.
    """
    contents = {folder / FORMATS[name][0]: FORMATS[name][1](report) for name in formats}
    for path, content in contents.items():
        if isinstance(content, str):
            write_text(path, content)
        else:
            write_json(path, content)
    return list(contents)
