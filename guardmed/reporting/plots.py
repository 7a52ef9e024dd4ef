"""Plots as SVG text that stands inside a page: no script, no file, no network."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Readable in print and for the common colour blindnesses (Okabe and Ito, 2008).
COLOURS = {"fail": "#b3261e", "pass": "#00695c", "inconclusive": "#8a6d00", "line": "#30507a", "grey": "#6b7280"}

# Told apart without colour as well.
_MARKERS = {"fail": "o", "pass": "s", "inconclusive": "D"}
_SHADE = "#e3ebf3"
_SERIES = ("#30507a", "#d55e00", "#00695c", "#cc79a7", "#8a6d00", "#56b4e9")


@dataclass(frozen=True)
class ForestRow:
    """One gap with its interval, and what it shows by itself."""

    label: str
    gap: float
    low: float
    high: float
    verdict: str


def forest(rows: Sequence[ForestRow], *, margin: float, xlabel: str, legend: Mapping[str, str] = MappingProxyType({})) -> str:
    """Gaps with intervals, one a line, and the margin shaded.

    Parameters
    ----------
    legend : mapping of str to str
        What to call the verdicts, and under ``"margin"`` the shading; only verdicts that occur are named.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    styles: dict[str, dict[str, Any]] = {
        verdict: {"color": COLOURS.get(verdict, COLOURS["line"]), "linewidth": 2, "marker": _MARKERS.get(verdict, "o"), "markersize": 5}
        | ({"markerfacecolor": "#ffffff"} if verdict == "inconclusive" else {})
        for verdict in dict.fromkeys(row.verdict for row in rows)
    }
    figure, axes = _figure(7.6, 1.0 + 0.3 * len(rows) + (0.4 if legend else 0.0))
    axes.axvspan(-margin, margin, color=_SHADE, zorder=0)
    axes.axvline(0, color=COLOURS["grey"], linewidth=0.8)
    for place, row in enumerate(reversed(rows)):
        # Two lines: markers would sit on both ends of one.
        axes.plot([row.low, row.high], [place, place], **(styles[row.verdict] | {"marker": None}))
        axes.plot([row.gap], [place], **styles[row.verdict])
    axes.set_yticks(range(len(rows)), [row.label for row in reversed(rows)])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    # Under the whole figure: under the axes alone, beside long labels, a sentence is cut off.
    figure.supxlabel(xlabel, fontsize=9)
    named: list[Any] = [Line2D([], [], label=legend[verdict], **styles[verdict]) for verdict in _MARKERS if verdict in styles and verdict in legend]
    named += [Patch(color=_SHADE, label=legend["margin"])] if "margin" in legend else []
    if named:
        figure.legend(handles=named, loc="outside upper left", ncols=2, fontsize=8.5, frameon=False)
    return _svg(figure)


def heat_map(values: Sequence[Sequence[float | None]], *, rows: Sequence[str], columns: Sequence[str]) -> str:
    """Cells of a table coloured from negative (blue) through 0 (white) to positive (orange), each with its figure.

    Parameters
    ----------
    values : sequences of float or None
        By row; None is drawn hatched, without a figure.
    rows, columns : sequence of str
        What they are called.
    """
    figure, axes = _figure(1.6 + 1.15 * len(columns), 0.8 + 0.42 * len(rows))
    shown = [value for row in values for value in row if value is not None]
    limit = max([abs(value) for value in shown], default=0.0) or 1.0
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            face = "#ffffff" if value is None else _diverging(value / limit)
            axes.add_patch(_rectangle(x, y, face, hatch="///" if value is None else None))
            if value is not None:
                axes.text(x, y, f"{value:+.3f}", ha="center", va="center", fontsize=9, color="#1c2430")
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), list(columns), rotation=20 if len(columns) > 4 else 0, ha="right" if len(columns) > 4 else "center")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return _svg(figure)


def _diverging(share: float) -> tuple[float, float, float]:
    """White at 0, to a light blue at -1 and a light orange at +1: dark figures stay readable on all of it."""
    end = (0.55, 0.74, 0.90) if share < 0 else (0.96, 0.68, 0.42)
    weight = min(1.0, abs(share))
    return (1 - weight * (1 - end[0]), 1 - weight * (1 - end[1]), 1 - weight * (1 - end[2]))


