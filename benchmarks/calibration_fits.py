"""How near the fitted temperature is to the optimum, from float32 input too, and how long fits take.

    python benchmarks/calibration_fits.py

The optimum is found by scipy's bounded scalar search on the float64 loss, to 1e-10. The real probabilities are in
``../shared/data/calibration``; without them only the synthetic sizes are run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from guardmed.calibration.choose import choose
from guardmed.calibration.fit import fit_temperature, fit_vector
from guardmed.calibration.maps import Temperature

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "calibration"


def main() -> None:
    print("| probabilities | rows | classes | dtype | temperature | optimum | off by | fit, s |\n|---|---|---|---|---|---|---|---|")
    for name, probs, labels in data():
        for dtype in (np.float64, np.float32):
            given = probs.astype(dtype)
            started = time.perf_counter()
            found = fit_temperature(given, labels).temperature
            took = time.perf_counter() - started
            best = optimum(probs, labels)
            print(f"| {name} | {len(probs)} | {probs.shape[1]} | {np.dtype(dtype)} | {found:.5f} | {best:.5f} | {abs(found / best - 1):.4%} | {took:.3f} |")
    probs, labels = synthetic(5000, 100)
    for title, run in (("vector", lambda: fit_vector(probs, labels)), ("auto", lambda: choose(probs, labels.astype(float)))):
        started = time.perf_counter()
        run()
        print(f"\n{title} on 5,000 rows of 100 classes: {time.perf_counter() - started:.2f} s")


def optimum(probs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    rows = np.arange(len(probs))

    def loss(log_temperature: float) -> float:
        return float(-np.log(np.maximum(Temperature(float(np.exp(log_temperature))).apply(probs)[rows, labels], 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).x))


def synthetic(rows: int, classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(rows, classes)) * 2
    truth = np.exp(logits / 1.7)
    truth /= truth.sum(axis=1, keepdims=True)
    labels = (truth.cumsum(axis=1) > generator.random((rows, 1))).argmax(axis=1)
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels


def data() -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.int64]]]:
    yield "synthetic", *synthetic(5000, 100)
    if not SHARED.is_dir():
        print(f"Left out: {SHARED.name} is absent.")
        return
    for file in sorted(SHARED.glob("*_probs.npz")):
        with np.load(file, allow_pickle=False) as found:
            labels = np.asarray(found["ground_truth"]).squeeze()
            probs = np.asarray(found["predictions"], dtype=np.float64)[: len(labels) // 2]
            yield file.stem, probs, (labels.argmax(axis=1) if labels.ndim == 2 else labels).astype(np.int64)[: len(probs)]
    rows = [json.loads(line) for line in (SHARED / "medqa_option_probs_mistral7b.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = rows[: len(rows) // 2]
    yield "medqa, mistral 7B", np.array([row["probs"] for row in rows], dtype=np.float64), np.array([row["label"] for row in rows])


if __name__ == "__main__":
    main()
