"""Checks of the rollout kernels' arguments; each message names the argument and what it wants.

Values that live on a GPU (lengths, page numbers, slots) are checked on a CPU only: on a GPU each
check would wait for the device in every decoding step.
"""

import math

import torch
from torch import Tensor

from genagent_kernels.arguments import form
from genagent_kernels.results import SampledTokens

MOST_COMPARED = 1024
"""Slots up to which it is checked that they differ; a prefill's sort in a fifth of its writing."""


def check_pages(key_pages: Tensor, value_pages: Tensor) -> None:
    """Raises ValueError unless both are ``[pages, page_size, key_heads, width]``, laid alike."""
    if key_pages.ndim != 4 or not key_pages.is_floating_point():
        raise ValueError(
            f"key_pages wants floating [pages, page_size, key_heads, width], has {form(key_pages)}"
        )
    if (value_pages.shape, value_pages.dtype, value_pages.device) != (
        key_pages.shape,
        key_pages.dtype,
        key_pages.device,
    ):
        raise ValueError(f"value_pages wants {form(key_pages)}, has {form(value_pages)}")
    if value_pages.stride() != key_pages.stride() or key_pages.stride(3) != 1:
        raise ValueError(
            "key_pages and value_pages want the same strides, 1 in the last dimension; "
            f"have {key_pages.stride()} and {value_pages.stride()}"
        )
    between_pages, between_tokens = key_pages.stride()[:2]
    if len(key_pages) > 1 and between_pages != key_pages.shape[1] * between_tokens:
        raise ValueError(
            "key_pages wants one page right after the other, page_size token strides on; "
            f"has strides {key_pages.stride()} for {list(key_pages.shape)}"
        )


def check_table(query: Tensor, key_pages: Tensor, page_table: Tensor, lengths: Tensor) -> None:
    """Raises ValueError unless table and lengths fit the query's rows and the pages."""
    _check_rows("lengths", query, key_pages, page_table, lengths)
    if not key_pages.is_cuda and len(query):
        _check_reach("lengths", lengths, page_table, key_pages, 0)


def check_prefill(query: Tensor, key_pages: Tensor, page_table: Tensor, starts: Tensor) -> None:
    """Raises ValueError unless query, table and starts fit the pages."""
    check_query(query, key_pages, "rows, new")
    _check_rows("starts", query, key_pages, page_table, starts)
    if not query.is_cuda and query.numel():
        _check_reach("starts", starts, page_table, key_pages, 1)


def check_query(query: Tensor, key_pages: Tensor, leading: str) -> None:
    """Raises ValueError unless the query fits the pages; ``leading`` names its dimensions."""
    key_heads, width = key_pages.shape[2:]
    ndim = leading.count(",") + 3
    if query.ndim != ndim or query.shape[-1] != width or query.dtype != key_pages.dtype:
        raise ValueError(
            f"query wants {key_pages.dtype} [{leading}, query_heads, {width}], has {form(query)}"
        )
    if key_heads == 0 or query.shape[-2] % key_heads:
        raise ValueError(
            f"query has {query.shape[-2]} heads; wants a multiple of key_pages' {key_heads}"
        )
    if query.stride(-1) != 1:
        raise ValueError(f"query wants stride 1 in the last dimension, has {query.stride()}")
    if query.device != key_pages.device:
        raise ValueError(f"query is on {query.device}; wants key_pages' {key_pages.device}")


def _check_rows(
    name: str, query: Tensor, key_pages: Tensor, page_table: Tensor, counts: Tensor
) -> None:
    rows = len(query)
    for label, values, ndim, shape in (
        ("page_table", page_table, 2, f"[{rows}, max_pages]"),
        (name, counts, 1, f"[{rows}]"),
    ):
        if values.ndim != ndim or len(values) != rows or not _is_integer(values):
            raise ValueError(f"{label} wants integer {shape}, has {form(values)}")
        if values.device != key_pages.device:
            raise ValueError(f"{label} is on {values.device}; wants key_pages' {key_pages.device}")


def _check_reach(
    name: str, counts: Tensor, page_table: Tensor, key_pages: Tensor, beyond: int
) -> None:
    """The first ``counts + beyond`` tokens of each row have a place in a page that exists."""
    pages, page_size = key_pages.shape[:2]
    room = page_table.shape[1] * page_size - beyond
    low, high = (int(bound) for bound in torch.aminmax(counts))
    if low < 0 or high > room:
        raise ValueError(
            f"{name} reaches from {low} to {high}; wants 0 to {room}, what page_table has room for"
        )
    begin = torch.arange(page_table.shape[1]) * page_size - beyond
    wrong = (begin < counts[:, None]) & ((page_table < 0) | (page_table >= pages))
    if wrong.any():
        raise ValueError(
            f"page_table names page {int(page_table[wrong][0])}; wants 0 to {pages - 1}, the pages"
        )


