"""What went wrong in a run's attempts, with the words that it went wrong by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from genagent_data import Trajectory
from genagent_tracking.run_record import RunRecord
from genagent_worlds import GroupRecord, Outcome

SHOWN = 12
"""Of each kind."""
KINDS = {
    "broken": "Turns that break the protocol",
    "tool": "Calls that the tool, or a model that was asked, failed",
    "absent": "Verdicts that could not be had",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureView:
    """One of them."""

    kind: str
    where: str
    prompt: str
    error: str
    words: str
    """The turn, where it is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureGroup:
    """Those of one kind."""

    title: str
    count: int
    shown: list[FailureView]


def failure_groups(run: RunRecord) -> list[FailureGroup]:
    """By kind, of the groups and evaluations that the run's folder has; the latest first."""
    at_step = [
        *((step, _of_outcomes(step, outcomes)) for step, outcomes in run.evaluations.items()),
        *((step, _of_groups(step, groups)) for step, groups in run.groups.items()),
    ]
    latest = sorted(at_step, key=lambda one: -one[0])
    found = [failure for _, failures in latest for failure in failures]
    by_kind = {kind: [one for one in found if one.kind == kind] for kind in KINDS}
    return [
        FailureGroup(title=title, count=len(by_kind[kind]), shown=by_kind[kind][:SHOWN])
        for kind, title in KINDS.items()
        if by_kind[kind]
    ]


def broken_turns(figures: Mapping[str, Mapping[int, float]]) -> list[tuple[str, int]]:
    """How many of each format error there were in all steps, the most frequent first."""
    counted = [
        (name.removeprefix("format_error/"), round(sum(by_step.values())))
        for name, by_step in figures.items()
        if name.startswith("format_error/")
    ]
    return sorted(counted, key=lambda one: -one[1])


def _of_groups(step: int, groups: Sequence[GroupRecord]) -> Iterator[FailureView]:
    for one in (attempt for group in groups for attempt in group.attempts):
        about = {"where": f"step {step}", "prompt": one.trajectory.request.prompt}
        ending, error = one.trajectory.ending, one.trajectory.error or ""
        if ending == "format_error":
            words = one.turns[-1] if one.turns else ""
            yield FailureView(kind="broken", error=error, words=words, **about)
        if ending in ("tool_failure", "model_failure"):
            yield FailureView(kind="tool", error=error, words=_asked(one.trajectory), **about)
        if one.dropped == "absent_verdict":
            why = (one.record and one.record.error) or "the judge did not say why"
            yield FailureView(kind="absent", error=why, words="", **about)


def _of_outcomes(step: int, outcomes: Sequence[Outcome]) -> Iterator[FailureView]:
    where = f"held-out, after {step} steps" if step else "held-out, before"
    for one in outcomes:
        about = {"where": where, "prompt": one.request.prompt}
        error = one.trajectory.error or ""
        if one.trajectory.ending == "format_error":
            yield FailureView(kind="broken", error=error, words="", **about)
        if one.service_failed:
            yield FailureView(kind="tool", error=error, words=_asked(one.trajectory), **about)
        if None in one.passed:
            why = one.why_absent or "the judge did not say why"
            yield FailureView(kind="absent", error=why, words="", **about)
        elif one.judged is not None and one.judged.passed is None:
            why = one.judged.reason or "the judge did not say why"
            yield FailureView(kind="absent", error=why, words="", **about)


def _asked(trajectory: Trajectory) -> str:
    return trajectory.rounds[-1].tool_prompt if trajectory.rounds else ""
