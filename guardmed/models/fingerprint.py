"""Digests that say which model an artifact or a report is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guardmed.files import digest_bytes, digest_file, digest_value

# What decides a model's answers; everything else in its folder may change freely.
_DECIDES = (
    "*.safetensors", "*.gguf", "config.json", "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
    "tokenizer_config.json", "chat_template.jinja", "chat_template.json", "special_tokens_map.json", "added_tokens.json",
    "generation_config.json", "adapter_config.json", "*.py", "additional_chat_templates/*.jinja",
    "*.safetensors.index.json", "spiece.model", "*.bpe.model", "tekken.json", "vocab.bpe",
    "hint.json", "intent.npz",
)  # fmt: skip
# What a configuration says of its own history: where it lay, and who saved it. Private fields do the same.
_VOLATILE = frozenset({"transformers_version", "architectures"})


def manifest(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of every file of a model folder that decides what the model says.

    Parameters
    ----------
    folder : Path
    known : mapping, optional
        Digests by file name that were just taken, so that large files aren't read twice.
    """
    files = sorted({path for pattern in _DECIDES for path in folder.glob(pattern) if path.is_file()})
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: (known or {}).get(name) or digest_file(path) for name, path in names.items()}


def fingerprint_folder(
    folder: Path, adapter: Path | None = None, *, known: Mapping[str, str] | None = None, known_adapter: Mapping[str, str] | None = None
) -> str:
    """Fingerprint of a model folder, with the adapter on top if there is one; ``known`` as in :func:`manifest`."""
    return digest_value({"model": manifest(folder, known), "adapter": manifest(adapter, known_adapter) if adapter else None})


def fingerprint_in_memory(model: Any, tokenizer: Any) -> str:
    """Fingerprint of a model that was built or changed in memory: tensors, configuration and tokenizer.

    Differs from the fingerprint of the files it came from, because what is in memory may have
    been changed since.
    """
    import torch

    tensors = {}
    for name, tensor in sorted(model.state_dict().items()):
        data = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
        tensors[name] = digest_bytes(data.tobytes())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else str(sorted(tokenizer.get_vocab().items()))
    configs = {name: _settings(config.to_dict()) for name in ("config", "generation_config") if (config := getattr(model, name, None)) is not None}
    return digest_value(
        {"class": type(model).__name__, "tensors": tensors, "tokenizer": digest_bytes(vocabulary.encode()), "template": tokenizer.chat_template} | configs
    )


def _settings(value: Any) -> Any:
    """A configuration as JSON, down to its parts, without what says nothing of the model."""
    if isinstance(value, dict):
        return {str(key): _settings(part) for key, part in value.items() if str(key) not in _VOLATILE and not str(key).startswith("_")}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_settings(part) for part in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
