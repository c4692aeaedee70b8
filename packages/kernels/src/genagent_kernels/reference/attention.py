"""Attention of new tokens over keys and values that lie in pages."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels.reference.loss import statistics_dtype


def decode_attention(
    query: Float[Tensor, "rows query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
    *,
    scale: float | None = None,
) -> Float[Tensor, "rows query_heads width"]:
    """Softmax attention of one new token a sequence, a sequence at a time."""
    dtype = statistics_dtype(query)
    num_query_heads, width = query.shape[1:]
    factor = width**-0.5 if scale is None else scale
    group = num_query_heads // key_pages.shape[2]
    result = torch.zeros_like(query)
    for row, length in enumerate(lengths.tolist()):
        if length == 0:
            continue
        keys, values = (
            _gather(pages, page_table[row], length).to(dtype).repeat_interleave(group, dim=1)
            for pages in (key_pages, value_pages)
        )  # [length, query_heads, width]
        scores = torch.einsum("hd,lhd->hl", query[row].to(dtype), keys) * factor
        result[row] = torch.einsum("hl,lhd->hd", scores.softmax(-1), values).to(query.dtype)
    return result


def prefill_attention(
    query: Float[Tensor, "rows new query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    starts: Int[Tensor, " rows"],
    *,
    scale: float | None = None,
) -> Float[Tensor, "rows new query_heads width"]:
    """Each new token as if it were the one that is decoded."""
    columns = [
        decode_attention(
            query[:, column], key_pages, value_pages, page_table, starts + column + 1, scale=scale
        )
        for column in range(query.shape[1])
    ]
    return torch.stack(columns, 1)


def write_pages(
    key: Float[Tensor, "tokens key_heads width"],
    value: Float[Tensor, "tokens key_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    slots: Int[Tensor, " tokens"],
) -> None:
    """Put each token at ``slots[n] = page * page_size + offset``; a negative slot drops it."""
    page_size = key_pages.shape[1]
    kept = slots >= 0
    page, offset = slots[kept] // page_size, slots[kept] % page_size
    key_pages[page, offset] = key[kept].to(key_pages.dtype)
    value_pages[page, offset] = value[kept].to(value_pages.dtype)


def _gather(pages: Tensor, table: Tensor, length: int) -> Tensor:
    page_size = pages.shape[1]
    needed = table[: -(-length // page_size)].long()
    return pages[needed].flatten(0, 1)[:length]
