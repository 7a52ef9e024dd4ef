"""Where policy packs lie, and the digest of all that they are made of."""

from __future__ import annotations

from pathlib import Path

from guardmed.documents import read_yaml
from guardmed.errors import PolicyError
from guardmed.files import digest_file, digest_value
from guardmed.policy.schema import Manifest
from guardmed.resources import data_folder

_SHARED = "clinical"


def pack_names() -> list[str]:
    """Names of the packs that ship with GuardMed."""
    return sorted(path.parent.name for path in data_folder("policies").glob("*/pack.yaml"))


def named(spec: str) -> list[str]:
    """The names in a comma-separated list.

    Raises
    ------
    PolicyError
        There is none.
    """
    names = [name.strip() for name in spec.split(",") if name.strip()]
    if not names:
        raise PolicyError("No policy is named.", mend=f"Known: {', '.join(pack_names())}.")
    return names


def pack_folder(name: str | Path) -> Path:
    """Folder of a pack that ships with GuardMed, or of one's own.

    Raises
    ------
    PolicyError
        Neither is there.
    """
    for folder in (data_folder("policies") / str(name), Path(name)):
        if (folder / "pack.yaml").is_file():
            return folder
    raise PolicyError(f"There is no policy pack {str(name)!r}.", mend=f"Known: {', '.join(pack_names())}; or name a folder that holds a pack.yaml.")


def read_manifest(folder: Path) -> Manifest:
    """What a pack says of itself.

    Raises
    ------
    PolicyError
        Its pack.yaml is not valid.
    """
    return read_yaml(folder / "pack.yaml", Manifest, error=PolicyError)


def shared_folder(manifest: Manifest) -> Path:
    """Where a pack finds the word lists, contacts and models that it lacks: in the one that it extends, or in ``clinical``."""
    return pack_folder(manifest.extends or _SHARED)


def packs_digest(spec: str) -> str:
    """SHA-256 of every file that the packs of a list are made of, without reading a rule.

    Packs with the same digest are the same; a comment that is changed gives another one.

    Raises
    ------
    PolicyError
        An unknown name.
    """
    return digest_value([_files(pack_folder(name)) for name in named(spec)])


def _files(folder: Path) -> list[list[str]]:
    found: list[list[str]] = []
    for place in (folder, shared_folder(read_manifest(folder))):
        files = (path for path in sorted(place.rglob("*")) if path.is_file() and path.suffix != ".md")
        found += [[path.relative_to(place).as_posix(), digest_file(path)] for path in files]
    return found
