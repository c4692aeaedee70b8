"""Group-relative policy optimization over whole trajectories (Eq. 4 and 5).

Each trajectory's advantage is its reward against its group's. The loss is the clipped ratio per
token the policy chose, against the log-probs it was sampled with, at the temperature it was sampled
at; pictures and tool text are masked; there is no KL term unless one is asked for. Each token
carries its share of the mean as a weight, so that value and gradient do not depend on how a step is
cut into micro-batches.

Of several ranks each learns from its part of the trajectories; what they learn together, and what
they report, are those of one rank with all of them.

Trajectories whose advantage is exactly zero add nothing to loss or gradient: they are not run
through the model (unless a KL term holds them too), and the token statistics are over the others.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genagent_kernels import GRPOLoss, grpo_loss, linear_logprob, logprob_ratio
from genagent_policy.adapter import warn_of_rate
from genagent_policy.batching import plan_micro_batches
from genagent_policy.beforehand import with_what_is_known
from genagent_policy.distributed import DistributedConfig
from genagent_policy.grpo_config import GRPOConfig
from genagent_policy.grpo_report import Gradient, GRPOReport
from genagent_policy.learning_state import read_optimizer_state, save_learning_state
from genagent_policy.lockstep import LockStep
from genagent_policy.mismatch import EngineMismatch, importance_weights
from genagent_policy.model import Policy
from genagent_policy.optimizer import AdamWConfig
from genagent_policy.ranks import ALONE, Ranks
from genagent_policy.reference_kl import kl_estimate
from genagent_policy.sequence_ratio import sequence_old_logprobs
from genagent_policy.shared_optimizer import open_optimizer
from genagent_policy.sharing import share_out
from genagent_policy.token_statistics import TokenStatistics
from genagent_policy.weighting import GRPOGroup, Weighted, refuse_greedy, weigh


class GRPOUpdate:
    """Owns the optimizer; call ``update`` once for each batch of rollouts."""

    def __init__(
        self,
        policy: Policy,
        config: GRPOConfig,
        *,
        reference: Policy | None = None,
        ranks: Ranks = ALONE,
        distributed: DistributedConfig | None = None,
    ) -> None:
        """
        Args:
            reference: a policy of its own that stays as it is, which ``kl_beta`` wants; None: the
                policy without its adapter.
            ranks: who learns together; each of them has the same policy.
            distributed: how they share its training state.

        Raises:
            ValueError: it is wanted and not there.
        """
        if config.kl_beta and reference is None and policy.adapter is None:
            raise ValueError(f"kl_beta is {config.kl_beta}; wants a reference, or 0")
        if policy.adapter is not None and not ranks.rank:
            warn_of_rate(config.learning_rate, whole=1e-6)  # section 4.1
        self.policy = policy
        self.config = config
        self.reference = reference
        policy.freeze_vision(config.freeze_vision)
        self._ranks = ranks
        self._optimizer = open_optimizer(
            policy,
            AdamWConfig(weight_decay=config.weight_decay, max_grad_norm=config.max_grad_norm),
            ranks,
            distributed or DistributedConfig(),
        )
        self._lockstep = LockStep(policy, self._optimizer, ranks)

    def update(self, groups: Sequence[GRPOGroup], learning_rate: float | None = None) -> GRPOReport:
        """Learn from a batch of groups.

        Args:
            groups: of any sizes; a group may have lost trajectories whose reward is absent. Of
                several ranks all give all groups, in the same order, and one has each group here.
            learning_rate: overrides the configured one, for schedules.

        Raises:
            ValueError: a trajectory was sampled greedily; nothing is learnt.
        """
        refuse_greedy(_held(groups))
        started = time.perf_counter()
        rate = self.config.learning_rate if learning_rate is None else learning_rate
        steps: list[Gradient] = []
        norms: list[float] = []
        parts = self._known([self._share(part) for part in self._parts(groups)])
        for part in parts * self.config.epochs:
            gradient = self._learn(part)
            if gradient.trajectories:
                norms.append(self._optimizer.step(rate))
                steps.append(gradient)
        return GRPOReport.of(
            steps,
            norms,
            learning_rate=rate,
            micro_batch_tokens=self.config.micro_batch_tokens,
            seconds=time.perf_counter() - started,
            masked_trajectories=self._masked(groups),
        )

    def accumulate(self, groups: Sequence[GRPOGroup]) -> Gradient:
        """Loss over ``groups`` as one optimizer step sees it; its gradient waits in the optimizer,
        which also clears what waited there before.

        Raises:
            ValueError: a trajectory was sampled greedily.
        """
        refuse_greedy(_held(groups))
        return self._learn(self._share(groups))

    def _share(self, groups: Sequence[GRPOGroup]) -> list[Weighted]:
        """What this rank learns from of them, whoever holds it by now."""
        every = weigh(_held(groups), self.config, self._ranks)
        counting = [item for item in every if item.teaches or self.config.kl_beta]
        return share_out(self._ranks, counting, [len(item.trajectory) for item in counting])

    def _known(self, parts: Sequence[Sequence[Weighted]]) -> list[list[Weighted]]:
        """The same, with all that is to be known of the trajectories before anything is learnt."""
        known = iter(
            with_what_is_known(
                self.policy,
                [item.trajectory for part in parts for item in part],
                self.config,
                reference=self.reference,
                lockstep=self._lockstep,
            )
        )
        return [[replace(item, trajectory=next(known)) for item in part] for part in parts]

    def _learn(self, weighted: Sequence[Weighted]) -> Gradient:
        self._optimizer.zero_grad()
        trajectories = [item.trajectory for item in weighted]
        loss, statistics, mismatches = 0.0, [], []
        sizes: list[int] = []
        lengths = [len(trajectory) for trajectory in trajectories]
        plan = plan_micro_batches(
            lengths,
            max_tokens=self.config.micro_batch_tokens,
            temperatures=[trajectory.temperature for trajectory in trajectories],
        )
        for indices in self._lockstep.parts(plan):
            items = [weighted[index] for index in indices]
            blanks = self._lockstep.blanks([item.trajectory for item in items])
            items += [Weighted(trajectory=one, advantage=0.0, token_weight=0.0) for one in blanks]
            share, (part, mismatch) = self._optimizer.learn(partial(self._micro_batch, items))
            loss += share
            statistics.append(part)
            mismatches.append(mismatch)
            if indices:
                sizes.append(sum(lengths[index] for index in indices))
        own = Gradient(
            loss=loss,
            statistics=TokenStatistics.pool(statistics),
            mismatch=EngineMismatch.pool(mismatches),
            trajectories=len(trajectories),
            micro_batches=tuple(sizes),
        )
        return Gradient.pool(self._ranks.gather(own))

    def save(self, folder: Path) -> None:
        """Write all that going on needs. Raises OSError where it cannot be written."""
        state = {"optimizer": self._optimizer.state_dict()}
        save_learning_state(folder, self.policy, state, self._ranks)

    def restore(self, folder: Path) -> None:
        """Put the optimizer where it was when ``save`` wrote ``folder``; the policy comes from
        there already. Raises ValueError where it cannot be read."""
        self._optimizer.load_state_dict(read_optimizer_state(folder)["optimizer"])

    def _masked(self, groups: Sequence[GRPOGroup]) -> int | None:
        if not self.config.mask_truncated:
            return None
        own = [one.truncated for group in _held(groups) for one in group.trajectories]
        return int(self._ranks.total(sum(own)))

    def _parts(self, groups: Sequence[GRPOGroup]) -> Iterator[list[GRPOGroup]]:
        parts = min(self.config.updates_per_batch, len(groups))
        for indices in np.array_split(np.arange(len(groups)), parts) if groups else ():
            yield [groups[index] for index in indices]

    def _micro_batch(
        self, items: Sequence[Weighted]
    ) -> tuple[Tensor, tuple[TokenStatistics, EngineMismatch]]:
        """Loss and statistics of trajectories of one temperature."""
        policy, config = self.policy, self.config
        batch = policy.collate([item.trajectory for item in items])
        owner = batch.owners()
        advantage = torch.cat([item.token_advantages() for item in items]).to(policy.device)
        weight = torch.tensor([item.token_weight for item in items], device=policy.device)[owner]
        share = weight
        old = sampled = batch.logprobs[batch.policy_mask]
        if config.truncate_at is not None:
            old = _trainer_logprobs(items).to(policy.device)
            weight = weight * importance_weights(old, sampled, truncate_at=config.truncate_at)
        states, targets = policy.policy_states(batch)
        temperature = items[0].trajectory.temperature
        now = None
        if config.kl_beta or config.importance_sampling_level == "sequence":
            with torch.set_grad_enabled(config.kl_beta > 0):
                now = linear_logprob(
                    states, policy.head_weight, targets, temperature=temperature
                ).logprob
        compared = old
        if now is not None and config.importance_sampling_level == "sequence":
            compared = sequence_old_logprobs(now, old, owner)
        result = grpo_loss(
            states,
            policy.head_weight,
            targets,
            old_logprob=compared,
            advantage=advantage,
            mask=torch.ones_like(targets, dtype=torch.bool),
            token_weight=weight,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            dual_clip=config.dual_clip,
            temperature=temperature,
        )
        loss, kl = result.loss, None
        if now is not None and config.kl_beta:
            kl = kl_estimate(now, _reference_logprobs(items).to(policy.device), config.kl_estimator)
            loss = loss + config.kl_beta * (share * kl).sum()
        turns = torch.cat([item.trajectory.turns for item in items]).to(policy.device)
        limit = config.truncate_at
        mismatch = EngineMismatch.of(result.logprob, sampled, turns, truncate_at=limit)
        statistics = self._statistics(result, old=old, compared=compared, advantage=advantage)
        if kl is not None:
            statistics = replace(statistics, reference_kl=float(kl.detach().mean()))
        return loss, (statistics, mismatch)

    def _statistics(
        self, result: GRPOLoss, *, old: Tensor, compared: Tensor, advantage: Tensor
    ) -> TokenStatistics:
        """Ratio and clips are those of the loss, the divergences are of tokens."""
        statistics = TokenStatistics.of(result.stats)
        everywhere = torch.ones_like(old, dtype=torch.bool)
        if compared is not old:
            tokens = logprob_ratio(result.logprob, old, everywhere)
            statistics = replace(statistics, kl_k1=float(tokens.kl_k1), kl_k3=float(tokens.kl_k3))
        if self.config.dual_clip is not None:
            ratio = logprob_ratio(result.logprob, compared, everywhere).ratio
            is_bounded = (ratio > self.config.dual_clip) & (advantage < 0)
            statistics = replace(statistics, dual_clip_fraction=float(is_bounded.float().mean()))
        return statistics


def _held(groups: Sequence[GRPOGroup]) -> list[GRPOGroup]:
    return [group for group in groups if group.is_here]


def _trainer_logprobs(items: Sequence[Weighted]) -> Tensor:
    """Of the tokens that the policy chose, in order; the engine's where nobody has asked."""
    parts = []
    for trajectory in (item.trajectory for item in items):
        own = trajectory.trainer_logprobs
        parts.append((trajectory.logprobs if own is None else own)[trajectory.policy_mask])
    return torch.cat(parts)


def _reference_logprobs(items: Sequence[Weighted]) -> Tensor:
    """Of the tokens that the policy chose, in order."""
    parts = []
    for trajectory in (item.trajectory for item in items):
        own = trajectory.reference_logprobs
        if own is None and trajectory.num_policy_tokens:  # a blank has none and wants none
            raise ValueError("a trajectory has no reference_logprobs; kl_beta wants them")
        parts.append((trajectory.logprobs if own is None else own)[trajectory.policy_mask])
    return torch.cat(parts)
