"""Supervised fine-tuning on rendered trajectories: the agent's tokens only."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from genagent_policy.batching import micro_batch_fill, plan_micro_batches
from genagent_policy.learning_state import read_optimizer_state, save_learning_state
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig, Optimizer
from genagent_policy.sft_config import SFTConfig, cosine_rate
from genagent_policy.sft_loss import score
from genagent_policy.tokens import TokenTrajectory


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
    micro_batch_fill: float
    """Share of the micro-batches' token budget that was used."""
    tokens_per_second: float
    """Tokens run forward and backward, prompts and pictures included."""

    def metrics(self) -> dict[str, float]:
        """Its figures by metric name."""
        return {
            "sft/loss": self.loss,
            "sft/token_accuracy": self.token_accuracy,
            "sft/grad_norm": self.grad_norm,
            "sft/learning_rate": self.learning_rate,
            "throughput/micro_batch_fill": self.micro_batch_fill,
            "throughput/trained_tokens_per_second": self.tokens_per_second,
        }


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
            AdamWConfig(
                weight_decay=config.weight_decay,
                max_grad_norm=config.max_grad_norm,
                offload=config.offload_optimizer,
            ),
        )

    def step(self, trajectories: Sequence[TokenTrajectory]) -> SFTReport:
        """Learn from one batch, of any size.

        Raises:
            ValueError: the batch holds no token of the agent.
        """
        lengths = [len(trajectory) for trajectory in trajectories]
        plan = plan_micro_batches(lengths, max_tokens=self.config.micro_batch_tokens)
        parts = ([trajectories[index] for index in indices] for indices in plan)
        tokens = sum(trajectory.num_policy_tokens for trajectory in trajectories)
        return self.step_in_parts(parts, policy_tokens=tokens)

    def step_in_parts(
        self, parts: Iterable[Sequence[TokenTrajectory]], *, policy_tokens: int
    ) -> SFTReport:
        """Learn from one batch whose micro-batches come one after the other; only the one at hand
        is held.

        Args:
            policy_tokens: the agent's tokens in the whole batch.

        Raises:
            ValueError: the batch holds no token of the agent, or another number of them.
        """
        if policy_tokens == 0:
            raise ValueError("the batch holds no token of the agent; leave it out")
        started = time.perf_counter()
        self._optimizer.zero_grad()
        loss, right, seen = 0.0, 0, 0
        sizes: list[int] = []
        for part in parts:
            nats, hits = score(self.policy, part)
            share = nats / policy_tokens
            self._optimizer.backward(share)
            loss, right = loss + float(share.detach()), right + hits
            seen += sum(trajectory.num_policy_tokens for trajectory in part)
            sizes.append(sum(len(trajectory) for trajectory in part))
        if seen != policy_tokens:
            raise ValueError(f"the batch holds {seen} tokens of the agent, not {policy_tokens}")
        rate = cosine_rate(self.steps_taken, self.total_steps, self.config)
        norm = self._optimizer.step(rate)
        self.steps_taken += 1
        return SFTReport(
            loss=loss,
            token_accuracy=right / policy_tokens,
            grad_norm=norm,
            learning_rate=rate,
            policy_tokens=policy_tokens,
            micro_batch_fill=micro_batch_fill(sizes, max_tokens=self.config.micro_batch_tokens),
            tokens_per_second=sum(sizes) / (time.perf_counter() - started),
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