def _rectangle(x: int, y: int, face: Any, *, hatch: str | None) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="#d5dae1", linewidth=0.8, hatch=hatch)


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.float64], *, title: str, bins: int = 10) -> str:
    """Accuracy against confidence with 95 % Wilson intervals, and how many rows stand in each bin."""
    from guardmed.stats import wilson

    figure, (top, bottom) = _figure(4.4, 4.6, rows=2)
    top.plot([0, 1], [0, 1], color=COLOURS["grey"], linewidth=0.8, linestyle="--")
    index = np.clip((confidence * bins).astype(int), 0, bins - 1)
    for place in range(bins):
        inside = index == place
        n = int(inside.sum())
        if not n:
            continue
        x, right = float(confidence[inside].mean()), int(correct[inside].sum())
        interval = wilson(right, n)
        top.plot([x, x], [interval.low, interval.high], color=COLOURS["line"], linewidth=1.5)
        top.plot([x], [right / n], "o", color=COLOURS["line"], markersize=5)
    top.set_title(title, fontsize=10)
    top.set_xlim(0, 1)
    top.set_ylim(0, 1)
    top.set_ylabel("accuracy")
    bottom.hist(confidence, bins=np.linspace(0, 1, bins + 1), color=COLOURS["line"], alpha=0.75)
    bottom.set_xlim(0, 1)
    bottom.set_xlabel("confidence")
    bottom.set_ylabel("rows")
    return _svg(figure)


def risk_coverage(curves: Mapping[str, NDArray[np.float64]], *, target: float | None = None) -> str:
    """Share of wrong answers among the most confident ones, against how many are answered.

    Parameters
    ----------
    curves : mapping of str to float64 array
        Risk of the most confident 1, 2, ... rows, by name.
    target : float, optional
        A risk to draw a line at.
    """
    figure, axes = _figure(6.4, 3.4)
    for place, (name, risk) in enumerate(curves.items()):
        coverage = np.arange(1, len(risk) + 1) / len(risk)
        # The first few rows swing from 0 to 1 and say nothing.
        shown = coverage >= min(0.02, 20 / len(risk))
        axes.plot(coverage[shown], risk[shown], label=name, color=_SERIES[place % len(_SERIES)], linestyle=("-", "--", ":")[place // len(_SERIES) % 3])
    if target is not None:
        axes.axhline(target, color=COLOURS["fail"], linewidth=0.8, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("coverage (share answered)")
    axes.set_ylabel("risk (share wrong)")
    axes.legend(fontsize=8, frameon=False)
    return _svg(figure)


def _figure(width: float, height: float, *, rows: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    if rows == 1:
        axes = figure.subplots()
        every = [axes]
    else:
        axes = figure.subplots(rows, 1, gridspec_kw={"height_ratios": [3, 1]})
        every = list(axes)
    for one in every:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9)
    return figure, axes


def line_panels(panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], *, xlabel: str, mark: int | None = None) -> str:
    """Lines in panels as SVG.

    Parameters
    ----------
    panels : mapping of str to mapping of str to pairs
        Title, then name, then x and y.
    mark : int, optional
        An x to draw a line at, called kept.
    """
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.9 * columns if columns > 1 else 5.6, 2.6 * rows), layout="constrained")
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, series) in zip(every, panels.items(), strict=False):
        for place, (name, values) in enumerate(series.items()):
            style = {
                "color": _SERIES[place % len(_SERIES)],
                "linestyle": ("-", "--", ":")[place % 3],
                "marker": "os^"[place % 3] if len(values) <= 20 else None,
            }
            axes.plot([x for x, _ in values], [y for _, y in values], label=name, linewidth=1.5, markersize=4, **style)
        if mark is not None:
            axes.axvline(mark, color=COLOURS["grey"], linewidth=1, linestyle="-.", label="kept")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(xlabel, fontsize=9)
        axes.tick_params(labelsize=9)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        if title.startswith("share"):
            axes.set_ylim(-0.03, 1.03)
        if [*series] != [title] or mark is not None:
            axes.legend(fontsize=8, frameon=False)
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    return _svg(figure)


def _svg(figure: Any) -> str:
    """The figure as an SVG element with text as text and no changing identifiers or dates."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a label with a dollar sign is no formula
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "guardmed", "font.family": ["sans-serif"]}), warnings.catch_warnings():
        # Text stays text, and the reader's browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = out.getvalue()
    # Groups' names repeat from plot to plot and nothing refers to them; the metadata only says that this is an image.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])
    return re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
