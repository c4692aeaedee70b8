"""Attempts of a tiny policy as its updates see them, for the tests of the loss and its options."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from genagent_policy import GRPOGroup, Policy, TokenTrajectory


def logits_of(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    """Logits [T, V] of the model's own forward on one unpadded sequence."""
    has_pictures = len(trajectory.grids) > 0
    return policy.model(
        input_ids=trajectory.ids[None],
        mm_token_type_ids=(trajectory.ids == policy.chat.image_token_id)[None].int(),
        pixel_values=policy.chat.expand_pictures(trajectory.pixel_values) if has_pictures else None,
        image_grid_thw=trajectory.grids if has_pictures else None,
    ).logits[0]


def sampled_attempt(
    policy: Policy, seed: int, *, drift: float = 0.0, temperature: float = 1.0
) -> TokenTrajectory:
    """A trajectory of up to two pictures with the log-probs of the policy, or ones that drifted."""
    rng = np.random.default_rng(seed)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        for _ in range(rng.integers(0, 3))
    ]
    turns = ["".join(rng.choice(list("abc {}"), size=rng.integers(1, 9))) for _ in pictures]
    trajectory = policy.chat.render([*turns, "end"], "red", pictures)
    with torch.no_grad():
        scores = torch.log_softmax(logits_of(policy, trajectory)[:-1] / temperature, dim=-1)
    logprobs = torch.zeros(len(trajectory))
    logprobs[1:] = scores.gather(1, trajectory.ids[1:, None])[:, 0]
    noise = torch.from_numpy(rng.normal(0, 1, len(trajectory))).float()
    drifted = (logprobs + drift * noise) * trajectory.policy_mask
    return replace(trajectory, logprobs=drifted, temperature=temperature)


def sampled_groups(
    policy: Policy, *, drift: float = 0.0, temperatures: Sequence[float] = (1.0,)
) -> list[GRPOGroup]:
    """Two groups of different size; the last trajectory of the second stands at the mean."""
    every = [
        sampled_attempt(
            policy, seed, drift=drift, temperature=temperatures[seed % len(temperatures)]
        )
        for seed in range(7)
    ]
    first, second = tuple(every[:4]), tuple(every[4:])
    return [
        GRPOGroup(trajectories=first, rewards=(0.7, 0.0, -0.2, 1.0)),
        GRPOGroup(trajectories=second, rewards=(0.0, 1.0, 0.5)),
    ]


def gradient_of(policy: Policy) -> torch.Tensor:
    return torch.cat(
        [
            parameter.grad.flatten()
            for parameter in policy.model.parameters()
            if parameter.grad is not None
        ]
    )
