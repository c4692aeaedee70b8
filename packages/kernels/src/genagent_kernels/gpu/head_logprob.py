# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""Log-prob and entropy of each row without logits in memory: the head's product with an online
softmax over the tiles as they are formed.

The vocabulary is cut into spans of a fixed width, one program each, and a second kernel merges the
spans in order. Tile and span sizes never depend on the number of rows, and a row's reductions run
over its own tile row only, so a row's result is bitwise the same in any batch. The target's logit
and the normaliser come from the float32 accumulator: rounded to bfloat16 a logit of 16 to 32 is off
by up to 0.06, a third of a clip range of 0.2.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from genagent_kernels.gpu.launch import is_interpreted

SPAN = 4096
"""Vocabulary columns a program: 38 spans at Qwen2.5's 152,064, enough to fill 132 SMs with four
row tiles."""

BLOCKS = {
    (80, "half"): (128, 64, 64, 8, 3),
    (90, "half"): (128, 128, 64, 8, 3),
    (80, "full"): (64, 64, 32, 8, 3),
    (90, "full"): (64, 64, 32, 4, 2),
}
"""Rows, columns, depth, warps and stages of a tile: on each architecture the largest that was found
not to spill (``compile_report``). Float32 is multiplied without tensor cores."""


@triton.jit
def logprob_spans(
    hidden,
    weight,
    target,
    maxima,  # [spans, rows], as are the next three
    sums,  # of exp(z - maximum)
    moments,  # of exp(z - maximum) * (z - maximum); touched with WITH_ENTROPY only
    targets,  # the target's z, or 0 where another span has it
    rows,
    width,
    vocabulary,
    stride_hidden_row,
    stride_hidden_width,
    stride_weight_row,
    stride_weight_width,
    TEMPERATURE: tl.constexpr,
    SPAN: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_VOCABULARY: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WIDEN: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    span = tl.program_id(1)
    is_row = row < rows
    wanted = tl.load(target + row, mask=is_row, other=-1)
    hidden_row = hidden + row[:, None].to(tl.int64) * stride_hidden_row
    maximum = tl.full((BLOCK_ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_ROWS,), tl.float32)
    moment = tl.zeros((BLOCK_ROWS,), tl.float32)
    at_target = tl.zeros((BLOCK_ROWS,), tl.float32)
    stop = tl.minimum((span + 1) * SPAN, vocabulary)
    for start in range(span * SPAN, stop, BLOCK_VOCABULARY):
        column = start + tl.arange(0, BLOCK_VOCABULARY)
        is_column = column < vocabulary
        weight_row = weight + column[None, :].to(tl.int64) * stride_weight_row
        z = tl.zeros((BLOCK_ROWS, BLOCK_VOCABULARY), tl.float32)
        for depth in range(0, width, BLOCK_WIDTH):
            k = depth + tl.arange(0, BLOCK_WIDTH)
            is_k = k < width
            left = tl.load(
                hidden_row + k[None, :].to(tl.int64) * stride_hidden_width,
                mask=is_row[:, None] & is_k[None, :],
                other=0.0,
            )
            right = tl.load(
                weight_row + k[:, None].to(tl.int64) * stride_weight_width,
                mask=is_k[:, None] & is_column[None, :],
                other=0.0,
            )
            if WIDEN:
                left, right = left.to(tl.float32), right.to(tl.float32)
            z = tl.dot(left, right, z, input_precision="ieee")
        z = tl.where(is_column[None, :], z / TEMPERATURE, float("-inf"))
        at_target += tl.sum(tl.where(column[None, :] == wanted[:, None], z, 0.0), axis=1)
        new_maximum = tl.maximum(maximum, tl.max(z, axis=1))
        shrink = tl.exp(maximum - new_maximum)
        shifted = tl.where(is_column[None, :], z - new_maximum[:, None], 0.0)
        exponential = tl.where(is_column[None, :], tl.exp(shifted), 0.0)
        if WITH_ENTROPY:
            # Relative to the maximum: at logits of 1e4 the plain moment would lose four digits.
            gap = tl.where(total > 0, maximum - new_maximum, 0.0)
            moment = shrink * (moment + gap * total) + tl.sum(exponential * shifted, axis=1)
        total = total * shrink + tl.sum(exponential, axis=1)
        maximum = new_maximum
    place = span.to(tl.int64) * rows + row
    tl.store(maxima + place, maximum, mask=is_row)
    tl.store(sums + place, total, mask=is_row)
    tl.store(targets + place, at_target, mask=is_row)
    if WITH_ENTROPY:
        tl.store(moments + place, moment, mask=is_row)


@triton.jit
def merge_spans(
    maxima,
    sums,
    moments,
    targets,
    logprob,
    normalizer,
    entropy,
    rows,
    spans,
    BLOCK_ROWS: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
):
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    is_row = row < rows
    maximum = tl.full((BLOCK_ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_ROWS,), tl.float32)
    moment = tl.zeros((BLOCK_ROWS,), tl.float32)
    at_target = tl.zeros((BLOCK_ROWS,), tl.float32)
    for span in range(spans):
        place = row.to(tl.int64) + span * rows
        other_maximum = tl.load(maxima + place, mask=is_row, other=0.0)
        other_total = tl.load(sums + place, mask=is_row, other=1.0)
        at_target += tl.load(targets + place, mask=is_row, other=0.0)
        new_maximum = tl.maximum(maximum, other_maximum)
        shrink, other_shrink = tl.exp(maximum - new_maximum), tl.exp(other_maximum - new_maximum)
        if WITH_ENTROPY:
            other_moment = tl.load(moments + place, mask=is_row, other=0.0)
            gap = tl.where(total > 0, maximum - new_maximum, 0.0)
            other_moved = (other_maximum - new_maximum) * other_total
            moment = shrink * (moment + gap * total) + other_shrink * (other_moment + other_moved)
        total = total * shrink + other_total * other_shrink
        maximum = new_maximum
    log_total = tl.log(total)
    tl.store(logprob + row, at_target - maximum - log_total, mask=is_row)
    tl.store(normalizer + row, maximum + log_total, mask=is_row)
    if WITH_ENTROPY:
        tl.store(entropy + row, log_total - moment / total, mask=is_row)


def head_logprob(
    hidden: Tensor, weight: Tensor, target: Tensor, temperature: float, with_entropy: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Log-prob, normaliser (log-sum-exp) and entropy of each row, float32; no gradient."""
    rows, width = hidden.shape
    vocabulary = weight.shape[0]
    spans = triton.cdiv(vocabulary, SPAN)
    scratch = hidden.new_empty(4 if with_entropy else 3, spans, rows, dtype=torch.float32)
    results = hidden.new_empty(3 if with_entropy else 2, rows, dtype=torch.float32)
    entropy = results[2] if with_entropy else results[1]
    if rows == 0:
        return results[0], results[1], entropy if with_entropy else None
    blocks = _blocks(hidden)
    moments = scratch[3] if with_entropy else scratch[0]
    logprob_spans[triton.cdiv(rows, blocks["BLOCK_ROWS"]), spans](
        hidden,
        weight,
        target,
        scratch[0],
        scratch[1],
        moments,
        scratch[2],
        rows,
        width,
        vocabulary,
        *hidden.stride(),
        *weight.stride(),
        TEMPERATURE=temperature,
        SPAN=SPAN,
        WITH_ENTROPY=with_entropy,
        WIDEN=is_interpreted(),
        **blocks,
    )
    merge_spans[(triton.cdiv(rows, 128),)](
        scratch[0],
        scratch[1],
        moments,
        scratch[2],
        results[0],
        results[1],
        entropy,
        rows,
        spans,
        BLOCK_ROWS=128,
        WITH_ENTROPY=with_entropy,
    )
    return results[0], results[1], entropy if with_entropy else None


def launch_blocks(dtype: torch.dtype, architecture: int) -> dict[str, int]:
    """Tile sizes by dtype and GPU (90 for sm_90): were they tuned by the number of rows, a row's
    result would depend on it."""
    key = (90 if architecture >= 90 else 80, "full" if dtype == torch.float32 else "half")
    names = ("BLOCK_ROWS", "BLOCK_VOCABULARY", "BLOCK_WIDTH", "num_warps", "num_stages")
    return dict(zip(names, BLOCKS[key], strict=True))


def _blocks(hidden: Tensor) -> dict[str, int]:
    if is_interpreted():
        return {"BLOCK_ROWS": 16, "BLOCK_VOCABULARY": 64, "BLOCK_WIDTH": 16}
    major, minor = torch.cuda.get_device_capability(hidden.device)
    return launch_blocks(hidden.dtype, 10 * major + minor)
