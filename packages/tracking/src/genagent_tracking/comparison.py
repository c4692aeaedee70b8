"""A benchmark's cells for people: the tables, the chart, pictures and one row a request."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genagent_data import write_text
from genagent_tracking.comparison_chart import Compared, draw_comparison
from genagent_tracking.console import print_line, print_table
from genagent_tracking.pictures import picture_grid
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
    name = f"{one.cell.tool}/{one.cell.title}/{one.select}"
    kept = "".join(char if char.isalnum() else "-" for char in name)
    rows = [_request_row(attempt) for attempt in one.attempts]
    report = {"row": one.row(), **one.figures(), "requests": rows}
    write_text(folder / f"{one.cell.digest}-{one.select.split(',')[0]}.json", json.dumps(report))
    figures = {f"{kept}/{name}": known.value for name, known in one.diagnostics.items()}
    if one.table.overall is not None and one.table.overall.value is not None:
        figures[f"{kept}/score"] = one.table.overall.value
    run.tracker.log(figures, 0)
    run.tracker.table(f"requests/{kept}", rows)
    run.tracker.table(f"categories/{kept}", one.table.as_rows())
    shown = [attempt for attempt in one.attempts if attempt.chosen is not None][:SHOWN]
    if shown:
        pictures = [one.trajectory.pictures[one.chosen or 0].image for one in shown]
        marks = [one.passed[one.chosen or 0] for one in shown]
        run.tracker.images(kept, picture_grid(pictures, passed=marks), 0)


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
        title = f"{one.cell.tool}, {one.cell.title}: {table.title}"
        rows = table.as_rows()
        print_table(title, [rows[-1], *rows[:-1]] if table.overall else rows)
        print_table("what lies behind it", list(_diagnostic_rows(one)), has_total=False)
    else:
        rows = [*(one.row() for one in cells), *earlier]
        run.table("comparison", f"{table.title}, [95 %]", rows)
        if gains := list(_gain_rows(cells)):
            run.table("gains", f"against {cells[0].cell.title}, the same requests and seeds", gains)
    for note in dict.fromkeys(note for one in cells for note in one.table.notes):
        print_line(note)
    chart = out / "comparison.png"
    draw_comparison(chart, list(_points(cells)), title=table.title, unit=table.measure)
    run.tracker.artifact(chart)
    print_line(f"chart, pictures and answers: {out}")
    return {"benchmark": table.name, "cells": [one.figures() for one in cells]}


def _points(cells: Sequence[ScoredCell]) -> Iterator[Compared]:
    for one in cells:
        overall = one.table.overall
        if overall is None or overall.value is None or overall.interval is None:
            continue
        several = one.diagnostics.get("pictures")
        yield Compared(
            panel=one.cell.tool,
            name=one.cell.title + ("" if one.select == "last" else f", {one.select}"),
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
                "strategy": one.cell.title,
                "counts": one.select,
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
    rounds = trajectory.rounds
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
