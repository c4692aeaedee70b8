"""Supervised fine-tuning on rendered trajectories: the agent's tokens only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import linear_logprob
from genagent_policy.batching import collate, plan_micro_batches
from genagent_policy.learning_state import read_optimizer_state, save_learning_state
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig, Optimizer
from genagent_policy.sft_config import SFTConfig, cosine_rate
from genagent_policy.tokens import TokenTrajectory

ACCURACY_ROWS = 4096
"""Tokens whose logits are held at once while their accuracy is counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTReport:
    """One optimizer step."""

    loss: float
    """Mean negative log-likelihood of the agent's tokens, nats."""
    token_accuracy: float
    """How often the likeliest token was the right one."""
    grad_norm: float
    """Before clipping."""
    learning_rate: float
    policy_tokens: int


class SFTUpdate:
    """Owns the optimizer and the schedule; call ``step`` once for each batch."""

    def __init__(self, policy: Policy, config: SFTConfig, *, total_steps: int) -> None:
        if total_steps < 1:
            raise ValueError(f"total_steps is {total_steps}; the schedule wants its length")
        self.policy = policy
        self.config = config
        self.total_steps = total_steps
        self.steps_taken = 0
        policy.freeze_vision(config.freeze_vision)
        self._optimizer = Optimizer(
            policy.trainable_parameters(),
            AdamWConfig(weight_decay=config.weight_decay, max_grad_norm=config.max_grad_norm),
        )

    def step(self, trajectories: Sequence[TokenTrajectory]) -> SFTReport:
        """Learn from one batch, of any size.

        Raises:
            ValueError: the batch holds no token of the agent.
        """
        tokens = sum(trajectory.num_policy_tokens for trajectory in trajectories)
        if tokens == 0:
            raise ValueError(f"{len(trajectories)} trajectories hold no token of the agent")
        self._optimizer.zero_grad()
        loss, right = 0.0, 0
        lengths = [len(trajectory) for trajectory in trajectories]
        for indices in plan_micro_batches(lengths, max_tokens=self.config.micro_batch_tokens):
            share, hits = self._micro_batch([trajectories[index] for index in indices], tokens)
            loss, right = loss + share, right + hits
        rate = cosine_rate(self.steps_taken, self.total_steps, self.config)
        norm = self._optimizer.step(rate)
        self.steps_taken += 1
        return SFTReport(
            loss=loss,
            token_accuracy=right / tokens,
            grad_norm=norm,
            learning_rate=rate,
            policy_tokens=tokens,
        )

    def save(self, folder: Path) -> None:
        """Write all that going on needs. Raises OSError where it cannot be written."""
        state = {"optimizer": self._optimizer.state_dict(), "steps_taken": self.steps_taken}
        save_learning_state(folder, self.policy, state)

    def restore(self, folder: Path) -> None:
        """Put optimizer and schedule where they were when ``save`` wrote ``folder``; the policy
        comes from there already. Raises ValueError where it cannot be read."""
        state = read_optimizer_state(folder)
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps_taken = state["steps_taken"]

    def _micro_batch(
        self, trajectories: Sequence[TokenTrajectory], tokens: int
    ) -> tuple[float, int]:
        policy = self.policy
        batch = collate(
            trajectories,
            range(len(trajectories)),
            image_token_id=policy.chat.image_token_id,
            merge_size=policy.chat.merge_size,
            pad_id=policy.chat.pad_id,
        ).to(policy.device)
        states, targets = policy.policy_states(batch)
        loss = -linear_logprob(states, policy.head_weight, targets).logprob.sum() / tokens
        self._optimizer.backward(loss)
        return float(loss.detach()), _hits(states.detach(), policy.head_weight.detach(), targets)


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
