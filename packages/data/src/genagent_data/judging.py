"""A trajectory as judges are asked about it: request, hints and pictures, none of its words."""

from genagent_data.trajectory import Trajectory
from genagent_rewards import RewardCase


def reward_case(trajectory: Trajectory, *, attempt: int = 0) -> RewardCase:
    """What is to be judged of a trajectory.

    Args:
        attempt: tells attempts at one request apart, for instance the rollout's seed.
    """
    request = trajectory.request
    return RewardCase(
        id=f"{request.id}/{attempt}",
        request=request.prompt,
        hints=request.hints,
        pictures=trajectory.pictures,
        format_error=trajectory.ending == "format_error",
    )
