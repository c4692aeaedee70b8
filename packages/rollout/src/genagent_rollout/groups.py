"""Groups of attempts at one request: sampled, kept so that round counts are even, weighed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from genagent_data import PictureStore, Request, derive_seed, reward_case
from genagent_policy import GRPOGroup
from genagent_rewards import RewardCase, RewardRecord
from genagent_rollout.agents import Rollout, RolloutBatch, run_agents
from genagent_rollout.engine import RolloutEngine
from genagent_rollout.resample import resample_by_rounds
from genagent_tools import ImageTool


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupConfig:
    """How many attempts a step is of."""

    requests_per_step: int = 16
    samples: int = 12
    """G': attempts at each request."""
    keep: int = 8
    """G: attempts that are kept, rounds as even as possible."""
    max_rounds: int = 3
    """Pictures the agent may draw in training."""

    def __post_init__(self) -> None:
        for name in ("requests_per_step", "samples", "keep", "max_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if self.samples < self.keep:
            raise ValueError(f"cannot keep {self.keep} of {self.samples} samples; raise samples")


def sample_groups(
    engine: RolloutEngine,
    tool: ImageTool,
    requests: Sequence[Request],
    config: GroupConfig,
    *,
    seed: int,
    step: int,
    pictures: PictureStore,
) -> RolloutBatch:
    """G' attempts at each request, request by request."""
    repeated = [request for request in requests for _ in range(config.samples)]
    seeds = [derive_seed(seed, "rollout", step, i) for i in range(len(repeated))]
    return run_agents(
        engine, tool, repeated, seeds=seeds, max_rounds=config.max_rounds, store=pictures
    )


def keep_even(
    rollouts: Sequence[Rollout], config: GroupConfig, *, seed: int, step: int
) -> list[Rollout]:
    """G of each request's G' attempts, request by request."""
    rng = random.Random(derive_seed(seed, "resample", step))
    kept: list[Rollout] = []
    for start in range(0, len(rollouts), config.samples):
        group = rollouts[start : start + config.samples]
        rounds = [len(rollout.trajectory.rounds) for rollout in group]
        kept += [group[index] for index in resample_by_rounds(rounds, config.keep, rng)]
    return kept


def cases_of(rollouts: Sequence[Rollout]) -> list[RewardCase]:
    """What judges are asked about each attempt."""
    return [reward_case(rollout.trajectory, attempt=rollout.seed) for rollout in rollouts]


def groups_of(
    kept: Sequence[Rollout], records: Sequence[RewardRecord], config: GroupConfig
) -> list[GRPOGroup]:
    """What is learnt from. Attempts whose reward is absent, or that a failed tool ended, leave
    their group."""
    groups = []
    for start in range(0, len(kept), config.keep):
        part = slice(start, start + config.keep)
        pairs = [
            (rollout.tokens, record.breakdown.total)
            for rollout, record in zip(kept[part], records[part], strict=True)
            if record.breakdown is not None and rollout.trajectory.ending != "tool_failure"
        ]
        if pairs:
            trajectories, rewards = zip(*pairs, strict=True)
            groups.append(GRPOGroup(trajectories=trajectories, rewards=rewards))
    return groups
