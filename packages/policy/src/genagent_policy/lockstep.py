"""Passes that all ranks run together, because ZeRO talks in the middle of each of them.

A rank that has run out of trajectories goes on with a blank one, from which nothing is learnt: its
gradient is zero in every weight. Where the vision tower learns, a batch without a picture is given
a blank one with a picture, so that on each rank the same gradients come in the same order.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import torch
from PIL import Image

from genagent_policy.model import Policy
from genagent_policy.ranks import Ranks
from genagent_policy.shared_optimizer import Learning
from genagent_policy.sharing import in_step
from genagent_policy.tokens import TokenTrajectory

Result = TypeVar("Result")


class LockStep:
    """Of one update; nothing where its optimizer lets each rank go at its own pace."""

    def __init__(self, policy: Policy, optimizer: Learning, ranks: Ranks) -> None:
        self._policy = policy
        self._optimizer = optimizer
        self._ranks = ranks

    def parts(self, plan: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        """The micro-batches of this rank, and empty ones until it has as many as any other."""
        return in_step(self._ranks, plan) if self._optimizer.is_lockstep else list(plan)

    def blanks(self, trajectories: Sequence[TokenTrajectory]) -> list[TokenTrajectory]:
        """What a micro-batch of these must have besides."""
        is_missing = not self._policy.vision_is_frozen and not any(
            len(one.grids) for one in trajectories
        )
        if not self._optimizer.is_lockstep or (trajectories and not is_missing):
            return []
        temperature = trajectories[0].temperature if trajectories else 1.0
        return [replace(self._blank, temperature=temperature)]

    def look(self, work: Callable[[], Result]) -> Result:
        """Run a pass of the policy that nothing is learnt from."""
        return self._optimizer.look(work)

    @cached_property
    def _blank(self) -> TokenTrajectory:
        chat = self._policy.chat
        side = 2 * chat.merge_size * 14
        pictures = [] if self._policy.vision_is_frozen else [Image.new("RGB", (side, side))]
        blank = chat.render([""] * (len(pictures) + 1), "", pictures)
        return replace(blank, policy_mask=torch.zeros_like(blank.policy_mask))
