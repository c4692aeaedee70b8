"""The GRPO loss with its gradients, a chunk of rows at a time: three products, no logits kept.

A token's gradient depends on its own row only, since the normalisation comes in with the token
weights. So the forward pass forms both gradients while a chunk's logits exist, and backward only
scales them. Before that the rows are sorted out:

- rows outside the mask (prompt, pictures, tool text) are never touched;
- rows in the mask without advantage or weight get log-prob and statistics, no gradient;
- the rest gets everything.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genagent_kernels.head import (
    GRPOResults,
    GRPORows,
    Head,
    add_weight_gradient,
    chunks,
    head_logits,
    hidden_gradient,
    logit_buffer,
    weight_gradient,
)
from genagent_kernels.reference import grpo_stats, statistics_dtype
from genagent_kernels.results import GRPOLoss


def fused_grpo_loss(
    head: Head,
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
    dual_clip: float | None,
    temperature: float,
) -> GRPOLoss:
    """``reference.grpo_loss`` in memory of one chunk plus the gradients."""
    dtype = statistics_dtype(hidden)
    is_live = mask & (advantage != 0) & (token_weight != 0)
    (live,) = is_live.nonzero(as_tuple=True)
    (idle,) = (mask & ~is_live).nonzero(as_tuple=True)
    rows = GRPORows(
        target=target[live],
        old_logprob=old_logprob.detach()[live].to(dtype),
        advantage=advantage.detach()[live].to(dtype),
        token_weight=token_weight.detach()[live].to(dtype),
    )
    # Autocast would round the products to half precision behind the kernel's back.
    with torch.autocast(hidden.device.type, enabled=False):
        loss, logprob, entropy, is_effective = _GRPO.apply(
            hidden,
            weight,
            live,
            rows,
            head,
            clip_low,
            clip_high,
            dual_clip,
            temperature,
            torch.is_grad_enabled(),
        )
        with torch.no_grad():
            resting = head.logprob(hidden[idle], weight, target[idle], temperature, True)
    assert resting[2] is not None
    index = torch.cat([live, idle])
    logprob = torch.cat([logprob, resting[0]])
    return GRPOLoss(
        loss=loss,
        logprob=logprob.new_zeros(mask.shape).index_copy_(0, index, logprob),
        stats=grpo_stats(
            logprob,
            old_logprob.detach()[index].to(dtype),
            entropy=torch.cat([entropy, resting[2]]),
            is_effective=is_effective,
            clip_low=clip_low,
            clip_high=clip_high,
        ),
    )


class _GRPO(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        hidden: Tensor,
        weight: Tensor,
        live: Tensor,
        rows: GRPORows,
        head: Head,
        clip_low: float,
        clip_high: float,
        dual_clip: float | None,
        temperature: float,
        is_training: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wants_hidden, wants_weight = (is_training and wants for wants in ctx.needs_input_grad[:2])
        dtype = statistics_dtype(hidden)
        logprob = hidden.new_empty(len(live), dtype=dtype)
        entropy, losses = torch.empty_like(logprob), torch.empty_like(logprob)
        is_effective = torch.zeros_like(logprob, dtype=torch.int8)
        grad_hidden = torch.zeros_like(hidden) if wants_hidden else None
        grad_weight = weight_gradient(weight, len(live)) if wants_weight else None
        buffer = logit_buffer(len(live), weight)
        for chunk in chunks(len(live), hidden.device):
            picked = hidden[live[chunk]]
            gradient = head.grpo(
                head_logits(picked, weight, out=buffer[: len(picked)]),
                GRPORows(
                    target=rows.target[chunk],
                    old_logprob=rows.old_logprob[chunk],
                    advantage=rows.advantage[chunk],
                    token_weight=rows.token_weight[chunk],
                ),
                GRPOResults(
                    logprob=logprob[chunk],
                    entropy=entropy[chunk],
                    loss=losses[chunk],
                    is_effective=is_effective[chunk],
                ),
                clip_low=clip_low,
                clip_high=clip_high,
                dual_clip=dual_clip,
                temperature=temperature,
                with_gradient=wants_hidden or wants_weight,
                dtype=hidden.dtype,
            )
            if gradient is None:
                continue
            if grad_hidden is not None:
                grad_hidden[live[chunk]] = hidden_gradient(gradient, weight)
            if grad_weight is not None:
                add_weight_gradient(grad_weight, gradient, picked, is_first=chunk.start == 0)
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(logprob, entropy, is_effective)
        return losses.sum(), logprob, entropy, is_effective

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        grad_loss = grad_outputs[0]
        scaled_hidden = None if grad_hidden is None else grad_hidden * grad_loss
        scaled_weight = None
        if grad_weight is not None:
            scaled_weight = _times(grad_weight, grad_loss, ctx.weight_dtype)
        return scaled_hidden, scaled_weight, *[None] * 8


def _times(gradient: Tensor, factor: Tensor, dtype: torch.dtype) -> Tensor:
    """``factor * gradient`` in ``dtype``, with no second float32 copy of the vocabulary."""
    if gradient.dtype == dtype and not factor.is_cuda and factor == 1:
        return gradient  # Most losses are the end of their graph; asking a GPU would stall it.
    return torch.mul(gradient, factor, out=torch.empty_like(gradient, dtype=dtype))
