"""The language-model head over a chunk of rows: logits, their statistics, and the two gradients.

Logits are never rounded to the input's precision: a bfloat16 logit between 16 and 32 is off by up
to 0.06, which moves a ratio by 6 % where the clip range is 20 %. On CUDA the products of half
precision accumulate and return float32; the CPU has no such product, so there the factors are
widened.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from genagent_kernels.reference import statistics_dtype

CHUNK_ROWS = 1024
"""Rows whose logits exist at once: 0.6 GB in float32 at Qwen2.5's vocabulary of 152,064."""


def chunks(rows: int) -> Iterator[slice]:
    """Slices that cover ``rows`` rows, ``CHUNK_ROWS`` at a time."""
    for start in range(0, rows, CHUNK_ROWS):
        yield slice(start, min(start + CHUNK_ROWS, rows))


def chunk_logprobs(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """``log_softmax(hidden @ weight.T / temperature)``, [rows, V] in the statistics' dtype."""
    logits = _product(hidden, weight.T)
    if temperature != 1.0:
        logits.div_(temperature)
    return logits.sub_(logits.logsumexp(-1, keepdim=True))


def chunk_entropy(logprobs: Tensor, probabilities: Tensor) -> Tensor:
    """-sum p log p, [rows]."""
    return -(probabilities * logprobs).sum(-1)


def logits_gradient(
    probabilities: Tensor, target: Tensor, grad_logprob: Tensor, temperature: float
) -> Tensor:
    """Gradient of ``sum(grad_logprob * logprob[target])`` in the head's logits, before temperature.

    Overwrites ``probabilities`` [rows, V], and returns it.
    """
    gradient = probabilities.mul_(-grad_logprob[:, None])
    gradient.scatter_add_(1, target[:, None], grad_logprob[:, None])
    return gradient if temperature == 1.0 else gradient.div_(temperature)


def hidden_gradient(grad_logits: Tensor, weight: Tensor) -> Tensor:
    """[rows, H] in the dtype of ``weight``."""
    return _product(_narrow(grad_logits, weight), weight).to(weight.dtype)


def add_weight_gradient(total: Tensor, grad_logits: Tensor, hidden: Tensor) -> None:
    """Add a chunk's gradient to ``total`` [V, H], which is float32 or float64."""
    factor = _narrow(grad_logits, hidden).T
    if hidden.dtype == total.dtype:
        total.addmm_(factor, hidden)
    else:
        total.add_(_product(factor, hidden))


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` in at least float32, accumulated and returned."""
    dtype = statistics_dtype(right)
    if right.is_cuda and right.dtype != dtype:
        return torch.mm(left, right, out_dtype=dtype)
    return left.to(dtype) @ right.to(dtype)


def _narrow(gradient: Tensor, like: Tensor) -> Tensor:
    """The gradient as a factor of a product with ``like``: tensor cores want both alike."""
    return gradient.to(like.dtype) if like.is_cuda else gradient
