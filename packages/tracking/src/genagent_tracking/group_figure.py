"""The attempts at one request side by side: what GRPO sees of them, and what it makes of it.

A column is an attempt, the best to the left, with its advantage, its reward and its pictures from
top to bottom, each with what the agent asked the tool for. What was not kept is grey, and says why.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from genagent_tracking.figure import wrapped
from genagent_tracking.pictures import presentable
from genagent_worlds import AttemptRecord, GroupRecord

_SIDE = 1.42
"""Inches of a picture."""
_SLOT = (1.62, 2.14)
"""Inches of a picture with the words below it."""
_HEAD = 0.72
"""Inches above the pictures of a column."""
_GREEN, _RED, _GREY, _BLUE = "#1a7f37", "#cf222e", "#8c959f", "#0550ae"
_STRONG = 1.5
"""The advantage that has a column head's full colour: of eight rewards few are further from their
mean, in standard deviations."""
_WHY = {
    "tool_failure": "dropped: the tool failed\nnot judged",
    "absent_verdict": "dropped: no verdict\ncould be had",
    "resampled": "dropped: other attempts\nwere kept · not judged",
}


def telling_group(groups: Sequence[GroupRecord]) -> GroupRecord | None:
    """The group whose rewards differ most, by their standard deviation: most is learnt from it. Of
    equals the first; None of no groups."""
    return max(groups, key=lambda group: group.spread, default=None)


def draw_group(group: GroupRecord) -> Image.Image:
    """The figure, RGB; about 160 pixels wide for each attempt."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    attempts = sorted(group.attempts, key=_rank)
    rows = max(1, *(len(one.trajectory.rounds) for one in attempts))
    columns = max(len(attempts), 4)
    width, height = _SLOT[0] * columns + 0.2, 0.9 + _HEAD + _SLOT[1] * rows
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    title = wrapped(f"“{group.request.prompt}”", width=15 * columns, lines=2)
    figure.text(0.15 / width, 1 - 0.12 / height, title, va="top", fontsize=13, weight="bold")
    figure.text(
        0.15 / width, 0.1 / height, _legend(group), va="bottom", fontsize=8.5, color="#57606a"
    )
    for column, one in enumerate(attempts):
        left = 0.1 + column * _SLOT[0]
        _draw_head(figure, one, left, height - 0.6)
        for row, round in enumerate(one.trajectory.rounds):
            top = height - 0.6 - _HEAD - row * _SLOT[1]
            last = row == len(one.trajectory.rounds) - 1
            _draw_round(figure, one, round, left, top, last=last)
        if not one.trajectory.rounds:
            text = wrapped(f"no picture: {one.trajectory.error or 'none was asked for'}", width=24)
            place = ((left + _SLOT[0] / 2) / width, (height - 0.6 - _HEAD - 0.6) / height)
            figure.text(*place, text, ha="center", va="top", fontsize=8, color=_GREY)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _rank(one: AttemptRecord) -> tuple[bool, float]:
    return one.advantage is None, -sum(one.advantages)


def _legend(group: GroupRecord) -> str:
    kept = sum(one.is_kept for one in group.attempts)
    learnt = "" if group.teaches else "; all rewards are equal, so nothing is learnt from it"
    late = ""
    if any(one.late_advantage is not None for one in group.attempts):
        late = " After the first look: the pair reward's own, of those that have a pair."
    shared = ""
    if any(one.shared_first for one in group.attempts):
        shared = " First turns and pictures are shared, and not learnt from."
    return (
        f"{len(group.attempts)} attempts, {kept} kept{learnt}. Advantage: (reward - mean) / "
        f"standard deviation of the kept.{late}{shared} Frame of a last picture: what the judge "
        "says of it."
    )


