"""Random cases of the loss, for the tests of both backends."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""Where Triton's kernels run: on a GPU, or interpreted."""
DUAL_CLIP = 1.5
"""Near enough to 1 that ratios that spread by .3 pass it."""
PER_ROW = ("hidden", "target", "old_logprob", "advantage", "mask", "token_weight")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of one loss. Masked rows hold NaN and targets that do not exist."""

    hidden: Tensor
    weight: Tensor
    target: Tensor
    old_logprob: Tensor
    advantage: Tensor
    mask: Tensor
    token_weight: Tensor
    temperature: float
    dual_clip: float | None = None

    def to(self, dtype: torch.dtype) -> "Case":
        return replace(self, hidden=self.hidden.to(dtype), weight=self.weight.to(dtype))

    def on(self, device: str) -> "Case":
        names = (*PER_ROW, "weight")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def without_holes(self) -> "Case":
        """Masked rows hold numbers and targets as others do."""
        return replace(self, hidden=self.hidden.nan_to_num(0.5), target=self.target.clamp(min=0))

    def rows(self, rows: Tensor | slice) -> "Case":
        return replace(self, **{name: getattr(self, name)[rows] for name in PER_ROW})

    def run(
        self, loss_function: Callable[..., kernels.GRPOLoss] = kernels.grpo_loss
    ) -> tuple[kernels.GRPOLoss, Tensor, Tensor]:
        """The result and the gradients for hidden and weight."""
        hidden = self.hidden.clone().requires_grad_()
        weight = self.weight.clone().requires_grad_()
        result = loss_function(
            hidden,
            weight,
            self.target,
            old_logprob=self.old_logprob,
            advantage=self.advantage,
            mask=self.mask,
            token_weight=self.token_weight,
            clip_low=0.2,
            clip_high=0.28,
            dual_clip=self.dual_clip,
            temperature=self.temperature,
        )
        result.loss.backward()
        assert hidden.grad is not None and weight.grad is not None
        return result, hidden.grad, weight.grad


def make_case(seed: int, *, rows: int, vocabulary: int = 37, width: int = 12) -> Case:
    """A random case; about a third masked, a quarter without advantage, some clipped."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    # Values that half precision holds exactly, so that every dtype computes the same thing.
    hidden, weight = normal(rows, width).bfloat16().double(), normal(vocabulary, width)
    weight = (weight / 2).bfloat16().double()
    target = torch.randint(vocabulary, (rows,), generator=generator)
    mask = torch.rand(rows, generator=generator) < 0.67
    temperature = 1.0 if seed % 2 else 0.8
    now = reference.linear_logprob(hidden, weight, target, temperature=temperature).logprob
    log_ratio = 0.3 * normal(rows)
    # No ratio at a kink of the clip, where rounding would decide which side the gradient is on.
    for kink in (0.8, 1.28, DUAL_CLIP):
        bound = torch.tensor(kink, dtype=torch.float64).log()
        log_ratio[(log_ratio - bound).abs() < 0.05] = 0.0
    advantage = normal(rows)
    advantage[torch.rand(rows, generator=generator) < 0.25] = 0.0
    hidden[~mask] = float("nan")
    target[~mask] = -100
    return Case(
        hidden=hidden,
        weight=weight,
        target=target,
        old_logprob=now - log_ratio,
        advantage=advantage,
        mask=mask,
        token_weight=torch.rand(rows, generator=generator, dtype=torch.float64) / rows,
        temperature=temperature,
    )


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), atol=tolerance, rtol=tolerance)
