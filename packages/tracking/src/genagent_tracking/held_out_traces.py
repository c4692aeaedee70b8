"""Held-out requests as trajectories for readers, before and after, matched by what was asked.

The first twenty are there from the beginning; when the run has ended, the same twenty are there as
they are answered now, and up to twenty others that were won or lost, before and after. A thousand
would be found no more easily, and take their time.
"""

from collections.abc import Mapping, Sequence

from genagent_tracking.mlflow_tracker import MlflowTracker
from genagent_tracking.record import TrajectoryRecord
from genagent_tracking.results import change
from genagent_worlds import Outcome

FIRST = 20
CHANGED = 20


class HeldOutTraces:
    """What has been recorded of the evaluations of one run."""

    def __init__(
        self, tracker: MlflowTracker, earlier: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """
        Args:
            earlier: tags of what earlier processes have recorded, by trace id; it stays as it is.
        """
        self._tracker = tracker
        self._ids = {
            (tags["evaluation"], tags["step"], tags["request"]): id
            for id, tags in (earlier or {}).items()
            if tags.keys() >= {"evaluation", "step", "request"}
        }

    def begin(self, outcomes: Sequence[Outcome], words: int | None) -> None:
        """Record the first requests as they are answered before anything is learnt.

        Args:
            words: see ``TrajectoryRecord``.
        """
        self._add("before", 0, words, [(one, None) for one in outcomes[:FIRST]])

    def end(
        self, before: Sequence[Outcome], after: Sequence[Outcome], step: int, words: int | None
    ) -> None:
        """Record what has become of them, and others that have changed."""
        pairs = list(zip(before, after, strict=True))
        others = [pair for pair in pairs[FIRST:] if change(*pair) in ("won", "lost")][:CHANGED]
        changes = {one.request.id: {"change": change(one, now)} for one, now in pairs}
        self._add("before", 0, words, [(one, changes[one.request.id]) for one, _ in others])
        shown = [now for _, now in (*pairs[:FIRST], *others)]
        self._add("after", step, words, [(one, changes[one.request.id]) for one in shown])
        first = {one.request.id for one, _ in pairs[:FIRST]}
        self._tracker.tag_trajectories(
            {
                id: changes[request]
                for (when, _, request), id in self._ids.items()
                if when == "before" and request in first
            }
        )

    def _add(
        self,
        when: str,
        step: int,
        words: int | None,
        wanted: Sequence[tuple[Outcome, dict[str, str] | None]],
    ) -> None:
        new = [
            (one, more)
            for one, more in wanted
            if (when, str(step), one.request.id) not in self._ids
        ]
        ids = self._tracker.trajectories(
            [_record(one, when, words, more) for one, more in new], step
        )
        for (one, _), id in zip(new, ids, strict=True):
            self._ids[when, str(step), one.request.id] = id


def _record(
    one: Outcome, when: str, words: int | None, more: dict[str, str] | None
) -> TrajectoryRecord:
    return TrajectoryRecord(
        trajectory=one.trajectory,
        turns=None,
        words=words,
        true_success=one.success if one.source == "truth" else None,
        judged_success=one.success if one.source == "judge" else None,
        tags={"evaluation": when, **(more or {})},
    )
