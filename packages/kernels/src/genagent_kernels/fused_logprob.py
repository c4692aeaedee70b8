"""Log-probabilities of targets, a chunk of rows at a time; backward computes the logits again.

Four products in all: the gradient is only known when backward is called, and keeping the logits
until then is what chunks are for avoiding.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genagent_kernels.head import (
    Head,
    add_weight_gradient,
    chunks,
    head_logits,
    hidden_gradient,
    logit_buffer,
    weight_gradient,
)
from genagent_kernels.results import LogProbs


def fused_linear_logprob(
    head: Head,
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    temperature: float,
    with_entropy: bool,
) -> LogProbs:
    """``reference.linear_logprob`` in memory of one chunk; differentiable in hidden and weight."""
    # Autocast would round the products to half precision behind the kernel's back.
    with torch.autocast(hidden.device.type, enabled=False):
        logprob, entropy = _LinearLogprob.apply(
            hidden, weight, target, head, temperature, with_entropy
        )
    return LogProbs(logprob=logprob, entropy=entropy if with_entropy else None)


class _LinearLogprob(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        head: Head,
        temperature: float,
        with_entropy: bool,
    ) -> tuple[Tensor, Tensor | None]:
        logprob, normalizer, entropy = head.logprob(
            hidden, weight, target, temperature, with_entropy
        )
        ctx.save_for_backward(hidden, weight, target, normalizer, entropy)
        ctx.head, ctx.temperature = head, temperature
        ctx.set_materialize_grads(False)
        return logprob, entropy

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, *grad_outputs: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        hidden, weight, target, normalizer, entropy = ctx.saved_tensors
        slope, entropy_slope = grad_outputs
        if slope is None:
            slope = torch.zeros_like(normalizer)
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight = weight_gradient(weight, len(target)) if wants_weight else None
        buffer = logit_buffer(len(target), weight)
        for chunk in chunks(len(target), hidden.device):
            picked = hidden[chunk]
            gradient = ctx.head.logprob_gradient(
                head_logits(picked, weight, out=buffer[: len(picked)]),
                target[chunk],
                normalizer[chunk],
                slope[chunk].contiguous(),
                None if entropy_slope is None else entropy[chunk],
                None if entropy_slope is None else entropy_slope[chunk].contiguous(),
                ctx.temperature,
                hidden.dtype,
            )
            if grad_hidden is not None:
                grad_hidden[chunk] = hidden_gradient(gradient, weight)
            if grad_weight is not None:
                add_weight_gradient(grad_weight, gradient, picked, is_first=chunk.start == 0)
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        return grad_hidden, grad_weight, None, None, None, None
