"""A request's attempts as one figure for people: who said what, what was drawn, what was right."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from genagent_tracking.pictures import presentable
from genagent_worlds import Outcome

_SLOT = (3.7, 4.05)
"""Inches of a picture with the words above and below it."""
_MARKS = {
    True: ("#1a7f37", "✓ right"),
    False: ("#cf222e", "✗ wrong"),
    None: ("#8c959f", "no verdict"),
}


def draw_outcomes(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """One row an attempt, one column a picture, all of one request; written as PNG.

    Above a picture stands what the agent asked the tool for, below it what the agent said of it,
    and its frame and mark are the truth's, or the judge's where there is no truth.

    Args:
        outcomes: by the name that heads the row, such as "before" and "after".

    Raises:
        ValueError: none has a picture.
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    rows = list(outcomes.items())
    columns = max((len(outcome.passed) for _, outcome in rows), default=0)
    if columns == 0:
        raise ValueError("no attempt has a picture to draw")
    # Room for two pictures at least, so that a long request fits above a single one.
    width, height = _SLOT[0] * max(columns, 2) + 0.5, _SLOT[1] * len(rows) + 0.6
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    title = wrapped(f"“{rows[0][1].request.prompt}”", width=26 * max(columns, 2), lines=2)
    figure.text(0.5, 1 - 0.2 / height, title, ha="center", va="top", fontsize=14, weight="bold")
    for row, (name, outcome) in enumerate(rows):
        top = height - 0.55 - row * _SLOT[1]
        middle = (top - _SLOT[1] / 2) / height
        how = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 15, "weight": "bold"}
        figure.text(0.26 / width, middle, name, color="#57606a", **how)
        drawn = [(r, r.picture.image) for r in outcome.trajectory.rounds if r.picture is not None]
        for column, ((round, image), passed) in enumerate(zip(drawn, outcome.passed, strict=True)):
            color, mark = _MARKS[passed]
            left, side = 0.5 + column * _SLOT[0] + 0.7, 2.3
            place = (left / width, (top - 0.75 - side) / height, side / width, side / height)
            axis = figure.add_axes(place)
            axis.imshow(presentable(image), interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            for spine in axis.spines.values():
                spine.set(color=color, linewidth=4)
            asked = wrapped(f"agent to tool: “{round.tool_prompt}”")
            axis.set_title(asked, fontsize=9, color="#0550ae", pad=9)
            verdict = f"{outcome.source}: {mark}"
            said = wrapped(f"agent: “{round.judgement}”" if round.judgement else "agent: nothing")
            below = {"transform": axis.transAxes, "ha": "center", "va": "top"}
            axis.text(0.5, -0.04, verdict, color=color, fontsize=11, weight="bold", **below)
            axis.text(0.5, -0.14, said, color="#0550ae", fontsize=9, **below)
    figure.savefig(path)


def wrapped(text: str, *, width: int = 48, lines: int = 4) -> str:
    """So many lines of it at most, as matplotlib writes them."""
    # A dollar sign would open mathematics.
    parts = textwrap.wrap(text.replace("$", r"\$"), width)
    return "\n".join(parts[:lines]) + (" …" if len(parts) > lines else "")
