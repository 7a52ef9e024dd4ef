"""The calibration's report: before and after, with intervals and diagrams, by group."""

from __future__ import annotations

from pathlib import Path

from guardmed.calibration.artifact import Artifact, GroupFit
from guardmed.calibration.fit import ENOUGH_SIGNAL
from guardmed.calibration.metrics import risk_curve
from guardmed.calibration.run import Result
from guardmed.files import write_text
from guardmed.reporting import Page, Plot, Prose, Section, Table
from guardmed.reporting.plots import reliability, risk_coverage

NAMES = {
    "ece15": "ECE (15 bins)",
    "ece15_floor": "ECE by chance alone",
    "ece15_debiased": "Calibration error, debiased",
    "ace15": "Average error of the bins",
    "mce15": "Worst bin (MCE)",
    "adaptive_ece15": "ECE (equal mass)",
    "classwise_ece15": "Classwise ECE",
    "brier": "Brier",
    "brier_reliability": "Brier: reliability",
    "brier_resolution": "Brier: resolution (more is better)",
    "brier_uncertainty": "Brier: uncertainty",
    "nll": "NLL (nats)",
    "accuracy": "Accuracy",
    "mean_confidence": "Mean confidence",
    "auroc": "AUROC of confidence",
    "aurc": "AURC",
}
# More diagrams than this help nobody; the table holds every group.
_MOST_GROUPS = 6


def write_report(result: Result, folder: Path) -> None:
    """Write report.html and report.md."""
    page = report_page(result)
    write_text(folder / "report.html", page.html())
    write_text(folder / "report.md", page.markdown())


def report_page(result: Result) -> Page:
    """The page of a calibration."""
    artifact = result.artifact
    owner = artifact.model.name if artifact.model else "records"
    parts: list[Table | Plot | Prose] = [metrics_table(artifact), *diagrams(result), risk_plot(result)]
    if artifact.may_be_chance:
        parts.insert(0, chance_text(artifact))
    if artifact.selective is not None:
        parts.append(selective_text(artifact))
    sections = [Section("Before and after", parts)]
    if artifact.groups:
        sections.append(Section("By group", [Prose(_GROUPS), groups_table(artifact), *group_diagrams(result)]))
    if artifact.candidates:
        sections.append(Section("Methods tried", [candidates_table(artifact)]))
    if artifact.drift is not None:
        sections.append(Section("Against the older artifact", [drift_text(artifact)]))
    sections.append(Section("Method", [Prose(_METHOD)]))
    return Page(
        title=f"Calibration: {owner}",
        subtitle=f"{artifact.method} on {artifact.score_source.replace('_', ' ')} · {artifact.rows['fit']} rows to fit, {artifact.rows['held_out']} held out",
        sections=sections,
    )


def metrics_table(artifact: Artifact) -> Table:
    """Figures on held-out rows, before and after."""
    rows = [
        [label, *(_figure(artifact.metrics[when].get(name), artifact.intervals[when].get(name)) for when in ("before", "after"))]
        for name, label in NAMES.items()
        if artifact.metrics["before"].get(name) is not None
    ]
    return Table(f"Held-out rows (n={artifact.rows['held_out']}), 95 % bootstrap intervals by question", ["Figure", "Before", "After"], rows)


def diagrams(result: Result) -> list[Plot]:
    """Reliability before and after."""
    return [
        Plot(
            reliability(part.confidence, part.correct, title=f"Reliability {when}"),
            f"Reliability {when} calibration: accuracy in each bin of confidence, ECE {result.artifact.metrics[when]['ece15']:.3f}.",
        )
        for when, part in (("before", result.before), ("after", result.after))
    ]


def risk_plot(result: Result) -> Plot:
    """What is wrong among what is answered, the most confident first."""
    curves = {"all": risk_curve(result.after.confidence, result.after.correct)}
    curves |= {name: risk_curve(after.confidence, after.correct) for name, (_, after) in list(result.groups.items())[:_MOST_GROUPS] if len(result.groups) > 1}
    selective = result.artifact.selective
    aurc = result.artifact.metrics["after"]["aurc"]
    return Plot(
        risk_coverage(curves, target=selective.target_risk if selective else None),
        f"Risk against coverage after calibration, on held-out rows: the share of wrong answers when only the most confident are given, AURC {aurc:.3f}.",
    )


def group_diagrams(result: Result) -> list[Plot]:
    """Reliability of the first groups, after calibration."""
    return [
        Plot(
            reliability(after.confidence, after.correct, title=f"{name}, after"),
            f"Reliability of {name} after calibration, ECE {result.artifact.groups[name].after['ece15']:.3f}, n={len(after.correct)}.",
        )
        for name, (_, after) in list(result.groups.items())[:_MOST_GROUPS]
    ]


