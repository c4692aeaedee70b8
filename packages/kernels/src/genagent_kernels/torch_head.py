"""The head in plain PyTorch: any device, any floating dtype, a chunk of logits at a time."""

import torch
from torch import Tensor

from genagent_kernels.head import GRPOResults, GRPORows, chunks, head_logits
from genagent_kernels.reference import statistics_dtype


class TorchHead:
    """``Head`` with PyTorch's own operations, in place wherever the logits allow it."""

    def logprob(
        self, hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        logprob = hidden.new_empty(len(target), dtype=statistics_dtype(hidden))
        normalizer = torch.empty_like(logprob)
        spread = torch.empty_like(logprob) if entropy else None
        for chunk in chunks(len(target), hidden.device):
            logits = _scaled(head_logits(hidden[chunk], weight), temperature)
            normalizer[chunk] = logits.logsumexp(-1)
            logprobs = logits.sub_(normalizer[chunk, None])
            logprob[chunk] = _at(logprobs, target[chunk])
            if spread is not None:
                spread[chunk] = _entropy(logprobs, logprobs.exp())
        return logprob, normalizer, spread

    def logprob_gradient(
        self,
        logits: Tensor,
        target: Tensor,
        normalizer: Tensor,
        slope: Tensor,
        entropy: Tensor | None,
        entropy_slope: Tensor | None,
        temperature: float,
        dtype: torch.dtype,
    ) -> Tensor:
        logprobs = _scaled(logits, temperature).sub_(normalizer[:, None])
        gradient = _softmax_gradient(logprobs.exp(), target, slope)
        if entropy is not None and entropy_slope is not None:
            probabilities = logprobs.exp()
            # d entropy / d logit = -p (log p + entropy)
            gradient.addcmul_(
                logprobs.add_(entropy[:, None]).mul_(entropy_slope[:, None]),
                probabilities,
                value=-1,
            )
        return _scaled(gradient, temperature)

    def grpo(
        self,
        logits: Tensor,
        rows: GRPORows,
        results: GRPOResults,
        *,
        clip_low: float,
        clip_high: float,
        temperature: float,
        with_gradient: bool,
        dtype: torch.dtype,
    ) -> Tensor | None:
        scaled = _scaled(logits, temperature)
        logprobs = torch.log_softmax(scaled, dim=-1)
        probabilities = torch.exp(logprobs, out=scaled)
        logprob = _at(logprobs, rows.target)
        results.logprob.copy_(logprob)
        results.entropy.copy_(_entropy(logprobs, probabilities))
        ratio = (logprob - rows.old_logprob).exp()
        free = ratio * rows.advantage
        clipped = ratio.clamp(1 - clip_low, 1 + clip_high) * rows.advantage
        is_free = free <= clipped
        results.loss.copy_(-rows.token_weight * torch.minimum(free, clipped))
        results.is_effective.copy_(is_free)
        if not with_gradient:
            return None
        # Where it is free, the slope of ratio * A in the log-prob is ratio * A itself.
        slope = torch.where(is_free, -rows.token_weight * free, 0.0)
        return _scaled(_softmax_gradient(probabilities, rows.target, slope), temperature)


def _scaled(values: Tensor, temperature: float) -> Tensor:
    return values if temperature == 1.0 else values.div_(temperature)


def _at(logprobs: Tensor, target: Tensor) -> Tensor:
    return logprobs.gather(1, target[:, None]).squeeze(1)


def _entropy(logprobs: Tensor, probabilities: Tensor) -> Tensor:
    # A product of two matrices a row would hold a third chunk.
    return -torch.einsum("rv,rv->r", probabilities, logprobs)


def _softmax_gradient(probabilities: Tensor, target: Tensor, slope: Tensor) -> Tensor:
    """Gradient of ``sum(slope * logprob)`` in the scaled logits; overwrites ``probabilities``."""
    gradient = probabilities.mul_(-slope[:, None])
    return gradient.scatter_add_(1, target[:, None], slope[:, None])
