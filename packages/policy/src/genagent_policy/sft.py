"""Supervised fine-tuning on rendered trajectories: the agent's tokens only."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from genagent_policy.adapter import warn_of_rate
from genagent_policy.batching import micro_batch_fill, plan_micro_batches
from genagent_policy.distributed import DistributedConfig
from genagent_policy.learning_state import read_optimizer_state, save_learning_state
from genagent_policy.lockstep import LockStep
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.sft_config import SFTConfig, cosine_rate
from genagent_policy.sft_loss import negative_log_likelihood
from genagent_policy.shared_optimizer import open_optimizer
from genagent_policy.sharing import share_out
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTReport:
    """One optimizer step."""

    loss: float
    """Mean negative log-likelihood of the agent's tokens, nats."""
    token_accuracy: float
    """How often the likeliest token was the right one."""
    grad_norm: float
    """Before clipping; one that is not finite has left the policy as it was."""
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
            **({"sft/grad_norm": self.grad_norm} if math.isfinite(self.grad_norm) else {}),
            "sft/skipped_steps": float(not math.isfinite(self.grad_norm)),
            "sft/learning_rate": self.learning_rate,
            "throughput/micro_batch_fill": self.micro_batch_fill,
            "throughput/trained_tokens_per_second": self.tokens_per_second,
        }


class SFTUpdate:
    """Owns the optimizer and the schedule; call ``step`` once for each batch."""

    def __init__(
        self,
        policy: Policy,
        config: SFTConfig,
        *,
        total_steps: int,
        ranks: Ranks = ALONE,
        distributed: DistributedConfig | None = None,
    ) -> None:
        """
        Args:
            total_steps: of the schedule.
            ranks: who learns together; each of them has the same policy.
            distributed: how they share its training state.
        """
        if total_steps < 1:
            raise ValueError(f"total_steps is {total_steps}; the schedule wants its length")
        if policy.adapter is not None and not ranks.rank:
            warn_of_rate(config.learning_rate, whole=1e-5)  # section 4.1
        self.policy = policy
        self.config = config
        self.total_steps = total_steps
        self.steps_taken = 0
        policy.freeze_vision(config.freeze_vision)
        self._ranks = ranks
        self._optimizer = open_optimizer(
            policy,
            AdamWConfig(weight_decay=config.weight_decay, max_grad_norm=config.max_grad_norm),
            ranks,
            distributed or DistributedConfig(),
        )
        self.lockstep = LockStep(policy, self._optimizer, ranks)

    def step(self, trajectories: Sequence[TokenTrajectory]) -> SFTReport:
        """Learn from one batch, of any size; of several ranks each gives its own part of it.

        Raises:
            ValueError: the batch holds no token of the agent.
        """
        costs = [len(trajectory) for trajectory in trajectories]
        shared = share_out(self._ranks, trajectories, costs)
        lengths = [len(trajectory) for trajectory in shared]
        plan = plan_micro_batches(lengths, max_tokens=self.config.micro_batch_tokens)
        parts = ([shared[index] for index in indices] for indices in self.lockstep.parts(plan))
        tokens = sum(trajectory.num_policy_tokens for trajectory in shared)
        return self.step_in_parts(parts, policy_tokens=int(self._ranks.total(tokens)))

    def step_in_parts(
        self, parts: Iterable[Sequence[TokenTrajectory]], *, policy_tokens: int
    ) -> SFTReport:
        """Learn from one batch whose micro-batches come one after the other; only the one at hand
        is held.

        Args:
            parts: this rank's, as many as the others have; one may be empty.
            policy_tokens: the agent's tokens in the whole batch, those of other ranks included.

        Raises:
            ValueError: the batch holds no token of the agent, or another number of them.
        """
        if policy_tokens == 0:
            raise ValueError("the batch holds no token of the agent; leave it out")
        started = time.perf_counter()
        self._optimizer.zero_grad()
        done = _Done()
        for part in parts:
            every = [*part, *self.lockstep.blanks(part)]
            if every:
                share, hits = self._optimizer.learn(partial(self._share, every, policy_tokens))
                done.add(part, share, hits)
        done = _Done.pool(self._ranks.gather(done))
        if done.policy_tokens != policy_tokens:
            raise ValueError(
                f"the batch holds {done.policy_tokens} tokens of the agent, not {policy_tokens}"
            )
        rate = cosine_rate(self.steps_taken, self.total_steps, self.config)
        norm = self._optimizer.step(rate)
        self.steps_taken += 1
        return SFTReport(
            loss=done.loss,
            token_accuracy=done.right / policy_tokens,
            grad_norm=norm,
            learning_rate=rate,
            policy_tokens=policy_tokens,
            micro_batch_fill=micro_batch_fill(
                done.micro_batches, max_tokens=self.config.micro_batch_tokens
            ),
            tokens_per_second=sum(done.micro_batches) / (time.perf_counter() - started),
        )

    def _share(
        self, trajectories: Sequence[TokenTrajectory], policy_tokens: int
    ) -> tuple[Tensor, int]:
        nats, hits = negative_log_likelihood(self.policy, trajectories)
        return nats / policy_tokens, hits

    def save(self, folder: Path) -> None:
        """Write all that going on needs. Raises OSError where it cannot be written."""
        state = {"optimizer": self._optimizer.state_dict(), "steps_taken": self.steps_taken}
        save_learning_state(folder, self.policy, state, self._ranks)

    def restore(self, folder: Path) -> None:
        """Put optimizer and schedule where they were when ``save`` wrote ``folder``; the policy
        comes from there already. Raises ValueError where it cannot be read."""
        state = read_optimizer_state(folder)
        self._optimizer.load_state_dict(state["optimizer"])
        self.steps_taken = state["steps_taken"]


@dataclass(kw_only=True, slots=True)
class _Done:
    """What has been learnt from of a batch."""

    loss: float = 0.0
    right: int = 0
    policy_tokens: int = 0
    micro_batches: tuple[int, ...] = ()
    """Tokens of each."""

    def add(self, part: Sequence[TokenTrajectory], share: float, hits: int) -> None:
        self.loss, self.right = self.loss + share, self.right + hits
        self.policy_tokens += sum(trajectory.num_policy_tokens for trajectory in part)
        if part:
            self.micro_batches += (sum(len(trajectory) for trajectory in part),)

    @classmethod
    def pool(cls, parts: Sequence["_Done"]) -> "_Done":
        """That of all ranks together."""
        return cls(
            loss=sum(part.loss for part in parts),
            right=sum(part.right for part in parts),
            policy_tokens=sum(part.policy_tokens for part in parts),
            micro_batches=tuple(tokens for part in parts for tokens in part.micro_batches),
        )
