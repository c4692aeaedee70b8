"""The head in plain PyTorch: any device, any floating dtype, a chunk of logits at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genagent_kernels.head import GRPOResults, GRPORows, chunks, head_logits, logit_buffer
from genagent_kernels.reference import statistics_dtype

BLOCK_ROWS = 8
"""Rows that all passes over the logits take at once: five megabytes at Qwen2.5's vocabulary, which
a CPU's cache holds between two passes."""


class TorchHead:
    """``Head`` with PyTorch's own operations, in place wherever the logits allow it."""

    def logprob(
        self, hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, with_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        logprob = hidden.new_empty(len(target), dtype=statistics_dtype(hidden))
        normalizer = torch.empty_like(logprob)
        spread = torch.empty_like(logprob) if with_entropy else None
        buffer = logit_buffer(len(target), weight)
        for chunk in chunks(len(target), hidden.device):
            picked = hidden[chunk]
            logits = head_logits(picked, weight, out=buffer[: len(picked)])
            for rows, block in _blocks(logits, temperature):
                logprob[chunk][rows] = block.logprob(target[chunk][rows])
                normalizer[chunk][rows] = block.largest + block.log_total
                if spread is not None:
                    spread[chunk][rows] = block.entropy()
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
        for rows, block in _blocks(logits, temperature):
            entropy_term = None
            if entropy is not None and entropy_slope is not None:
                # d entropy / d logit = -p (log p + entropy)
                constant = entropy[rows] - block.log_total
                scale = -entropy_slope[rows] / block.total
                entropy_term = (block.shifted + constant[:, None]).mul_(block.exponentials)
                entropy_term.mul_(scale[:, None])
            gradient = block.gradient_(target[rows], slope[rows])
            if entropy_term is not None:
                gradient.add_(entropy_term)
        return _scaled(logits, temperature)

    def grpo(
        self,
        logits: Tensor,
        rows: GRPORows,
        results: GRPOResults,
        *,
        clip_low: float,
        clip_high: float,
        dual_clip: float | None,
        temperature: float,
        with_gradient: bool,
        dtype: torch.dtype,
    ) -> Tensor | None:
        for place, block in _blocks(logits, temperature):
            target, advantage = rows.target[place], rows.advantage[place]
            token_weight = rows.token_weight[place]
            logprob = block.logprob(target)
            results.logprob[place] = logprob
            results.entropy[place] = block.entropy()
            ratio = (logprob - rows.old_logprob[place]).exp()
            free = ratio * advantage
            clipped = ratio.clamp(1 - clip_low, 1 + clip_high) * advantage
            is_free = free <= clipped
            surrogate = torch.minimum(free, clipped)
            if dual_clip is not None:
                bound = dual_clip * advantage
                is_bounded = (advantage < 0) & (surrogate < bound)
                surrogate = torch.where(is_bounded, bound, surrogate)
                is_free &= ~is_bounded
            results.loss[place] = -token_weight * surrogate
            results.is_effective[place] = is_free
            if with_gradient:
                # Where it is free, the slope of ratio * A in the log-prob is ratio * A itself.
                block.gradient_(target, torch.where(is_free, -token_weight * free, 0.0))
        return _scaled(logits, temperature) if with_gradient else None


class _Block(NamedTuple):
    """A few rows of logits less their largest, [rows, V], and what is summed over them, [rows].

    One exponential a logit serves log-prob, entropy and gradient.
    """

    shifted: Tensor
    exponentials: Tensor
    largest: Tensor
    total: Tensor
    log_total: Tensor

    def logprob(self, target: Tensor) -> Tensor:
        return self.shifted.gather(1, target[:, None]).squeeze(1) - self.log_total

    def entropy(self) -> Tensor:
        # Not einsum: its batched product sums a row of 152,064 in one go, 1e-3 off and 8 x slower.
        return self.log_total - torch.linalg.vecdot(self.exponentials, self.shifted) / self.total

    def gradient_(self, target: Tensor, slope: Tensor) -> Tensor:
        """Gradient of ``sum(slope * logprob)`` in the scaled logits; overwrites ``shifted``."""
        factor = -slope / self.total
        gradient = torch.mul(self.exponentials, factor[:, None], out=self.shifted)
        return gradient.scatter_add_(1, target[:, None], slope[:, None])


def _blocks(logits: Tensor, temperature: float) -> Iterator[tuple[slice, _Block]]:
    """The rows of ``logits``, which are overwritten, ``BLOCK_ROWS`` at a time."""
    buffer = torch.empty_like(logits[:BLOCK_ROWS])
    for start in range(0, len(logits), BLOCK_ROWS):
        rows = slice(start, min(start + BLOCK_ROWS, len(logits)))
        shifted = _scaled(logits[rows], temperature)
        largest = shifted.amax(-1)
        shifted.sub_(largest[:, None])
        exponentials = torch.exp(shifted, out=buffer[: len(shifted)])
        total = exponentials.sum(-1)
        yield rows, _Block(shifted, exponentials, largest, total, total.log())


def _scaled(values: Tensor, temperature: float) -> Tensor:
    return values if temperature == 1.0 else values.div_(temperature)
