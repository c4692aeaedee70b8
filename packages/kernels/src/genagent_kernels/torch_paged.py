"""Attention over pages in PyTorch: what a CPU decodes with, and prefill on every device.

Keys are not copied where that can be helped: in each column of the page table the queries go to
where the pages lie, as ``decode_plan`` says; the columns of a sequence are merged by their
normalizers. What a page holds past its tokens is multiplied by a weight of zero, so it must be
finite.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genagent_kernels.decode_plan import (
    DecodeColumn,
    DecodePlan,
    additive_mask,
    plan_decode,
    whole_vectors,
)
from genagent_kernels.reference import statistics_dtype


def decode_attention(
    query: Float[Tensor, "rows query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
    *,
    scale: float,
    plan: DecodePlan | None = None,
) -> Float[Tensor, "rows query_heads width"]:
    """``reference.decode_attention``, all rows at once."""
    pages = (key_pages, value_pages)
    if query.numel() == 0 or page_table.shape[1] == 0:
        return torch.zeros_like(query)
    if query.is_cuda:
        starts = (lengths - 1).clamp(min=0)
        result = prefill_attention(query[:, None], *pages, page_table, starts, scale=scale)[:, 0]
        return result.masked_fill(~(lengths > 0)[:, None, None], 0.0)
    if plan is None:
        plan = plan_decode(page_table, lengths, page_size=key_pages.shape[1])
    if len(plan.columns) == 1:
        result = _attend_column(query, *pages, plan.columns[0], scale)[0]
    else:
        outputs = query.new_zeros(len(query), len(plan.columns), *query.shape[1:])
        normalizers = torch.full(outputs.shape[:3], -torch.inf, dtype=statistics_dtype(query))
        for number, column in enumerate(plan.columns):
            rows = column.rows
            outputs[rows, number], normalizers[rows, number] = _attend_column(
                query[rows], *pages, column, scale
            )
        result = torch.einsum("rch,rchw->rhw", normalizers.softmax(1).to(query.dtype), outputs)
    return result if plan.has_key is None else result.masked_fill(~plan.has_key, 0.0)


def prefill_attention(
    query: Float[Tensor, "rows new query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    starts: Int[Tensor, " rows"],
    *,
    scale: float,
) -> Float[Tensor, "rows new query_heads width"]:
    """``reference.prefill_attention``, all rows at once."""
    new = query.shape[1]
    if query.numel() == 0:
        return torch.zeros_like(query)
    tokens = page_table.shape[1] * key_pages.shape[1]
    if not query.is_cuda:
        tokens = min(tokens, whole_vectors(int(starts.max()) + new))
    keys, values = (gather(pages, page_table, tokens) for pages in (key_pages, value_pages))
    reach = starts[:, None] + torch.arange(new, device=query.device)
    mask = additive_mask(reach + 1, tokens, query.dtype)[:, None]
    if query.is_cuda:
        return attend_in_turns(query, keys, values, mask, scale)
    return scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (query, keys, values)),
        attn_mask=mask,
        scale=scale,
        enable_gqa=True,
    ).transpose(1, 2)


def write_pages(
    key: Float[Tensor, "tokens key_heads width"],
    value: Float[Tensor, "tokens key_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    slots: Int[Tensor, " tokens"],
) -> None:
    """``reference.write_pages``, with nothing sorted out where every token has a place."""
    if len(slots) and int(slots.min()) < 0:
        kept = (slots >= 0).nonzero()[:, 0]
        key, value, slots = key[kept], value[kept], slots[kept]
    for new, pages in ((key, key_pages), (value, value_pages)):
        flat = pages.view(-1, *pages.shape[2:])
        flat.index_copy_(0, slots.long(), new.to(pages.dtype))


def gather(
    pages: Float[Tensor, "pages page_size key_heads width"],
    table: Int[Tensor, "rows columns"],
    tokens: int,
) -> Float[Tensor, "rows {tokens} key_heads width"]:
    """The first tokens of the rows' pages; of page 0 where the table names none."""
    if table.shape[1] == 1:
        pages = pages[:, :tokens]
    chosen = pages.index_select(0, table.clamp(min=0).flatten())
    return chosen.unflatten(0, table.shape).flatten(1, 2)[:, :tokens]


def attend_in_turns(
    query: Float[Tensor, "rows new query_heads width"],
    keys: Float[Tensor, "rows tokens key_heads width"],
    values: Float[Tensor, "rows tokens key_heads width"],
    mask: Float[Tensor, "rows 1 new tokens"],
    scale: float,
) -> Float[Tensor, "rows new query_heads width"]:
    """A turn for each query head of a group: CUDA's kernels that take a mask want as many key heads
    as query heads, and turns share the keys where repeating would copy them."""
    grouped = query.unflatten(2, (keys.shape[2], -1))
    turns = [
        scaled_dot_product_attention(
            *(x.transpose(1, 2) for x in (turn, keys, values)), attn_mask=mask, scale=scale
        ).transpose(1, 2)
        for turn in grouped.unbind(3)
    ]
    return torch.stack(turns, 3).flatten(2, 3)


def _attend_column(
    query: Tensor, key_pages: Tensor, value_pages: Tensor, column: DecodeColumn, scale: float
) -> tuple[Tensor, Tensor]:
    """Each row's output and normalizer over the keys of its page in this column."""
    key_heads, width = key_pages.shape[2:]
    tokens, most, span = column.tokens, column.most, column.span
    first = column.first
    if column.copied is None:
        keys, values = (pages[first : first + span, :tokens] for pages in (key_pages, value_pages))
    else:
        keys, values = (
            pages[first:, :tokens].index_select(0, column.copied)
            for pages in (key_pages, value_pages)
        )
    seated = query
    if column.seat is not None:
        seated = query.new_zeros(span * most, *query.shape[1:])
        seated.index_copy_(0, column.seat, query)
    mask = column.mask.to(query.dtype)
    if most > 1:
        group = query.shape[1] // key_heads
        mask = mask.view(span, 1, most, 1, tokens).expand(-1, -1, -1, group, -1).flatten(2, 3)
    output, normalizer = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        seated.view(span, most, key_heads, -1, width).transpose(1, 2).flatten(2, 3),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    )
    output, normalizer = (
        found.unflatten(2, (most, -1)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        for found in (output, normalizer[..., None])
    )
    if column.seat is None:
        return output, normalizer[..., 0]
    return output.index_select(0, column.seat), normalizer.index_select(0, column.seat)[..., 0]
