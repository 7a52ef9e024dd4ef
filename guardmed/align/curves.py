"""What was logged while training, drawn: curves by scale, and probes with the step that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from guardmed.align.results import Point, Probe
from guardmed.reporting import Plot, Table

Series = dict[str, list[tuple[int, float]]]
# Which logged values are drawn together, as they share a scale: TRL's names in SFT, reward, DPO, GRPO and PPO.
_PANELS = {
    "loss": ("loss", "eval_loss", "loss/policy_avg"),
    "loss of the value head": ("loss/value_avg",),
    "reward": ("reward", "mean_reward", "objective/scores", "objective/rlhf_reward", "rewards/chosen", "rewards/rejected"),
    "reward margin, chosen over rejected": ("rewards/margins", "margin"),
    "share right": ("accuracy", "rewards/accuracies", "mean_token_accuracy"),
    "KL from the reference policy": ("kl", "objective/kl"),
}


def curves_plot(curve: Sequence[Point]) -> Plot | None:
    """Loss, reward and what else is known of a trainer's log, or None where nothing of it was logged twice."""
    panels = _panels(curve)
    return _plot(panels) if panels else None


def probes_plot(probes: Sequence[Probe]) -> Plot:
    """Compliance and over-refusal over steps, with the step that was kept."""
    series = {
        "dangerous, answered": [(one.step, one.complied / one.harmful) for one in probes if one.harmful],
        "harmless, turned away": [(one.step, one.turned_away / one.harmless) for one in probes if one.harmless],
    }
    best = _kept(probes)
    return _plot({"share of probes": series}, mark=best.step if best else None)


def probes_table(probes: Sequence[Probe]) -> Table:
    """What short looks at validation prompts found while training."""
    last = _kept(probes)
    rows = [
        [
            str(one.step),
            f"{one.complied} of {one.harmful}",
            f"{one.turned_away} of {one.harmless}",
            "kept" if one is last else "best so far" if one.kept else "",
        ]
        for one in probes
    ]
    return Table("Probes while training", ["Step", "Dangerous requests answered", "Harmless twins turned away", "Weights"], rows)


def _kept(probes: Sequence[Probe]) -> Probe | None:
    """The probe whose weights were kept in the end: the last that was the best so far."""
    return next((one for one in reversed(probes) if one.kept), None)


def _panels(curve: Sequence[Point]) -> dict[str, Series]:
    """Logged values by panel and name; what was logged once only is no curve."""
    found: dict[str, Series] = {}
    for title, keys in _PANELS.items():
        series = {key: [(one.step, one.values[key]) for one in curve if math.isfinite(one.values.get(key, math.nan))] for key in keys}
        if drawn := {key: values for key, values in series.items() if len(values) > 1}:
            found[title] = drawn
    return found


def _plot(panels: Mapping[str, Series], *, mark: int | None = None) -> Plot:
    """Panels beside one another, two in a row, with what they show in words."""
    told = [f"{title}: {', '.join(_trend(key, values) for key, values in series.items() if values)}." for title, series in panels.items()]
    how = "From and to are means of the first and the last fifth." if any(len(values) >= 10 for series in panels.values() for values in series.values()) else ""
    kept = f"The weights of step {mark} were kept." if mark is not None else ""
    from guardmed.reporting.plots import line_panels

    return Plot(line_panels(panels, xlabel="step", mark=mark), " ".join(text[0].upper() + text[1:] for text in [*told, how, kept] if text))


def _trend(name: str, values: Sequence[tuple[int, float]]) -> str:
    """A noisy curve in words."""
    fifth = max(1, len(values) // 5)
    first, last = (sum(y for _, y in part) / fifth for part in (values[:fifth], values[-fifth:]))
    return f"{name} from {first:.3g} to {last:.3g}"
