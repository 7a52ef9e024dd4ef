"""How well probabilities hold: calibration error, proper scores, ranking.

All take float64 ``confidence`` (the probability given to what was predicted) and ``correct`` (0 or
1), one row each. Binned errors use 15 bins, as is customary.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from guardmed.stats import bootstrap_statistic

Float = NDArray[np.float64]
BINS = 15


@dataclass(frozen=True)
class Metrics:
    """Figures of one set of predictions; lower is better for all but accuracy and AUROC.

    Attributes
    ----------
    n : int
    accuracy, mean_confidence : float
    ece15, ace15, mce15 : float
        Expected calibration error with equal-width bins (Naeini et al., AAAI 2015), with
        equal-mass bins (Nguyen and O'Connor, EMNLP 2015), and the worst equal-width bin.
    brier, nll : float
        Mean squared error over all classes, and mean negative log-likelihood in nats.
    auroc : float or None
        That a right answer has more confidence than a wrong one; None with one class only.
    aurc : float
        Area under the risk-coverage curve (Geifman et al., ICLR 2019).
    """

    n: int
    accuracy: float
    mean_confidence: float
    ece15: float
    ace15: float
    mce15: float
    brier: float
    nll: float
    auroc: float | None
    aurc: float

    def as_dict(self) -> dict[str, float | int | None]:
        """As artifacts write it."""
        return asdict(self)


@dataclass(frozen=True)
class Predictions:
    """Predictions of one kind, reduced to what metrics need.

    Attributes
    ----------
    confidence, correct : float64 arrays of shape (rows,)
    squared_error, log_loss : float64 arrays of shape (rows,)
        Per row, over all classes.
    """

    confidence: Float
    correct: Float
    squared_error: Float
    log_loss: Float

    @classmethod
    def from_classes(cls, probs: Float, labels: NDArray[np.int64]) -> Predictions:
        """From class probabilities of shape (rows, classes)."""
        chosen = probs.argmax(axis=1)
        rows = np.arange(len(probs))
        onehot = np.zeros_like(probs)
        onehot[rows, labels] = 1.0
        return cls(
            probs[rows, chosen],
            (chosen == labels).astype(np.float64),
            ((probs - onehot) ** 2).sum(axis=1),
            -np.log(np.clip(probs[rows, labels], 1e-12, 1.0)),
        )

    @classmethod
    def from_scores(cls, scores: Float, correct: Float) -> Predictions:
        """From the probability that an answer is right."""
        clipped = np.clip(scores, 1e-12, 1 - 1e-12)
        loss = -(correct * np.log(clipped) + (1 - correct) * np.log1p(-clipped))
        return cls(scores, correct, (scores - correct) ** 2, loss)

    def measure(self) -> Metrics:
        """All figures."""
        return Metrics(
            n=len(self.confidence),
            accuracy=float(self.correct.mean()),
            mean_confidence=float(self.confidence.mean()),
            ece15=ece(self.confidence, self.correct),
            ace15=adaptive_ece(self.confidence, self.correct),
            mce15=mce(self.confidence, self.correct),
            brier=float(self.squared_error.mean()),
            nll=float(self.log_loss.mean()),
            auroc=auroc(self.confidence, self.correct),
            aurc=aurc(self.confidence, self.correct),
        )

    def intervals(self, *, clusters: NDArray[np.int64] | None = None, resamples: int = 1000, seed: int = 0) -> dict[str, list[float]]:
        """95 % bootstrap intervals of ECE15, Brier, NLL and accuracy, resampling whole clusters."""
        ids = np.arange(len(self.correct)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
        count = int(ids.max()) + 1

        def mean_of(values: Float) -> list[float]:
            sums = np.bincount(ids, weights=values, minlength=count)
            sizes = np.bincount(ids, minlength=count).astype(np.float64)
            return bootstrap_statistic(lambda w: (w @ sums) / (w @ sizes), count, resamples=resamples, seed=seed).as_list()

        bins = bin_index(self.confidence)
        table = np.zeros((count, BINS))
        np.add.at(table, (ids, bins), self.confidence - self.correct)
        sizes = np.bincount(ids, minlength=count).astype(np.float64)
        ece_interval = bootstrap_statistic(lambda w: np.abs(w @ table).sum(axis=1) / (w @ sizes), count, resamples=resamples, seed=seed)
        return {
            "ece15": ece_interval.as_list(),
            "brier": mean_of(self.squared_error),
            "nll": mean_of(self.log_loss),
            "accuracy": mean_of(self.correct),
        }


def bin_index(confidence: Float, bins: int = BINS) -> NDArray[np.int64]:
    """Equal-width bin of each confidence; a bin holds its upper edge, the first also 0."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def ece(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Expected calibration error with equal-width bins."""
    gaps = np.bincount(bin_index(confidence, bins), weights=confidence - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def mce(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Largest gap of a bin that holds anything."""
    index = bin_index(confidence, bins)
    sizes = np.bincount(index, minlength=bins)
    gaps = np.bincount(index, weights=confidence - correct, minlength=bins)
    return float(np.max(np.abs(gaps[sizes > 0]) / sizes[sizes > 0]))


def adaptive_ece(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Calibration error with bins of equal mass; equal confidences stay in one bin."""
    order = np.argsort(confidence, kind="stable")
    edges = confidence[order][np.linspace(0, len(order), bins + 1).astype(int)[1:-1].clip(max=len(order) - 1)]
    index = np.searchsorted(np.unique(edges), confidence, side="right")
    gaps = np.bincount(index, weights=confidence - correct)
    return float(np.abs(gaps).sum() / len(confidence))


def auroc(confidence: Float, correct: Float) -> float | None:
    """Probability that a right row outranks a wrong one; ties count half (Mann and Whitney, 1947)."""
    positives = float(correct.sum())
    negatives = len(correct) - positives
    if positives == 0 or negatives == 0:
        return None
    _, inverse, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[correct > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def aurc(confidence: Float, correct: Float) -> float:
    """Mean error rate over all coverages, the most confident rows first; ties share their risk."""
    _, inverse = np.unique(-confidence, return_inverse=True)
    errors = np.bincount(inverse, weights=1 - correct)
    counts = np.bincount(inverse).astype(np.float64)
    # Within a tie any order is as likely: spread its errors evenly over its places.
    spread = np.repeat(errors / counts, counts.astype(int))
    return float((np.cumsum(spread) / np.arange(1, len(spread) + 1)).mean())
