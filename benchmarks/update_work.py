"""What every contender of ``update.py`` learns from: the same trajectories of a random policy of
half a billion, as tensors. Made once, read by processes of several environments."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rollout_work import WORDS, build_half_billion

from genagent_policy import Policy, TokenTrajectory
from genagent_policy.scoring import score

SYSTEM = "Think about what the picture needs, draw it, look at it and judge. "
PICTURES = (1, 3)
"""Of a trajectory, from and to; behind the last one comes a turn that judges it."""
SIDES = (112, 168, 224)
"""Pixels of a picture's sides: 4 to 8 tokens each."""
TURN_WORDS = (15, 45)
"""Of a turn, so that a third of all tokens are the policy's."""


@dataclass(frozen=True, kw_only=True)
class UpdateWork:
    """Trajectories and what each is worth; two requests, half of them each."""

    folder: Path
    """Of the policy that is trained."""
    trajectories: list[TokenTrajectory]
    rewards: list[float]

    @property
    def tokens(self) -> int:
        return sum(len(trajectory) for trajectory in self.trajectories)

    @property
    def policy_tokens(self) -> int:
        return sum(trajectory.num_policy_tokens for trajectory in self.trajectories)


NAMES = ("ids", "policy_mask", "logprobs", "pixel_values", "grids")


def make_work(folder: Path, trajectories: int) -> UpdateWork:
    """Build the policy where it is not there yet, and trajectories of it."""
    if not (folder / "config.json").exists():
        build_half_billion(folder)
    policy = Policy.load(folder, dtype=torch.float32, system=SYSTEM * 4)
    rng, noise = random.Random(0), np.random.default_rng(0)

    def words() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(*TURN_WORDS)))

    def picture() -> Image.Image:
        width, height = rng.choice(SIDES), rng.choice(SIDES)
        return Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))

    made = []
    for _ in range(trajectories):
        pictures = [picture() for _ in range(rng.randint(*PICTURES))]
        turns = [f"<think>{words()}</think>" for _ in range(len(pictures) + 1)]
        made.append(policy.chat.render(turns, words(), pictures))
    scored = score(policy, made, max_tokens=2048)
    pairs = zip(made, scored, strict=True)
    made = [replace(trajectory, logprobs=logprobs) for trajectory, logprobs in pairs]
    # None of them stands at its group's mean, where nothing would be learnt from it.
    half = trajectories // 2
    rewards = [float(place % half < half // 3) for place in range(trajectories)]
    return UpdateWork(folder=folder, trajectories=made, rewards=rewards)


def write_work(work: UpdateWork, path: Path) -> None:
    """As ``read_work`` reads it."""
    rows = [{name: getattr(each, name) for name in NAMES} for each in work.trajectories]
    torch.save({"rows": rows, "rewards": work.rewards, "folder": str(work.folder)}, path)


def read_work(path: Path) -> UpdateWork:
    """What ``write_work`` wrote."""
    kept = torch.load(path, weights_only=True)
    return UpdateWork(
        folder=Path(kept["folder"]),
        trajectories=[TokenTrajectory(**row) for row in kept["rows"]],
        rewards=kept["rewards"],
    )
