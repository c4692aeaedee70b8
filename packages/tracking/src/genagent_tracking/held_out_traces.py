"""Held-out requests as trajectories for readers, before and after, matched by what was asked.

The first twenty are there from the beginning; when the run has ended, the same twenty are there as
they are answered now, and up to twenty others that were won or lost, before and after. A thousand
would be found no more easily, and take their time.
"""

from collections.abc import Sequence

from genagent_tracking.mlflow_tracker import MlflowTracker
from genagent_tracking.record import TrajectoryRecord
from genagent_tracking.results import change
from genagent_worlds import Outcome

FIRST = 20
CHANGED = 20


class HeldOutTraces:
    """What has been recorded of the evaluations of one run."""

    def __init__(self, tracker: MlflowTracker) -> None:
        self._tracker = tracker
        self._before: dict[str, str] = {}
        """Trace ids by request."""

    def begin(self, outcomes: Sequence[Outcome]) -> None:
        """Record the first requests as they are answered before anything is learnt."""
        shown = outcomes[:FIRST]
        ids = self._tracker.trajectories([_record(one, "before") for one in shown], 0)
        self._before = {one.request.id: id for one, id in zip(shown, ids, strict=True)}

    def end(self, before: Sequence[Outcome], after: Sequence[Outcome], step: int) -> None:
        """Record what has become of them, and others that have changed."""
        pairs = list(zip(before, after, strict=True))
        others = [pair for pair in pairs[FIRST:] if change(*pair) in ("won", "lost")][:CHANGED]
        changes = {one.request.id: {"change": change(one, now)} for one, now in pairs}
        records = [_record(one, "before", changes[one.request.id]) for one, _ in others]
        self._tracker.trajectories(records, 0)
        shown = [now for _, now in (*pairs[:FIRST], *others)]
        records = [_record(one, "after", changes[one.request.id]) for one in shown]
        self._tracker.trajectories(records, step)
        self._tracker.tag_trajectories({id: changes[name] for name, id in self._before.items()})


def _record(one: Outcome, when: str, more: dict[str, str] | None = None) -> TrajectoryRecord:
    return TrajectoryRecord(
        trajectory=one.trajectory,
        turns=None,
        true_success=one.success if one.source == "truth" else None,
        judged_success=one.success if one.source == "judge" else None,
        tags={"evaluation": when, **(more or {})},
    )
