"""Trajectories one behind the other in one row of tokens, without a pad between them.

Every layer but attention looks at one token at a time and needs not know where a trajectory ends;
attention is told by its length (``genagent_policy.attention``), and positions begin again at 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from genagent_policy.positions import mrope_positions, picture_mask
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Trajectories as one row of tokens.

    Example: trajectories of 90 and 120 tokens with one picture each give ``ids`` of ``[210]``,
    ``lengths`` (90, 120) and ``grids`` of ``[2, 3]``.
    """

    lengths: tuple[int, ...]
    """Tokens of each trajectory, in order."""
    ids: Int64[Tensor, " tokens"]
    positions: Int64[Tensor, "3 tokens"]
    policy_mask: Bool[Tensor, " tokens"]
    """Never at the first token of a trajectory, so that none is predicted from another one's."""
    picture_mask: Bool[Tensor, " tokens"]
    logprobs: Float[Tensor, " tokens"]
    pixel_values: UInt8[Tensor, "patches dim"]
    """Levels of all pictures, trajectory by trajectory."""
    grids: Int64[Tensor, "pictures 3"]
    features: Float[Tensor, "pictured levels hidden"] | None = None
    """What the vision tower makes of the pictures; None: it is to be asked."""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return replace(
            self,
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            policy_mask=self.policy_mask.to(device),
            picture_mask=self.picture_mask.to(device),
            logprobs=self.logprobs.to(device),
            pixel_values=self.pixel_values.to(device),
            grids=self.grids.to(device),
            features=None if self.features is None else self.features.to(device),
        )

    def owners(self) -> Int64[Tensor, " chosen"]:
        """Which trajectory each token that the policy chose belongs to, from 0."""
        lengths = torch.tensor(self.lengths, device=self.ids.device)
        every = torch.arange(len(lengths), device=lengths.device)
        return every.repeat_interleave(lengths, output_size=len(self.ids))[self.policy_mask]


def collate(
    trajectories: Sequence[TokenTrajectory], *, image_token_id: int, merge_size: int
) -> Batch:
    """The trajectories as one batch, in their order."""
    pictures, positions = [], []
    features = [trajectory.features for trajectory in trajectories if len(trajectory.grids)]
    seen = [each for each in features if each is not None]
    for trajectory in trajectories:
        is_picture = picture_mask(
            trajectory.ids, trajectory.policy_mask, image_token_id=image_token_id
        )
        placed, _ = mrope_positions(is_picture, trajectory.grids, merge_size=merge_size)
        pictures.append(is_picture)
        positions.append(placed)
    return Batch(
        lengths=tuple(len(trajectory) for trajectory in trajectories),
        ids=torch.cat([trajectory.ids for trajectory in trajectories]),
        positions=torch.cat(positions, dim=1),
        policy_mask=torch.cat([trajectory.policy_mask for trajectory in trajectories]),
        picture_mask=torch.cat(pictures),
        logprobs=torch.cat([trajectory.logprobs for trajectory in trajectories]),
        pixel_values=torch.cat([trajectory.pixel_values for trajectory in trajectories]),
        grids=torch.cat([trajectory.grids for trajectory in trajectories]),
        features=torch.cat(seen) if seen and len(seen) == len(features) else None,
    )


def micro_batch_fill(tokens: Sequence[int], *, max_tokens: int) -> float:
    """How much of their budget micro-batches of so many tokens fill: 1 where each holds all that it
    may, or one trajectory that is longer; 0 where there is none."""
    room = sum(max(count, max_tokens) for count in tokens)
    return sum(tokens) / room if room else 0.0


def plan_micro_batches(
    lengths: Sequence[int], *, max_tokens: int, temperatures: Sequence[float] | None = None
) -> list[list[int]]:
    """Cut trajectories so that those of a micro-batch have ``max_tokens`` at most together.

    Longest first, each into the first micro-batch that has room for it: at most 11/9 of the fewest
    that would do (Johnson 1973). A trajectory longer than ``max_tokens`` gets one of its own, and
    trajectories of different temperatures are never put together.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; a micro-batch wants at least one token")
    alike: dict[float, list[int]] = {}
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        alike.setdefault(temperatures[index] if temperatures else 1.0, []).append(index)
    plan: list[list[int]] = []
    for indices in alike.values():
        parts: list[list[int]] = []
        room: list[int] = []
        for index in indices:
            length = lengths[index]
            place = next((place for place, left in enumerate(room) if length <= left), len(parts))
            if place == len(parts):
                parts.append([])
                room.append(max_tokens)
            parts[place].append(index)
            room[place] -= length
        plan.extend(parts)
    return plan
