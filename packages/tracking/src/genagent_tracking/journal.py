"""What a run tells of itself while it goes on: MLflow, and the files that its report is made of."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from genagent_data import Funnel
from genagent_tracking.failure import failure_file
from genagent_tracking.group_figure import draw_group, telling_group
from genagent_tracking.held_out import write_held_out
from genagent_tracking.held_out_traces import HeldOutTraces
from genagent_tracking.mlflow_tracker import MlflowTracker
from genagent_tracking.record import RunStatus, TrackingError, TrajectoryRecord
from genagent_tracking.report import leave_failure, leave_report
from genagent_tracking.results import (
    funnel_title,
    headline,
    held_out_grid,
    results_title,
    success_line,
    success_metric,
)
from genagent_tracking.run_note import RunNote
from genagent_tracking.run_record import has_record
from genagent_tracking.step_figures import StepFigures
from genagent_worlds import (
    AttemptRecord,
    GroupRecord,
    Outcome,
    audit_outcomes,
    conduct,
    groups_file,
    summarize,
    write_groups,
)


class Journal:
    """Steps are counted from 1, ``kept`` is the last whose state is on disk."""

    def __init__(
        self, name: str, folder: Path, tracker: MlflowTracker, *, learns: bool, kept: int
    ) -> None:
        """
        Args:
            name: of the experiment.
            folder: of the run.
            learns: it has steps.
        """
        self._folder = folder
        self._tracker = tracker
        self._note = RunNote(name=name, folder=folder, learns=learns)
        self._figures = StepFigures(folder)
        earlier = tracker.earlier_trajectories()
        self._traces = HeldOutTraces(tracker, earlier)
        tracker.forget_trajectories(
            [id for id, tags in earlier.items() if _is_taken_again(tags, kept)]
        )
        self._first: Sequence[Outcome] | None = None
        self._words: int | None = None
        failure_file(folder).unlink(missing_ok=True)
        tracker.note(self._note.markdown(None, step=kept))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """A step's figures."""
        self._figures.add(metrics, step)
        self._tracker.log_once(metrics, step)

    def groups(
        self, groups: Sequence[GroupRecord], step: int, *, count: int, words: int | None
    ) -> None:
        """A step's groups: all in the folder; about ``count`` of their attempts as traces, and the
        most telling group as a picture.

        Args:
            words: see ``TrajectoryRecord``.
        """
        write_groups(groups_file(self._folder, step), groups)
        attempts = [one for group in groups for one in group.attempts if one.is_kept]
        attempts = attempts[:: max(1, len(attempts) // count)][:count]
        self._tracker.trajectories([_shown(one, words) for one in attempts], step)
        if group := telling_group(groups):
            self._tracker.images("attempts", draw_group(group), step)

    def evaluated(self, outcomes: Sequence[Outcome], step: int, *, words: int | None) -> None:
        """An evaluation after so many steps; what an earlier process has recorded of it stays.

        Args:
            words: see ``TrajectoryRecord``.
        """
        self._note.found.append(f"after {step} steps: {success_line(outcomes)}")
        metrics = summarize(outcomes) | audit_outcomes(outcomes) | conduct(outcomes).metrics()
        figures = {f"eval/{name}": value for name, value in metrics.items()}
        first = success_metric(outcomes, "before") if step == 0 else {}
        if not self._tracker.has_logged(first | figures, step):
            self._figures.add(figures, step)
            if grid := held_out_grid(outcomes, self._first):
                self._tracker.images("held_out", grid, step)
            write_held_out(self._folder, step, outcomes)
            if step == 0:
                self._traces.begin(outcomes, words)
            # Last, for it says that all of this is there.
            self._tracker.log_once(first | figures, step)
            self._tracker.note(self._note.markdown(None, step=step))
        self._first = self._first or outcomes
        self._words = words

    def table(self, title: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Rows for the note."""
        self._note.tables[title] = rows

    def compared(
        self,
        before: Sequence[Outcome],
        after: Sequence[Outcome],
        rows: Sequence[Mapping[str, str]],
        kept: int,
    ) -> None:
        """What learning has changed; ``rows`` are the table of it."""
        self._traces.end(before, after, kept, self._words)
        self._tracker.table("held_out", rows)
        self._tracker.log_once(success_metric(after, "after"), kept)
        self._note.headline = headline(before, after)
        self._note.tables = {results_title(before): rows} | self._note.tables

    def synthesized(self, funnel: Funnel, rows: Sequence[Mapping[str, str]], folder: Path) -> None:
        """What a synthesis has kept and dropped; ``folder`` holds its data card."""
        self._tracker.table("funnel", rows)
        self._tracker.log(funnel.metrics(), 0)
        for name in ("funnel.png", "README.md"):
            self._tracker.artifact(folder / name)
        self._note.headline = funnel_title(funnel)
        self._note.tables["what was kept and dropped"] = rows

    def failed(self, error: Exception, step: int, *, kept: int) -> str:
        """How it failed; where its report is, in a line."""
        with suppress(TrackingError):  # it may be the store that has failed
            self._tracker.note(self._note.markdown("failed", step=kept, error=error))
        return leave_failure(self._folder, error, step)

    def ended(self, status: RunStatus, figures: Mapping[str, Any], *, kept: int) -> list[str]:
        """That it is over, with its figures; where its report is, in a line, if it has one."""
        self._note.figures = figures
        self._tracker.note(self._note.markdown(status, step=kept))
        return [leave_report(self._folder)] if has_record(self._folder) else []

    def close(self, status: RunStatus) -> None:
        """Nothing is told after it."""
        self._figures.close()
        self._tracker.close(status)


def _is_taken_again(tags: Mapping[str, str], kept: int) -> bool:
    """Whether a trajectory is of a step behind the state that the run goes on from."""
    return "evaluation" not in tags and int(tags.get("step", 0)) > kept


def _shown(one: AttemptRecord, words: int | None) -> TrajectoryRecord:
    return TrajectoryRecord(
        trajectory=one.trajectory,
        turns=one.turns,
        tool_syntax=one.tool_syntax,
        words=words,
        record=one.record,
        true_success=one.true_success,
    )
