"""A trajectory as the policy sees it: tokens, which of them it chose, and how likely they were."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenTrajectory:
    """One conversation as tokens, exactly as they were sampled or rendered; on the CPU.

    Example: a prompt of 60 tokens, a turn of 40, an observation of 26 and a last turn of 30 give
    ``T = 156``, ``policy_mask.sum() == 70`` and one grid ``[1, 6, 6]`` with 36 patches.
    """

    ids: Int64[Tensor, " tokens"]
    policy_mask: Bool[Tensor, " tokens"]
    """True where the policy chose the token (its end-of-turn token included)."""
    logprobs: Float[Tensor, " tokens"]
    """Log-probability under the sampling distribution, float32; 0 where the policy chose nothing
    and in rendered trajectories."""
    pixel_values: UInt8[Tensor, "patches dim"]
    """Levels of all pictures, in order, in the patches of ``PatchFormat``."""
    grids: Int64[Tensor, "pictures 3"]
    """Patches in time, height and width of each picture."""
    features: Float[Tensor, "pictured levels hidden"] | None = None
    """What a vision tower that does not learn makes of the pictures; None: a pass asks it."""
    trainer_logprobs: Float[Tensor, " tokens"] | None = None
    """The same under the trainer's own policy before it learns; None: nobody has asked."""
    reference_logprobs: Float[Tensor, " tokens"] | None = None
    """The same under a frozen reference; None: there is none."""
    given_turns: int = 0
    """Turns at its beginning that left ``policy_mask``, because nothing is learnt from them."""
    truncated: bool = False
    """Whether a limit of length cut it off."""
    temperature: float = 1.0
    """What it was sampled at: 0 where each token is the likeliest, 1 where it was rendered."""

    def __post_init__(self) -> None:
        tokens = self.ids.shape[0]
        for name in ("policy_mask", "logprobs"):
            if getattr(self, name).shape != (tokens,):
                shape = tuple(getattr(self, name).shape)
                raise ValueError(f"{name} has shape {shape}; wants ({tokens},) like ids")
        if tokens == 0 or bool(self.policy_mask[0]):
            raise ValueError(
                "a trajectory starts with a prompt token, which the policy never chose"
            )
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; wants 0 or more")
        if self.pixel_values.dtype != torch.uint8:
            raise ValueError(
                f"pixel_values are {self.pixel_values.dtype}; wants the uint8 levels that "
                "ChatFormat.encode_pictures gives, or no_pictures"
            )
        patches = int(self.grids.prod(dim=-1).sum())
        if self.pixel_values.shape[0] != patches:
            raise ValueError(f"grids hold {patches} patches, pixels {self.pixel_values.shape[0]}")

    def __len__(self) -> int:
        return self.ids.shape[0]

    @property
    def num_policy_tokens(self) -> int:
        return int(self.policy_mask.sum())

    @property
    def turns(self) -> Int64[Tensor, " chosen"]:
        """Which turn each token that the policy chose belongs to, from 0; the environment's tokens
        stand between two turns."""
        begins = self.policy_mask.clone()
        begins[1:] &= ~self.policy_mask[:-1]
        return (begins.cumsum(dim=0) - 1)[self.policy_mask] + self.given_turns


def no_pictures(patch_dim: int) -> tuple[UInt8[Tensor, "0 dim"], Int64[Tensor, "0 3"]]:
    """Pixels and grids of a trajectory without a picture."""
    return torch.zeros(0, patch_dim, dtype=torch.uint8), torch.zeros(0, 3, dtype=torch.int64)
