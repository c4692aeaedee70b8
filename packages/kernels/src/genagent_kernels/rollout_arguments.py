"""Checks of the rollout kernels' arguments; each message names the argument and what it wants.

Values that live on a GPU (lengths, page numbers, slots) are checked on a CPU only: on a GPU each
check would wait for the device in every decoding step.
"""

import math

import torch
from torch import Tensor

from genagent_kernels.arguments import form
from genagent_kernels.results import SharedPrefix


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


def check_attention(
    query: Tensor,
    key_pages: Tensor,
    page_table: Tensor,
    lengths: Tensor,
    shared: SharedPrefix | None,
) -> None:
    """Raises ValueError unless query, table and lengths fit the pages."""
    key_heads, width = key_pages.shape[2:]
    if query.ndim != 3 or query.shape[2] != width or query.dtype != key_pages.dtype:
        raise ValueError(
            f"query wants {key_pages.dtype} [batch, query_heads, {width}], has {form(query)}"
        )
    if key_heads == 0 or query.shape[1] % key_heads:
        raise ValueError(
            f"query has {query.shape[1]} heads; wants a multiple of key_pages' {key_heads}"
        )
    if query.stride(2) != 1:
        raise ValueError(f"query wants stride 1 in the last dimension, has {query.stride()}")
    if query.device != key_pages.device:
        raise ValueError(f"query is on {query.device}; wants key_pages' {key_pages.device}")
    batch = len(query)
    _check_segment("page_table", "lengths", page_table, lengths, batch, key_pages)
    if shared is None:
        return
    groups = len(shared.lengths)
    _check_segment(
        "shared.page_table",
        "shared.lengths",
        shared.page_table,
        shared.lengths,
        groups,
        key_pages,
    )
    members = shared.members
    if members.ndim != 2 or len(members) != groups or not _is_integer(members):
        raise ValueError(f"shared.members wants integer [{groups}, members], has {form(members)}")
    if not members.is_cuda and members.numel():
        listed = members[members >= 0]
        if len(listed) and int(listed.max()) >= batch:
            raise ValueError(f"shared.members names row {int(listed.max())} of {batch}")
        if len(listed.unique()) != len(listed):
            raise ValueError("shared.members names a row twice; a row begins with one prefix")


def _check_segment(
    table_name: str,
    lengths_name: str,
    table: Tensor,
    lengths: Tensor,
    rows: int,
    key_pages: Tensor,
) -> None:
    pages, page_size = key_pages.shape[:2]
    for name, values, shape in (
        (table_name, table, f"[{rows}, max_pages]"),
        (lengths_name, lengths, f"[{rows}]"),
    ):
        ndim = 2 if values is table else 1
        if values.ndim != ndim or len(values) != rows or not _is_integer(values):
            raise ValueError(f"{name} wants integer {shape}, has {form(values)}")
        if values.device != key_pages.device:
            raise ValueError(f"{name} is on {values.device}; wants key_pages' {key_pages.device}")
    if table.is_cuda or not len(lengths):
        return
    low, high = (int(bound) for bound in torch.aminmax(lengths))
    if low < 0 or high > table.shape[1] * page_size:
        raise ValueError(
            f"{lengths_name} reaches from {low} to {high}; wants 0 to "
            f"{table.shape[1] * page_size}, what {table_name} has room for"
        )
    used = torch.arange(table.shape[1]) * page_size < lengths[:, None]
    if used.any():
        low, high = (int(bound) for bound in torch.aminmax(table[used]))
        if low < 0 or high >= pages:
            raise ValueError(
                f"{table_name} reaches from {low} to {high}; wants 0 to {pages - 1}, the pages"
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
        kept = slots[slots >= 0]
        if len(kept.unique()) != len(kept):
            raise ValueError("slots names a place twice; each token wants its own")


def check_rotation(
    query: Tensor,
    key: Tensor,
    positions: Tensor,
    inverse_frequencies: Tensor,
    sections: tuple[int, int, int],
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


def check_sampling(
    logits: Tensor, seeds: Tensor, draw: int, temperature: float, excluded: tuple[int, ...]
) -> None:
    """Raises ValueError unless there is something to sample from, and a seed for each row."""
    if logits.ndim != 2 or logits.shape[1] == 0 or not logits.is_floating_point():
        raise ValueError(f"logits wants floating [rows, vocabulary], has {form(logits)}")
    if logits.stride(1) != 1:
        raise ValueError(f"logits wants stride 1 in the last dimension, has {logits.stride()}")
    if seeds.shape != logits.shape[:1] or seeds.dtype != torch.int64:
        raise ValueError(f"seeds wants int64 [{len(logits)}], has {form(seeds)}")
    if seeds.device != logits.device:
        raise ValueError(f"seeds is on {seeds.device}; wants logits' {logits.device}")
    if not 0 <= draw < 2**31:
        raise ValueError(f"draw is {draw}; wants 0 to 2**31 - 1")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}; wants a number above 0")
    wrong = [token for token in excluded if not 0 <= token < logits.shape[1]]
    if wrong:
        raise ValueError(f"excluded names {wrong[0]}; wants 0 to {logits.shape[1] - 1}")
    if len(set(excluded)) >= logits.shape[1]:
        raise ValueError("excluded names the whole vocabulary; nothing is left to draw")


def _is_integer(values: Tensor) -> bool:
    return values.dtype in (torch.int32, torch.int64)
