"""What is recorded of a trajectory, and how a run can end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from genagent_data import ToolSyntax, Trajectory
from genagent_rewards import RewardRecord

RunStatus = Literal["finished", "killed", "failed"]
"""How a run ended: by itself, stopped by the user, or by an error."""


class TrackingError(RuntimeError):
    """The store cannot be reached or written; the message names it in one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonFeedback:
    """What a person thinks of a trajectory.

    Example: ``PersonFeedback(thumb_up=False, best_picture=1, comment="the second one lost a cat")``
    """

    thumb_up: bool
    best_picture: int | None = None
    """From 1; None: not said."""
    comment: str | None = None
    who: str = "page"
    """Where it came from, or by what name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrajectoryRecord:
    """A trajectory as it is shown to a reader.

    Example: ``TrajectoryRecord(trajectory=trajectory, turns=("<think>…</tool_call>",
    "<judge>…</answer>"), record=reward, true_success=True)``
    """

    trajectory: Trajectory
    turns: tuple[str, ...] | None
    """The text the agent sampled in each turn, to the letter; None where it was not kept."""
    tool_syntax: ToolSyntax = "hermes"
    """In which it calls the tool there."""
    words: int | None = None
    """Of a prompt that the tool reads, as the agent was told; None: it was told nothing of it."""
    record: RewardRecord | None = None
    """The reward with its verdicts; None where no reward was asked for."""
    true_success: bool | None = None
    """Whether the last picture truly satisfies the request, where the truth is known."""
    judged_success: bool | None = None
    """What the judge says of it, where no reward says more."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """To find it by, beside its step, task and ending."""
