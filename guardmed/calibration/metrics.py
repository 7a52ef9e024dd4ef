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
        Expected calibration error with equal-width bins (Naeini et al., AAAI 2015), the mean over bins that hold
        anything (average calibration error, Neumann et al., 2018), and the worst bin.
    adaptive_ece15 : float
        With bins of equal mass (Nguyen and O'Connor, EMNLP 2015).
    ece15_floor, ece15_debiased : float
        What ``ece15`` would be on average, by chance, if every confidence held; and the root of the binned squared
        error without the part that is noise (Kumar et al., NeurIPS 2019).
    classwise_ece15 : float or None
        Mean over classes of the error of each class's probability (Kull et al., NeurIPS 2019); None for scores.
    brier, nll : float
        Mean squared error over all classes, and mean negative log-likelihood in nats.
    brier_reliability, brier_resolution, brier_uncertainty : float
        Of the squared error of the confidence in bins: reliability - resolution + uncertainty (Murphy, 1973).
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
    adaptive_ece15: float
    ece15_floor: float
    ece15_debiased: float
    classwise_ece15: float | None
    brier: float
    brier_reliability: float
    brier_resolution: float
    brier_uncertainty: float
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
    probs, labels : arrays of shape (rows, classes) and (rows,), or None
        Where the predictions are of classes.
    """

    confidence: Float
    correct: Float
    squared_error: Float
    log_loss: Float
    probs: Float | None = None
    labels: NDArray[np.int64] | None = None

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
            probs,
            labels,
        )

    @classmethod
    def from_scores(cls, scores: Float, correct: Float) -> Predictions:
        """From the probability that an answer is right."""
        clipped = np.clip(scores, 1e-12, 1 - 1e-12)
        loss = -(correct * np.log(clipped) + (1 - correct) * np.log1p(-clipped))
        return cls(scores, correct, (scores - correct) ** 2, loss)

    def measure(self) -> Metrics:
        """All figures."""
        reliability, resolution, uncertainty = brier_parts(self.confidence, self.correct)
        return Metrics(
            n=len(self.confidence),
            accuracy=float(self.correct.mean()),
            mean_confidence=float(self.confidence.mean()),
            ece15=ece(self.confidence, self.correct),
            ace15=average_error(self.confidence, self.correct),
            mce15=mce(self.confidence, self.correct),
            adaptive_ece15=adaptive_ece(self.confidence, self.correct),
            ece15_floor=ece_floor(self.confidence),
            ece15_debiased=debiased_ece(self.confidence, self.correct),
            classwise_ece15=None if self.probs is None or self.labels is None else classwise_ece(self.probs, self.labels),
            brier=float(self.squared_error.mean()),
            brier_reliability=reliability,
            brier_resolution=resolution,
            brier_uncertainty=uncertainty,
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
    return float(np.abs(_gaps(confidence, correct, bins)[1]).sum() / len(confidence))


def mce(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Largest gap of a bin that holds anything."""
    sizes, gaps = _gaps(confidence, correct, bins)
    return float(np.max(np.abs(gaps[sizes > 0]) / sizes[sizes > 0]))


def average_error(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Mean gap of the bins that hold anything, however few rows they hold."""
    sizes, gaps = _gaps(confidence, correct, bins)
    return float(np.mean(np.abs(gaps[sizes > 0]) / sizes[sizes > 0]))


def debiased_ece(confidence: Float, correct: Float, bins: int = BINS) -> float:
    """Root of the mean squared gap of the bins, less what the draw of outcomes adds to it; bins of one row say nothing."""
    sizes, gaps = _gaps(confidence, correct, bins)
    right = np.bincount(bin_index(confidence, bins), weights=correct, minlength=bins)
    kept = sizes > 1
    n, gap, share = sizes[kept], gaps[kept] / sizes[kept], right[kept] / sizes[kept]
    squared = (n * (gap**2 - share * (1 - share) / (n - 1))).sum() / max(n.sum(), 1)
    return float(np.sqrt(max(squared, 0.0)))


def ece_floor(confidence: Float, bins: int = BINS, *, draws: int = 200, seed: int = 0) -> float:
    """Mean ECE of outcomes drawn so that every confidence holds: what is left of it when nothing is wrong."""
    index = bin_index(confidence, bins)
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    sorted_confidence = confidence[order]
    generator = np.random.default_rng(seed)
    totals = [np.abs(np.add.reduceat(sorted_confidence - (generator.random(len(order)) < sorted_confidence), starts)).sum() for _ in range(draws)]
    return float(np.mean(totals) / len(order))


def classwise_ece(probs: Float, labels: NDArray[np.int64], bins: int = BINS) -> float:
    """Mean over classes of the ECE of "it is this class"."""
    return float(np.mean([ece(probs[:, index], (labels == index).astype(np.float64), bins) for index in range(probs.shape[1])]))


def brier_parts(confidence: Float, correct: Float, bins: int = BINS) -> tuple[float, float, float]:
    """Reliability, resolution and uncertainty of the confidence, in equal-width bins."""
    index = bin_index(confidence, bins)
    sizes, gaps = _gaps(confidence, correct, bins)
    share = np.bincount(index, weights=correct, minlength=bins)
    kept = sizes > 0
    base, n = float(correct.mean()), sizes[kept]
    reliability = (n * (gaps[kept] / n) ** 2).sum() / len(correct)
    resolution = (n * (share[kept] / n - base) ** 2).sum() / len(correct)
    return float(reliability), float(resolution), base * (1 - base)


def risk_at_coverage(confidence: Float, correct: Float, coverage: float) -> float:
    """Share of wrong answers among the most confident ``coverage`` of them; ties share their risk."""
    curve = risk_curve(confidence, correct)
    return float(curve[max(1, round(coverage * len(curve))) - 1])


def _gaps(confidence: Float, correct: Float, bins: int) -> tuple[Float, Float]:
    """Rows of each bin, and the sum of confidence minus outcome."""
    index = bin_index(confidence, bins)
    gaps = np.bincount(index, weights=confidence - correct, minlength=bins).astype(np.float64)
    return np.bincount(index, minlength=bins).astype(np.float64), gaps


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
    return float(risk_curve(confidence, correct).mean())


def risk_curve(confidence: Float, correct: Float) -> Float:
    """Error rate of the most confident 1, 2, ... rows, shape (rows,); ties share their risk."""
    _, inverse = np.unique(-confidence, return_inverse=True)
    errors = np.bincount(inverse, weights=1 - correct)
    counts = np.bincount(inverse).astype(np.float64)
    # Within a tie any order is as likely: spread its errors evenly over its places.
    spread = np.repeat(errors / counts, counts.astype(int))
    out: Float = np.cumsum(spread) / np.arange(1, len(spread) + 1)
    return out
