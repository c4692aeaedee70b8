"""Pieces of conversations for the engine's tests."""

import numpy as np
import torch
from PIL import Image

from genagent_policy import Policy, TokenTrajectory, collate
from genagent_rollout import RolloutEngine

SAMPLED = -1
PROMPTS = ["red", "three blue circles", "red", "a very much longer request for a picture"]


def picture(seed: int) -> Image.Image:
    """Two sizes, so that observations differ in length too."""
    height, width = (48, 48) if seed % 2 else (32, 64)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def turns_of(policy: Policy, lengths: list[int]) -> list[list[int]]:
    """Sampled turns that end after so many tokens."""
    return [[SAMPLED] * length + [policy.chat.turn_end_id] for length in lengths]


def recomputed(
    policy: Policy, trajectories: list[TokenTrajectory], temperature: float
) -> torch.Tensor:
    batch = collate(
        trajectories,
        range(len(trajectories)),
        image_token_id=policy.chat.image_token_id,
        merge_size=policy.chat.merge_size,
        pad_id=policy.chat.pad_id,
    )
    with torch.no_grad():
        return policy.logprobs(batch, temperature)


def conversation(engine: RolloutEngine) -> list[TokenTrajectory]:
    """Two turns of three rows, with a picture between them."""
    talk = engine.start(["red", "three blue circles", "red"], [0, 1, 2])
    talk.sample()
    talk.observe({row: picture(1) for row in range(3)})
    talk.sample()
    return [talk.tokens(row) for row in range(3)]
