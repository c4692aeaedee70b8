# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""The ratio of two policies' log-probs with all its statistics, in one kernel.

One program walks over all rows: the statistics come out in one order whatever the machine, without
atomics. A step's 100,000 tokens are 1 MB, less work than launching a second kernel.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from genagent_kernels.gpu.launch import is_interpreted
from genagent_kernels.results import TokenRatios

GPU_BLOCK = {"BLOCK": 4096, "num_warps": 16}


@triton.jit
def ratio_rows(
    logprob,
    old_logprob,
    mask,
    ratio,
    importance_weight,
    statistics,  # [6]: mean and largest ratio, share below and above the clip, k1, k3
    tokens,  # [1]
    rows,
    CLIP_LOW: tl.constexpr,
    CLIP_HIGH: tl.constexpr,
    TRUNCATE_AT: tl.constexpr,
    BLOCK: tl.constexpr,
    WITH_WEIGHT: tl.constexpr,
):
    count = tl.zeros((BLOCK,), tl.int32)
    total = tl.zeros((BLOCK,), tl.float32)
    largest = tl.zeros((BLOCK,), tl.float32)
    low = tl.zeros((BLOCK,), tl.float32)
    high = tl.zeros((BLOCK,), tl.float32)
    k1 = tl.zeros((BLOCK,), tl.float32)
    k3 = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, rows, BLOCK):
        row = start + tl.arange(0, BLOCK)
        is_row = row < rows
        counts = tl.load(mask + row, mask=is_row, other=0) != 0
        now = tl.load(logprob + row, mask=is_row, other=0.0).to(tl.float32)
        old = tl.load(old_logprob + row, mask=is_row, other=0.0).to(tl.float32)
        # What lies outside the mask may be NaN.
        difference = tl.where(counts, now - old, 0.0)
        moved = tl.exp(difference)
        tl.store(ratio + row, moved, mask=is_row)
        if WITH_WEIGHT:
            tl.store(importance_weight + row, tl.minimum(moved, TRUNCATE_AT), mask=is_row)
        # exp(d) - 1 - d loses its digits near 0, where its series needs only four terms.
        square = difference * difference
        series = square * (0.5 + difference * (1 / 6 + difference * (1 / 24 + difference / 120)))
        excess = tl.where(tl.abs(difference) < 0.1, series, moved - 1.0 - difference)
        count += counts.to(tl.int32)
        total += tl.where(counts, moved, 0.0)
        largest = tl.maximum(largest, tl.where(counts, moved, 0.0))
        low += tl.where(moved < 1.0 - CLIP_LOW, 1.0, 0.0)
        high += tl.where(moved > 1.0 + CLIP_HIGH, 1.0, 0.0)
        k1 -= difference
        k3 += excess
    number = tl.sum(count, axis=0)
    # With no token in the mask: a policy that did not move.
    is_empty = number == 0
    share = 1.0 / tl.maximum(number, 1).to(tl.float32)
    tl.store(statistics + 0, tl.where(is_empty, 1.0, tl.sum(total, axis=0) * share))
    tl.store(statistics + 1, tl.where(is_empty, 1.0, tl.max(largest, axis=0)))
    tl.store(statistics + 2, tl.sum(low, axis=0) * share)
    tl.store(statistics + 3, tl.sum(high, axis=0) * share)
    tl.store(statistics + 4, tl.sum(k1, axis=0) * share)
    tl.store(statistics + 5, tl.sum(k3, axis=0) * share)
    tl.store(tokens, number.to(tl.int64))


def launch_ratio(
    logprob: Tensor,
    old_logprob: Tensor,
    mask: Tensor,
    clip_low: float,
    clip_high: float,
    truncate_at: float | None,
) -> TokenRatios:
    """``reference.logprob_ratio`` in float32, in one launch."""
    rows = len(logprob)
    values = logprob.new_empty(rows + 6, dtype=torch.float32)
    ratio, statistics = values[:rows], values[rows:]
    weight = None if truncate_at is None else ratio.new_empty(rows)
    tokens = mask.new_zeros((), dtype=torch.int64)
    ratio_rows[(1,)](
        logprob.detach().contiguous(),
        old_logprob.detach().contiguous(),
        mask.contiguous(),
        ratio,
        ratio if weight is None else weight,
        statistics,
        tokens,
        rows,
        CLIP_LOW=clip_low,
        CLIP_HIGH=clip_high,
        TRUNCATE_AT=truncate_at or 1.0,
        WITH_WEIGHT=weight is not None,
        **({"BLOCK": 128} if is_interpreted() else GPU_BLOCK),
    )
    return TokenRatios(
        ratio_mean=statistics[0],
        ratio_max=statistics[1],
        clip_low_fraction=statistics[2],
        clip_high_fraction=statistics[3],
        kl_k1=statistics[4],
        kl_k3=statistics[5],
        tokens=tokens,
        ratio=ratio,
        importance_weight=weight,
    )
