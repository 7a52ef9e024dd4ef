"""From scored rows to an artifact: split, fit, measure on what was held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guardmed.calibration.artifact import Artifact, Drift, GroupFit, ModelRef, ScoreSource, plain
from guardmed.calibration.choose import Candidate, choose
from guardmed.calibration.fit import MIN_ROWS, fit, likelihood_ratio
from guardmed.calibration.groups import GroupMaps, fit_groups
from guardmed.calibration.maps import METHODS, Map, Method, parameters
from guardmed.calibration.metrics import Predictions
from guardmed.calibration.selective import choose_threshold
from guardmed.errors import CalibrationError
from guardmed.files import digest_bytes
from guardmed.stats import bootstrap_statistic
from guardmed.version import VERSION

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Scored rows, in order.

    Attributes
    ----------
    values : float64 array
        Class probabilities of shape (rows, classes), padded with zeros where rows have fewer
        options; or scores of shape (rows,).
    targets : array of shape (rows,)
        Labels, or 1 for right and 0 for wrong.
    groups : tuple of str
        One for each row, or none.
    questions : tuple of str
        What each row was asked, or none: rows of one question are resampled together.
    """

    values: Float
    targets: NDArray[np.float64]
    groups: tuple[str, ...] = field(default=())
    questions: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.targets)

    def part(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop``."""
        return Rows(self.values[start:stop], self.targets[start:stop], self.groups[start:stop], self.questions[start:stop])

    def group(self, name: str) -> Rows:
        """The rows of one group, in order."""
        index = [at for at, group in enumerate(self.groups) if group == name]
        questions = tuple(self.questions[at] for at in index) if self.questions else ()
        return Rows(self.values[index], self.targets[index], (name,) * len(index), questions)

    def split(self, holdout: float) -> tuple[Rows, Rows]:
        """The first rows, and a share from the end."""
        cut = len(self) - round(len(self) * holdout)
        return self.part(0, cut), self.part(cut, len(self))

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """A number for each question."""
        return np.unique(np.array(self.questions), return_inverse=True)[1] if self.questions else None

    def predictions(self, mapping: Map | None) -> Predictions:
        """What metrics need, after a map or as the rows are."""
        if self.values.ndim == 2:
            raw = self.values / self.values.sum(axis=1, keepdims=True)
            probs = raw if mapping is None else mapping.apply(raw)
            return Predictions.from_classes(probs, self.targets.astype(np.int64))
        scores = self.values if mapping is None else mapping.apply(self.values)
        return Predictions.from_scores(scores, self.targets)


@dataclass(frozen=True)
class Result:
    """An artifact, and the held-out predictions it was measured on: all rows', and each group's before and after."""

    artifact: Artifact
    before: Predictions
    after: Predictions
    groups: dict[str, tuple[Predictions, Predictions]] = field(default_factory=dict)


def calibrate(
    rows: Rows,
    *,
    method: Method | Literal["auto"],
    holdout: float,
    score_source: ScoreSource,
    model: ModelRef | None = None,
    prompt_digest: str | None = None,
    target_risk: float | None = None,
    older: Artifact | None = None,
    seed: int = 0,
) -> Result:
    """Fit on the first rows, measure on the last; each group likewise, with its own map.

    Parameters
    ----------
    rows : Rows
    method : str
        A name of :data:`guardmed.calibration.maps.METHODS`, or ``auto``.
    holdout : float
        Share of the rows, from the end of the file, that is only measured on.
    score_source, model, prompt_digest : what the scores are of
    target_risk : float, optional
        Choose the confidence from which to answer so that at most this share is wrong.
    older : Artifact, optional
        Measured on the same rows, to see whether it still serves.
    seed : int
        Of the folds and of the bootstrap.

    Raises
    ------
    CalibrationError
        The rows don't fit the method, or can't be calibrated.
    """
    if not 0.0 < holdout < 1.0:
        raise CalibrationError(f"holdout={holdout} leaves nothing to fit or nothing to measure.", mend="Choose a share between 0 and 1, such as 0.5.")
    by_class = rows.values.ndim == 2
    if method != "auto" and METHODS[method].by_class != by_class:
        needs = "probs and label" if METHODS[method].by_class else "score and correct"
        raise CalibrationError(
            f"The method {method} takes {needs}.", mend="Use temperature or vector for class probabilities, the others for scores; auto for either."
        )
    fit_part, held = rows.split(holdout)
    if len(held) < MIN_ROWS:
        raise CalibrationError(f"{len(held)} rows are held out; at least {MIN_ROWS} are needed to measure on.", mend="Give more rows, or a larger --holdout.")
    parts = {name: rows.group(name).split(holdout) for name in sorted(set(rows.groups))}
    maps, no_maps = _group_maps(parts)
    candidates: tuple[Candidate, ...] = ()
    try:
        if method == "auto":
            method, candidates = choose(fit_part.values, fit_part.targets, seed=seed)
        mapping = fit(method, fit_part.values, fit_part.targets)
    except CalibrationError:
        if maps is None:
            raise
        # Thrown together, groups that differ can hide what each of them shows.
        mapping = maps.common
    before, after = held.predictions(None), held.predictions(mapping)
    groups, of_groups = _by_group(parts, maps, no_maps, mapping, seed)
    artifact = Artifact(
        guardmed_version=VERSION,
        **plain(mapping),
        score_source=score_source,
        model=model,
        prompt_digest=prompt_digest,
        rows={"fit": len(fit_part), "held_out": len(held)},
        data_digest=digest_bytes(np.ascontiguousarray(rows.values).tobytes() + np.ascontiguousarray(rows.targets).tobytes()),
        metrics={"before": before.measure().as_dict(), "after": after.measure().as_dict()},
        intervals={"before": before.intervals(clusters=held.clusters, seed=seed), "after": after.intervals(clusters=held.clusters, seed=seed)},
        groups=groups,
        group_summary=_summary(groups),
        candidates=candidates,
        selective=choose_threshold(fit_part.predictions(mapping), after, target_risk=target_risk) if target_risk is not None else None,
        drift=_drift(held, after, older, seed) if older is not None else None,
        likelihood_ratio=likelihood_ratio(mapping, fit_part.values, fit_part.targets) if by_class else None,
    )
    return Result(artifact, before, after, of_groups)


def _group_maps(parts: dict[str, tuple[Rows, Rows]]) -> tuple[GroupMaps | None, str | None]:
    """A map for each group from its first rows, or why there are none."""
    if not parts:
        return None, None
    fits = [part for part, _ in parts.values()]
    names = np.array([name for part in fits for name in part.groups])
    try:
        return fit_groups(np.concatenate([part.values for part in fits]), np.concatenate([part.targets for part in fits]), names), None
    except CalibrationError as error:
        return None, error.problem


def _by_group(
    parts: dict[str, tuple[Rows, Rows]], maps: GroupMaps | None, no_maps: str | None, mapping: Map, seed: int
) -> tuple[dict[str, GroupFit], dict[str, tuple[Predictions, Predictions]]]:
    """Each group's map on its last rows; the map of all where it has none."""
    own_maps = maps.maps if maps else {}
    refused = maps.refused if maps else dict.fromkeys(parts, no_maps or "")
    out, predictions = {}, {}
    for name, (fitted, held) in parts.items():
        size = {"fit": len(fitted), "held_out": len(held)}
        if len(held) < MIN_ROWS:
            problem = refused.get(name, f"{len(held)} rows to measure on; {MIN_ROWS} are needed")
            out[name] = GroupFit(before={}, after={}, rows=size, refused=problem)
            continue
        own = own_maps.get(name)
        before, after = predictions[name] = held.predictions(None), held.predictions(own or mapping)
        intervals = {"before": before.intervals(clusters=held.clusters, seed=seed), "after": after.intervals(clusters=held.clusters, seed=seed)}
        numbers = {"method": own.method, "parameters": parameters(own)} if own is not None else {"refused": refused.get(name)}
        out[name] = GroupFit(before=before.measure().as_dict(), after=after.measure().as_dict(), intervals=intervals, rows=size, **numbers)
    return out, predictions


def _summary(groups: dict[str, GroupFit]) -> dict[str, object]:
    """Means over the groups with a map of their own, and the worst of them."""
    own = {name: group for name, group in groups.items() if group.method is not None}
    if not own:
        return {}

    def mean(when: str, metric: str) -> float | None:
        values = [value for group in own.values() if (value := getattr(group, when)[metric]) is not None]
        return float(np.mean(values)) if values else None

    worst = max(own, key=lambda name: own[name].after["ece15"])
    return {
        "groups": len(own),
        "refused": sum(group.method is None for group in groups.values()),
        "mean": {when: {metric: mean(when, metric) for metric in ("ece15", "ece15_floor", "ece15_debiased", "nll", "auroc")} for when in ("before", "after")},
        "worst": {"group": worst, "ece15": own[worst].after["ece15"]},
    }


def _drift(held: Rows, after: Predictions, older: Artifact, seed: int) -> Drift:
    """The older map on the rows held out now, and the change of loss with its interval."""
    if METHODS[older.method].by_class != (held.values.ndim == 2):
        raise CalibrationError(f"The older artifact ({older.method}) is for another kind of rows.", mend="Compare artifacts of the same kind of score.")
    old = held.predictions(older.map)
    ids = held.clusters if held.clusters is not None else np.arange(len(held))
    count = int(ids.max()) + 1
    sums, sizes = np.bincount(ids, weights=after.log_loss - old.log_loss, minlength=count), np.bincount(ids, minlength=count).astype(np.float64)
    interval = bootstrap_statistic(lambda w: (w @ sums) / (w @ sizes), count, seed=seed).as_list()
    change = float(sums.sum() / len(held))
    return Drift(older_digest=older.data_digest, older=old.measure().as_dict(), nll_change=[change, *interval], drifted=interval[1] < 0)
