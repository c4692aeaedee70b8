"""Attention over pages in PyTorch: what a CPU decodes with, and prefill on every device.

Keys are not copied where that can be helped. For each column of the page table the queries go to
where the pages lie, the queries of one page together, so that a page which several sequences name
is read once; the columns of a sequence are merged by their normalizers. What a page holds past its
tokens is multiplied by a weight of zero, so it must be finite.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genagent_kernels.reference import statistics_dtype

SPARSEST = 3
"""Places for a query a row, up to which going to the pages is cheaper than copying them."""


def decode_attention(
    query: Float[Tensor, "rows query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
    *,
    scale: float,
) -> Float[Tensor, "rows query_heads width"]:
    """``reference.decode_attention``, all rows at once."""
    pages = (key_pages, value_pages)
    if query.numel() == 0 or page_table.shape[1] == 0:
        return torch.zeros_like(query)
    has_key = (lengths > 0)[:, None, None]
    if query.is_cuda:
        starts = (lengths - 1).clamp(min=0)
        result = prefill_attention(query[:, None], *pages, page_table, starts, scale=scale)[:, 0]
        return result.masked_fill(~has_key, 0.0)
    page_size = key_pages.shape[1]
    shortest, longest = (int(bound) for bound in torch.aminmax(lengths))
    if shortest == 0:
        # A softmax over no key is not a number, so such rows look at one.
        table, counts = page_table.masked_fill(~has_key[:, 0], 0), lengths.clamp(min=1)
        result = decode_attention(query, *pages, table, counts, scale=scale)
        return result.masked_fill(~has_key, 0.0)
    if longest <= page_size:
        return _attend_column(query, *pages, page_table[:, 0], lengths, scale)[0]
    columns = -(-longest // page_size)
    outputs = query.new_zeros(len(query), columns, *query.shape[1:])
    normalizers = torch.full(outputs.shape[:3], -torch.inf, dtype=statistics_dtype(query))
    for column in range(columns):
        counts = lengths - column * page_size
        rows = (counts > 0).nonzero()[:, 0]
        outputs[rows, column], normalizers[rows, column] = _attend_column(
            query[rows], *pages, page_table[rows, column], counts[rows], scale
        )
    return torch.einsum("rch,rchw->rhw", normalizers.softmax(1).to(query.dtype), outputs)


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
        tokens = min(tokens, _whole_vectors(int(starts.max()) + new))
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


def additive_mask(
    counts: Int[Tensor, "*shape"], tokens: int, dtype: torch.dtype
) -> Float[Tensor, "*shape {tokens}"]:
    """0 for the first ``counts`` tokens, minus infinity for the others."""
    is_hidden = torch.arange(tokens, device=counts.device) >= counts[..., None]
    mask = torch.zeros(is_hidden.shape, dtype=dtype, device=counts.device)
    return mask.masked_fill_(is_hidden, -torch.inf)


def _whole_vectors(tokens: int) -> int:
    """Products over whole vectors of keys are faster, however many of them are masked."""
    return -(-tokens // 16) * 16


def _attend_column(
    query: Tensor,
    key_pages: Tensor,
    value_pages: Tensor,
    page: Tensor,
    counts: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Each row's output and normalizer over the first ``counts`` keys of its page, or all of it."""
    rows, _, width = query.shape
    key_heads = key_pages.shape[2]
    first, last = (int(bound) for bound in torch.aminmax(page))
    place = page.long() - first
    readers = place.bincount()
    span, most = len(readers), int(readers.max())
    tokens = min(_whole_vectors(int(counts.max())), key_pages.shape[1])
    keys, values = (pages[first : last + 1, :tokens] for pages in (key_pages, value_pages))
    if span * most > SPARSEST * rows:
        keys, values = keys.index_select(0, place), values.index_select(0, place)
        place, span, most = torch.arange(rows), rows, 1
    seat = place
    if most > 1:
        order = place.argsort(stable=True)
        begin = readers.cumsum(0) - readers
        seat = torch.empty_like(place)
        seat[order] = place[order] * most + torch.arange(rows) - begin[place[order]]
    # An empty seat looks at one key, and nobody at what it finds.
    reach = torch.ones(span * most, dtype=counts.dtype).index_copy_(0, seat, counts)
    seated = query.new_zeros(span * most, *query.shape[1:]).index_copy_(0, seat, query)
    mask = additive_mask(reach.view(span, 1, most, 1), tokens, query.dtype)
    if most > 1:
        mask = mask.expand(-1, -1, -1, query.shape[1] // key_heads, -1)
    output, normalizer = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        seated.view(span, most, key_heads, -1, width).transpose(1, 2).flatten(2, 3),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask.flatten(2, 3),
        scale=scale,
    )
    output, normalizer = (
        found.unflatten(2, (most, -1)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        for found in (output, normalizer[..., None])
    )
    return output.index_select(0, seat), normalizer.index_select(0, seat)[..., 0]
