"""The GRPO loss with its gradients, a chunk of rows at a time: three products, no logits kept.

A token's gradient depends on its own row only, since the normalisation comes in with the token
weights. So the forward pass forms both gradients while a chunk's logits exist, and backward only
scales them. Before that the rows are sorted out:

- rows outside the mask (prompt, pictures, tool text) are never touched;
- rows in the mask without advantage or weight get log-prob and statistics, no gradient;
- the rest gets everything.
"""

from dataclasses import dataclass

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
from genagent_kernels.reference import grpo_stats, statistics_dtype
from genagent_kernels.results import GRPOLoss


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """The rows of the mask: first those that want a gradient, then the others."""

    index: Tensor  # [M], into all rows
    num_live: int
    target: Tensor  # [M] from here on
    old_logprob: Tensor
    advantage: Tensor
    token_weight: Tensor
    clip_low: float
    clip_high: float
    temperature: float


def chunked_grpo_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    old_logprob: Tensor,
    advantage: Tensor,
    mask: Tensor,
    token_weight: Tensor,
    clip_low: float,
    clip_high: float,
    temperature: float,
) -> GRPOLoss:
    """``reference.grpo_loss`` in memory of one chunk plus the gradients."""
    dtype = statistics_dtype(hidden)
    is_live = mask & (advantage != 0) & (token_weight != 0)
    (live,) = is_live.nonzero(as_tuple=True)
    (idle,) = (mask & ~is_live).nonzero(as_tuple=True)
    index = torch.cat([live, idle])
    rows = _Rows(
        index=index,
        num_live=len(live),
        target=target[index],
        old_logprob=old_logprob.detach()[index].to(dtype),
        advantage=advantage.detach()[index].to(dtype),
        token_weight=token_weight.detach()[index].to(dtype),
        clip_low=clip_low,
        clip_high=clip_high,
        temperature=temperature,
    )
    # Autocast would round the products to half precision behind the kernel's back.
    with torch.autocast(hidden.device.type, enabled=False):
        loss, logprob, entropy, is_effective = _GRPO.apply(
            hidden, weight, rows, torch.is_grad_enabled()
        )
    return GRPOLoss(
        loss=loss,
        logprob=logprob.new_zeros(mask.shape).index_copy_(0, index, logprob),
        stats=grpo_stats(
            logprob,
            rows.old_logprob,
            entropy=entropy,
            is_effective=is_effective,
            clip_low=clip_low,
            clip_high=clip_high,
        ),
    )


class _GRPO(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, hidden: Tensor, weight: Tensor, rows: _Rows, is_training: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wants_hidden, wants_weight = (is_training and wants for wants in ctx.needs_input_grad[:2])
        dtype = statistics_dtype(hidden)
        logprob = hidden.new_empty(len(rows.index), dtype=dtype)
        entropy = torch.empty_like(logprob)
        is_effective = torch.zeros_like(logprob, dtype=torch.bool)
        loss = logprob.new_zeros(())
        grad_hidden = torch.zeros_like(hidden) if wants_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=dtype) if wants_weight else None

        for live in chunks(rows.num_live):
            picked = hidden[rows.index[live]]
            target = rows.target[live]
            logprobs = chunk_logprobs(picked, weight, rows.temperature)
            probabilities = logprobs.exp()
            logprob[live] = logprobs.gather(1, target[:, None]).squeeze(1)
            entropy[live] = chunk_entropy(logprobs, probabilities)
            surrogate, slope, is_effective[live] = _surrogate(logprob[live], rows, live)
            loss -= (rows.token_weight[live] * surrogate).sum()
            if grad_hidden is None and grad_weight is None:
                continue
            gradient = logits_gradient(
                probabilities, target, -rows.token_weight[live] * slope, rows.temperature
            )
            if grad_hidden is not None:
                grad_hidden[rows.index[live]] = hidden_gradient(gradient, weight)
            if grad_weight is not None:
                add_weight_gradient(grad_weight, gradient, picked)

        for part in chunks(len(rows.index) - rows.num_live):
            idle = slice(rows.num_live + part.start, rows.num_live + part.stop)
            logprobs = chunk_logprobs(hidden[rows.index[idle]], weight, rows.temperature)
            logprob[idle] = logprobs.gather(1, rows.target[idle, None]).squeeze(1)
            entropy[idle] = chunk_entropy(logprobs, logprobs.exp())

        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(logprob, entropy, is_effective)
        return loss, logprob, entropy, is_effective

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        scaled_hidden = None if grad_hidden is None else grad_hidden * grad_loss
        scaled_weight = None
        if grad_weight is not None:
            # Straight into the weight's dtype: no second float32 copy of the vocabulary.
            scaled_weight = torch.empty_like(grad_weight, dtype=ctx.weight_dtype)
            torch.mul(grad_weight, grad_loss, out=scaled_weight)
        return scaled_hidden, scaled_weight, None, None


def _surrogate(logprob: Tensor, rows: _Rows, chunk: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Clipped surrogate, its slope in the log-prob, and where it is not clipped; each [rows]."""
    advantage = rows.advantage[chunk]
    ratio = (logprob - rows.old_logprob[chunk]).exp()
    free = ratio * advantage
    clipped = ratio.clamp(1 - rows.clip_low, 1 + rows.clip_high) * advantage
    is_free = free <= clipped
    # Where it is free, the slope of ratio * A in the log-prob is ratio * A itself.
    return torch.minimum(free, clipped), torch.where(is_free, free, 0.0), is_free
