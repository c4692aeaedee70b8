# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""A token and its log-prob from logits: ``reference.sample_tokens``, whose sums run in blocks.

The first pass is the online softmax, the second finds the block in which the cumulative probability
passes the row's number, and the place in it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from genagent_kernels.gpu.launch import is_interpreted
from genagent_kernels.results import SampledTokens

GPU_BLOCK = {"BLOCK": 1024, "num_warps": 8}


@triton.jit
def sample_rows(
    logits,
    seeds,
    draws,
    tokens,
    logprobs,
    vocabulary,
    stride_row,
    TEMPERATURE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    seed = tl.load(seeds + row)
    draw = tl.load(draws + row).to(tl.int32)
    zero = draw * 0
    bits, _, _, _ = tl.philox(seed, draw, zero, zero, zero)
    uniform = (bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10
    maximum = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        column = start + tl.arange(0, BLOCK)
        z = tl.load(
            logits + row * stride_row + column, mask=column < vocabulary, other=float("-inf")
        )
        z = z.to(tl.float32) / TEMPERATURE
        new_maximum = tl.maximum(maximum, z)
        base = tl.where(new_maximum > float("-inf"), new_maximum, 0.0)
        total = total * tl.exp(maximum - base) + tl.exp(z - base)
        maximum = new_maximum
    peak = tl.max(maximum, axis=0)
    whole = tl.sum(tl.where(total > 0, total * tl.exp(maximum - peak), 0.0), axis=0)
    bound = uniform * whole
    before = 0.0
    token = vocabulary
    last = 0
    for start in range(0, vocabulary, BLOCK):
        column = start + tl.arange(0, BLOCK)
        z = tl.load(
            logits + row * stride_row + column, mask=column < vocabulary, other=float("-inf")
        )
        share = tl.exp(z.to(tl.float32) / TEMPERATURE - peak)
        cumulative = before + tl.cumsum(share, axis=0)
        # Sums of a scan may differ by an ulp where nothing is added.
        passes = (cumulative > bound) & (share > 0)
        token = tl.minimum(token, tl.min(tl.where(passes, column, vocabulary), axis=0))
        last = tl.maximum(last, tl.max(tl.where(share > 0, column, 0), axis=0))
        before += tl.sum(share, axis=0)
    # In float32 the number may be 1, or the sums end an ulp apart.
    token = tl.where(token < vocabulary, token, last)
    logit = tl.load(logits + row * stride_row + token).to(tl.float32) / TEMPERATURE
    tl.store(tokens + row, token.to(tl.int64))
    tl.store(logprobs + row, logit - peak - tl.log(whole))


def launch_sampler(
    logits: Tensor, seeds: Tensor, draws: Tensor, temperature: float
) -> SampledTokens:
    """``reference.sample_tokens`` in float32."""
    rows, vocabulary = logits.shape
    token = torch.empty(rows, dtype=torch.int64, device=logits.device)
    logprob = torch.empty(rows, dtype=torch.float32, device=logits.device)
    if rows:
        sample_rows[(rows,)](
            logits,
            seeds,
            draws,
            token,
            logprob,
            vocabulary,
            logits.stride(0),
            TEMPERATURE=temperature,
            **({"BLOCK": 128} if is_interpreted() else GPU_BLOCK),
        )
    return SampledTokens(token=token, logprob=logprob)
