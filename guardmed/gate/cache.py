"""Evidence that was gathered before, found by the digest of all that it depends on."""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from guardmed.errors import DataError
from guardmed.files import digest_file, digest_value, write_json
from guardmed.gate.config import GateConfig, StageName
from guardmed.gate.evidence import Evidence
from guardmed.gate.scan import Finding
from guardmed.resources import data_folder

T = TypeVar("T")


class _Kept(Generic[T]):
    """Values by key, a file each; what does not match its own digest counts as missing.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    """

    _type: TypeAdapter[T]

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> T | None:
        """What is kept under a key, if it is whole."""
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            whole = found["key"] == key and found["digest"] == digest_value(found["value"])
            return self._type.validate_python(found["value"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, value: T) -> None:
        """Keep a value."""
        path = self._path(key)
        if path is None:
            return
        plain = self._type.dump_python(value, mode="json")
        write_json(path, {"key": key, "digest": digest_value(plain), "value": plain})

    def _path(self, key: str) -> Path | None:
        return self._folder / f"{key[:40]}.json" if self._folder is not None else None


class EvidenceCache(_Kept[Evidence]):
    """What stages found, by the digest of all that it depends on."""

    _type = TypeAdapter(Evidence)


class FindingsCache(_Kept[tuple[Finding, ...]]):
    """What scans found, by the digest of every file."""

    _type = TypeAdapter(tuple[Finding, ...])


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of GuardMed's own code and of the data it ships: evidence of another version is not reused."""
    package = Path(__file__).resolve().parents[1]
    files = [path for folder in (package, *map(data_folder, ("policies", "calibration", "audits"))) for path in sorted(folder.rglob("*"))]
    # In a wheel the data lies inside the package, where it was counted already.
    return digest_value(sorted({(path.name, digest_file(path)) for path in files if path.is_file() and path.suffix not in (".pyc", ".md")}))


def settings_digest(config: GateConfig, stage: StageName, files: list[Path], *, whole: bool) -> str:
    """SHA-256 of what the configuration says that decides a stage's evidence, and of the files it names."""
    packs = [Path(name.strip()) for name in config.suites.policy.split(",")]
    own = sorted(path for pack in packs if pack.is_dir() for path in pack.rglob("*") if path.is_file())
    audits = [path for name in config.suites.audits if (path := Path(name)).is_file()]
    for path in (*files, *own, *audits):
        if not path.is_file():
            raise DataError(f"{path} does not exist.", mend="The configuration names it; put it there or name another.")
    asked = [check.model_dump(mode="json", include={"kind", "limit", "confidence"}) for check in config.of(stage)]
    return digest_value([config.suites.model_dump(mode="json"), asked, whole, [[path.name, digest_file(path)] for path in (*files, *own, *audits)]])


def newest(evidence: list[Evidence]) -> date | None:
    """The day of the newest evidence: today can't be before it."""
    days = [found.measured[:10] for found in evidence if found.measured]
    return max(map(date.fromisoformat, days)) if days else None
