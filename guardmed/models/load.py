"""From what a person writes to a model: ``reference``, a folder, a ``.gguf`` file, a hub id, a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guardmed.errors import ModelError, UsageError
from guardmed.models.base import SERVER, LanguageModel
from guardmed.models.device import probe
from guardmed.models.fingerprint import fingerprint_folder
from guardmed.models.gguf import Progress, converted
from guardmed.models.quiet import quiet
from guardmed.models.reference import reference_folder

_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def load_model(spec: str, *, adapter: str | Path | None = None, trust_remote_code: bool = False, progress: Progress | None = None) -> LanguageModel:
    """Load a model by its specification.

    Parameters
    ----------
    spec : str
        ``reference``; a local folder; a ``.gguf`` file; a hub id such as ``org/name``; a model behind
        an OpenAI-compatible server, ``openai:MODEL@BASE_URL``.
    adapter : str or Path, optional
        Folder of a LoRA adapter to merge on top.
    trust_remote_code : bool
        Run code that comes with the model. Off unless asked for.
    progress : callable, optional
        Told what is being done when a model has to be converted first.

    Raises
    ------
    ModelError
        The model does not exist, has no safetensors weights, or can't be read.
    UsageError
        The specification of a server can't be understood, or asks for an adapter.
    """
    if spec.startswith(SERVER):
        from guardmed.models.server import ServerModel

        if adapter:
            raise UsageError("An adapter can't be merged into a model behind a server.", mend="Let the server load it, and name it as MODEL.")
        return ServerModel.from_spec(spec)
    folder = resolve(spec, progress=progress)
    return _load(spec, folder, Path(adapter) if adapter else None, trust_remote_code)


def resolve(spec: str, *, progress: Progress | None = None) -> Path | None:
    """Folder that a specification names, converted if need be; None for a hub id or a server.

    Raises
    ------
    ModelError
        There is no such model.
    """
    if spec == "reference":
        return reference_folder(progress=progress)
    path = Path(spec)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"{spec} does not exist.", mend="Check the path.")
        return converted(path, progress=progress)
    if path.is_dir():
        _check_folder(path)
        return path
    if spec.startswith((".", "/", "~")):
        raise ModelError(f"{spec} does not exist.", mend="Check the path of the model's folder.")
    if spec.startswith(SERVER) or (_HUB_ID.match(spec) and not path.exists()):
        return None
    raise ModelError(f"There is no model {spec!r}.", mend="Use 'reference', a folder, a .gguf file, a hub id such as org/name, or openai:MODEL@BASE_URL.")


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        mend = (
            "It looks like a LoRA adapter: name its base model, and it with --adapter."
            if (folder / "adapter_config.json").is_file()
            else "Name a folder that transformers saved."
        )
        raise ModelError(f"{folder} has no config.json.", mend=mend)
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelError(
            f"{folder} holds its weights as a pickle ({pickles[0]}), which can run code when it is read.",
            mend="Convert it where it was trained: model.save_pretrained(folder) writes safetensors.",
        )
    raise ModelError(f"{folder} has no weights (*.safetensors).", mend="Was the download or the training interrupted?")


def _load(spec: str, folder: Path | None, adapter: Path | None, trust_remote_code: bool) -> LanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from guardmed.models.head import quicken
    from guardmed.models.hint import HINT, INTENT, read_hint
    from guardmed.models.transformers_model import TransformersModel

    placement = probe()
    source = str(folder) if folder else spec
    with quiet(), reading_errors(spec):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
        model, loading = AutoModelForCausalLM.from_pretrained(
            source, dtype=placement.torch_dtype, use_safetensors=True, trust_remote_code=trust_remote_code, output_loading_info=True
        )
        missing = sorted(loading["missing_keys"])
        if missing:
            raise ModelError(
                f"{spec} lacks the weights of {missing[0]} and {len(missing) - 1} more.",
                mend="It was never trained for text generation, or its files are incomplete.",
            )
        if adapter:
            model = _with_adapter(model, adapter)
        model = model.to(placement.device)
        quicken(model)
    if folder is None:
        from huggingface_hub import snapshot_download

        with reading_errors(spec):
            # Fetches what transformers knows nothing of; without a network it is the copy that is here.
            folder = Path(snapshot_download(spec, allow_patterns=[HINT, INTENT]))
    hint = (read_hint(adapter) if adapter else None) or read_hint(folder)
    return TransformersModel(model, tokenizer, name=spec, fingerprint=fingerprint_folder(folder, adapter), hint=hint)


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(f"{adapter} is not a LoRA adapter (no adapter_config.json).", mend="Name the folder that PEFT saved.")
    if not (adapter / "adapter_model.safetensors").is_file():
        raise ModelError(f"{adapter} has no adapter_model.safetensors.", mend="Save it with safetensors; pickles are never read.")
    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()


@contextmanager
def reading_errors(spec: str) -> Iterator[None]:
    """One clear error for the many ways in which reading a model can fail."""
    from safetensors import SafetensorError

    try:
        yield
    except ModelError:
        raise
    except SafetensorError as error:
        raise ModelError(f"The weights of {spec} are damaged: {error}.", mend="Copy or download them again.") from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{spec} can't be loaded: {reason}", mend="Check the name and the folder; without a network, name a local folder.") from error
