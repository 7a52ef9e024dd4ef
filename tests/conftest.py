"""Fixtures that every kind of test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the project; it is never part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def clinical():
    """The clinical policy, compiled once."""
    from guardmed.policy import load_policy

    return load_policy("clinical")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes go by their length: archives hold the time they were made, and every worker must collect the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
