"""Scores of several ways to the same pictures as one chart for people: points and intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genagent_worlds import Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One point of a chart.

    Example: ``Compared(panel="flux-mini", name="plain", score=estimate)``
    """

    panel: str
    name: str
    score: Estimate
    first: Estimate | None = None
    """Of the first picture, where more than one is drawn."""


def draw_comparison(path: Path, points: Sequence[Compared], *, title: str, unit: str) -> None:
    """A panel for each tool, a row for each strategy; written as PNG.

    Raises:
        ValueError: there is nothing to draw.
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    if not points:
        raise ValueError("nothing to compare; give at least one point")
    panels = list(dict.fromkeys(point.panel for point in points))
    names = list(dict.fromkeys(point.name for point in points))
    size = (3.0 * len(panels) + 2.4, 0.42 * len(names) + 1.5)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    figure.suptitle(title.replace("$", r"\$"), fontsize=11)
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.set_title(panel, fontsize=10)
        axes.set_xlabel(unit, fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        for point in (one for one in points if one.panel == panel):
            row, (low, high) = names.index(point.name), point.score.interval
            axes.plot([low, high], [row, row], color="#1f6feb", linewidth=2)
            axes.plot(point.score.value, row, "o", color="#1f6feb", markersize=7)
            axes.annotate(
                f"{point.score.value:.3f}",
                (point.score.value, row),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
            )
            if point.first is not None:
                axes.plot(point.first.value, row, "o", mfc="white", mec="#8b949e", markersize=6)
    figure.savefig(path)
