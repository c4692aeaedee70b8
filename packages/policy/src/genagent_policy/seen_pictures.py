"""What a frozen vision tower makes of pictures, found once where several passes want it.

A pass that scores, one that compares with a reference, and each epoch run over the same pictures; a
tower that does not learn shows them the same. A picture of 1024x1024 takes 10 MB of the host's
memory as Qwen2.5-VL-7B sees it in bfloat16, its pixels 3.1.
"""

from dataclasses import replace

import torch

from genagent_policy.model import Policy
from genagent_policy.weighting import GRPOGroup


@torch.no_grad()
def with_picture_features(policy: Policy, group: GRPOGroup) -> GRPOGroup:
    """The same group, in which each trajectory knows what the policy sees in its pictures."""
    trajectories = group.trajectories
    grids = torch.cat([trajectory.grids for trajectory in trajectories])
    if len(grids) == 0:
        return group
    pixels = torch.cat([trajectory.pixel_values for trajectory in trajectories])
    cells = policy.chat.merge_size**2
    tokens = [int(trajectory.grids.prod(dim=-1).sum()) // cells for trajectory in trajectories]
    features = policy.picture_features(pixels, grids).cpu().split(tokens)
    seen = zip(trajectories, features, strict=True)
    return replace(
        group, trajectories=tuple(replace(trajectory, features=own) for trajectory, own in seen)
    )
