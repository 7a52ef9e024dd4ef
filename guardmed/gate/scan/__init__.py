"""Looks at a checkpoint's files before anything reads them as a model.

A safetensors file is a length, a JSON header and raw tensors; nothing in it can run. Everything
that could run code, or that isn't what it says it is, is a finding. Nothing is loaded, unpickled
or rendered, no link is followed out of the folder, and whatever a hostile file does ends as a
finding, never as an exception.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from guardmed.files import digest_value
from guardmed.gate.scan.configs import adapter_base, modules, remote_code
from guardmed.gate.scan.files import AGAIN, BrokenError, Entry, Flaw, by_folder, opened, read_json, shown, walk
from guardmed.gate.scan.gguf import read_gguf
from guardmed.gate.scan.pickles import disguises
from guardmed.gate.scan.templates import MAX_TEMPLATE, configured, template_flaws
from guardmed.gate.scan.tokenizer import gguf_flaws, tokenizer_flaws
from guardmed.gate.scan.weights import Tensor, index_flaws, not_finite, read_header
from guardmed.records import Frozen
from guardmed.version import VERSION

__all__ = ["Finding", "ScanResult", "inspect_folder", "scan"]

_KEPT = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "adapter_config.json"}
_WEIGHTS = {".safetensors", ".gguf"}
_CHECKPOINT = "Name a folder that transformers saved."
# Raised whenever a scan learns to find more, so that what an older one found nothing in is scanned again.
_DEPTH = 1


class Finding(Frozen):
    """One thing wrong with one file, and how to mend it."""

    file: str
    problem: str
    mend: str = ""


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
    return _Scan(base).run(Path(folder))


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
        findings = tuple(_Scan(base).run(folder))
        if kept is not None and whole:
            kept.put(key, findings)
    named = {finding.file for finding in findings}
    return ScanResult(findings=findings + tuple(finding for finding in unread if finding.file not in named), manifest=manifest)


class _Scan:
    """One scan: what it has read so far is kept for the checks between files."""

    def __init__(self, base: str | Path | None) -> None:
        self._base = base
        self.entries: list[Entry] = []
        self._documents: dict[str, Any] = {}
        self._headers: dict[str, dict[str, Tensor]] = {}

    def run(self, folder: Path) -> list[Finding]:
        """All findings, in the order of the files' names."""
        try:
            found = list(self._found(folder))
        except (OSError, RuntimeError, ValueError) as error:  # the folder's own name may be a loop of links
            found = [(folder.name, Flaw(f"can't be read: {error}", _CHECKPOINT))]
        findings = [Finding(file=shown(file, 400), problem=flaw.problem, mend=flaw.mend) for file, flaw in found]
        return sorted(dict.fromkeys(findings), key=lambda finding: finding.file)

    def _found(self, folder: Path) -> Iterator[tuple[str, Flaw]]:
        if not folder.is_dir():
            yield folder.name, Flaw("there is no such folder", "Check the path.")
            return
        self.entries, flaws = walk(folder.resolve())
        yield from flaws
        names = {entry.base for entry in self.entries}
        if "config.json" not in names and "adapter_config.json" not in names and not any(entry.suffix == ".gguf" for entry in self.entries):
            yield "config.json", Flaw("missing: this is not a checkpoint", _CHECKPOINT)
        if not any(entry.suffix in _WEIGHTS for entry in self.entries):
            yield "*.safetensors", Flaw("missing: there are no weights", "Was the download or the training interrupted?")
        for entry in self.entries:
            yield from ((entry.name, flaw) for flaw in _guarded(self._alone(entry)))
        for within, entries in by_folder(self.entries):
            yield from self._together(within, entries)

    def _alone(self, entry: Entry) -> Iterator[Flaw]:
        """What is wrong with a file by itself."""
        disguised = False
        for flaw in disguises(entry, weights=entry.suffix in _WEIGHTS):
            disguised = True
            yield flaw
        if disguised:
            return
        if entry.suffix == ".safetensors":
            tensors, flaws = read_header(entry)
            yield from flaws
            if not flaws:
                self._headers[entry.name] = tensors
                yield from not_finite(entry, tensors)
        elif entry.suffix == ".gguf":
            header = read_gguf(entry)
            yield from header.flaws
            yield from gguf_flaws(header.values)
            for key, value in header.values.items():
                if key.startswith("tokenizer.chat_template") and isinstance(value, str):
                    yield from template_flaws(value)
            yield from not_finite(entry, header.tensors)
        elif entry.suffix == ".json":
            yield from self._json(entry)
        elif entry.suffix in (".jinja", ".jinja2", ".j2"):
            with opened(entry) as file:
                yield from template_flaws(file.read(4 * MAX_TEMPLATE + 1).decode("utf-8", "replace"))

    def _json(self, entry: Entry) -> Iterator[Flaw]:
        value = read_json(entry)
        if entry.base in _KEPT or entry.base.endswith(".safetensors.index.json"):
            self._documents[entry.name] = value
        if entry.base == "modules.json":
            yield from modules(value)
        if entry.base == "tokenizer.json" or not isinstance(value, dict):
            return
        yield from remote_code(value)
        yield from configured(value.get("chat_template"))
        if entry.base == "adapter_config.json" and self._base is not None:
            yield from adapter_base(value, self._base)

    def _together(self, within: str, entries: list[Entry]) -> Iterator[tuple[str, Flaw]]:
        """What is wrong between the files of one folder."""
        indexes = {entry.name: self._documents[entry.name] for entry in entries if entry.base.endswith(".index.json") and entry.name in self._documents}
        documents = {entry.base: self._documents[entry.name] for entry in entries if entry.base in _KEPT and entry.name in self._documents}
        tensors = [tensor for entry in entries for tensor in self._headers.get(entry.name, {}).values()]
        try:
            yield from index_flaws(entries, self._headers, indexes)
            yield from tokenizer_flaws(within, documents, tensors)
        except Exception as error:  # noqa: BLE001 - as in _guarded
            yield within or ".", Flaw(f"can't be checked ({type(error).__name__})", AGAIN)


def _guarded(flaws: Iterator[Flaw]) -> Iterator[Flaw]:
    """Flaws of a file; whatever else its reading ends with is one as well."""
    try:
        yield from flaws
    except BrokenError as error:
        yield error.flaw
    except Exception as error:  # noqa: BLE001 - a file that can't be checked must block, whatever the reason
        yield Flaw(f"can't be checked ({type(error).__name__})", AGAIN)
