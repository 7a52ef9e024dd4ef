"""Kills an audit at random moments and resumes it: nothing may be lost, nothing asked twice.

    python benchmarks/audit_kill.py [--kills 10]

Runs the same audit twice on the reference model: once undisturbed, once killed with SIGKILL at ten
random moments. Compares report.json, report.md, report.html and records.jsonl byte by byte.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = ("report.json", "report.md", "report.html", "records.jsonl")


def main() -> None:
    """Print what happened at each kill, and whether the files are the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    ask = ["audit", "pain-management", "--axis", "sex", "--axis", "insurance", "--vignettes", "8", "--no-intersections"]
    reference = cached_model()
    start = time.perf_counter()
    subprocess.run(command(ask, folder / "whole"), env=environment(folder / "cache-whole", reference), check=True, capture_output=True)
    whole = time.perf_counter() - start
    print(f"undisturbed: {whole:.0f} s")
    generator = random.Random(arguments.seed)
    disturbed = environment(folder / "cache-killed", reference)
    for kill in range(arguments.kills):
        process = subprocess.Popen(command(ask, folder / "killed"), env=disturbed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # From the moment it starts to about when a run that had nothing to ask would end.
        wait = generator.uniform(0.5, 0.5 + whole * 0.6)
        try:
            process.wait(wait)
            print(f"kill {kill + 1}: it had ended within {wait:.1f} s; journal {journalled(folder)} answers")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"kill {kill + 1}: after {wait:.1f} s; journal {journalled(folder)} answers")
    subprocess.run(command(ask, folder / "killed"), env=disturbed, check=True, capture_output=True)
    keys = [line.split(b'"')[3] for path in (folder / "cache-killed").rglob("audit/*.jsonl") for line in path.read_bytes().splitlines()]
    print(f"{len(keys)} answers in the journal, {len(set(keys))} distinct")
    same = [name for name in FILES if (folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes()]
    print(f"the same byte for byte: {', '.join(same)}")
    sys.exit(len(same) != len(FILES) or len(keys) != len(set(keys)))


def command(ask: list[str], out: Path) -> list[str]:
    return [str(Path(sys.executable).parent / "guardmed"), *ask, "--out", str(out)]


def cached_model() -> Path:
    """The converted reference model."""
    from guardmed.models.load import resolve

    found = resolve("reference")
    assert found is not None
    return found


def environment(cache: Path, model: Path) -> dict[str, str]:
    """A cache that holds the model and no answers."""
    place = cache / model.parent.name
    place.mkdir(parents=True)
    (place / model.name).symlink_to(model)
    return {**os.environ, "GUARDMED_CACHE": str(cache)}


def journalled(folder: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in (folder / "cache-killed").rglob("audit/*.jsonl"))


if __name__ == "__main__":
    main()
