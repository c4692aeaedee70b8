"""The optimizer of one process; ``shared_optimizer`` has those of many, which take its place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

Rest = TypeVar("Rest")


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
    """Collects gradients over micro-batches and takes clipped AdamW steps, in one process.

    A parameter narrower than float32 has a float32 master, which gradients are added to and AdamW
    works on; after each step the parameter is the master's rounding, whatever was written to it
    meanwhile. Without it a step of 1e-6 is lost on every bfloat16 weight above 2**-11, where
    neighbours are 3.8e-6 apart: 20 of them change 0.7 % of the weights, and 92.5 % in float32.

    Bytes a parameter: 2 + 4 master + 8 Adam + 4 gradient in bfloat16, 4 + 8 + 4 in float32.
    Offloaded, every parameter has a master, in the host's memory like all but the parameter itself:
    2 bytes are left where the policy is, and those of the largest gradient on its way.
    """

    is_lockstep = False

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        config: AdamWConfig,
        *,
        offload: bool = False,
    ) -> None:
        """
        Args:
            offload: whether float32 weights, moments and gradients are kept and stepped in the
                host's memory.
        """
        if not parameters:
            raise ValueError("no parameter is trainable; unfreeze one")
        self.parameters = list(parameters)
        self.config = config
        self._masters = {
            parameter: _master(parameter, offload=offload)
            for parameter in self.parameters
            if offload or _is_narrow(parameter)
        }
        self._stepped = [self._masters.get(parameter, parameter) for parameter in self.parameters]
        self._adamw = torch.optim.AdamW(
            self._stepped,
            lr=0.0,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def zero_grad(self) -> None:
        for weights in (*self.parameters, *self._stepped):
            weights.grad = None

    def learn(self, loss: Callable[[], tuple[Tensor, Rest]]) -> tuple[float, Rest]:
        """Run a pass, add the gradient of its share of the loss, and return that share's value with
        whatever else the pass has found."""
        share, rest = loss()
        self.backward(share)
        return float(share.detach()), rest

    def look(self, work: Callable[[], Rest]) -> Rest:
        """Run a pass of the policy that nothing is learnt from."""
        return work()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of one micro-batch's share of the loss: to the masters' ``.grad`` where
        there are masters, whose parameters are left without, and to the parameters' elsewhere."""
        # A parameter's own gradient goes as soon as its master has it, so that no two of them are
        # ever held; and no hook outlives the call, or it would rob another optimizer's.
        hooks = [
            parameter.register_post_accumulate_grad_hook(partial(_hand_over, master))
            for parameter, master in self._masters.items()
            if parameter.requires_grad
        ]
        try:
            loss.backward()
        finally:
            for hook in hooks:
                hook.remove()

    def step(self, learning_rate: float) -> float:
        """Take a step; returns the gradient's norm before clipping. One that is not finite leaves
        everything as it was, as under DeepSpeed: clipped by it every weight would be lost."""
        self._gradients()
        norm = float(torch.nn.utils.clip_grad_norm_(self._stepped, self.config.max_grad_norm))
        if math.isfinite(norm):
            for group in self._adamw.param_groups:
                group["lr"] = learning_rate
            self._adamw.step()
            self._round()
        self.zero_grad()
        return norm

    def _gradients(self) -> list[Tensor]:
        """Of every weight. Where no pass has reached one, in the vision tower by a batch without a
        picture, it is zero and momentum goes on, as it does under ZeRO."""
        gradients = []
        for weights in self._stepped:
            if weights.grad is None:
                weights.grad = torch.zeros_like(weights)
            gradients.append(weights.grad)
        return gradients

    def state_dict(self) -> dict[str, Any]:
        """AdamW's state and the masters of narrow parameters, in the parameters' order, wherever
        they are kept; not copied."""
        return {**self._adamw.state_dict(), "masters": self._saved()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``; parameters that have masters become their rounding.

        Raises:
            ValueError: the masters belong to other parameters or another dtype.
        """
        saved: list[Tensor] = state.get("masters", [])
        masters = self._saved()
        if [values.shape for values in saved] != [master.shape for master in masters]:
            raise ValueError(
                f"the state holds {len(saved)} float32 masters, and {len(masters)} parameters want "
                "one of their shape; load the policy in the dtype it was saved in"
            )
        # Those of another stage carry the settings of whatever optimizer wrote them.
        own = [
            {name: value for name, value in group.items() if name != "params"}
            for group in self._adamw.param_groups
        ]
        self._adamw.load_state_dict(state)
        for group, settings in zip(self._adamw.param_groups, own, strict=True):
            group.update(settings)
        with torch.no_grad():
            for parameter, master in self._masters.items():
                if not _is_narrow(parameter):
                    master.copy_(parameter)
        for master, values in zip(masters, saved, strict=True):
            master.copy_(values)
        self._round()

    def _saved(self) -> list[Tensor]:
        """Masters that say more than their parameters do."""
        return [master for parameter, master in self._masters.items() if _is_narrow(parameter)]

    @torch.no_grad()
    def _round(self) -> None:
        for parameter, master in self._masters.items():
            parameter.copy_(master)


def _is_narrow(parameter: Tensor) -> bool:
    return torch.finfo(parameter.dtype).bits < 32


def _master(parameter: Tensor, *, offload: bool) -> Tensor:
    """A float32 copy, beside the parameter or in the host's memory, where a GPU reaches it without
    a copy in between."""
    if not offload:
        return parameter.detach().float()
    master = torch.empty(
        parameter.shape, dtype=torch.float32, device="cpu", pin_memory=parameter.is_cuda
    )
    return master.copy_(parameter.detach())


def _hand_over(master: Tensor, parameter: Tensor) -> None:
    """Add the parameter's gradient to its master's, in float32: in bfloat16 256 + 1 is 256."""
    assert parameter.grad is not None
    gradient = parameter.grad.to(master.device)  # narrow on the way, if it has one
    if master.grad is None:
        master.grad = gradient.float()
    else:
        master.grad.add_(gradient)
    parameter.grad = None
