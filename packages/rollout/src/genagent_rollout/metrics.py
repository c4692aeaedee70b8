"""What a step's attempts were like, as metrics."""

from collections import Counter
from collections.abc import Sequence

from genagent_data import Trajectory
from genagent_rewards import RewardRecord
from genagent_rollout.agents import RolloutBatch
from genagent_rollout.shared_first import shared_first_metrics
from genagent_worlds import World, step_figures


def rollout_metrics(
    world: World, batch: RolloutBatch, kept: Sequence[RewardRecord]
) -> dict[str, float]:
    """Success, rounds, endings, format errors, seconds and tokens of a step's attempts.

    Args:
        kept: rewards of those that are learnt from.
    """
    trajectories = [rollout.trajectory for rollout in batch.rollouts]
    sampled = sum(rollout.tokens.num_policy_tokens for rollout in batch.rollouts)
    spent = batch.timings
    return {
        **step_figures(world, trajectories, kept),
        **ending_metrics(trajectories),
        **shared_first_metrics(batch.rollouts),
        "seconds/policy": spent.policy,
        "seconds/tool": spent.tool,
        "seconds/reward": spent.reward,
        **({} if spent.anchors is None else {"seconds/anchors": spent.anchors}),
        "throughput/sampled_tokens_per_second": sampled / spent.total,
    }


def ending_metrics(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Shares of the endings, and how many format errors of each name there were.

    Example: ``{"rollout/answer": 0.9, …, "format_error/no_action": 3.0}``
    """
    endings = {
        f"rollout/{ending}": sum(t.ending == ending for t in trajectories) / len(trajectories)
        for ending in ("answer", "out_of_rounds")
    }
    errors = Counter(t.error or "" for t in trajectories if t.ending == "format_error")
    return endings | {f"format_error/{name}": float(n) for name, n in sorted(errors.items())}
