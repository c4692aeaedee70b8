"""Log-probabilities of targets, a chunk of rows at a time; backward computes the logits again.

Four products in all: the gradient is only known when backward is called, and keeping the logits
until then is what chunks are for avoiding.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genagent_kernels.head import (
    add_weight_gradient,
    chunk_entropy,
    chunk_logprobs,
    chunks,
    hidden_gradient,
    logits_gradient,
)
from genagent_kernels.reference import statistics_dtype
from genagent_kernels.results import LogProbs


def chunked_linear_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, with_entropy: bool
) -> LogProbs:
    """``reference.linear_logprob`` in memory of one chunk; differentiable in hidden and weight."""
    # Autocast would round the products to half precision behind the kernel's back.
    with torch.autocast(hidden.device.type, enabled=False):
        logprob, entropy = _LinearLogprob.apply(hidden, weight, target, temperature, with_entropy)
    return LogProbs(logprob=logprob, entropy=entropy if with_entropy else None)


class _LinearLogprob(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        hidden: Tensor,
        weight: Tensor,
        target: Tensor,
        temperature: float,
        with_entropy: bool,
    ) -> tuple[Tensor, Tensor | None]:
        logprob = hidden.new_empty(len(target), dtype=statistics_dtype(hidden))
        entropy = torch.empty_like(logprob) if with_entropy else None
        for chunk in chunks(len(target)):
            logprobs = chunk_logprobs(hidden[chunk], weight, temperature)
            logprob[chunk] = logprobs.gather(1, target[chunk, None]).squeeze(1)
            if entropy is not None:
                entropy[chunk] = chunk_entropy(logprobs, logprobs.exp())
        ctx.save_for_backward(hidden, weight, target)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        return logprob, entropy

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, *grad_outputs: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        hidden, weight, target = ctx.saved_tensors
        grad_logprob, grad_entropy = grad_outputs
        if grad_logprob is None:
            grad_logprob = hidden.new_zeros(len(target), dtype=statistics_dtype(hidden))
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight = (
            torch.zeros_like(weight, dtype=statistics_dtype(weight)) if wants_weight else None
        )
        for chunk in chunks(len(target)):
            logprobs = chunk_logprobs(hidden[chunk], weight, ctx.temperature)
            probabilities = logprobs.exp()
            grad_from_entropy = None
            if grad_entropy is not None:
                entropy = chunk_entropy(logprobs, probabilities)
                # d entropy / d logit = -p (log p + entropy)
                grad_from_entropy = logprobs.add_(entropy[:, None]).mul_(probabilities)
                grad_from_entropy.mul_(-grad_entropy[chunk, None] / ctx.temperature)
            gradient = logits_gradient(
                probabilities, target[chunk], grad_logprob[chunk], ctx.temperature
            )
            if grad_from_entropy is not None:
                gradient.add_(grad_from_entropy)
            if grad_hidden is not None:
                grad_hidden[chunk] = hidden_gradient(gradient, weight)
            if grad_weight is not None:
                add_weight_gradient(grad_weight, gradient, hidden[chunk])
        if grad_weight is not None:
            grad_weight = grad_weight.to(weight.dtype)
        return grad_hidden, grad_weight, None, None, None
