"""Attention of one new token a sequence over keys and values that lie in pages."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels.reference.loss import statistics_dtype
from genagent_kernels.results import SharedPrefix


def decode_attention(
    query: Float[Tensor, "batch query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "batch max_pages"],
    lengths: Int[Tensor, " batch"],
    *,
    shared: SharedPrefix | None = None,
    scale: float | None = None,
) -> Float[Tensor, "batch query_heads width"]:
    """Softmax attention, a sequence at a time, over its shared prefix and then its own tokens."""
    dtype = statistics_dtype(query)
    num_query_heads, width = query.shape[1:]
    factor = width**-0.5 if scale is None else scale
    group = num_query_heads // key_pages.shape[2]
    result = torch.zeros_like(query)
    for row in range(len(query)):
        pieces = [(page_table[row], int(lengths[row]))]
        if shared is not None:
            for index in (shared.members == row).any(1).nonzero().flatten().tolist():
                pieces.insert(0, (shared.page_table[index], int(shared.lengths[index])))
        keys, values = (
            torch.cat([_gather(pages, table, length) for table, length in pieces]).to(dtype)
            for pages in (key_pages, value_pages)
        )  # [length, key_heads, width]
        if len(keys) == 0:
            continue
        keys, values = (x.repeat_interleave(group, dim=1) for x in (keys, values))
        scores = torch.einsum("hd,lhd->hl", query[row].to(dtype), keys) * factor
        result[row] = torch.einsum("hl,lhd->hd", scores.softmax(-1), values).to(query.dtype)
    return result


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
