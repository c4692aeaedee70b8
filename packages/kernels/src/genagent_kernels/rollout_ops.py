"""The public kernels of a rollout engine: arguments are checked here, the backend chosen, once."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels import reference
from genagent_kernels.backends import Backend, choose_backend
from genagent_kernels.results import SampledTokens, SharedPrefix
from genagent_kernels.rollout_arguments import (
    check_attention,
    check_pages,
    check_rotation,
    check_sampling,
    check_slots,
)


def decode_attention(
    query: Float[Tensor, "batch query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "batch max_pages"],
    lengths: Int[Tensor, " batch"],
    *,
    shared: SharedPrefix | None = None,
    scale: float | None = None,
    backend: Backend | None = None,
) -> Float[Tensor, "batch query_heads width"]:
    """Softmax attention of one new token a sequence over keys and values that lie in pages.

    Args:
        query: of the new tokens; ``query_heads`` is a multiple of ``key_heads``, and query heads
            that share a key head are neighbours.
        page_table: which pages hold a sequence's own keys, in order.
        lengths: tokens of each sequence in its own pages, the new one among them.
        shared: prefixes that come before some sequences' own pages. Attention has no order, so
            positions must be in the keys already (see ``rotate_multimodal``).
        scale: of the scores; ``width ** -0.5`` by default.

    Returns:
        [batch, query_heads, width] in the query's dtype; zeros for a sequence without a key.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(query, backend)
    check_pages(key_pages, value_pages)
    check_attention(query, key_pages, page_table, lengths, shared)
    factor = query.shape[2] ** -0.5 if scale is None else scale
    if not math.isfinite(factor):
        raise ValueError(f"scale is {factor}; wants a finite number")
    if chosen == "torch":
        return reference.decode_attention(
            query, key_pages, value_pages, page_table, lengths, shared=shared, scale=factor
        )
    from genagent_kernels.gpu.paged_attention import launch_attention

    return launch_attention(query, key_pages, value_pages, page_table, lengths, shared, factor)


def write_pages(
    key: Float[Tensor, "tokens key_heads width"],
    value: Float[Tensor, "tokens key_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    slots: Int[Tensor, " tokens"],
    *,
    backend: Backend | None = None,
) -> None:
    """Put each new token's key and value at ``slots[n] = page * page_size + offset``, in place.

    A negative slot drops the token, as padding wants it. No slot may be given twice.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(key, backend)
    check_pages(key_pages, value_pages)
    check_slots(key, value, key_pages, slots)
    if chosen == "torch":
        reference.write_pages(key, value, key_pages, value_pages, slots)
        return
    from genagent_kernels.gpu.paged_attention import launch_write_pages

    launch_write_pages(key, value, key_pages, value_pages, slots)


def rotate_multimodal(
    query: Float[Tensor, "tokens query_heads width"],
    key: Float[Tensor, "tokens key_heads width"],
    positions: Int[Tensor, "3 tokens"],
    inverse_frequencies: Float[Tensor, " half_width"],
    sections: tuple[int, int, int],
    *,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """Queries and keys turned by their positions in time, height and width (M-RoPE, 2409.12191).

    Args:
        positions: of each token on the three axes; for text they are equal.
        inverse_frequencies: ``theta ** (-2i / width)`` for i in ``range(width / 2)``.
        sections: frequencies for each axis, ``width / 2`` together; (16, 24, 24) in Qwen2.5-VL.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(query, backend)
    check_rotation(query, key, positions, inverse_frequencies, sections)
    if chosen == "torch":
        return reference.rotate_multimodal(query, key, positions, inverse_frequencies, sections)
    from genagent_kernels.gpu.mrope import launch_rotation

    return launch_rotation(query, key, positions, inverse_frequencies, sections)


def sample_tokens(
    logits: Float[Tensor, "rows vocabulary"],
    seeds: Int[Tensor, " rows"],
    *,
    draw: int = 0,
    temperature: float = 1.0,
    excluded: tuple[int, ...] = (),
    backend: Backend | None = None,
) -> SampledTokens:
    """One token a row from ``softmax(logits / temperature)`` without the excluded ones.

    A row's token depends on its seed, ``draw`` and its own logits, on nothing else in the batch.

    Args:
        seeds: int64, one a row.
        draw: which draw of the row's stream this is, such as the number of tokens before it.
        excluded: tokens that are never drawn, such as the vision special tokens.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(logits, backend)
    check_sampling(logits, seeds, draw, temperature, excluded)
    if chosen == "torch":
        return reference.sample_tokens(
            logits, seeds, draw=draw, temperature=temperature, excluded=excluded
        )
    from genagent_kernels.gpu.sampler import launch_sampler

    with torch.no_grad():
        return launch_sampler(logits, seeds, draw, temperature, excluded)