def check_slots(key: Tensor, value: Tensor, key_pages: Tensor, slots: Tensor) -> None:
    """Raises ValueError unless the new keys and values fit the pages and the slots exist."""
    pages, page_size, key_heads, width = key_pages.shape
    for name, values in (("key", key), ("value", value)):
        if values.ndim != 3 or values.shape[1:] != (key_heads, width) or len(values) != len(key):
            raise ValueError(
                f"{name} wants [{len(key)}, {key_heads}, {width}] as the pages, has {form(values)}"
            )
        if values.device != key_pages.device or values.stride(2) != 1:
            raise ValueError(
                f"{name} wants {key_pages.device} and stride 1 in the last dimension, "
                f"has {form(values)} with strides {values.stride()}"
            )
    if slots.shape != key.shape[:1] or not _is_integer(slots) or slots.device != key.device:
        raise ValueError(f"slots wants integer [{len(key)}] on {key.device}, has {form(slots)}")
    if not slots.is_cuda and slots.numel():
        if int(slots.max()) >= pages * page_size:
            raise ValueError(
                f"slots reaches to {int(slots.max())}; the pages end at {pages * page_size - 1}"
            )
        if len(slots) <= MOST_COMPARED:
            ordered = slots.sort().values
            if ((ordered[1:] == ordered[:-1]) & (ordered[1:] >= 0)).any():
                raise ValueError("slots names a place twice; each token wants its own")


def check_rotation(
    query: Tensor,
    key: Tensor,
    positions: Tensor,
    inverse_frequencies: Tensor,
    sections: tuple[int, int, int],
    interleaved: bool,
) -> None:
    """Raises ValueError unless queries, keys, positions and frequencies fit one another."""
    if query.ndim != 3 or query.shape[2] % 2 or not query.is_floating_point():
        raise ValueError(f"query wants floating [tokens, heads, even width], has {form(query)}")
    tokens, _, width = query.shape
    if key.ndim != 3 or (len(key), key.shape[2], key.dtype) != (tokens, width, query.dtype):
        raise ValueError(f"key wants {query.dtype} [{tokens}, heads, {width}], has {form(key)}")
    for name, values in (("query", query), ("key", key)):
        if values.stride(2) != 1:
            raise ValueError(f"{name} wants stride 1 in the last dimension, has {values.stride()}")
    if positions.shape != (3, tokens) or not _is_integer(positions):
        raise ValueError(f"positions wants integer [3, {tokens}], has {form(positions)}")
    if inverse_frequencies.shape != (width // 2,):
        raise ValueError(
            f"inverse_frequencies wants [{width // 2}], has {form(inverse_frequencies)}"
        )
    if len(sections) != 3 or sum(sections) != width // 2 or min(sections) < 0:
        raise ValueError(f"sections are {sections}; want three numbers with sum {width // 2}")
    if interleaved and max(sections[1:]) > width // 6:
        raise ValueError(
            f"sections are {sections}; interleaved, the last two want {width // 6} at most"
        )


def check_sampling(logits: Tensor, seeds: Tensor, draws: Tensor, temperature: float) -> None:
    """Raises ValueError unless there is something to sample from, and a seed for each row."""
    if logits.ndim != 2 or logits.shape[1] == 0 or not logits.is_floating_point():
        raise ValueError(f"logits wants floating [rows, vocabulary], has {form(logits)}")
    if logits.stride(1) != 1:
        raise ValueError(f"logits wants stride 1 in the last dimension, has {logits.stride()}")
    for name, values in (("seeds", seeds), ("draws", draws)):
        if values.shape != logits.shape[:1] or values.dtype != torch.int64:
            raise ValueError(f"{name} wants int64 [{len(logits)}], has {form(values)}")
        if values.device != logits.device:
            raise ValueError(f"{name} is on {values.device}; wants logits' {logits.device}")
    if not draws.is_cuda and len(draws):
        low, high = (int(bound) for bound in torch.aminmax(draws))
        if low < 0 or high >= 2**31:
            raise ValueError(f"draws reaches from {low} to {high}; wants 0 to 2**31 - 1")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; wants a number above 0")


def check_drawn(drawn: SampledTokens) -> None:
    """Raises ValueError where a row's logits gave no distribution."""
    if drawn.logprob.is_cuda or (is_drawn := drawn.logprob.isfinite()).all():
        return
    row = int((~is_drawn).nonzero()[0])
    raise ValueError(f"logits of row {row} hold nan, inf or no number at all; nothing can be drawn")


def _is_integer(values: Tensor) -> bool:
    return values.dtype in (torch.int32, torch.int64)
