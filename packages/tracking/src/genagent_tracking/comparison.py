"""A benchmark's cells for people: the tables, the chart, pictures and one row a request."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genagent_data import write_text
from genagent_tracking.captioned_grid import CaptionedPictures, captioned_grid
from genagent_tracking.comparison_chart import Compared, draw_comparison
from genagent_tracking.run import Run
from genagent_worlds import Estimate, ScoredAttempt, ScoredCell, paired_gain

SHOWN = 40
"""Pictures of a cell's grid."""


def record_cell(run: Run, one: ScoredCell, folder: Path) -> None:
    """Keep a cell's figures in the folder and in MLflow, with a grid of the pictures that count and
    a row a request.

    Raises:
        OSError: the folder cannot be written.
        TrackingError: the store cannot.
    """
    name = "-".join(filter(None, (one.cell.tool, one.cell.policy, one.title)))
    kept = re.sub(r"[^a-zA-Z0-9.]+", "-", name)
    rows = [_request_row(attempt) for attempt in one.attempts]
    report = {"row": one.row(), **one.figures(), "requests": rows}
    write_text(folder / one.file_name, json.dumps(report))
    figures = {f"{kept}/{key}": known.value for key, known in one.diagnostics.items()}
    if one.table.overall is not None and one.table.overall.value is not None:
        figures[f"{kept}/score"] = one.table.overall.value
    run.tracker.log(figures, 0)
    run.tracker.table(f"requests/{kept}", rows)
    run.tracker.table(f"categories/{kept}", one.table.as_rows())
    shown = [attempt for attempt in one.attempts if attempt.chosen is not None][:SHOWN]
    if shown:
        cells = [
            CaptionedPictures(
                caption=attempt.trajectory.request.prompt,
                pictures=(attempt.trajectory.pictures[attempt.chosen or 0].image,),
                passed=(attempt.passed[attempt.chosen or 0],),
            )
            for attempt in shown
        ]
        run.tracker.images(f"pictures/{kept}", captioned_grid(cells, title=name), 0)


def show_cells(
    run: Run, cells: Sequence[ScoredCell], earlier: Sequence[dict[str, str]], out: Path
) -> dict[str, Any]:
    """Print what the cells come to, draw them, and give the figures for the run's summary.

    Args:
        earlier: rows of cells that are only shown.
        out: folder of the chart.

    Raises:
        OSError: the folder cannot be written.
        TrackingError: the store cannot.
    """
    table = cells[0].table
    if len(cells) == 1 and not earlier:
        [one] = cells
        title = f"{one.cell.tool}, {one.title}: {table.title}"
        rows = table.as_rows()
        run.say_table(title, [rows[-1], *rows[:-1]] if table.overall else rows)
        run.say_table("what lies behind it", list(_diagnostic_rows(one)), has_total=False)
    else:
        _show(run, "comparison", f"{table.title}, [95 %]", [*(c.row() for c in cells), *earlier])
        if gains := list(_gain_rows(cells)):
            _show(run, "gains", f"against {cells[0].title}, same requests and seeds, [95 %]", gains)
    for one in cells:
        if (unread := one.diagnostics.get("fallbacks")) is not None:
            run.say(
                f"{one.cell.tool}, {one.title}: {unread.value:.0%} of {unread.n} requests were "
                "drawn in their own words, for no prompt could be read in the model's"
            )
    run.say(f"scored by {cells[0].judge}")
    for note in dict.fromkeys(note for one in cells for note in one.table.notes):
        run.say(note)
    points, chart = list(_points(cells)), out / "comparison.png"
    if points:  # one file of WISE's three has no overall figure, for example
        marks = "filled: the picture that counts, with its 95 % interval; open: the first one"
        title = f"{table.name}, {len(cells[0].attempts)} requests ({marks})"
        draw_comparison(chart, points, title=title, unit=table.measure)
        run.tracker.artifact(chart)
    else:
        # An earlier command's is of other cells.
        chart.unlink(missing_ok=True)
    run.say(f"{'chart, ' if points else ''}pictures and answers: {out}")
    return {
        "benchmark": table.name,
        "judge": cells[0].judge,
        "cells": [one.figures() for one in cells],
    }


def _show(run: Run, name: str, title: str, rows: Sequence[dict[str, str]]) -> None:
    """Kept whole; a column that says the same of all is named in the title instead."""
    run.tracker.table(name, rows)
    same = [
        column
        for column in ("tool", "policy")
        if len({row[column] for row in rows if row[column] != "-"}) < 2
    ]
    about = [rows[-1][column] for column in same if rows[-1][column] != "-"]
    shown = [{key: value for key, value in row.items() if key not in same} for row in rows]
    run.say_table(", ".join([*about, title]), shown, has_total=False, words=4 - len(same) - 1)


def _points(cells: Sequence[ScoredCell]) -> Iterator[Compared]:
    many_policies = len({one.cell.policy for one in cells} - {None}) > 1
    for one in cells:
        overall = one.table.overall
        if overall is None or overall.value is None or overall.interval is None:
            continue
        several = one.diagnostics.get("pictures")
        yield Compared(
            panel=one.cell.tool,
            name=one.title + (f" ({one.cell.policy})" if many_policies and one.cell.policy else ""),
            score=Estimate(value=overall.value, interval=overall.interval, n=overall.n),
            first=one.diagnostics.get("first") if several and several.value > 1 else None,
        )


def _gain_rows(cells: Sequence[ScoredCell]) -> Iterator[dict[str, str]]:
    """Each against the first of its tool."""
    for one in cells:
        base = next(other for other in cells if other.cell.tool == one.cell.tool)
        gain = None if base is one else paired_gain(one, base)
        if gain is not None:
            low, high = gain.interval
            yield {
                "tool": one.cell.tool,
                "policy": one.cell.policy or "-",
                "strategy": one.title,
                "gain": f"{gain.value:+.3f} [{low:+.3f}, {high:+.3f}]",
                "n": str(gain.n),
            }


def _diagnostic_rows(one: ScoredCell) -> Iterator[dict[str, str]]:
    for name, known in one.diagnostics.items():
        low, high = known.interval
        yield {
            "measured": name.replace("_", " "),
            "mean": f"{known.value:.3f}",
            "95 %": f"[{low:.3f}, {high:.3f}]",
            "n": str(known.n),
        }


def _request_row(attempt: ScoredAttempt) -> dict[str, str | float]:
    trajectory, result = attempt.trajectory, attempt.result
    drawn = [round for round in trajectory.rounds if round.picture is not None]
    # Without a picture, the prompt that the tool has failed at.
    rounds = trajectory.rounds if attempt.chosen is None else drawn[: attempt.chosen + 1]
    picture = None if attempt.chosen is None else trajectory.pictures[attempt.chosen]
    return {
        "id": trajectory.request.id,
        "category": trajectory.request.task,
        "request": trajectory.request.prompt,
        "prompt": rounds[-1].tool_prompt if rounds else "",
        "score": result if isinstance(result, str) else result.value,
        "all scores": ", ".join("-" if value is None else f"{value:g}" for value in attempt.values),
        "judge": "" if isinstance(result, str) else result.reason,
        "ending": trajectory.ending,
        "pictures": len(trajectory.pictures),
        "seconds": round(attempt.seconds, 3),
        "picture": "" if picture is None else picture.name,
    }
