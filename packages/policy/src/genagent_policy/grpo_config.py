"""How the policy learns from rewards, as options, and its rate. Nothing here loads torch."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro

Normalization = Literal["sequence", "token", "constant"]
RewardScale = Literal["group", "none"]
ImportanceLevel = Literal["token", "sequence"]
KLEstimator = Literal["k1", "k2", "k3"]

CHOICES = {
    "normalization": Normalization,
    "scale_rewards": RewardScale,
    "importance_sampling_level": ImportanceLevel,
    "kl_estimator": KLEstimator,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOConfig:
    """How the policy learns from a batch of rollouts."""

    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--lr", "--grpo.lr"])] = 2e-4
    """AdamW's, after the warm-up."""
    warmup_batches: int = 0
    """Batches over which the rate rises to the learning rate."""
    final_fraction: float = 1.0
    """What the rate falls to after the last batch, as a part of the learning rate."""
    clip_low: float = 0.2
    """The ratio counts down to 1 - clip_low."""
    clip_high: float = 0.2
    """The ratio counts up to 1 + clip_high."""
    dual_clip: float | None = None
    """Where the advantage is negative, the ratio counts up to this, 3 for example (Ye et al. 2020).
    None: nothing bounds it."""
    importance_sampling_level: ImportanceLevel = "token"
    """Whose ratio is clipped: each token's, or the geometric mean over the trajectory (GSPO, whose
    clips are a thousandth of GRPO's: 3e-4 and 4e-4)."""
    truncate_at: float | None = None
    """Correct for an engine whose log-probs differ from the trainer's: each token counts by
    the ratio of the two, at most this, 2 for example, at the price of one more forward pass. None:
    the engine's are taken for the trainer's own."""
    normalization: Normalization = "sequence"
    """Mean over each trajectory's tokens, then over the group, then over groups (the paper); over
    all policy tokens of the step (DAPO); or a trajectory's sum over constant_length (Dr. GRPO)."""
    constant_length: int | None = None
    """What constant normalization divides a trajectory's sum by: the tokens it may have."""
    scale_rewards: RewardScale = "group"
    """What advantages are divided by: the group's spread, or nothing (Dr. GRPO)."""
    mask_truncated: bool = False
    """Whether trajectories that a limit of length cut off leave the loss (DAPO's overlong
    filtering); their rewards stay in their groups."""
    kl_beta: float = 0.0
    """Weight of the divergence from the policy that the run began with; 0: there is none. More
    keeps its weights in memory a second time, unless lora_rank learns beside them."""
    kl_estimator: KLEstimator = "k3"
    """How that divergence is estimated (Schulman 2020)."""
    updates_per_batch: int = 1
    """Optimizer steps per epoch: the batch is cut into this many parts of whole groups."""
    epochs: int = 1
    """How often the batch is gone through."""
    micro_batch_tokens: int = 1024
    """Tokens run through the model at once; results do not depend on it, memory and speed
    do: 1,024 stay in a CPU's caches (the miniature learns a third faster than with 8,192), a GPU
    wants as many as its memory holds."""
    max_grad_norm: float = 1.0
    """A longer gradient is cut to that norm."""
    weight_decay: float = 0.0
    """AdamW's."""
    freeze_vision: bool = True
    """Whether the vision tower stays as it is; with lora_rank, lora_part says that."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; wants more than 0")
        if self.warmup_batches < 0 or not 0 <= self.final_fraction <= 1:
            raise ValueError(
                f"warmup_batches {self.warmup_batches} and final_fraction {self.final_fraction}; "
                "want 0 or more, and 0 to 1"
            )
        if not 0 <= self.clip_low <= 1 or self.clip_high < 0:
            raise ValueError(
                f"clips are {self.clip_low} and {self.clip_high}; wants clip_low from 0 to 1 and "
                "clip_high of 0 or more"
            )
        if self.dual_clip is not None and not 1 < self.dual_clip < float("inf"):
            raise ValueError(f"dual_clip is {self.dual_clip}; wants more than 1, or None")
        # Below 1 a token that both find equally likely would count less.
        if self.truncate_at is not None and not 1 <= self.truncate_at < float("inf"):
            raise ValueError(f"truncate_at is {self.truncate_at}; wants 1 or more, or None")
        for name in ("updates_per_batch", "epochs", "micro_batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        for name, known in CHOICES.items():
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name} {getattr(self, name)!r}; known: {', '.join(get_args(known))}"
                )
        if (self.normalization == "constant") != (self.constant_length is not None):
            raise ValueError(
                f"normalization is {self.normalization!r} and constant_length "
                f"{self.constant_length}; constant wants the tokens that a trajectory may have, "
                "the others want None"
            )
        if self.constant_length is not None and self.constant_length < 1:
            raise ValueError(f"constant_length is {self.constant_length}; wants 1 or more")
        for name in ("weight_decay", "kl_beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; wants 0 or more")


def linear_rate(batch: int, batches: int, config: GRPOConfig) -> float:
    """Learning rate of the batch numbered from 0: a warm-up, then a straight line."""
    if batch < config.warmup_batches:
        return config.learning_rate * (batch + 1) / (config.warmup_batches + 1)
    left = (batches - batch) / max(batches - config.warmup_batches, 1)
    return config.learning_rate * (config.final_fraction + (1 - config.final_fraction) * left)
