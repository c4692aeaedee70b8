"""The language-model head a chunk of rows at a time: its products, and what a backend does between.

Products are accumulated and returned in float32: a logit rounded to bfloat16 is off by up to 0.06
between 16 and 32, a third of a clip range of 0.2. On CUDA the tensor cores take half-precision
factors and give float32; on a CPU the factors are widened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from genagent_kernels.reference import statistics_dtype

CHUNK_ROWS = {"cuda": 1024, "cpu": 256}
"""Rows whose logits exist at once: at Qwen2.5's vocabulary of 152,064 0.6 GB in float32 on a GPU,
where fewer rows starve the tensor cores, and 0.16 GB on a CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPORows:
    """Rows of one chunk, in the statistics' dtype; [rows] each."""

    target: Tensor
    old_logprob: Tensor
    advantage: Tensor
    token_weight: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOResults:
    """Where a chunk's results go; views of [rows] that the backend fills."""

    logprob: Tensor
    entropy: Tensor
    loss: Tensor
    is_effective: Tensor


@runtime_checkable  # Tests check annotations as they run.
class Head(Protocol):
    """What lies between the products of a head, in PyTorch or in Triton."""

    def logprob(
        self, hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, with_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Log-prob, log-sum-exp and, where asked for, entropy of each row; no gradient."""
        ...

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
        """Gradient of ``slope * logprob + entropy_slope * entropy`` in ``logits``, which it may
        overwrite; in ``dtype``, or wider."""
        ...

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
        """Fill ``results``; the loss's gradient in ``logits``, which it may overwrite."""
        ...


def chunks(rows: int, device: torch.device) -> Iterator[slice]:
    """Slices that cover ``rows`` rows, ``CHUNK_ROWS`` of them at a time."""
    size = _chunk_rows(device)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def logit_buffer(rows: int, weight: Tensor) -> Tensor:
    """Room for a chunk's logits, which all chunks share: on a CPU fresh pages would cost as much as
    a third of the product that fills them."""
    height = min(rows, _chunk_rows(weight.device))
    return weight.new_empty(height, len(weight), dtype=statistics_dtype(weight))


def head_logits(hidden: Tensor, weight: Tensor, *, out: Tensor) -> Tensor:
    """``hidden @ weight.T`` into ``out``, [rows, V] in the statistics' dtype."""
    if weight.is_cuda and weight.dtype != out.dtype:
        return torch.mm(hidden, weight.T, out_dtype=out.dtype, out=out)
    return torch.mm(hidden.to(out.dtype), weight.T.to(out.dtype), out=out)


def hidden_gradient(grad_logits: Tensor, weight: Tensor) -> Tensor:
    """[rows, H] in the dtype of ``weight``."""
    dtype = statistics_dtype(weight)
    factor = _narrow(grad_logits, weight)
    if weight.is_cuda and weight.dtype != dtype:
        return torch.mm(factor, weight, out_dtype=dtype).to(weight.dtype)
    return (factor @ weight.to(dtype)).to(weight.dtype)


def weight_gradient(weight: Tensor, rows: int) -> Tensor:
    """Room for the weight's gradient, in the statistics' dtype: zero where no chunk will fill it,
    and not yet written otherwise, which saves a pass over the vocabulary."""
    make = torch.empty_like if rows else torch.zeros_like
    return make(weight, dtype=statistics_dtype(weight))


def add_weight_gradient(
    total: Tensor, grad_logits: Tensor, hidden: Tensor, *, is_first: bool
) -> None:
    """Add a chunk's gradient to ``total`` [V, H], which is float32 or float64; the first one
    overwrites whatever is there."""
    factor = _narrow(grad_logits, hidden).T
    beta = 0 if is_first else 1
    if hidden.is_cuda and hidden.dtype != total.dtype:
        torch.addmm(total, factor, hidden, out_dtype=total.dtype, beta=beta, out=total)
    else:
        total.addmm_(factor, hidden.to(total.dtype), beta=beta)


def _narrow(gradient: Tensor, like: Tensor) -> Tensor:
    """The gradient as a factor of a product with ``like``: tensor cores want both alike."""
    return gradient.to(like.dtype) if like.is_cuda else gradient.to(statistics_dtype(like))


def _chunk_rows(device: torch.device) -> int:
    return CHUNK_ROWS["cuda" if device.type == "cuda" else "cpu"]
