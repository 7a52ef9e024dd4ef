"""Gathers prompts from every source that was named, each with its licence and digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guardmed.align.datacard import Source
from guardmed.align.sources import Prompt, of_contrast, of_file, of_lines, of_rules
from guardmed.errors import DataError
from guardmed.files import digest_file, digest_value
from guardmed.policy import Policy

OWN = "Apache-2.0"
UNKNOWN = "not stated"


@dataclass(frozen=True)
class Gathered:
    """Prompts, and where they are from."""

    prompts: tuple[Prompt, ...]
    sources: tuple[Source, ...]


def gather(policy: Policy, paths: Sequence[tuple[Path, str]] = ()) -> Gathered:
    """Prompts of the policy's own tests, and of files and folders.

    Parameters
    ----------
    policy : Policy
    paths : sequence of (Path, str)
        Each with its licence. A folder holds contrast pairs (YAML) and, if it has any, lists of harmless prompts
        (``harmless_*.txt``); a file rows of ``id``, ``prompt`` and ``label``, or harmless prompts, one a line (``.txt``).

    Raises
    ------
    DataError
        A path is not there, or does not fit.
    """
    prompts = list(of_rules(policy))
    sources = [Source(name="rules", licence=OWN, digest=policy.digest)]
    for path, licence in paths:
        if path.is_dir():
            prompts += of_contrast(path)
            sources.append(Source(name="contrast pairs", licence=licence, digest=_digest(sorted(path.rglob("*.yaml")), path)))
            lists = sorted(path.glob("harmless_*.txt"))
        elif path.is_file():
            lists = [path] if path.suffix == ".txt" else []
            if not lists:
                prompts += of_file(path)
                sources.append(Source(name=path.name, licence=licence, digest=digest_file(path)))
        else:
            raise DataError(f"There is no {path}.", mend="Name a file of prompts, or a folder of contrast pairs.")
        for file in lists:
            prompts += of_lines(file)
            sources.append(Source(name=file.name, licence=licence, digest=digest_file(file)))
    return Gathered(tuple(prompts), tuple(sources))


def _digest(files: Sequence[Path], folder: Path) -> str:
    return digest_value({file.relative_to(folder).as_posix(): digest_file(file) for file in files})
