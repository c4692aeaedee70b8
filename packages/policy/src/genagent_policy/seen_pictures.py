"""What a frozen vision tower makes of pictures, found once where several passes want it.

A pass that scores, one that compares with a reference, and each epoch run over the same pictures; a
tower that does not learn shows them the same. A picture of 1024x1024 takes 10 MB of the host's
memory as Qwen2.5-VL-7B sees it in bfloat16, its pixels 3.1.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genagent_policy.batching import plan_micro_batches
from genagent_policy.model import PORTION, Policy
from genagent_policy.tokens import TokenTrajectory


@torch.no_grad()
def with_picture_features(
    policy: Policy, trajectories: Sequence[TokenTrajectory]
) -> list[TokenTrajectory]:
    """The same trajectories, each of which knows what the policy sees in its pictures."""
    shown = [place for place, one in enumerate(trajectories) if len(one.grids)]
    patches = [len(trajectories[place].pixel_values) for place in shown]
    cells = policy.chat.merge_size**2
    found: dict[int, Tensor] = {}
    for part in plan_micro_batches(patches, max_tokens=PORTION):
        some = [trajectories[shown[index]] for index in part]
        pixels = torch.cat([one.pixel_values for one in some])
        seen = policy.picture_features(pixels, torch.cat([one.grids for one in some])).cpu()
        tokens = [patches[index] // cells for index in part]
        for index, own in zip(part, seen.split(tokens), strict=True):
            found[shown[index]] = own.clone()  # not a view of what others see
    return [replace(one, features=found.get(place)) for place, one in enumerate(trajectories)]
