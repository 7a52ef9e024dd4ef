"""The version, in one place, and those of the libraries that decide what comes out."""

from __future__ import annotations

from collections.abc import Iterable

VERSION = "0.1.0"


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of those of the libraries that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
