"""What a policy makes of trajectories that are there already: a forward pass, and no gradient."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.batching import plan_micro_batches
from genagent_policy.lockstep import LockStep
from genagent_policy.model import Policy
from genagent_policy.tokens import TokenTrajectory


@torch.no_grad()
def score(
    policy: Policy,
    trajectories: Sequence[TokenTrajectory],
    *,
    max_tokens: int,
    lockstep: LockStep | None = None,
) -> list[Float[Tensor, " tokens"]]:
    """Log-probs of each trajectory's tokens at the temperature it was sampled at, on the CPU; 0
    where the policy chose nothing.

    Args:
        max_tokens: tokens run through the model at once.
        lockstep: of the ranks that run the policy together, each with its own trajectories.
    """
    found: dict[int, Tensor] = {}
    plan = plan_micro_batches(
        [len(trajectory) for trajectory in trajectories],
        max_tokens=max_tokens,
        temperatures=[trajectory.temperature for trajectory in trajectories],
    )
    for indices in plan if lockstep is None else lockstep.parts(plan):
        every = [trajectories[index] for index in indices]
        every += [] if lockstep is None else lockstep.blanks(every)
        batch = policy.collate(every)
        run = partial(policy.logprobs, batch, every[0].temperature)
        logprobs = (run() if lockstep is None else lockstep.look(run)).cpu()
        # Copies, so that a short trajectory does not keep what stood beside it; blanks come last.
        parts = [part.clone() for part in logprobs.split(batch.lengths)[: len(indices)]]
        found.update(zip(indices, parts, strict=True))
    return [found[index] for index in range(len(trajectories))]
