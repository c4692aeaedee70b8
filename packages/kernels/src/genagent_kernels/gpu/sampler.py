# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""A token and its log-prob from logits in one pass: the exponential race of
``reference.sample_tokens`` runs along with the online softmax."""

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
    excluded,  # [num_excluded]
    tokens,
    logprobs,
    log_kept,
    vocabulary,
    draw,
    num_excluded,
    stride_row,
    TEMPERATURE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    seed = tl.load(seeds + row)
    maximum = tl.full((BLOCK,), float("-inf"), tl.float32)
    whole = tl.zeros((BLOCK,), tl.float32)
    kept = tl.zeros((BLOCK,), tl.float32)
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    best_column = tl.zeros((BLOCK,), tl.int32)
    best_logit = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        column = start + tl.arange(0, BLOCK)
        is_column = column < vocabulary
        z = tl.load(logits + row * stride_row + column, mask=is_column, other=float("-inf"))
        z = z.to(tl.float32) / TEMPERATURE
        allowed = is_column
        for index in range(num_excluded):
            allowed = allowed & (column != tl.load(excluded + index))
        zero = column * 0
        bits, _, _, _ = tl.philox(seed, column, zero + draw, zero, zero)
        uniform = (bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10
        # -log(1 - u): 1 - u has lost u's digits where u is small, and there the winner is decided.
        series = uniform * (1.0 + uniform * (0.5 + uniform * (1 / 3 + uniform * 0.25)))
        clock = tl.where(uniform < 1e-2, series, -tl.log(1.0 - uniform))
        score = tl.where(allowed, z - tl.log(clock), float("-inf"))
        is_better = score > best
        best = tl.where(is_better, score, best)
        best_column = tl.where(is_better, column, best_column)
        best_logit = tl.where(is_better, z, best_logit)
        new_maximum = tl.maximum(maximum, z)
        base = tl.where(new_maximum > float("-inf"), new_maximum, 0.0)
        shrink, exponential = tl.exp(maximum - base), tl.exp(z - base)
        whole = whole * shrink + exponential
        kept = kept * shrink + tl.where(allowed, exponential, 0.0)
        maximum = new_maximum
    winner = tl.argmax(best, axis=0)
    is_winner = tl.arange(0, BLOCK) == winner
    peak = tl.max(maximum, axis=0)
    shrink = tl.where(whole > 0, tl.exp(maximum - peak), 0.0)
    log_whole = tl.log(tl.sum(whole * shrink, axis=0))
    log_allowed = tl.log(tl.sum(kept * shrink, axis=0))
    logit = tl.sum(tl.where(is_winner, best_logit, 0.0), axis=0)
    tl.store(tokens + row, tl.sum(tl.where(is_winner, best_column, 0), axis=0).to(tl.int64))
    tl.store(logprobs + row, logit - peak - log_whole)
    tl.store(log_kept + row, log_allowed - log_whole)


def launch_sampler(
    logits: Tensor, seeds: Tensor, draw: int, temperature: float, excluded: tuple[int, ...]
) -> SampledTokens:
    """``reference.sample_tokens`` in float32."""
    rows, vocabulary = logits.shape
    token = torch.empty(rows, dtype=torch.int64, device=logits.device)
    logprob, log_kept = torch.empty(2, rows, dtype=torch.float32, device=logits.device)
    if rows:
        listed = torch.tensor(excluded or (-1,), dtype=torch.int32, device=logits.device)
        sample_rows[(rows,)](
            logits,
            seeds,
            listed,
            token,
            logprob,
            log_kept,
            vocabulary,
            draw,
            len(excluded),
            logits.stride(0),
            TEMPERATURE=temperature,
            **({"BLOCK": 128} if is_interpreted() else GPU_BLOCK),
        )
    return SampledTokens(token=token, logprob=logprob, log_kept=log_kept)
