"""Attention over pages by ``scaled_dot_product_attention``: what a CPU decodes with, and prefill.

Query heads that share a key head go in as queries of that head, so keys are never repeated. What a
page holds past its tokens is multiplied by a weight of zero, so it must be finite.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

SPARSEST = 3
"""Pages a row up to which attending to every page from the first to the last one is cheaper than
copying those of the rows."""


def decode_attention(
    query: Float[Tensor, "rows query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
    *,
    scale: float,
) -> Float[Tensor, "rows query_heads width"]:
    """``reference.decode_attention`` at once for all rows; it reads ``lengths`` on the host."""
    if len(query) == 0 or page_table.shape[1] == 0:
        return torch.zeros_like(query)
    page_size = key_pages.shape[1]
    shortest, longest = (int(bound) for bound in torch.aminmax(lengths))
    if shortest == 0:
        # One key is looked at in any case: a softmax over none is not a number.
        result = decode_attention(
            query,
            key_pages,
            value_pages,
            page_table.masked_fill(lengths[:, None] == 0, 0),
            lengths.clamp(min=1),
            scale=scale,
        )
        return result.masked_fill(lengths[:, None, None] == 0, 0.0)
    if longest <= page_size:
        return _attend_one_page(
            query, key_pages, value_pages, page_table[:, 0], lengths, longest, scale
        )
    is_long = lengths > page_size
    if is_long.all():
        used = torch.arange(page_table.shape[1], device=query.device) * page_size < longest
        table = page_table[:, used]
        keys, values = (gather(pages, table)[:, :longest] for pages in (key_pages, value_pages))
        return _attend(query, keys, values, lengths, scale)
    result = torch.empty_like(query)
    for rows in (is_long, ~is_long):
        result[rows] = decode_attention(
            query[rows], key_pages, value_pages, page_table[rows], lengths[rows], scale=scale
        )
    return result


def prefill_attention(
    query: Float[Tensor, "rows new query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    starts: Int[Tensor, " rows"],
    *,
    scale: float,
) -> Float[Tensor, "rows new query_heads width"]:
    """``reference.prefill_attention`` at once for all rows."""
    rows, new, query_heads, _ = query.shape
    if rows == 0 or new == 0:
        return torch.zeros_like(query)
    keys, values = (gather(pages, page_table) for pages in (key_pages, value_pages))
    if not query.is_cuda:
        longest = min(int(starts.max()) + new, keys.shape[1])
        keys, values = keys[:, :longest], values[:, :longest]
    position = torch.arange(keys.shape[1], device=query.device)
    reach = starts[:, None] + torch.arange(new, device=query.device)
    mask = additive(position <= reach[:, :, None], query)[:, None]
    grouped = query.unflatten(2, (keys.shape[2], -1))
    # A turn for each query head of a group: all of them share keys and mask as they are.
    turns = [
        scaled_dot_product_attention(
            grouped[:, :, :, head].transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=mask,
            scale=scale,
        ).transpose(1, 2)
        for head in range(query_heads // keys.shape[2])
    ]
    return torch.stack(turns, 3).flatten(2, 3)


def gather(
    pages: Float[Tensor, "pages page_size key_heads width"], table: Int[Tensor, "rows columns"]
) -> Float[Tensor, "rows tokens key_heads width"]:
    """The rows' pages, one after the other; page 0 where the table names none."""
    chosen = table.clamp(min=0).flatten()
    return pages.index_select(0, chosen).unflatten(0, table.shape).flatten(1, 2)


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """0 where the mask is set, minus infinity elsewhere."""
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill_(
        ~mask, -torch.inf
    )


def _attend_one_page(
    query: Tensor,
    key_pages: Tensor,
    value_pages: Tensor,
    page: Tensor,
    lengths: Tensor,
    longest: int,
    scale: float,
) -> Tensor:
    """Every row's keys lie in one page: look at the pages where they are, if they lie closely."""
    first, last = (int(bound) for bound in torch.aminmax(page))
    span = last + 1 - first
    place = page - first
    is_dense = span <= SPARSEST * len(query)
    if is_dense:
        counts = torch.zeros(span, dtype=lengths.dtype, device=query.device)
        counts[place] = lengths
        # Two rows in one page would need two queries of one key.
        is_dense = int((counts > 0).sum()) == len(query)
    if not is_dense:
        keys, values = (
            pages[:, :longest].index_select(0, page) for pages in (key_pages, value_pages)
        )
        return _attend(query, keys, values, lengths, scale)
    spread = query.new_zeros(span, *query.shape[1:])
    spread[place] = query
    keys, values = (pages[first : last + 1, :longest] for pages in (key_pages, value_pages))
    return _attend(spread, keys, values, counts.clamp_(min=1), scale)[place]


def _attend(
    query: Float[Tensor, "rows query_heads width"],
    keys: Float[Tensor, "rows tokens key_heads width"],
    values: Float[Tensor, "rows tokens key_heads width"],
    lengths: Int[Tensor, " rows"],
    scale: float,
) -> Float[Tensor, "rows query_heads width"]:
    position = torch.arange(keys.shape[1], device=query.device)
    mask = additive(position < lengths[:, None], query)[:, None, None]
    return scaled_dot_product_attention(
        query.unflatten(1, (keys.shape[2], -1)),
        keys.transpose(1, 2),
        values.transpose(1, 2),
        attn_mask=mask,
        scale=scale,
    ).flatten(1, 2)
