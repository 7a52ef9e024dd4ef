"""Finds the data folders, in a checkout and in an installed wheel, and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from guardmed.errors import ExecutionError, UsageError

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = ("policies", "calibration", "audits")


def data_folder(name: str) -> Path:
    """Folder of packaged data.

    Parameters
    ----------
    name : {"policies", "calibration", "audits"}

    Returns
    -------
    pathlib.Path
        In a wheel ``guardmed/_data/NAME``, in a checkout ``NAME`` beside the package.
    """
    if name not in _FOLDERS:
        raise UsageError(f"There is no data folder {name!r}.", mend=f"Known: {', '.join(_FOLDERS)}.")
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise UsageError(
        f"The data folder {name!r} is missing from this installation of GuardMed.",
        mend="Reinstall it: pip install --force-reinstall guardmed",
    )


def cache_folder(*parts: str) -> Path:
    """Folder for derived files, made if it is missing.

    ``$GUARDMED_CACHE`` if set, else ``$XDG_CACHE_HOME/guardmed``, else ``~/.cache/guardmed``.

    Raises
    ------
    ExecutionError
        It can't be made.
    """
    root = os.environ.get("GUARDMED_CACHE")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guardmed"
    folder = base.joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExecutionError(f"The cache {folder} can't be made: {error.strerror}.", mend="Set GUARDMED_CACHE to a folder that can be written to.") from None
    return folder
