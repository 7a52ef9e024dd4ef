"""The structure of the house: which way imports run, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "guardmed"
FLOORS = [
    {"errors", "version", "spans", "decision", "text", "files", "records", "documents", "stats", "resources", "intent"},
    {"models"},
    {"policy", "claims", "calibration", "reporting"},
    {"guard", "audit", "gate", "evaluate", "align"},
    {"serve"},
    {"cli"},
    {"pytest_plugin", "__main__"},
]
# Rooms of one floor that may be entered from a neighbour.
NEIGHBOURS = {
    ("calibration", "claims"),
    ("calibration", "reporting"),
    ("gate", "audit"),
    ("evaluate", "gate"),
    ("evaluate", "audit"),
    ("align", "gate"),
    ("align", "audit"),
}
HEAVY = {"torch", "transformers", "peft", "trl", "netcal", "fairlearn", "pandas", "scipy", "matplotlib", "sklearn", "pyarrow"}


def floor(room: str) -> int:
    return next(index for index, rooms in enumerate(FLOORS) if room in rooms)


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "guardmed":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imports(path):
        assert other == room or floor(other) < floor(room) or (room, other) in NEIGHBOURS or floor(room) == 0 == floor(other), f"{room} imports {other}"


def test_the_ground_floor_has_no_circle():
    graph = {path.stem: set(imports(path)) for path in PACKAGE.glob("*.py") if path.stem in FLOORS[0]}
    done: set[str] = set()
    while len(done) < len(graph):
        free = {room for room, needs in graph.items() if room not in done and needs <= done}
        assert free, f"a circle among {set(graph) - done}"
        done |= free


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    "code",
    [
        "import guardmed",
        "import guardmed.cli",
        "from guardmed.policy import load_policy, Stage; load_policy('clinical').check('我想问二甲双胍怎么吃', stage=Stage.INPUT)",
    ],
)
def test_what_needs_no_heavy_library_imports_none(code):
    probe = f"{code}\nimport sys; print(' '.join(sorted(set(sys.modules) & {HEAVY!r})))"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
