"""When to answer: the lowest confidence at which the share of wrong answers is still bounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.artifact import Selective
from guardmed.calibration.metrics import Predictions
from guardmed.stats import clopper_pearson

_COVERAGES = np.arange(1, 21) / 20


def choose_threshold(fitted: Predictions, held: Predictions, *, target_risk: float, confidence: float = 0.95) -> Selective:
    """Choose on some rows, report on others.

    At each of 20 coverages the risk of the most confident rows gets an upper Clopper-Pearson bound; the levels are
    divided by their number (Bonferroni), so that the chosen one holds although it was chosen (after Geifman and
    El-Yaniv, NeurIPS 2017, and Angelopoulos et al., arXiv:2110.01052). The calibration itself may be fitted on the
    same rows: a rising map does not change which rows are the most confident. A histogram need not rise, nor a vector
    map; for these the bound is a little hopeful, and the held-out risk is what counts.

    Parameters
    ----------
    fitted, held : Predictions
        Calibrated; the threshold is chosen on the first, coverage and risk are measured on the second.
    target_risk : float
        Largest share of wrong answers, over 0 and under 1.
    confidence : float
        How surely the target holds.
    """
    level = 1 - 2 * (1 - confidence) / len(_COVERAGES)
    chosen: tuple[float, float] | None = None
    for threshold in np.unique(np.quantile(fitted.confidence, 1 - _COVERAGES, method="lower")):
        answered = fitted.confidence >= threshold
        wrong = int((1 - fitted.correct[answered]).sum())
        bound = clopper_pearson(wrong, int(answered.sum()), confidence=level).high
        if bound <= target_risk:
            chosen = float(threshold), bound
            break
    if chosen is None:
        return Selective(target_risk=target_risk, confidence_level=confidence, threshold=None)
    answered = held.confidence >= chosen[0]
    wrong, total = int((1 - held.correct[answered]).sum()), int(answered.sum())
    interval = clopper_pearson(wrong, total) if total else None
    return Selective(
        target_risk=target_risk,
        confidence_level=confidence,
        threshold=chosen[0],
        bound=chosen[1],
        coverage=_share(answered),
        risk=wrong / total if total else None,
        risk_interval=interval.as_list() if interval else [],
    )


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean())
