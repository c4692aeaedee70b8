"""What an attempt earns in a world: the hybrid reward, or one of the user's own."""

from collections.abc import Sequence

from genagent_rewards import HybridReward, Reward, RewardConfig
from genagent_worlds.own_code import call, is_code, missing, own_problems
from genagent_worlds.world import Judges

OPTION = "--reward.own"


def open_reward(judges: Judges, config: RewardConfig) -> Reward:
    """The reward that these judges' verdicts make.

    Raises:
        ValueError: the user's own cannot be had.
    """
    if not config.own:
        return HybridReward(judges.point, judges.pair, config)
    reward = call(config.own, (judges.point, judges.pair, config))
    for line in missing(f"{OPTION} {config.own}", reward, "score"):
        raise ValueError(line)
    return reward  # pyright: ignore[reportReturnType] (a protocol; its member is there)


def reward_problems(config: RewardConfig) -> Sequence[str]:
    """What keeps it from opening, a line each; the user's own is imported and not called."""
    if not config.own:
        return []
    if not is_code(config.own):
        return [f"{OPTION} is {config.own!r}; wants module:callable"]
    return list(own_problems(OPTION, config.own, "score", given=(None, None, config)))
