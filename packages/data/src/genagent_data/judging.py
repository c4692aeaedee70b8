"""A trajectory as it is rewarded: request, hints and pictures, none of its words."""

from genagent_data.trajectory import Trajectory
from genagent_rewards import Picture, RewardCase


def reward_case(
    trajectory: Trajectory, *, attempt: int = 0, anchor: Picture | None = None
) -> RewardCase:
    """What is to be judged of a trajectory.

    Args:
        attempt: tells attempts at one request apart, for instance the rollout's seed.
        anchor: the tool's picture of the request's own words, where there is one.
    """
    request = trajectory.request
    return RewardCase(
        id=f"{request.id}/{attempt}",
        request=request.prompt,
        hints=request.hints,
        pictures=trajectory.pictures,
        format_error=trajectory.ending == "format_error",
        anchor=anchor,
        taken_for_right=trajectory.taken_for_right,
    )
