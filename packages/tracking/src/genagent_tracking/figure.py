"""A request's trajectories as one figure for people: pictures, prompts and judgements."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

from genagent_data import Trajectory


def draw_trajectories(path: Path, trajectories: Mapping[str, Trajectory]) -> None:
    """One row a trajectory, one column a picture, all of one request; written as PNG.

    Args:
        trajectories: by the name that heads the row, such as "before" and "after".

    Raises:
        ValueError: none has a picture.
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = list(trajectories.items())
    columns = max((len(trajectory.pictures) for _, trajectory in rows), default=0)
    if columns == 0:
        raise ValueError("no trajectory has a picture to draw")
    # Slots for at least two columns, so that a long request fits above a single picture.
    size = (3.4 * max(columns, 2) + 0.6, 4.2 * len(rows) + 0.6)
    figure = Figure(figsize=size, dpi=110, layout=ConstrainedLayoutEngine(h_pad=0.15, w_pad=0.1))
    axes = figure.subplots(len(rows), max(columns, 2), squeeze=False)
    figure.suptitle(f"“{rows[0][1].request.prompt}”", fontsize=13)
    for row, (name, trajectory) in enumerate(rows):
        for axis in axes[row]:
            axis.axis("off")
        drawn = [(r, r.picture.image) for r in trajectory.rounds if r.picture is not None]
        for column, (round, image) in enumerate(drawn):
            axis = axes[row][column]
            axis.axis("on")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.imshow(image, interpolation="nearest")
            axis.set_title(
                _wrapped(f"{name}, picture {column + 1}: {round.tool_prompt}"), fontsize=8
            )
            axis.set_xlabel(_wrapped(round.judgement or "(not judged)"), fontsize=8)
    figure.savefig(path)


def _wrapped(text: str, *, width: int = 46, lines: int = 5) -> str:
    # A dollar sign would open mathematics.
    wrapped = textwrap.wrap(text.replace("$", r"\$"), width)
    return "\n".join(wrapped[:lines]) + (" …" if len(wrapped) > lines else "")
