"""The public kernels of a rollout engine: arguments are checked here, the backend chosen, once."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from genagent_kernels import decode_plan, reference, torch_paged
from genagent_kernels.backends import Backend, choose_backend
from genagent_kernels.decode_plan import DecodePlan
from genagent_kernels.results import SampledTokens
from genagent_kernels.rollout_arguments import (
    check_drawn,
    check_pages,
    check_prefill,
    check_query,
    check_rotation,
    check_sampling,
    check_slots,
    check_table,
)


def decode_attention(
    query: Float[Tensor, "rows query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
    *,
    scale: float | None = None,
    plan: DecodePlan | None = None,
    backend: Backend | None = None,
) -> Float[Tensor, "rows query_heads width"]:
    """Softmax attention of one new token a sequence over keys and values that lie in pages.

    Sequences share what they begin with by naming the same pages. On a CPU the pages must hold
    finite numbers where no token was written yet, as zeros are.

    Args:
        query: of the new tokens; ``query_heads`` is a multiple of ``key_heads``, and query heads
            that share a key head are neighbours.
        page_table: which pages hold a sequence's keys, in order; past its length anything.
        lengths: tokens of each sequence, the new one among them.
        scale: of the scores; ``width ** -0.5`` by default.
        plan: what ``plan_decode`` made of this table and these lengths, where many layers want
            them: on a CPU it is used and they are not checked again, on a GPU it is None.

    Returns:
        [rows, query_heads, width] in the query's dtype; zeros for a sequence without a key.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(query, backend)
    check_pages(key_pages, value_pages)
    check_query(query, key_pages, "rows")
    if plan is None:
        check_table(query, key_pages, page_table, lengths)
    factor = finite_scale(query, scale)
    if chosen == "torch":
        return torch_paged.decode_attention(
            query, key_pages, value_pages, page_table, lengths, scale=factor, plan=plan
        )
    from genagent_kernels.gpu.paged_attention import launch_attention

    return launch_attention(query, key_pages, value_pages, page_table, lengths, factor)


def plan_decode(
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    lengths: Int[Tensor, " rows"],
) -> DecodePlan | None:
    """What ``decode_attention`` works out of a table and lengths on a CPU, for all layers of a
    pass, whose pages are shaped alike; None on a GPU, which works nothing out, and for no row.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    check_table(lengths, key_pages, page_table, lengths)
    if key_pages.is_cuda or page_table.numel() == 0:
        return None
    return decode_plan.plan_decode(page_table, lengths, page_size=key_pages.shape[1])


def prefill_attention(
    query: Float[Tensor, "rows new query_heads width"],
    key_pages: Float[Tensor, "pages page_size key_heads width"],
    value_pages: Float[Tensor, "pages page_size key_heads width"],
    page_table: Int[Tensor, "rows max_pages"],
    starts: Int[Tensor, " rows"],
    *,
    scale: float | None = None,
) -> Float[Tensor, "rows new query_heads width"]:
    """Causal attention of sequences' new tokens, whose keys are in the pages already.

    Query ``j`` of row ``r`` sees keys ``0`` to ``starts[r] + j``. Rows are padded on the right:
    what a pad attends to means nothing, and need not have a page. PyTorch on every device; the
    pages must hold finite numbers where no token was written yet, as zeros are.

    Args:
        page_table: which pages hold a sequence's keys, in order, with the columns that are needed
            and no more: all of them are read. An entry below 0 is read as page 0.
        starts: tokens of each sequence before its new ones.
        scale: of the scores; ``width ** -0.5`` by default.

    Returns:
        [rows, new, query_heads, width] in the query's dtype.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    check_pages(key_pages, value_pages)
    check_prefill(query, key_pages, page_table, starts)
    return torch_paged.prefill_attention(
        query, key_pages, value_pages, page_table, starts, scale=finite_scale(query, scale)
    )


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

    A negative slot drops the token, as padding wants it. No slot may be given twice; on a CPU that
    is checked for up to 1,024 tokens, as decoding writes them.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(key, backend)
    check_pages(key_pages, value_pages)
    check_slots(key, value, key_pages, slots)
    if chosen == "torch":
        torch_paged.write_pages(key, value, key_pages, value_pages, slots)
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
    interleaved: bool = False,
    angles: tuple[Tensor, Tensor] | None = None,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """Queries and keys turned by their positions in time, height and width (M-RoPE, 2409.12191).

    Args:
        positions: of each token on the three axes; for text they are equal.
        inverse_frequencies: ``theta ** (-2i / width)`` for i in ``range(width / 2)``.
        sections: frequencies for each axis, ``width / 2`` together; (16, 24, 24) in Qwen2.5-VL.
        interleaved: whether neighbouring frequencies belong to different axes, as in Qwen3-VL with
            sections (24, 20, 20), instead of lying one axis behind the other.
        angles: what ``plan_rotation`` made of the four before, where many layers want them.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(query, backend)
    check_rotation(query, key, positions, inverse_frequencies, sections, interleaved)
    if chosen == "torch" and angles is not None:
        return reference.rotate_by(query, key, angles)
    if chosen == "torch":
        return reference.rotate_multimodal(
            query, key, positions, inverse_frequencies, sections, interleaved=interleaved
        )
    from genagent_kernels.gpu.mrope import launch_rotation

    return launch_rotation(
        query, key, positions, inverse_frequencies, sections, interleaved=interleaved
    )


def plan_rotation(
    positions: Int[Tensor, "3 tokens"],
    inverse_frequencies: Float[Tensor, " half_width"],
    sections: tuple[int, int, int],
    dtype: torch.dtype,
    *,
    interleaved: bool = False,
) -> tuple[Tensor, Tensor] | None:
    """Cosine and sine of the angles that ``rotate_multimodal`` turns by on a CPU, for all layers of
    a pass; None on a GPU, whose kernel works them out itself.

    Args:
        dtype: of the queries.
    """
    if positions.is_cuda:
        return None
    exact = torch.promote_types(dtype, torch.float32)
    return reference.multimodal_angles(
        positions, inverse_frequencies.to(exact), sections, interleaved=interleaved
    )


def sample_tokens(
    logits: Float[Tensor, "rows vocabulary"],
    seeds: Int[Tensor, " rows"],
    *,
    draws: Int[Tensor, " rows"],
    temperature: float = 1.0,
    backend: Backend | None = None,
) -> SampledTokens:
    """One token a row from ``softmax(logits / temperature)``.

    A row's token depends on its seed, its draw and its own logits, on nothing else in the batch.

    Args:
        logits: minus infinity where a token must not be drawn, as top-p and top-k leave them.
        seeds: int64, one a row.
        draws: int64, which draw of its stream each row takes, such as the number of tokens before
            it; 0 to 2**31 - 1.

    Raises:
        ValueError: a shape, dtype, device or value does not fit; the message names the argument.
    """
    chosen = choose_backend(logits, backend)
    check_sampling(logits, seeds, draws, temperature)
    if chosen == "torch":
        drawn = reference.sample_tokens(logits, seeds, draws=draws, temperature=temperature)
        check_drawn(drawn)
        return drawn
    from genagent_kernels.gpu.sampler import launch_sampler

    with torch.no_grad():
        return launch_sampler(logits, seeds, draws, temperature)


def finite_scale(query: Tensor, scale: float | None) -> float:
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    if not math.isfinite(factor):
        raise ValueError(f"scale is {factor}; wants a finite number")
    return factor
