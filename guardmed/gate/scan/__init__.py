"""Looks at a checkpoint's files before anything reads them as a model.

A safetensors file is a length, a JSON header and raw tensors; nothing in it can run. Everything
that could run code, or that isn't what it says it is, is a finding. Nothing is loaded, unpickled
or rendered, no link is followed out of the folder, and whatever a hostile file does ends as a
finding, never as an exception.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from guardmed.files import digest_value
from guardmed.gate.scan.files import AGAIN, BrokenError, opened, walk
from guardmed.gate.scan.findings import Finding
from guardmed.records import Frozen
from guardmed.version import VERSION

__all__ = ["Finding", "ScanResult", "inspect_folder", "scan"]

# Raised whenever a scan learns to find more, so that what an older one found nothing in is scanned again.
_DEPTH = 1


class ScanResult(Frozen):
    """What a scan found.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of the files' names; any of them blocks.
    manifest : dict
        SHA-256 of every file that could be read, by its name in the folder.
    """

    findings: tuple[Finding, ...]
    manifest: dict[str, str]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def beside(self, other: ScanResult, prefix: str) -> ScanResult:
        """Both, the other's files under a prefix."""
        findings = tuple(finding.model_copy(update={"file": prefix + finding.file}) for finding in other.findings)
        return ScanResult(findings=self.findings + findings, manifest={**self.manifest, **{prefix + name: digest for name, digest in other.manifest.items()}})


class Kept(Protocol):
    """Findings of earlier scans, by the digest of what was scanned."""

    def get(self, key: str, /) -> tuple[Finding, ...] | None:
        """The findings under a key."""

    def put(self, key: str, value: tuple[Finding, ...], /) -> None:
        """Keep findings."""


def scan(folder: Path, *, base: str | Path | None = None) -> list[Finding]:
    """Everything wrong with a checkpoint's files; empty when nothing is.

    Parameters
    ----------
    folder : Path
    base : str or Path, optional
        The model that an adapter in the folder is to be put on: its folder or its name.
    """
    return _scanned(Path(folder), base)


def inspect_folder(folder: Path, *, base: str | Path | None = None, kept: Kept | None = None) -> ScanResult:
    """Take the digest of every file of a checkpoint, and scan them.

    Parameters
    ----------
    folder : Path
    base : str or Path, optional
        As for :func:`scan`.
    kept : Kept, optional
        Where findings on the very same files, under the same names and links, are looked up and kept.
    """
    folder = Path(folder)
    entries, flaws = walk(folder.resolve()) if folder.is_dir() else ([], [])
    manifest: dict[str, str] = {}
    unread: list[Finding] = []
    for entry in entries:
        try:
            with opened(entry) as file:
                manifest[entry.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except (BrokenError, OSError):
            unread.append(Finding(file=entry.name, problem="can't be read", mend=AGAIN))
    whole = bool(manifest) and not unread and not flaws and base is None
    key = digest_value([VERSION, _DEPTH, manifest])
    findings = kept.get(key) if kept is not None and whole else None
    if findings is None:
        findings = tuple(_scanned(folder, base))
        if kept is not None and whole:
            kept.put(key, findings)
    named = {finding.file for finding in findings}
    return ScanResult(findings=findings + tuple(finding for finding in unread if finding.file not in named), manifest=manifest)


def _scanned(folder: Path, base: str | Path | None) -> list[Finding]:
    from guardmed.gate.scan.scanner import Scanner  # its parsers are not needed where findings are kept

    return Scanner(base).run(folder)
