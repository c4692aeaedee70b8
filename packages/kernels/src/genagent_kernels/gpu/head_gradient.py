# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""From the logits of a chunk to what both gradients are products of: one program a row.

``grpo_rows`` reads a row's logits twice: once for normaliser, log-prob and entropy, from which
ratio, clip and slope follow, and once to write the gradient of the logits in the dtype that the
tensor cores want. ``logprob_rows`` is the same with the slope given from outside.
"""

import triton
import triton.language as tl
from torch import Tensor

from genagent_kernels.gpu.launch import is_interpreted

GPU_BLOCK = {"BLOCK": 4096, "num_warps": 8}


@triton.jit
def online_softmax(logits_row, vocabulary, TEMPERATURE: tl.constexpr, BLOCK: tl.constexpr):
    """Maximum, log of the sum of exp(z - maximum), and entropy of one row."""
    maximum = tl.full((BLOCK,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    moment = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        column = start + tl.arange(0, BLOCK)
        z = tl.load(logits_row + column, mask=column < vocabulary, other=float("-inf"))
        z = z.to(tl.float32) / TEMPERATURE
        # A lane for each column modulo BLOCK; lanes meet once, after the loop.
        new_maximum = tl.maximum(maximum, z)
        is_real = new_maximum > float("-inf")
        base = tl.where(is_real, new_maximum, 0.0)
        shrink, exponential = tl.exp(maximum - base), tl.exp(z - base)
        gap = tl.where(total > 0, maximum - base, 0.0)
        above = tl.where(z > float("-inf"), z - base, 0.0)
        moment = shrink * (moment + gap * total) + exponential * above
        total = total * shrink + exponential
        maximum = new_maximum
    peak = tl.max(maximum, axis=0)
    has_column = total > 0
    shift = tl.where(has_column, maximum - peak, 0.0)
    shrink = tl.where(has_column, tl.exp(shift), 0.0)
    moment = tl.sum(shrink * (moment + shift * total), axis=0)
    total = tl.sum(shrink * total, axis=0)
    log_total = tl.log(total)
    return peak, log_total, log_total - moment / total


@triton.jit
def write_gradient(
    logits_row,
    gradient_row,
    vocabulary,
    wanted,
    peak,
    log_total,
    entropy,
    slope,
    entropy_slope,
    TEMPERATURE: tl.constexpr,
    BLOCK: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
):
    """Gradient of ``slope * logprob + entropy_slope * entropy`` in the unscaled logits."""
    for start in range(0, vocabulary, BLOCK):
        column = start + tl.arange(0, BLOCK)
        is_column = column < vocabulary
        z = tl.load(logits_row + column, mask=is_column, other=float("-inf"))
        z = z.to(tl.float32) / TEMPERATURE
        logprob = z - peak - log_total
        probability = tl.exp(logprob)
        gradient = slope * (tl.where(column == wanted, 1.0, 0.0) - probability)
        if WITH_ENTROPY:
            # p log p is 0 where p is, even where log p is -inf.
            level = tl.where(probability > 0, logprob + entropy, 0.0)
            gradient -= entropy_slope * probability * level
        gradient = gradient / TEMPERATURE
        tl.store(gradient_row + column, gradient.to(gradient_row.dtype.element_ty), mask=is_column)


@triton.jit
def grpo_rows(
    logits,  # [rows, vocabulary], contiguous
    gradient,  # the same shape; touched with WITH_GRADIENT only
    target,
    old_logprob,
    advantage,
    token_weight,
    logprob,
    entropy,
    loss,
    is_effective,
    vocabulary,
    CLIP_LOW: tl.constexpr,
    CLIP_HIGH: tl.constexpr,
    DUAL_CLIP: tl.constexpr,
    TEMPERATURE: tl.constexpr,
    BLOCK: tl.constexpr,
    WITH_GRADIENT: tl.constexpr,
    WITH_DUAL_CLIP: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    logits_row = logits + row * vocabulary
    wanted = tl.load(target + row)
    peak, log_total, row_entropy = online_softmax(logits_row, vocabulary, TEMPERATURE, BLOCK)
    at_target = tl.load(logits_row + wanted).to(tl.float32) / TEMPERATURE
    now = at_target - peak - log_total
    gain = tl.load(advantage + row)
    ratio = tl.exp(now - tl.load(old_logprob + row))
    free = ratio * gain
    clipped = tl.minimum(tl.maximum(ratio, 1.0 - CLIP_LOW), 1.0 + CLIP_HIGH) * gain
    share = tl.load(token_weight + row)
    surrogate = tl.minimum(free, clipped)
    is_free = free <= clipped
    if WITH_DUAL_CLIP:
        is_bounded = (gain < 0) & (surrogate < DUAL_CLIP * gain)
        surrogate = tl.where(is_bounded, DUAL_CLIP * gain, surrogate)
        is_free = is_free & (is_bounded == 0)
    # The slope of ratio * A in the log-prob is ratio * A itself; a clipped row has none.
    slope = tl.where(is_free, -share * free, 0.0)
    tl.store(logprob + row, now)
    tl.store(entropy + row, row_entropy)
    tl.store(loss + row, -share * surrogate)
    tl.store(is_effective + row, is_free.to(tl.int8))
    if WITH_GRADIENT:
        write_gradient(
            logits_row,
            gradient + row * vocabulary,
            vocabulary,
            wanted,
            peak,
            log_total,
            row_entropy,
            slope,
            0.0,
            TEMPERATURE,
            BLOCK,
            False,
        )


@triton.jit
def logprob_rows(
    logits,
    gradient,
    target,
    normalizer,
    entropy,
    slope,
    entropy_slope,
    vocabulary,
    TEMPERATURE: tl.constexpr,
    BLOCK: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    row_entropy, row_entropy_slope = 0.0, 0.0
    if WITH_ENTROPY:
        row_entropy = tl.load(entropy + row)
        row_entropy_slope = tl.load(entropy_slope + row)
    write_gradient(
        logits + row * vocabulary,
        gradient + row * vocabulary,
        vocabulary,
        tl.load(target + row),
        tl.load(normalizer + row),
        0.0,
        row_entropy,
        tl.load(slope + row),
        row_entropy_slope,
        TEMPERATURE,
        BLOCK,
        WITH_ENTROPY,
    )


def row_block() -> dict[str, int]:
    """Columns a step, and the warps that share them."""
    return {"BLOCK": 128} if is_interpreted() else GPU_BLOCK


def launch_grpo_rows(
    logits: Tensor,
    gradient: Tensor | None,
    *,
    target: Tensor,
    old_logprob: Tensor,
    advantage: Tensor,
    token_weight: Tensor,
    logprob: Tensor,
    entropy: Tensor,
    loss: Tensor,
    is_effective: Tensor,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None,
    temperature: float,
) -> None:
    """Fill the per-row results of a chunk, and ``gradient`` unless it is None."""
    rows, vocabulary = logits.shape
    if rows == 0:
        return
    grpo_rows[(rows,)](
        logits,
        logits if gradient is None else gradient,
        target,
        old_logprob,
        advantage,
        token_weight,
        logprob,
        entropy,
        loss,
        is_effective,
        vocabulary,
        CLIP_LOW=clip_low,
        CLIP_HIGH=clip_high,
        DUAL_CLIP=dual_clip or 1.0,
        TEMPERATURE=temperature,
        WITH_GRADIENT=gradient is not None,
        WITH_DUAL_CLIP=dual_clip is not None,
        **row_block(),
    )


def launch_logprob_rows(
    logits: Tensor,
    gradient: Tensor,
    *,
    target: Tensor,
    normalizer: Tensor,
    slope: Tensor,
    entropy: Tensor | None,
    entropy_slope: Tensor | None,
    temperature: float,
) -> None:
    """Write the gradient of ``slope * logprob + entropy_slope * entropy`` into ``gradient``."""
    rows, vocabulary = logits.shape
    if rows == 0:
        return
    logprob_rows[(rows,)](
        logits,
        gradient,
        target,
        normalizer,
        normalizer if entropy is None else entropy,
        slope,
        slope if entropy_slope is None else entropy_slope,
        vocabulary,
        TEMPERATURE=temperature,
        WITH_ENTROPY=entropy_slope is not None,
        **row_block(),
    )
