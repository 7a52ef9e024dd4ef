"""A probe of hidden states: what a model's middle layers say of the truth of a claim.

Azaria and Mitchell, "The Internal State of an LLM Knows When It's Lying" (Findings of EMNLP 2023),
read truth from the hidden states of a statement; Li et al., "Inference-Time Intervention" (NeurIPS
2023), do so with linear probes. Here it is logistic regression on the mean of a claim's states, which
a few hundred labelled claims can support. A probe belongs to one model, and knows only the kind of
claims it was trained on: Levinstein and Herrmann, "Still No Lie Detector for Language Models"
(Philosophical Studies 2024), show probes failing on mere negations of what they had learnt.

It is one safetensors file with its card in the header; nothing in it can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from guardmed.errors import CalibrationError, DataError, ExecutionError, UsageError
from guardmed.files import atomic_write, digest_bytes, digest_value
from guardmed.models.base import TokenScores
from guardmed.records import Frozen, describe
from guardmed.stats import bootstrap_statistic
from guardmed.text import Span

Float = NDArray[np.float64]

FOLDS = 5
MIN_ROWS = 60
# Questions in which each kind of claim must occur, so that every part of a part still has it.
MIN_GROUPS = 2 * FOLDS
# Weight of the squared norm beside the mean loss, from weak to strong.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_FIELD = "guardmed_probe"
_TENSORS = ("weights", "mean", "scale", "bias")
# Four tensors of a million features each, and a header.
_MAX_BYTES = 40_000_000


class Ranking(Frozen):
    """How well claims are ranked that were not trained on.

    Attributes
    ----------
    auroc : float
        Probability that a true claim outranks a false one of the same part of the cross-validation.
    interval : list of float
        95 % bootstrap interval; questions are drawn with all of their claims.
    """

    auroc: float
    interval: list[float]


class ProbeCard(Frozen):
    """What a probe is, and how well it does.

    Attributes
    ----------
    fingerprint : str
        Of the model whose hidden states it reads.
    layers : list of int
        Layers that the states have passed.
    width : int
        Numbers in one state.
    rows, true, groups : int
        Claims it was trained on, how many of them true, and from how many questions.
    strength : float
        Of the regularisation, chosen by cross-validation.
    data_digest, digest : str
        SHA-256 of what it was trained on, and of its numbers.
    held_out : Ranking
        Of claims by probes that had not seen their questions.
    controls : dict of str to Ranking
        The same with other features: ``random``, noise of the same size, which must come out near 0.5,
        and ``length``, how long the claims are, which a probe that reads truth must beat.
    """

    version: Literal[1] = 1
    fingerprint: str
    layers: list[int]
    width: int
    rows: int
    true: int
    groups: int
    strength: float
    data_digest: str
    digest: str
    held_out: Ranking
    controls: dict[str, Ranking]


@dataclass(frozen=True, eq=False)
class Probe:
    """A trained probe; applying it takes numpy alone.

    Attributes
    ----------
    weights, mean, scale : float64 arrays of shape (layers * width,)
        Of standardised features, and how to standardise them.
    bias : float
    card : ProbeCard
    """

    weights: Float
    mean: Float
    scale: Float
    bias: float
    card: ProbeCard

    def probability(self, features: ArrayLike) -> Float:
        """P(true) of rows of features, shape (rows, layers * width) to (rows,).

        Features of another shape are a UsageError, those that hold what is no number an ExecutionError.
        """
        given = np.asarray(features, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.weights):
            raise UsageError(f"Features of shape {given.shape} for a probe of {len(self.weights)}.", mend="Give one row of pooled hidden states a claim.")
        if not np.isfinite(given).all():
            raise ExecutionError("Hidden states hold what is no number.", mend="The model may overflow in half precision; load it in another.")
        return _sigmoid((given - self.mean) / self.scale @ self.weights + self.bias)

    def score(self, scores: TokenScores, span: Span) -> float | None:
        """P(true) of one claim of an answer; ``None`` where there are no hidden states of it.

        Hidden states of other layers are a UsageError.
        """
        pooled = pool_hidden(scores, span)
        if pooled is None:
            return None
        if list(scores.layers) != self.card.layers:
            mend = f"Use model.keeping_hidden({self.card.layers})."
            raise UsageError(f"Hidden states of layers {list(scores.layers)} for a probe of layers {self.card.layers}.", mend=mend)
        return float(self.probability(pooled[None])[0])

    def save(self, path: Path) -> None:
        """Write it as one safetensors file, with its card in the header."""
        from safetensors.numpy import save

        tensors = {"weights": self.weights, "mean": self.mean, "scale": self.scale, "bias": np.array([self.bias])}
        with atomic_write(path, binary=True) as file:
            file.write(save(tensors, metadata={_FIELD: self.card.model_dump_json()}))


@dataclass(frozen=True, eq=False)
class Trained:
    """A probe, and P(true) of the claims it was trained on, each by a probe that had not seen its question.

    Whatever is fitted on top of a probe has to be fitted on ``held_out``, shape (rows,): of its own
    claims a probe is far too sure.
    """

    probe: Probe
    held_out: Float


def pool_hidden(scores: TokenScores, span: Span) -> Float | None:
    """Mean hidden state of a claim's tokens, shape (layers * width,), one layer after the other.

    ``None`` where hidden states were not kept or no token covers the claim.
    """
    inside = scores.within(span.start, span.end)
    if scores.hidden is None or not len(inside):
        return None
    pooled: Float = scores.hidden[inside].mean(axis=0, dtype=np.float64).ravel()
    return pooled


def train_probe(
    features: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[object],
    *,
    fingerprint: str,
    layers: Sequence[int],
    lengths: ArrayLike | None = None,
    seed: int = 0,
) -> Trained:
    """Train a probe and measure it on questions it has not seen.

    L2-regularised logistic regression on standardised features. Its strength is chosen by
    cross-validated log loss, with all claims of a question in one part; the figures come from a second
    cross-validation around that, in which the strength is chosen anew each time.

    Parameters
    ----------
    features : array of shape (rows, layers * width)
        Of :func:`pool_hidden`.
    labels : array of bool of shape (rows,)
        Whether each claim is true.
    groups : sequence
        The question each claim answers.
    fingerprint : str
        Of the model.
    layers : sequence of int
        Layers of the hidden states.
    lengths : array of shape (rows,), optional
        Tokens or characters of each claim, for the control.
    seed : int

    Raises
    ------
    DataError
        Shapes that don't fit, what is no number, claims of one kind only, or too few of them.
    """
    rows, truth, owners = _checked(features, labels, groups, layers)
    chosen, held_out, folds = _cross_fitted(rows, truth, owners, seed)
    noise = np.random.default_rng(seed).standard_normal(rows.shape)
    controls = {"random": _ranking(_cross_fitted(noise, truth, owners, seed)[1], truth, owners, folds, seed)}
    if lengths is not None:
        size = np.asarray(lengths, dtype=np.float64)
        if size.shape != truth.shape or not np.isfinite(size).all() or (size < 0).any():
            raise DataError(f"Lengths of shape {size.shape} for {len(truth)} claims.", mend="Give one length, 0 or more, a claim.")
        long = np.stack([size, np.log1p(size)], axis=1)
        controls["length"] = _ranking(_cross_fitted(long, truth, owners, seed)[1], truth, owners, folds, seed)
    mean, scale = _standard(rows)
    weights = _fit((rows - mean) / scale, truth, chosen)
    tensors = {"weights": weights[:-1], "mean": mean, "scale": scale, "bias": weights[-1:]}
    card = ProbeCard(
        fingerprint=fingerprint,
        layers=list(layers),
        width=rows.shape[1] // len(layers),
        rows=len(rows),
        true=int(truth.sum()),
        groups=int(owners.max()) + 1,
        strength=chosen,
        data_digest=_digest({"features": rows, "labels": truth, "groups": owners}),
        digest=_digest(tensors),
        held_out=_ranking(held_out, truth, owners, folds, seed),
        controls=controls,
    )
    return Trained(Probe(tensors["weights"], mean, scale, float(weights[-1]), card), held_out)


def load_probe(path: Path, *, fingerprint: str) -> Probe:
    """Read a probe that was saved for a model.

    Raises DataError where the file is missing, damaged or no probe, and CalibrationError where it
    belongs to another model.
    """
    card, tensors = _read(Path(path))
    shape = (len(card.layers) * card.width,)
    for name in _TENSORS:
        wanted = (1,) if name == "bias" else shape
        if tensors[name].shape != wanted or tensors[name].dtype != np.float64 or not np.isfinite(tensors[name]).all():
            raise DataError(f"{path}: {name} is not {wanted[0]} float64 numbers.", mend="Train the probe again.")
    if not shape[0] or (tensors["scale"] <= 0).any():
        raise DataError(f"{path}: there are no features, or a scale is not above 0.", mend="Train the probe again.")
    if _digest(tensors) != card.digest:
        raise DataError(f"{path}: its numbers are not those it was saved with.", mend="Copy the file again, or train the probe again.")
    if card.fingerprint != fingerprint:
        problem = f"{path} was trained on a model with the fingerprint {card.fingerprint[:12]}, and this one has {fingerprint[:12]}."
        raise CalibrationError(problem, mend="Train a probe for this model; hidden states of another mean nothing to it.")
    return Probe(tensors["weights"], tensors["mean"], tensors["scale"], float(tensors["bias"][0]), card)


def _read(path: Path) -> tuple[ProbeCard, dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    mend = "Name a file that a probe was saved to."
    if not path.is_file():
        raise DataError(f"{path} does not exist, or is a folder.", mend=mend)
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path} is too large for a probe.", mend=mend)
    try:
        with safe_open(path, framework="numpy") as file:
            card = ProbeCard.model_validate(json.loads((file.metadata() or {})[_FIELD]))
            if set(file.keys()) != set(_TENSORS):
                raise DataError(f"{path} holds {', '.join(sorted(file.keys())) or 'nothing'}; a probe is {', '.join(_TENSORS)}.", mend=mend)
            return card, {name: file.get_tensor(name) for name in _TENSORS}
    except KeyError:
        raise DataError(f"{path} has no probe's card in its header.", mend=mend) from None
    except ValidationError as error:
        raise DataError(f"{path}: {describe(error)}", mend="It may come from another version of GuardMed; train the probe again.") from None
    except (SafetensorError, json.JSONDecodeError, RecursionError, TypeError, OSError) as error:
        raise DataError(f"{path} is no sound safetensors file ({type(error).__name__}).", mend=mend) from None


def _checked(features: ArrayLike, labels: ArrayLike, groups: Sequence[object], layers: Sequence[int]) -> tuple[Float, NDArray[np.bool_], NDArray[np.int64]]:
    """Features, labels and numbered groups that can be trained on."""
    rows, given = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if rows.ndim != 2 or given.shape != (len(rows),) or len(groups) != len(rows) or not layers or not rows.shape[1] or rows.shape[1] % len(layers):
        problem = f"Features of shape {rows.shape}, labels of shape {given.shape}, {len(groups)} groups and {len(layers)} layers don't fit each other."
        raise DataError(problem, mend="Give one row of pooled hidden states, one label and one group a claim.")
    if not np.isfinite(rows).all() or not np.isin(given, (0, 1)).all():
        raise DataError("Features or labels hold what is no number, or no label.", mend="Leave such claims out; labels are true or false.")
    truth = given.astype(np.bool_)
    known: dict[object, int] = {}
    owners = np.array([known.setdefault(group, len(known)) for group in groups], dtype=np.int64)
    if truth.all() or not truth.any():
        raise DataError(f"All {len(rows)} claims are {'true' if truth.any() else 'false'}.", mend="Add claims of the other kind.")
    if len(rows) < MIN_ROWS:
        raise DataError(f"{len(rows)} claims are too few for a probe.", mend=f"Label at least {MIN_ROWS}, better several hundred.")
    for kind, name in ((True, "true"), (False, "false")):
        if (found := len(np.unique(owners[truth == kind]))) < MIN_GROUPS:
            raise DataError(f"Only {found} questions have a claim that is {name}.", mend=f"Label claims of at least {MIN_GROUPS} questions for each kind.")
    return rows, truth, owners


def _cross_fitted(rows: Float, truth: NDArray[np.bool_], owners: NDArray[np.int64], seed: int) -> tuple[float, Float, NDArray[np.int64]]:
    """The strength for all rows, each row's probability from a fit without its group, and each row's part."""
    held_out = np.zeros(len(rows))
    parts = np.zeros(len(rows), dtype=np.int64)
    for part, (known, new) in enumerate(_splits(truth, owners, seed)):
        mean, scale = _standard(rows[known])
        weights = _fit((rows[known] - mean) / scale, truth[known], _strength(rows[known], truth[known], owners[known], seed))
        held_out[new] = _sigmoid((rows[new] - mean) / scale @ weights[:-1] + weights[-1])
        parts[new] = part
    return _strength(rows, truth, owners, seed), held_out, parts


def _strength(rows: Float, truth: NDArray[np.bool_], owners: NDArray[np.int64], seed: int) -> float:
    """The strength with the least log loss on groups that were left out."""
    losses = np.zeros(len(STRENGTHS))
    for known, new in _splits(truth, owners, seed):
        mean, scale = _standard(rows[known])
        inside, outside = (rows[known] - mean) / scale, (rows[new] - mean) / scale
        weights = None
        for place in reversed(range(len(STRENGTHS))):
            weights = _fit(inside, truth[known], STRENGTHS[place], start=weights)
            odds = outside @ weights[:-1] + weights[-1]
            losses[place] += (np.logaddexp(0, odds) - truth[new] * odds).sum()
    return STRENGTHS[int(np.argmin(losses))]


def _splits(truth: NDArray[np.bool_], owners: NDArray[np.int64], seed: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Rows to fit and rows left out, whole groups together and both kinds spread evenly."""
    names, place = np.unique(owners, return_inverse=True)
    counts = np.stack([np.bincount(place, weights=~truth), np.bincount(place, weights=truth)], axis=1)
    share = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-share[order].max(axis=1), kind="stable")]
    filled = np.zeros((FOLDS, 2))
    part = np.zeros(len(names), dtype=np.int64)
    for group in order:
        # Where what the group has most of is scarcest.
        kind = int(np.argmax(share[group]))
        part[group] = min(range(FOLDS), key=lambda fold: (filled[fold, kind], filled[fold].sum()))
        filled[part[group]] += share[group]
    for fold in range(FOLDS):
        new = part[place] == fold
        yield ~new, new


