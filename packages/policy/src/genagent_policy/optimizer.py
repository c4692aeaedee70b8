"""The optimizer behind one small class, so that another engine can take its place."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class AdamWConfig:
    """AdamW as the paper leaves it at its defaults."""

    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global norm."""

    def __post_init__(self) -> None:
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; wants 0 or more")
        if self.max_grad_norm <= 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm}; wants more than 0")


class Optimizer:
    """Collects gradients over micro-batches and takes clipped AdamW steps, in one process."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter], config: AdamWConfig) -> None:
        if not parameters:
            raise ValueError("no parameter is trainable; unfreeze one")
        self.parameters = list(parameters)
        self.config = config
        self._adamw = torch.optim.AdamW(
            self.parameters,
            lr=0.0,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def zero_grad(self) -> None:
        self._adamw.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of one micro-batch's share of the loss."""
        loss.backward()

    def step(self, learning_rate: float) -> float:
        """Take a step; returns the gradient's norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self.zero_grad()
        return float(norm)

    def state_dict(self) -> dict[str, object]:
        return self._adamw.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> None:
        self._adamw.load_state_dict(state)
