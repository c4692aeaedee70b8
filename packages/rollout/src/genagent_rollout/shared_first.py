"""Groups whose attempts share their first turn and picture, from which no first prompt is learnt.

In a share of a step's groups all G' attempts sample their first turn with the same random numbers
and ask for the same picture. They part when they look at it, so their rewards differ by what each
made of that one picture alone, and the shared turn leaves ``policy_mask``: nothing that only
looking earns can be credited to a first prompt. InterleaveThinker (arXiv 2606.13679) pays for
improving on a stored picture, which the policy cannot make worse; here it is the policy's own, as
it has it drawn now.

Up to float noise first turns of one seed are equal. An attempt whose first turn or picture is
nevertheless unlike all others of its group stands for itself and is learnt from whole, and so is
one that drew nothing: where all end in their shared turn their rewards are equal, and nothing is
learnt from them anyway.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch

from genagent_data import derive_seed
from genagent_policy import TokenTrajectory
from genagent_rollout.act import Rollout


def first_seeds(groups: int, share: float, *, seed: int, step: int) -> list[int | None]:
    """For each of a step's groups the seed of the first turn that its attempts share; None where
    each has its own. ``share * groups`` of them, rounded, are chosen at random."""
    rng = random.Random(derive_seed(seed, "shared first", step))
    chosen = set(rng.sample(range(groups), round(share * groups)))
    return [
        derive_seed(seed, "first turn", step, index) if index in chosen else None
        for index in range(groups)
    ]


def is_shared(attempts: Sequence[Rollout]) -> list[bool]:
    """For each attempt whether another one of its group has its very first turn and picture."""
    beginnings = [_beginning(rollout) for rollout in attempts]
    counts = Counter(beginnings)
    return [beginning is not None and counts[beginning] > 1 for beginning in beginnings]


def learnt_from(group: Sequence[Rollout]) -> tuple[TokenTrajectory, ...]:
    """The tokens of a group's attempts, without a first turn that several of them share."""
    return tuple(
        without_first_turn(rollout.tokens) if shared else rollout.tokens
        for rollout, shared in zip(group, is_shared(group), strict=True)
    )


def shared_first_metrics(attempts: Sequence[Rollout]) -> dict[str, float]:
    """``rollout/shared_first``: the share of attempts whose first turn another one has too; nothing
    where none was to share."""
    if all(rollout.first_seed is None for rollout in attempts):
        return {}
    return {"rollout/shared_first": sum(is_shared(attempts)) / len(attempts)}


def without_first_turn(trajectory: TokenTrajectory) -> TokenTrajectory:
    """The same trajectory, in which the policy did not choose its first turn."""
    later = torch.zeros_like(trajectory.policy_mask)
    later[trajectory.policy_mask] = trajectory.turns > trajectory.given_turns
    return replace(
        trajectory,
        policy_mask=later,
        logprobs=torch.where(later, trajectory.logprobs, torch.zeros(())),
        given_turns=trajectory.given_turns + 1,
    )


def _beginning(rollout: Rollout) -> tuple[int, str, str] | None:
    """What sharing is known by; None of an attempt that shares nothing."""
    pictures = rollout.trajectory.pictures
    if rollout.first_seed is None or not pictures:
        return None
    return rollout.first_seed, rollout.turns[0], pictures[0].name
