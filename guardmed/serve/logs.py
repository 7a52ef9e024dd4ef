"""Logs as one JSON object a line, in which no prompt, no answer and no message of an exception stands."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from guardmed.errors import GuardMedError


class JsonLines(logging.Formatter):
    """One record as one JSON object; fields come from ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """As a line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def told(error: BaseException) -> str:
    """What a log may hold of an exception: its type and where it came from, for its message may quote a patient."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    # GuardMed's own messages name files, models and servers, never texts.
    return f"{error.problem}{place}" if isinstance(error, GuardMedError) else f"{type(error).__name__}{place}"


def write_logs(stream: TextIO = sys.stdout) -> None:
    """Make the process log this way: GuardMed and the server itself from INFO, all else from WARNING."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("guardmed", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