def _standard(rows: Float) -> tuple[Float, Float]:
    """Mean and spread of each feature; of one that never changes, so much that what rounding leaves of it is nothing."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    return mean, np.where(spread > 1e-9 * (1 + np.abs(mean)), spread, 1 + np.abs(mean))


def _fit(rows: Float, truth: NDArray[np.bool_], strength: float, *, start: Float | None = None) -> Float:
    """Weights and bias with the least mean log loss plus half the strength times the squared weights."""
    from scipy.optimize import minimize

    def loss(at: Float) -> tuple[float, Float]:
        odds = rows @ at[:-1] + at[-1]
        off = (_sigmoid(odds) - truth) / len(truth)
        value = float((np.logaddexp(0, odds) - truth * odds).mean() + strength / 2 * at[:-1] @ at[:-1])
        return value, np.append(rows.T @ off + strength * at[:-1], off.sum())

    found: Float = minimize(loss, np.zeros(rows.shape[1] + 1) if start is None else start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found


def _ranking(scores: Float, truth: NDArray[np.bool_], owners: NDArray[np.int64], parts: NDArray[np.int64], seed: int) -> Ranking:
    """AUROC over pairs of one part, because scores of different fits can't be compared."""

    def measure(drawn: Float) -> Float:
        won, pairs = np.zeros(len(drawn)), np.zeros(len(drawn))
        for part in np.unique(parts):
            here = np.flatnonzero(parts == part)
            here = here[np.argsort(scores[here], kind="stable")]
            weights = drawn[:, owners[here]]
            # Ties count half.
            starts = np.flatnonzero(np.append(True, np.diff(scores[here]) > 0))
            right, wrong = (np.add.reduceat(weights * kind[here], starts, axis=1) for kind in (truth, ~truth))
            won += (right * (np.cumsum(wrong, axis=1) - wrong / 2)).sum(axis=1)
            pairs += right.sum(axis=1) * wrong.sum(axis=1)
        return np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0)

    clusters = int(owners.max()) + 1
    interval = bootstrap_statistic(measure, clusters, resamples=1000, seed=seed)
    return Ranking(auroc=float(measure(np.ones((1, clusters)))[0]), interval=interval.as_list())


def _sigmoid(odds: Float) -> Float:
    return np.exp(-np.logaddexp(0, -odds))


def _digest(arrays: dict[str, NDArray[Any]]) -> str:
    return digest_value({name: [list(array.shape), digest_bytes(np.ascontiguousarray(array).tobytes())] for name, array in arrays.items()})
