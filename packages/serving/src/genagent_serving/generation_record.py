"""What a folder of answered requests comes to: its ``summary.json``, and its run in MLflow.

MLflow takes seconds to load, so this is done when there is something to look at.
"""

import json
import resource
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from PIL import Image

from genagent_data import Picture, Request, Round, Trajectory, write_text
from genagent_serving.generation_folder import GenerationFolder, Row
from genagent_tracking import MlflowTracker, RunStatus, TrackerConfig, TrajectoryRecord
from genagent_tracking.run_name import run_name
from genagent_tracking.run_note import RunNote

NAME = "generate"
"""Of the experiment."""
TRACES = 20
"""Requests of a folder that become trajectories, the first ones, as of an evaluation."""


def record_generation(
    folder: GenerationFolder,
    requests: Sequence[Request],
    config: TrackerConfig,
    *,
    document: object,
    changes: str,
    seed: int,
    words: int | None,
) -> None:
    """Record all that the folder has answered; one that is gone on with stays the same run.

    Args:
        requests: in the order in which they become trajectories.
        document: all options.
        changes: those that are other than in the preset.
        words: see ``TrajectoryRecord``.

    Raises:
        OSError: a picture cannot be read, or the summary cannot be written.
        TrackingError: the store cannot be used.
    """
    kept, rows = folder.path / "mlflow_run", folder.rows
    tracker = MlflowTracker(
        replace(
            config,
            experiment=config.experiment or NAME,
            run_name=config.run_name or run_name(folder.path.resolve().name, changes),
        ),
        run_config=document,
        seed=seed,
        changes=changes,
        run_id=kept.read_text(encoding="utf-8") if kept.exists() else None,
        created=lambda run_id: write_text(kept, run_id),
    )
    status: RunStatus = "failed"
    try:
        figures = generation_figures(rows.values())
        tracker.log(figures, len(rows))
        _add_trajectories(tracker, folder, requests, words)
        note = RunNote(name=NAME, folder=folder.path, figures=figures)
        note.headline = f"{figures['with_picture']} of {len(rows)} requests have a picture"
        tracker.note(note.markdown("finished", step=0))
        summary = {
            "experiment": NAME,
            "status": "finished",
            "seed": seed,
            "changed": changes,
            "mlflow_run": tracker.run_id,
            **figures,
            "seconds": folder.seconds,
            "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
        write_text(folder.summary, json.dumps(summary, indent=2))
        tracker.artifact(folder.summary)
        status = "finished"
    finally:
        tracker.close(status)


def generation_figures(rows: Iterable[Row]) -> dict[str, float]:
    """How many requests there are, how they ended, why some have no picture, what an average one
    took; seconds are beside all others that were under way.

    Args:
        rows: of a folder's results, one or more.
    """
    rows = list(rows)
    without = [row for row in rows if row["picture"] is None]
    endings = Counter(row["ending"] for row in rows)
    reasons = Counter(
        row["error"] if row["ending"] == "format_error" else row["ending"] for row in without
    )
    return {
        "requests": len(rows),
        "with_picture": len(rows) - len(without),
        **{f"without_picture/{reason}": count for reason, count in sorted(reasons.items())},
        **{f"ended/{ending}": count for ending, count in sorted(endings.items())},
        "pictures": sum(round["picture"] is not None for row in rows for round in row["rounds"]),
        "mean_rounds": fmean(len(row["rounds"]) for row in rows),
        "mean_seconds": fmean(row["seconds"] for row in rows),
    }


def _add_trajectories(
    tracker: MlflowTracker,
    folder: GenerationFolder,
    requests: Sequence[Request],
    words: int | None,
) -> None:
    """Those that earlier processes have recorded stay, unless they were tried again since."""
    rows, earlier = folder.rows, tracker.earlier_trajectories()
    again = [
        id for id, tags in earlier.items() if tags["ending"] != rows[tags["request"]]["ending"]
    ]
    tracker.forget_trajectories(again)
    there = {tags["request"] for id, tags in earlier.items() if id not in again}
    new = [one for one in requests if one.id in rows and one.id not in there]
    records = [
        TrajectoryRecord(
            trajectory=_trajectory(one, rows[one.id], folder.path), turns=None, words=words
        )
        for one in new[: TRACES - len(there)]
    ]
    tracker.trajectories(records, len(rows))


def _trajectory(request: Request, row: Row, path: Path) -> Trajectory:
    rounds = [
        Round(
            thinking=one["thinking"],
            tool_prompt=one["prompt"],
            picture=None if one["picture"] is None else _picture(path / one["picture"]),
            judgement=one["judgement"],
            seed=one["tool_seed"],
            tool_seconds=one["tool_seconds"],
        )
        for one in row["rounds"]
    ]
    return Trajectory(
        request=request,
        rounds=tuple(rounds),
        answer=row["answer"],
        ending=row["ending"],
        error=row["error"],
    )


def _picture(path: Path) -> Picture:
    with Image.open(path, formats=("PNG",)) as image:
        return Picture.of(image)
