"""What a policy makes of trajectories that are there already: a forward pass, and no gradient."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from genagent_policy.batching import collate, plan_micro_batches
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
        max_tokens: padded tokens run through the model at once.
        lockstep: of the ranks that run the policy together, each with its own trajectories.
    """
    found: dict[int, Tensor] = {}
    plan = plan_micro_batches(
        [len(trajectory) for trajectory in trajectories],
        max_tokens=max_tokens,
        temperatures=[trajectory.temperature for trajectory in trajectories],
    )
    for indices in plan if lockstep is None else lockstep.parts(plan):
        rows = [trajectories[index] for index in indices]
        rows += [] if lockstep is None else lockstep.blanks(rows)
        batch = collate(
            rows,
            range(len(rows)),
            image_token_id=policy.chat.image_token_id,
            merge_size=policy.chat.merge_size,
            pad_id=policy.chat.pad_id,
        ).to(policy.device)
        run = partial(policy.logprobs, batch, rows[0].temperature)
        logprobs = (run() if lockstep is None else lockstep.look(run)).cpu()
        for row, index in enumerate(indices):
            found[index] = logprobs[row, : len(trajectories[index])].clone()
    return [found[index] for index in range(len(trajectories))]
