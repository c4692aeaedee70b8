"""Groups of attempts as a report shows them: what GRPO learns from, as columns side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genagent_tracking.group_figure import telling_group
from genagent_tracking.report_rounds import RoundView, attempt_rounds
from genagent_tracking.thumbnails import Thumbnails
from genagent_worlds import AttemptRecord, Dropped, GroupRecord

_WHY: Mapping[Dropped, str] = {
    "tool_failure": "the tool failed",
    "absent_verdict": "a verdict could not be had",
    "resampled": "others were kept, so that round counts are even; nobody judged it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptView:
    """One column."""

    rounds: list[RoundView]
    advantage: float | None
    late_advantage: float | None
    """Of the tokens from the first look on, with credit by turn."""
    bar: float
    """Of its advantage, -1 to 1 of the room for bars."""
    reward: str
    """``1.00``, or why there is none."""
    parts: list[str]
    """What it is the sum of: ``["point +0.70", "pair +0.30"]``."""
    short: str
    """What is said where there are no parts."""
    why_dropped: str | None
    is_right: bool | None
    """By the truth, or else by the judge."""
    reason: str
    """The judge's."""
    ending: str
    broken: str
    """The turn that broke the protocol."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupView:
    """One group."""

    step: int
    prompt: str
    attempts: list[AttemptView]
    kept: int
    resampled: int
    mean: float
    spread: float
    """Standard deviation of the rewards, as advantages have it."""
    teaching: int
    """Groups of this step whose rewards differ, and of how many."""
    groups: int


def telling_groups(
    groups: Mapping[int, Sequence[GroupRecord]], thumbnails: Thumbnails
) -> list[GroupView]:
    """Of the first, the middle and the last step that is there, the group whose rewards differ
    most.

    Raises:
        OSError: a picture cannot be read.
    """
    steps = list(groups)
    chosen = sorted({steps[0], steps[(len(steps) - 1) // 2], steps[-1]}) if steps else []
    return [
        _view(step, group, groups[step], thumbnails)
        for step in chosen
        if (group := telling_group(groups[step])) is not None
    ]


def _view(
    step: int, group: GroupRecord, all_groups: Sequence[GroupRecord], thumbnails: Thumbnails
) -> GroupView:
    advantages = [abs(one.advantage) for one in group.attempts if one.advantage is not None]
    largest = max(advantages, default=0.0) or 1.0
    order = sorted(group.attempts, key=lambda one: (not one.is_kept, -sum(one.advantages)))
    rewards = group.rewards
    return GroupView(
        step=step,
        prompt=group.request.prompt,
        attempts=[_attempt(one, largest, thumbnails) for one in order],
        kept=len(rewards),
        resampled=sum(one.dropped == "resampled" for one in group.attempts),
        mean=math.fsum(rewards) / max(len(rewards), 1),
        spread=group.spread,
        teaching=sum(one.teaches for one in all_groups),
        groups=len(all_groups),
    )


def _attempt(one: AttemptRecord, largest: float, thumbnails: Thumbnails) -> AttemptView:
    record, trajectory = one.record, one.trajectory
    verdict = None if record is None else record.point_verdict
    judged = None if verdict is None else verdict.choice == "yes"
    why = None if one.dropped is None else _WHY[one.dropped]
    if one.dropped == "absent_verdict" and record is not None and record.error:
        why = f"{why}: {record.error}"
    if one.dropped == "tool_failure" and trajectory.error:
        why = f"{why}: {trajectory.error}"
    is_broken = trajectory.ending == "format_error"
    return AttemptView(
        rounds=attempt_rounds(trajectory, thumbnails),
        advantage=one.advantage,
        late_advantage=one.late_advantage,
        bar=(one.advantage or 0.0) / largest,
        reward="not judged" if one.reward is None else f"{one.reward.total:.2f}",
        parts=_parts(one),
        short=(one.dropped or trajectory.ending).replace("_", " "),
        why_dropped=why,
        is_right=judged if one.true_success is None else one.true_success,
        reason="" if verdict is None else verdict.reason,
        ending=trajectory.error or "" if is_broken else trajectory.ending.replace("_", " "),
        broken=one.turns[-1] if is_broken and one.turns else "",
    )


def _parts(one: AttemptRecord) -> list[str]:
    reward = one.reward
    if reward is None:
        return []
    added = reward.options
    # The pair's, which lambda has made less.
    paid = reward.total - reward.point - reward.format - sum(added.values())
    named = (("point", reward.point), ("pair", paid), ("format", reward.format), *added.items())
    return [f"{name} {value:+.2f}" for name, value in named if abs(value) > 1e-9]
