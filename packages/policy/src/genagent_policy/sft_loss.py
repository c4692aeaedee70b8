"""How well the policy predicts the agent's tokens of rendered conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import linear_logprob
from genagent_policy.batching import plan_micro_batches
from genagent_policy.lockstep import LockStep
from genagent_policy.model import Policy
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.sft_records import RecordSet
from genagent_policy.sharing import deal
from genagent_policy.tokens import TokenTrajectory

ACCURACY_ROWS = 4096
"""Tokens whose logits are held at once while their accuracy is counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutLoss:
    """On records that were not learnt from."""

    loss: float
    """Mean negative log-likelihood of the agent's tokens, nats."""
    token_accuracy: float
    """How often the likeliest token was the right one."""
    policy_tokens: int

    def metrics(self) -> dict[str, float]:
        """Its figures by metric name."""
        return {"held_out/loss": self.loss, "held_out/token_accuracy": self.token_accuracy}


@torch.no_grad()
def evaluate_loss(
    policy: Policy,
    records: RecordSet,
    *,
    micro_batch_tokens: int,
    ranks: Ranks = ALONE,
    lockstep: LockStep | None = None,
) -> HeldOutLoss:
    """Mean over all of the agent's tokens in the records.

    Args:
        micro_batch_tokens: tokens run through the model at once.
        ranks: who measures together, each a part of the records.
        lockstep: of an update whose ranks run the policy together.

    Raises:
        ValueError: there are no records.
    """
    tokens = sum(size.policy_tokens for size in records.sizes)
    if tokens == 0:
        raise ValueError(f"{len(records.sizes)} held-out records hold no token of the agent")
    share = deal([size.tokens for size in records.sizes], ranks.size)[ranks.rank]
    lengths = [records.sizes[place].tokens for place in share]
    plan = plan_micro_batches(lengths, max_tokens=micro_batch_tokens)
    cut = plan if lockstep is None else lockstep.parts(plan)
    loss, right = 0.0, 0
    with records.rendering([[share[index] for index in part] for part in cut]) as parts:
        for part in parts:
            part += [] if lockstep is None else lockstep.blanks(part)
            run = partial(negative_log_likelihood, policy, part)
            nats, hits = run() if lockstep is None else lockstep.look(run)
            loss, right = loss + float(nats) / tokens, right + hits
    loss, right = ranks.total(loss), int(ranks.total(right))
    return HeldOutLoss(loss=loss, token_accuracy=right / tokens, policy_tokens=tokens)


def negative_log_likelihood(
    policy: Policy, trajectories: Sequence[TokenTrajectory]
) -> tuple[Float[Tensor, ""], int]:
    """Nats of the agent's tokens, summed, and of how many the likeliest token was the right one."""
    states, targets = policy.policy_states(policy.collate(trajectories))
    nats = -linear_logprob(states, policy.head_weight, targets).logprob.sum()
    return nats, _hits(states.detach(), policy.head_weight.detach(), targets)


def _hits(
    states: Float[Tensor, "tokens hidden"],
    weight: Float[Tensor, "vocabulary hidden"],
    targets: Int64[Tensor, " tokens"],
) -> int:
    return sum(
        int(((some @ weight.T).argmax(dim=-1) == target).sum())
        for some, target in zip(
            torch.split(states, ACCURACY_ROWS), torch.split(targets, ACCURACY_ROWS), strict=True
        )
    )
