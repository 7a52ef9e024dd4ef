"""The scan on the real reference model's files: half a gigabyte, without loading it."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from guardmed.gate.scan import inspect_folder
from guardmed.models.load import resolve

pytestmark = pytest.mark.integration


def test_the_reference_model_is_sound_and_scanned_in_seconds():
    folder = resolve("reference")
    tracemalloc.start()
    started = time.perf_counter()
    result = inspect_folder(folder)
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.findings == ()
    assert set(result.manifest) == {path.name for path in folder.iterdir()}
    # The tokenizer's 33 MB of JSON take the most, never the weights.
    assert peak < 400 << 20
    assert seconds < 60
