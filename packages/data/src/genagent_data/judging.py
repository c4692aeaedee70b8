"""A trajectory as judges are asked about it: request, hints and pictures, none of its words."""

from genagent_data.pictures import PictureStore
from genagent_data.trajectory import Trajectory
from genagent_rewards import RewardCase


def reward_case(trajectory: Trajectory, store: PictureStore, *, attempt: int = 0) -> RewardCase:
    """What is to be judged of a trajectory.

    Args:
        attempt: tells attempts at one request apart, for instance the rollout's seed.

    Raises:
        OSError: a picture is not in the store.
    """
    request = trajectory.request
    return RewardCase(
        id=f"{request.id}/{attempt}",
        request=request.prompt,
        hints=request.hints,
        pictures=tuple(store.get(name) for name in trajectory.images),
        picture_names=trajectory.images,
        format_error=trajectory.ending == "format_error",
    )
