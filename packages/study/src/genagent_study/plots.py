"""Figures over seeds as pictures: points with intervals, curves with each seed behind the mean."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genagent_study.over_seeds import OverSeeds
from genagent_tracking.curves import trailing_means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#2563c9", "#c2721b", "#1a7f4b", "#8a4fbf")
_WIDTH = 7.6
"""Inches, at ``_DPI`` a little more than the page is wide."""
_DPI = 130

BySeed = Sequence[Mapping[int, float]]
"""A figure's values by step, of each seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One chart of several side by side. Example: ``Panel(title="reward", curves={"rl": …})``"""

    title: str
    curves: Mapping[str, BySeed]


def draw_points(rows: Mapping[str, Mapping[str, OverSeeds]], *, unit: str) -> bytes:
    """A row for each name and, in its colour, each of the same few series: the mean with its
    interval, and every seed as a faint point. Returns a PNG.

    Example: ``draw_points({"plain": {"last picture": figure}}, unit="success, %")``
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for series in rows.values() for name in series))
    figure = Figure(figsize=(_WIDTH, 0.5 * len(rows) + 1.1), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    for row, series in enumerate(rows.values()):
        for name, known in series.items():
            place = names.index(name)
            color, down = COLORS[place], row + 0.26 * (place - (len(names) - 1) / 2)
            axes.plot(known.values, [down] * known.n, "o", color=color, alpha=0.3, markersize=4)
            if known.n > 1:
                axes.plot(known.interval, [down, down], color=color, linewidth=2)
            axes.plot(known.value, down, "o", color=color, markersize=7)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    # An interval of two seeds would leave the points a tenth of the picture.
    shown = [known for series in rows.values() for known in series.values()]
    seen = [value for known in shown for value in known.values]
    ends = [end for known in shown if known.n > 1 for end in known.interval] + seen
    room = max(0.35 * (max(seen) - min(seen)), 0.05 * max(map(abs, seen)), 1e-3)
    edge = 0.1 * room
    axes.set_xlim(max(min(seen) - room, min(ends) - edge), min(max(seen) + room, max(ends) + edge))
    axes.set_xlabel(unit, fontsize=9)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    _legend(figure, names)
    return _png(figure)


def draw_curves(panels: Sequence[Panel], *, across: str) -> bytes:
    """Panels side by side: each seed's trailing mean, faint, and the mean over seeds. Returns a
    PNG."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    size = (max(_WIDTH, 3.2 * len(panels)), 2.9)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        for name, seeds in panel.curves.items():
            color = COLORS[names.index(name)]
            smooth = [dict(trailing_means(by_step)) for by_step in seeds]
            for by_step in smooth:
                axes.plot(list(by_step), list(by_step.values()), color=color, alpha=0.25)
            shared = [step for step in smooth[0] if all(step in one for one in smooth)]
            means = [sum(one[step] for one in smooth) / len(smooth) for step in shared]
            axes.plot(shared, means, color=color, linewidth=2.2)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(across, fontsize=9)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    _legend(figure, names)
    return _png(figure)


def _legend(figure: "Figure", names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    if len(names) > 1:
        keys = [Line2D([], [], color=COLORS[n], marker="o") for n in range(len(names))]
        figure.legend(keys, list(names), loc="outside upper center", ncols=len(names), fontsize=9)


def _png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
