"""How the policy is cold-started, as options, and its rate. Nothing here loads torch."""

import math
from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTConfig:
    """How the policy is cold-started; the defaults are the paper's."""

    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--lr", "--sft.lr"])] = 1e-5
    """At the end of the warm-up; falls along a cosine to final_fraction of it."""
    batch_size: int = 256
    """Records behind one optimizer step."""
    epochs: float = 3.0
    """How often the records are gone through; a part of a time too."""
    warmup_fraction: float = 0.03
    """Part of all steps over which the rate rises from zero."""
    final_fraction: float = 0.0
    """What the rate falls to at the end, as a part of the learning rate."""
    micro_batch_tokens: int = 8192
    """Tokens run through the model at once; results do not depend on it, memory and speed do."""
    grouped_batches: int = 1
    """Batches whose records are sorted by length among one another. 1 leaves each batch a random
    sample; more make batches of short records and batches of long ones, as the miniature's weights
    were taught. Nothing is padded either way."""
    max_record_tokens: int | None = None
    """A longer record is left out; None: the model's context."""
    render_threads: int = 1
    """Threads that decode pictures and render records ahead of the update; each has one micro-batch
    at hand, and memory grows with nothing else."""
    weight_decay: float = 0.0
    """AdamW's."""
    max_grad_norm: float = 1.0
    """A longer gradient is cut to that norm."""
    freeze_vision: bool = False
    """Whether the vision tower stays as it is; with lora_rank, lora_part says that."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; wants more than 0")
        for name in ("batch_size", "micro_batch_tokens", "grouped_batches", "render_threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        for name in ("warmup_fraction", "final_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 0 to 1")
        if self.max_record_tokens is not None and self.max_record_tokens < 1:
            raise ValueError(
                f"max_record_tokens is {self.max_record_tokens}; wants 1 or more, or None"
            )
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; wants 0 or more")

    def total_steps(self, trajectories: int) -> int:
        """Optimizer steps that ``epochs`` over so many trajectories take.

        Raises:
            ValueError: a batch is more than all of them.
        """
        if trajectories < self.batch_size:
            raise ValueError(
                f"sft.batch_size is {self.batch_size}, and there are {trajectories} records to "
                "learn from; give a smaller batch or more records"
            )
        return math.ceil(self.epochs * trajectories / self.batch_size)


def cosine_rate(step: int, total_steps: int, config: SFTConfig) -> float:
    """Learning rate of the step numbered from 0: linear warm-up, then a cosine."""
    warmup = math.ceil(config.warmup_fraction * total_steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = min((step - warmup) / max(total_steps - warmup, 1), 1.0)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_fraction + (1 - config.final_fraction) * cosine)
