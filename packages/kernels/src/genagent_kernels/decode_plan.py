"""Which query goes to which page when one token a sequence is decoded on a CPU.

The plan depends on the page table and the lengths alone, so that one plan serves every layer of a
pass. The queries of one page sit together, so that a page which several sequences name is read
once.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SPARSEST = 3
"""Places for a query a row, up to which going to the pages is cheaper than copying them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeColumn:
    """One column of the page table: ``span`` pages from ``first`` on with ``most`` seats each."""

    rows: Int[Tensor, " rows"]
    """Sequences with a key in this column."""
    first: int
    span: int
    most: int
    tokens: int
    """Of a page that are looked at: the longest reach, in whole vectors."""
    copied: Int[Tensor, " rows"] | None
    """Page of each row after ``first``, where pages lie so far apart that they are copied."""
    seat: Int[Tensor, " rows"] | None
    """Where each row's query sits among the ``span * most``; None: in order, one a page."""
    mask: Float[Tensor, "span 1 most tokens"]
    """0 for the keys that a seat sees, minus infinity for the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodePlan:
    """See the module. Made by ``plan_decode``."""

    columns: tuple[DecodeColumn, ...]
    has_key: Bool[Tensor, "rows 1 1"] | None
    """Which sequences have a key at all; None: every one."""


def plan_decode(
    page_table: Int[Tensor, "rows max_pages"], lengths: Int[Tensor, " rows"], *, page_size: int
) -> DecodePlan:
    """The plan of one pass; arguments as those of ``decode_attention``, not empty, on a CPU."""
    shortest, longest = (int(bound) for bound in torch.aminmax(lengths))
    has_key = None
    if shortest == 0:
        # A softmax over no key is not a number, so such rows look at one.
        has_key = (lengths > 0)[:, None, None]
        page_table, lengths = page_table.masked_fill(~has_key[:, 0], 0), lengths.clamp(min=1)
    columns = []
    for number in range(max(1, -(-longest // page_size))):
        counts = lengths - number * page_size
        rows = (counts > 0).nonzero()[:, 0]
        columns.append(_column(rows, page_table[rows, number], counts[rows], page_size))
    return DecodePlan(columns=tuple(columns), has_key=has_key)


def _column(rows: Tensor, page: Tensor, counts: Tensor, page_size: int) -> DecodeColumn:
    first = int(page.min())
    place = page.long() - first
    readers = place.bincount()
    span, most = len(readers), int(readers.max())
    tokens = min(whole_vectors(int(counts.max())), page_size)
    copied, seat = None, place
    if span * most > SPARSEST * len(rows):
        copied, span, most = place, len(rows), 1
        seat = torch.arange(len(rows))
    elif most > 1:
        order = place.argsort(stable=True)
        begin = readers.cumsum(0) - readers
        seat = torch.empty_like(place)
        seat[order] = place[order] * most + torch.arange(len(rows)) - begin[place[order]]
    # An empty seat looks at one key, and nobody at what it finds.
    reach = torch.ones(span * most, dtype=counts.dtype).index_copy_(0, seat, counts)
    is_in_order = span * most == len(rows) and torch.equal(seat, torch.arange(len(rows)))
    return DecodeColumn(
        rows=rows,
        first=first,
        span=span,
        most=most,
        tokens=tokens,
        copied=copied,
        seat=None if is_in_order else seat,
        mask=additive_mask(reach.view(span, 1, most), tokens, torch.float32),
    )


def additive_mask(
    counts: Int[Tensor, "*shape"], tokens: int, dtype: torch.dtype
) -> Float[Tensor, "*shape {tokens}"]:
    """0 for the first ``counts`` tokens, minus infinity for the others."""
    is_hidden = torch.arange(tokens, device=counts.device) >= counts[..., None]
    mask = torch.zeros(is_hidden.shape, dtype=dtype, device=counts.device)
    return mask.masked_fill_(is_hidden, -torch.inf)


def whole_vectors(tokens: int) -> int:
    """Products over whole vectors of keys are faster, however many of them are masked."""
    return -(-tokens // 16) * 16