def groups_table(artifact: Artifact, *, intervals: bool = True) -> Table:
    """ECE, accuracy and ranking by group, and why a group has no map of its own."""

    def row(name: str, group: GroupFit) -> list[str]:
        if not group.after:
            return [name, str(group.rows.get("held_out", 0)), "–", "–", "–", "–", "–", group.refused or ""]
        cells = [_figure(getattr(group, when).get("ece15"), group.intervals.get(when, {}).get("ece15") if intervals else None) for when in ("before", "after")]
        ranks = "–" if group.after["auroc"] is None else f"{group.after['auroc']:.3f}"
        noise = "–" if group.after.get("ece15_floor") is None else f"{group.after['ece15_floor']:.3f}"
        return [name, str(group.after["n"]), f"{group.after['accuracy']:.3f}", *cells, noise, ranks, group.refused or group.method or ""]

    summary = artifact.group_summary
    caption = "Held-out rows by group"
    if summary:
        mean = summary["mean"]
        caption += (
            f": mean ECE {mean['before']['ece15']:.4f} before, {mean['after']['ece15']:.4f} after over {summary['groups']} groups; "
            f"worst {summary['worst']['group']} at {summary['worst']['ece15']:.4f}"
        )
    columns = ["Group", "n", "Accuracy", "ECE before", "ECE after", "by chance", "AUROC", "Map"]
    return Table(caption, columns, [row(name, group) for name, group in artifact.groups.items()])


def candidates_table(artifact: Artifact) -> Table:
    """What ``auto`` compared."""
    rows = [
        [
            one.method,
            "–" if one.nll is None else f"{one.nll:.4f}",
            "–" if one.error is None else f"{one.error:.4f}",
            one.reason or ("chosen" if one.method == artifact.method else ""),
        ]
        for one in artifact.candidates
    ]
    caption = "Cross-validated loss on the rows of the fit; the simplest within one standard error of the best is chosen"
    return Table(caption, ["Method", "NLL (nats)", "Error of the difference", ""], rows)


def selective_text(artifact: Artifact) -> Prose:
    """The threshold for the risk that was asked for, in words."""
    found = artifact.selective
    assert found is not None  # the caller looked
    target = f"at most {found.target_risk:.1%} wrong answers, held with {found.confidence_level:.0%} confidence"
    if found.threshold is None:
        return Prose(f"To answer with {target}: no confidence can be vouched for on these rows. Give more rows, or accept more risk.")
    measured = (
        f"covers {found.coverage:.1%} of the held-out rows; of those {found.risk:.1%} are wrong "
        f"(95 %: {found.risk_interval[0]:.1%} to {found.risk_interval[1]:.1%})"
        if found.risk is not None and found.coverage is not None
        else "covers none of the held-out rows"
    )
    return Prose(f"To answer with {target}: answer from a calibrated confidence of {found.threshold:.4f}. It {measured}.")


def chance_text(artifact: Artifact) -> Prose:
    """That calibrated confidences may hold and still say nothing."""
    return Prose(
        f"Warning: on the {artifact.rows['fit']} rows of the fit these probabilities explain the labels no better than chance could (likelihood ratio "
        f"{artifact.likelihood_ratio:.2f}; {ENOUGH_SIGNAL:.2f} would be needed). The calibrated confidences hold because they are all near one in the number "
        "of options, and tell no right answer from a wrong one."
    )


def drift_text(artifact: Artifact) -> Prose:
    """Whether the older artifact still serves, in words."""
    drift = artifact.drift
    assert drift is not None  # the caller looked
    change, low, high = drift.nll_change
    verdict = "It no longer serves: use the new one." if drift.drifted else "No drift is shown."
    return Prose(
        f"On the rows held out now the older artifact has an ECE of {drift.older['ece15']:.4f} and a loss of {drift.older['nll']:.4f}; "
        f"the new one's loss differs by {change:+.4f} nats (95 %: {low:+.4f} to {high:+.4f}). {verdict}"
    )


def _figure(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f} ({interval[0]:.4f} to {interval[1]:.4f})" if interval else f"{value:.4f}"


_METHOD = (
    "Fitted in float64 on the first rows, measured on the last, which the fit never saw. Temperature scaling divides the log-probabilities by one number, "
    "vector scaling weighs each class; Platt's method is a logistic on the score's log-odds, beta calibration one on its two logarithms; isotonic regression "
    "and histogram binning are step functions and need 1,000 rows. Intervals are percentile bootstraps over questions. ECE by chance alone is the mean ECE of "
    "outcomes drawn so that every confidence holds: an ECE near it shows no error."
)
_GROUPS = (
    "Each group is fitted on its own first rows and measured on its own last ones. Its temperature or slope is drawn towards the groups' mean, the further "
    "the fewer rows it has; its bias is its own."
)
