"""What configurations ask for: code from elsewhere, and the base model of an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from guardmed.files import digest_value
from guardmed.gate.scan.files import Flaw, shown
from guardmed.models.fingerprint import manifest

_REMOTE = ("auto_map", "custom_pipelines", "custom_objects", "custom_generate", "remote_code")
_LIBRARIES = {"transformers", "peft", "torch", "diffusers", "sentence_transformers"}
_DIGESTS = ("base_model_digest", "base_model_fingerprint", "base_model_sha256")
_TRUSTED = "Use a model that its library knows by itself; GuardMed runs no code that comes with one."


def remote_code(value: Any) -> Iterator[Flaw]:
    """Whether a configuration asks for code of its own, at any depth.

    Attention and other kernels named ``org/name`` are code as well: transformers downloads and runs them.
    """
    found: set[str] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += [inner for inner in part if isinstance(inner, dict | list)]
        if not isinstance(part, dict):
            continue
        for key, inner in part.items():
            if inner and (key in _REMOTE or (key == "trust_remote_code" and inner is True)):
                found.add(key)
            if isinstance(inner, str) and "/" in inner and key.strip("_").removesuffix("_internal").endswith("_implementation"):
                found.add(key)
            if key == "parent_library" and str(inner).split(".")[0] not in _LIBRARIES and inner is not None:
                found.add(key)
            if isinstance(inner, dict | list):
                waiting.append(inner)
    if found:
        yield Flaw(f"asks for remote code ({', '.join(sorted(found))})", _TRUSTED)


def modules(value: Any) -> Iterator[Flaw]:
    """Whether the parts of a sentence encoder are all its library's own."""
    for part in value if isinstance(value, list) else []:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind is not None and str(kind).split(".")[0] not in _LIBRARIES:
            yield Flaw(f"asks for remote code ({shown(str(kind), 60)})", _TRUSTED)


def adapter_base(config: Any, base: str | Path) -> Iterator[Flaw]:
    """Whether an adapter was trained on the given base model: by name, and by digest where it records one.

    Parameters
    ----------
    config : dict
        The adapter's ``adapter_config.json``.
    base : str or Path
        A folder, or a name.
    """
    said = config.get("base_model_name_or_path") if isinstance(config, Mapping) else None
    if not isinstance(said, str) or not said:
        yield Flaw("names no base model", "Save the adapter with PEFT, which records it.")
        return
    mend = "Name the base model that the adapter was trained on."
    recorded = next((config[key] for key in _DIGESTS if isinstance(config.get(key), str)), None)
    folder = Path(base)
    if recorded is not None and folder.is_dir():
        if recorded.lower().removeprefix("sha256:") != digest_value({"model": manifest(folder), "adapter": None}):
            yield Flaw("the adapter's base model has another digest than the given one", mend)
        return
    if _plain(said) != _plain(str(base)):
        yield Flaw(f"the adapter's base model is {shown(said)}, and {shown(str(base))} was given", mend)


def _plain(name: str) -> str:
    """A name to compare: of a folder that is here, where it lies."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name.rstrip("/")