def _draw_head(figure: Any, one: AttemptRecord, left: float, top: float) -> None:
    """The advantage in its colour, and the reward with its parts."""
    width, height = figure.get_size_inches()
    size = (_SLOT[0] - 0.12, _HEAD - 0.1)
    axis = figure.add_axes(
        ((left + 0.06) / width, (top - size[1]) / height, size[0] / width, size[1] / height)
    )
    axis.set_axis_off()
    how = {"transform": axis.transAxes, "ha": "center"}
    if one.advantage is None or one.reward is None:
        axis.patch.set(facecolor="#eaeef2", visible=True)
        axis.add_artist(axis.patch)
        said = _WHY.get(one.dropped or "", "not judged")
        axis.text(0.5, 0.5, said, fontsize=7.5, color="#57606a", va="center", **how)
        return
    whole = sum(one.advantages)
    color = _GREY if whole == 0 else _GREEN if whole > 0 else _RED
    strength = 0.25 + 0.75 * min(abs(whole) / _STRONG, 1.0)
    axis.patch.set(facecolor=color, alpha=strength, visible=True)
    axis.add_artist(axis.patch)
    ink = "white" if strength > 0.6 else "#1f2328"
    number = f"{one.advantage:+.2f}" if one.advantage else "0"
    size = 13
    if one.late_advantage is not None:
        number, size = f"{number}, then {one.late_advantage:+.2f}", 9.5
    axis.text(0.5, 0.68, number, fontsize=size, weight="bold", color=ink, va="center", **how)
    axis.text(0.5, 0.22, _reward_line(one), fontsize=7.5, color=ink, va="center", **how)


def _reward_line(one: AttemptRecord) -> str:
    """Example: ``"reward 1.00: point + pair"``"""
    assert one.reward is not None
    parts = {name: getattr(one.reward, name) for name in ("point", "pair", "format")}
    parts |= one.reward.options
    paid = [(name, value) for name, value in parts.items() if value]
    named = "".join(f" {'+' if value > 0 else '-'} {name}" for name, value in paid)
    named = named.removeprefix(" + ").strip()
    return f"reward {one.reward.total:.2f}" + (f": {named}" if named else "")


def _draw_round(
    figure: Any, one: AttemptRecord, round: Any, left: float, top: float, *, last: bool
) -> None:
    """A picture with its frame, and below it what the agent asked the tool for."""
    width, height = figure.get_size_inches()
    pad = (_SLOT[0] - _SIDE) / 2
    axis = figure.add_axes(
        ((left + pad) / width, (top - _SIDE) / height, _SIDE / width, _SIDE / height)
    )
    axis.set_xticks([])
    axis.set_yticks([])
    passed = None
    if last and one.record is not None and one.record.point_verdict is not None:
        passed = one.record.point_verdict.choice == "yes"
    color = {True: _GREEN, False: _RED, None: "#d0d7de"}[passed]
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=3.5 if passed is not None else 1.5)
    if round.picture is None:
        axis.text(0.5, 0.5, "no picture", ha="center", va="center", fontsize=8, color=_GREY)
        axis.set(xlim=(0, 1), ylim=(0, 1))
    else:
        axis.imshow(
            presentable(round.picture.image),
            interpolation="nearest",
            alpha=1.0 if one.is_kept else 0.35,
        )
    below = {"transform": axis.transAxes, "ha": "center", "va": "top"}
    asked = wrapped(f"“{round.tool_prompt}”", width=29, lines=4)
    drop = 0.0
    if last and passed is not None and one.true_success is not None:
        drop = 0.11
        truth = "right" if one.true_success else "wrong"
        said = f"truly {truth}" if passed == one.true_success else f"judge mistaken: truly {truth}"
        mark = color if passed == one.true_success else "#bc4c00"
        axis.text(0.5, -0.04, said, fontsize=7.5, weight="bold", color=mark, **below)
    ink = _BLUE if one.is_kept else _GREY
    axis.text(0.5, -0.05 - drop, asked, fontsize=6.8, color=ink, **below)
