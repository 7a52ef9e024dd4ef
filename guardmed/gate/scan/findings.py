"""What a scan finds."""

from __future__ import annotations

from guardmed.records import Frozen


class Finding(Frozen):
    """One thing wrong with one file, and how to mend it."""

    file: str
    problem: str
    mend: str = ""
