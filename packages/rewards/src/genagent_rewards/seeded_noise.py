"""Sampling whose randomness belongs to each row, where ``generate`` only knows one for all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class SeededNoise:
    """Turns greedy choice into sampling: argmax of logits / T + Gumbel noise is a sample.

    Each row has its own generator, so that its noise does not depend on the others.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        import torch

        self.temperature = temperature
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: "torch.Tensor", scores: "torch.Tensor") -> "torch.Tensor":
        """Scores [B, V] with noise; ``input_ids`` [B, T] do not matter."""
        import torch

        waits = torch.stack(
            [
                torch.empty(scores.shape[1]).exponential_(generator=generator)
                for generator in self.generators
            ]
        )
        return scores / self.temperature - waits.clamp_min(1e-20).log().to(scores)
