# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false, reportIndexIssue=false, reportAttributeAccessIssue=false
"""Attention of one new token a sequence over paged keys and values.

A sequence is cut into spans of a fixed number of keys, one program for each span and key head, with
the query heads that share the key head in one tile; a second kernel merges a sequence's spans in
order. Span sizes do not depend on the batch, so neither does a row's result. Nothing waits for the
device, and shapes depend on shapes alone, so that a CUDA graph can hold the launches.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from genagent_kernels.gpu.launch import is_interpreted

SPAN = 512
"""Keys a program."""

GPU_BLOCK_KEYS = 32
"""Keys a step."""


@triton.jit
def attend_spans(
    query,  # [rows, query_heads, width]
    key_pages,  # [pages, page_size, key_heads, width], as are the values
    value_pages,
    page_table,  # [rows, max_pages]
    lengths,  # [rows]
    outputs,  # [rows, query_heads, spans, width], float32
    normalizers,  # [rows, query_heads, spans], float32, -inf where nothing was read
    width,
    stride_query_row,
    stride_query_head,
    stride_page,
    stride_token,
    stride_key_head,
    stride_table,
    SCALE: tl.constexpr,
    GROUP: tl.constexpr,  # query heads a key head
    PAGE_SIZE: tl.constexpr,
    SPAN: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr,
    WIDEN: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    key_head = tl.program_id(1)
    span = tl.program_id(2)
    length = tl.load(lengths + row)
    begin = span * SPAN
    member = tl.arange(0, BLOCK_HEADS)
    is_head = member < GROUP
    head = key_head * GROUP + member
    slot = (row * tl.num_programs(1) * GROUP + head) * tl.num_programs(2) + span
    if begin >= length:
        tl.store(
            normalizers + slot, tl.full((BLOCK_HEADS,), float("-inf"), tl.float32), mask=is_head
        )
    else:
        lane = tl.arange(0, BLOCK_WIDTH)
        is_lane = lane < width
        queries = tl.load(
            query + row * stride_query_row + head[:, None] * stride_query_head + lane[None, :],
            mask=is_head[:, None] & is_lane[None, :],
            other=0.0,
        )
        if WIDEN:
            queries = queries.to(tl.float32)
        maximum = tl.full((BLOCK_HEADS,), float("-inf"), tl.float32)
        total = tl.zeros((BLOCK_HEADS,), tl.float32)
        output = tl.zeros((BLOCK_HEADS, BLOCK_WIDTH), tl.float32)
        stop = tl.minimum(begin + SPAN, length)
        for start in range(begin, stop, BLOCK_KEYS):
            position = start + tl.arange(0, BLOCK_KEYS)
            is_key = position < stop
            page = tl.load(
                page_table + row * stride_table + position // PAGE_SIZE, mask=is_key, other=0
            ).to(tl.int64)
            place = (
                page * stride_page
                + (position % PAGE_SIZE) * stride_token
                + key_head * stride_key_head
            )
            keys = tl.load(
                key_pages + place[None, :] + lane[:, None],
                mask=is_lane[:, None] & is_key[None, :],
                other=0.0,
            )
            values = tl.load(
                value_pages + place[:, None] + lane[None, :],
                mask=is_key[:, None] & is_lane[None, :],
                other=0.0,
            )
            if WIDEN:
                keys, values = keys.to(tl.float32), values.to(tl.float32)
            scores = tl.dot(queries, keys, input_precision="ieee") * SCALE
            scores = tl.where(is_key[None, :], scores, float("-inf"))
            new_maximum = tl.maximum(maximum, tl.max(scores, axis=1))
            shrink = tl.exp(maximum - new_maximum)
            shares = tl.exp(scores - new_maximum[:, None])
            total = total * shrink + tl.sum(shares, axis=1)
            output = output * shrink[:, None]
            output = tl.dot(shares.to(values.dtype), values, output, input_precision="ieee")
            maximum = new_maximum
        tl.store(
            outputs + slot[:, None] * width + lane[None, :],
            output / total[:, None],
            mask=is_head[:, None] & is_lane[None, :],
        )
        tl.store(normalizers + slot, maximum + tl.log(total), mask=is_head)


@triton.jit
def merge_attention(
    outputs,
    normalizers,
    result,
    width,
    spans,
    BLOCK_WIDTH: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK_WIDTH)
    is_lane = lane < width
    maximum = float("-inf")
    for span in range(spans):
        maximum = tl.maximum(maximum, tl.load(normalizers + row * spans + span))
    total = 0.0
    output = tl.zeros((BLOCK_WIDTH,), tl.float32)
    for span in range(spans):
        normalizer = tl.load(normalizers + row * spans + span)
        if normalizer > float("-inf"):
            share = tl.exp(normalizer - maximum)
            part = tl.load(outputs + (row * spans + span) * width + lane, mask=is_lane, other=0.0)
            output += share * part
            total += share
    # A sequence without a key has no output.
    output = output / tl.where(total > 0, total, 1.0)
    tl.store(result + row * width + lane, output.to(result.dtype.element_ty), mask=is_lane)


@triton.jit
def write_tokens(
    key,
    value,
    key_pages,
    value_pages,
    slots,
    elements,  # key_heads * width
    width,
    page_size,
    stride_key_row,
    stride_key_head,
    stride_value_row,
    stride_value_head,
    stride_page,
    stride_token,
    stride_head,
    BLOCK: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + token)
    if slot >= 0:
        page, offset = slot // page_size, slot % page_size
        element = tl.arange(0, BLOCK)
        is_element = element < elements
        head, lane = element // width, element % width
        place = page * stride_page + offset * stride_token + head * stride_head + lane
        keys = tl.load(
            key + token * stride_key_row + head * stride_key_head + lane, mask=is_element
        )
        values = tl.load(
            value + token * stride_value_row + head * stride_value_head + lane, mask=is_element
        )
        tl.store(key_pages + place, keys.to(key_pages.dtype.element_ty), mask=is_element)
        tl.store(value_pages + place, values.to(value_pages.dtype.element_ty), mask=is_element)


def launch_attention(
    query: Tensor,
    key_pages: Tensor,
    value_pages: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    scale: float,
) -> Tensor:
    """``reference.decode_attention``; pages as ``rollout_arguments.check_pages`` wants them."""
    rows, query_heads, width = query.shape
    page_size, key_heads = key_pages.shape[1:3]
    spans = triton.cdiv(page_table.shape[1] * page_size, SPAN)
    result = torch.empty_like(query, memory_format=torch.contiguous_format)
    if rows == 0 or spans == 0:
        return result.zero_()
    outputs = query.new_empty(rows, query_heads, spans, width, dtype=torch.float32)
    normalizers = query.new_empty(rows, query_heads, spans, dtype=torch.float32)
    group = query_heads // key_heads
    attend_spans[rows, key_heads, spans](
        query,
        key_pages,
        value_pages,
        page_table,
        lengths,
        outputs,
        normalizers,
        width,
        *query.stride()[:2],
        *key_pages.stride()[:3],
        page_table.stride(0),
        SCALE=scale,
        GROUP=group,
        PAGE_SIZE=page_size,
        SPAN=SPAN,
        # 16 rows are the least a tensor core takes.
        BLOCK_HEADS=max(16, triton.next_power_of_2(group)),
        BLOCK_KEYS=16 if is_interpreted() else GPU_BLOCK_KEYS,
        BLOCK_WIDTH=max(16, triton.next_power_of_2(width)),
        WIDEN=is_interpreted(),
    )
    merge_attention[(rows * query_heads,)](
        outputs,
        normalizers,
        result,
        width,
        spans,
        BLOCK_WIDTH=triton.next_power_of_2(width),
    )
    return result


def launch_write_pages(
    key: Tensor, value: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor
) -> None:
    """``reference.write_pages``."""
    tokens, key_heads, width = key.shape
    if tokens == 0:
        return
    write_tokens[(tokens,)](
        key,
        value,
        key_pages,
        value_pages,
        slots,
        key_heads * width,
        width,
        key_pages.shape[1],
        *key.stride()[:2],
        *value.stride()[:2],
        *key_pages.stride()[:3],
        BLOCK=triton.next_power_of_2(key_heads * width),
    )
