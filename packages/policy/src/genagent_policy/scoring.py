"""What a policy makes of trajectories that are there already: a forward pass, and no gradient."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.batching import plan_micro_batches
from genagent_policy.model import Policy
from genagent_policy.tokens import TokenTrajectory


@torch.no_grad()
def score(
    policy: Policy, trajectories: Sequence[TokenTrajectory], *, max_tokens: int
) -> list[Float[Tensor, " tokens"]]:
    """Log-probs of each trajectory's tokens at the temperature it was sampled at, on the CPU; 0
    where the policy chose nothing.

    Args:
        max_tokens: tokens run through the model at once.
    """
    found: dict[int, Tensor] = {}
    for indices in plan_micro_batches(
        [len(trajectory) for trajectory in trajectories],
        max_tokens=max_tokens,
        temperatures=[trajectory.temperature for trajectory in trajectories],
    ):
        batch = policy.collate([trajectories[index] for index in indices])
        logprobs = policy.logprobs(batch, trajectories[indices[0]].temperature).cpu()
        # Copies, so that a short trajectory does not keep what stood beside it.
        parts = (part.clone() for part in logprobs.split(batch.lengths))
        found.update(zip(indices, parts, strict=True))
    return [found[index] for index in range(len(trajectories))]
