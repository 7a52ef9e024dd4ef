"""Converts a GGUF file once into a folder that loads in seconds, and keeps it in the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from guardmed.errors import ModelError
from guardmed.files import atomic_folder, digest_file
from guardmed.models.quiet import quiet
from guardmed.resources import cache_folder

Progress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, 0 to 1."""


def converted(file: Path, *, progress: Progress | None = None) -> Path:
    """Folder of safetensors made from a GGUF file.

    De-quantising takes most of a minute; the result is kept under the file's digest.

    Raises
    ------
    ModelError
        The file is not a GGUF that transformers can read.
    """
    report = progress or (lambda _step, _share: None)
    report("checking", 0.0)
    folder = cache_folder("models") / digest_file(file)[:16]
    if (folder / "config.json").is_file():
        report("ready", 1.0)
        return folder
    with open(file, "rb") as head:
        if head.read(4) != b"GGUF":
            raise ModelError(f"{file} is not a GGUF file.", mend="Download it again.")
    _convert(file, folder, report)
    report("ready", 1.0)
    return folder


def _convert(file: Path, folder: Path, report: Progress) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet():
            report("reading the tokenizer", 0.05)
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            report("de-quantising weights", 0.25)
            loaded = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
            report("writing safetensors", 0.9)
            # The loaded model carries the quantisation along and can't be saved; a fresh one can.
            config = loaded.config
            if hasattr(config, "quantization_config"):
                del config.quantization_config
            config.name_or_path = file.stem
            fresh = type(loaded)(config).to(torch.bfloat16)
            fresh.load_state_dict(loaded.state_dict())
            with atomic_folder(folder) as beside:
                fresh.save_pretrained(beside)
                tokenizer.save_pretrained(beside)
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        raise ModelError(
            f"{file} can't be read as a model: {str(error).splitlines()[0]}", mend="Is its architecture one that transformers reads from GGUF?"
        ) from error
