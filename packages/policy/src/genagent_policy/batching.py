"""Trajectories of like length side by side, padded on the right.

With the pads on the right and causal attention no token of a trajectory can see a pad, so the
model needs no attention mask at all and runs its fastest attention kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from genagent_policy.positions import mrope_positions, picture_mask
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Trajectories as one rectangle of tokens.

    Example: trajectories of 90 and 120 tokens with one picture each give ``ids`` of ``[2, 120]``
    and ``grids`` of ``[2, 3]``.
    """

    ids: Int64[Tensor, "rows tokens"]
    positions: Int64[Tensor, "3 rows tokens"]
    policy_mask: Bool[Tensor, "rows tokens"]
    picture_mask: Bool[Tensor, "rows tokens"]
    logprobs: Float[Tensor, "rows tokens"]
    pixel_values: UInt8[Tensor, "patches dim"]
    """Levels of all pictures, row by row."""
    grids: Int64[Tensor, "pictures 3"]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            policy_mask=self.policy_mask.to(device),
            picture_mask=self.picture_mask.to(device),
            logprobs=self.logprobs.to(device),
            pixel_values=self.pixel_values.to(device),
            grids=self.grids.to(device),
        )


def collate(
    trajectories: Sequence[TokenTrajectory],
    indices: Sequence[int],
    *,
    image_token_id: int,
    merge_size: int,
    pad_id: int,
) -> Batch:
    """The trajectories at ``indices`` as one batch, in that order."""
    chosen = [trajectories[index] for index in indices]
    rows, tokens = len(chosen), max(len(trajectory) for trajectory in chosen)
    ids = torch.full((rows, tokens), pad_id)
    positions = torch.zeros(3, rows, tokens, dtype=torch.int64)
    policy, pictures = torch.zeros(2, rows, tokens, dtype=torch.bool)
    logprobs = torch.zeros(rows, tokens)
    for row, trajectory in enumerate(chosen):
        length = len(trajectory)
        ids[row, :length] = trajectory.ids
        policy[row, :length] = trajectory.policy_mask
        logprobs[row, :length] = trajectory.logprobs
        is_picture = picture_mask(
            trajectory.ids, trajectory.policy_mask, image_token_id=image_token_id
        )
        pictures[row, :length] = is_picture
        positions[:, row, :length], _ = mrope_positions(
            is_picture, trajectory.grids, merge_size=merge_size
        )
    return Batch(
        ids=ids,
        positions=positions,
        policy_mask=policy,
        picture_mask=pictures,
        logprobs=logprobs,
        pixel_values=torch.cat([trajectory.pixel_values for trajectory in chosen]),
        grids=torch.cat([trajectory.grids for trajectory in chosen]),
    )


def plan_micro_batches(
    lengths: Sequence[int], *, max_tokens: int, temperatures: Sequence[float] | None = None
) -> list[list[int]]:
    """Cut trajectories, longest first, so that rows x longest stays within ``max_tokens``.

    A trajectory longer than ``max_tokens`` gets a micro-batch of its own, and trajectories of
    different temperatures are never put together.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; a micro-batch wants at least one token")
    alike: dict[float, list[int]] = {}
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        alike.setdefault(temperatures[index] if temperatures else 1.0, []).append(index)
    plan: list[list[int]] = []
    for indices in alike.values():
        longest = 0
        for index in indices:
            if longest and (len(plan[-1]) + 1) * longest <= max_tokens:
                plan[-1].append(index)
            else:
                plan.append([index])
                longest = lengths[index]
    return plan
