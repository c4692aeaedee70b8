# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""M-RoPE for queries and keys in one pass: angles are formed once a token, for all its heads."""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def rotate_heads(
    states, result, heads, stride_row, stride_head, cos, sin, lane, is_lane, HALF: tl.constexpr
):
    token = tl.program_id(0).to(tl.int64)
    for head in range(heads):
        source = states + token * stride_row + head * stride_head
        target = result + (token * heads + head) * 2 * HALF
        first = tl.load(source + lane, mask=is_lane, other=0.0).to(tl.float32)
        second = tl.load(source + HALF + lane, mask=is_lane, other=0.0).to(tl.float32)
        dtype = result.dtype.element_ty
        tl.store(target + lane, (first * cos - second * sin).to(dtype), mask=is_lane)
        tl.store(target + HALF + lane, (second * cos + first * sin).to(dtype), mask=is_lane)


@triton.jit
def rotate_tokens(
    query,
    key,
    query_result,  # contiguous, as is key_result
    key_result,
    positions,  # [3, tokens]
    inverse_frequencies,
    query_heads,
    key_heads,
    stride_query_row,
    stride_query_head,
    stride_key_row,
    stride_key_head,
    stride_axis,
    stride_position,
    HALF: tl.constexpr,
    FIRST: tl.constexpr,  # frequencies of the first axis
    SECOND: tl.constexpr,  # of the second
    THIRD: tl.constexpr,  # of the third
    INTERLEAVED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    is_lane = lane < HALF
    if INTERLEAVED:
        turn = lane % 3
        is_second = (turn == 1) & (lane < 3 * SECOND)
        is_third = (turn == 2) & (lane < 3 * THIRD)
        axis = tl.where(is_second, 1, tl.where(is_third, 2, 0))
    else:
        axis = tl.where(lane < FIRST, 0, tl.where(lane < FIRST + SECOND, 1, 2))
    position = tl.load(
        positions + axis * stride_axis + token * stride_position, mask=is_lane, other=0
    )
    frequency = tl.load(inverse_frequencies + lane, mask=is_lane, other=0.0)
    angle = position.to(tl.float32) * frequency
    cos, sin = tl.cos(angle), tl.sin(angle)
    rotate_heads(
        query, query_result, query_heads, stride_query_row, stride_query_head,
        cos, sin, lane, is_lane, HALF,
    )  # fmt: skip
    rotate_heads(
        key, key_result, key_heads, stride_key_row, stride_key_head,
        cos, sin, lane, is_lane, HALF,
    )  # fmt: skip


def launch_rotation(
    query: Tensor,
    key: Tensor,
    positions: Tensor,
    inverse_frequencies: Tensor,
    sections: tuple[int, int, int],
    *,
    interleaved: bool,
) -> tuple[Tensor, Tensor]:
    """``reference.rotate_multimodal`` in float32, rounded once."""
    query_result = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    key_result = torch.empty(key.shape, dtype=key.dtype, device=key.device)
    tokens, query_heads, width = query.shape
    if tokens:
        rotate_tokens[(tokens,)](
            query,
            key,
            query_result,
            key_result,
            positions,
            inverse_frequencies.float(),
            query_heads,
            key.shape[1],
            *query.stride()[:2],
            *key.stride()[:2],
            *positions.stride(),
            HALF=width // 2,
            FIRST=sections[0],
            SECOND=sections[1],
            THIRD=sections[2],
            INTERLEAVED=interleaved,
            BLOCK=triton.next_power_of_2(width // 2),
        )
    return query_result, key_result
