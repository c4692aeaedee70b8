"""A policy of the miniature with worse eyes, to learn what depends on them.

    uv run benchmarks/dim_eyes.py --noise 0.2 --output dim
    uv run experiments/rl_flux.py --policy dim

Noise in the weights of its vision tower; what it says and asks for stays as it was. Of 50 first
pictures of a trained agent ``sft`` takes 22 of 26 wrong ones for wrong and 24 of 24 right ones for
right with noise of 0.1, 22 and 20 with 1.0, and all of them for wrong with 2.0. How well it sees in
a training is ``eval/judgement_agreement`` of the evaluation before the first step.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from genagent_miniworld import Miniature
from genagent_policy import Policy
from genagent_tracking import parse, print_line, quiet_libraries


@dataclass(frozen=True, kw_only=True)
class DimEyes:
    """Whose eyes, and how much worse."""

    noise: float
    """Standard deviation of what is added to each matrix, in parts of its own."""
    output: Path
    """Folder of the policy that is made."""
    policy: str = "sft"
    """base, sft, or a folder."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"noise is {self.noise}; wants 0 or more")
        if self.output.exists():
            raise ValueError(f"output is {self.output}, which exists; wants a new folder")


@torch.no_grad()
def main(config: DimEyes) -> None:
    """Load, add noise, save."""
    quiet_libraries()
    policy = Policy.load(Miniature().policies.get(config.policy, Path(config.policy)))
    generator = torch.Generator().manual_seed(config.seed)
    for weight in policy.model.model.visual.parameters():
        if weight.ndim > 1:
            spread = torch.randn(weight.shape, generator=generator) * weight.std()
            weight.add_(config.noise * spread)
    policy.save(config.output)
    print_line(str(config.output))


if __name__ == "__main__":
    main(parse(DimEyes, sys.argv[1:], prog="dim_eyes.py"))
