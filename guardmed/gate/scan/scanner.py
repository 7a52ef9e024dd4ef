"""One scan of a checkpoint's files: each by itself, then those of each folder together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guardmed.gate.scan.configs import adapter_base, modules, remote_code
from guardmed.gate.scan.files import AGAIN, BrokenError, Entry, Flaw, by_folder, opened, read_json, shown, walk
from guardmed.gate.scan.findings import Finding
from guardmed.gate.scan.gguf import read_gguf
from guardmed.gate.scan.pickles import disguises
from guardmed.gate.scan.templates import MAX_TEMPLATE, configured, template_flaws
from guardmed.gate.scan.tokenizer import gguf_flaws, tokenizer_flaws
from guardmed.gate.scan.weights import Tensor, index_flaws, not_finite, read_header

_KEPT = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "adapter_config.json"}
_WEIGHTS = {".safetensors", ".gguf"}
_CHECKPOINT = "Name a folder that transformers saved."


class Scanner:
    """One scan; what it has read so far is kept for the checks between files."""

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
