"""Attention over pages: both backends and prefill against plain attention."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import reference, torch_paged

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def small_spans():
    """Spans of 32 keys, so that short sequences have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genagent_kernels.gpu.paged_attention.SPAN", 32)
        yield


def sequences(
    generator: torch.Generator, counts: list[int], prefix_pages: int, pages: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Keys and values of sequences, ``[tokens, 2, key_heads, width]`` each, written into ``pages``
    ``[2, pages, page_size, key_heads, width]``, and their page table.

    All but every third sequence of those that are long enough begin with the same pages; pages are
    taken in random order, and the table ends in -1.
    """
    _, num_pages, page_size, key_heads, width = pages.shape
    free = torch.randperm(num_pages, generator=generator).tolist()
    shape = (2, key_heads, width)
    prefix = torch.randn(prefix_pages * page_size, *shape, generator=generator).to(pages.dtype)
    shared = [free.pop() for _ in range(prefix_pages)]
    table = torch.full((len(counts), max([1, *(-(-count // page_size) for count in counts)])), -1)
    tokens = []
    for row, count in enumerate(counts):
        own = torch.randn(count, *shape, generator=generator).to(pages.dtype)
        if row % 3 != 2 and count > len(prefix):
            own[: len(prefix)] = prefix
        for column in range(-(-count // page_size)):
            is_shared = row % 3 != 2 and count > len(prefix) and column < prefix_pages
            page = shared[column] if is_shared else free.pop()
            table[row, column] = page
            part = own[column * page_size : (column + 1) * page_size]
            pages[:, page, : len(part)] = part.transpose(0, 1)
        tokens.append(own)
    return tokens, table


def plain_attention(query: Tensor, tokens: Tensor) -> Tensor:
    """Of one query ``[query_heads, width]`` over ``[tokens, 2, key_heads, width]``, in float64."""
    if len(tokens) == 0:
        return torch.zeros(query.shape, dtype=torch.float64)
    key, value = (
        tokens[:, index].double().repeat_interleave(len(query) // tokens.shape[2], dim=1)
        for index in range(2)
    )
    return torch.nn.functional.scaled_dot_product_attention(
        query[:, None].double(), key.transpose(0, 1), value.transpose(0, 1)
    ).squeeze(1)


heads = st.sampled_from([(2, 1), (7, 1), (4, 4), (6, 2)])


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@few
@given(
    seed=seeds,
    counts=st.lists(st.integers(0, 70), min_size=1, max_size=5),
    prefix_pages=st.integers(0, 2),
    heads=heads,
    width=st.sampled_from([8, 16, 24]),
    page_size=st.sampled_from([4, 16, 80]),
)
def test_attention_over_pages_is_attention(
    backend, dtype, seed, counts, prefix_pages, heads, width, page_size
):
    generator = torch.Generator().manual_seed(seed)
    query_heads, key_heads = heads
    # Triton reads no place without a token; PyTorch gives them no weight.
    pages = torch.full((2, 120, page_size, key_heads, width), 7.0, dtype=dtype)
    if backend == "triton":
        pages.fill_(torch.nan)
    tokens, table = sequences(generator, counts, prefix_pages, pages)
    query = torch.randn(len(counts), query_heads, width, generator=generator).to(dtype)
    lengths = torch.tensor(counts)
    found = kernels.decode_attention(
        query.to(DEVICE),
        pages[0].to(DEVICE),
        pages[1].to(DEVICE),
        table.to(DEVICE),
        lengths.to(DEVICE),
        backend=backend,
    ).cpu()
    exact = reference.decode_attention(
        query.double(), pages[0].double(), pages[1].double(), table, lengths
    )
    for row, own in enumerate(tokens):
        expected = plain_attention(query[row], own)
        torch.testing.assert_close(exact[row], expected, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(
            found[row].double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
        )


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    rows=st.integers(1, 8),
    columns=st.integers(1, 3),
    room=st.sampled_from([1, 3, 8, 100]),
    heads=heads,
)
def test_a_page_may_stand_anywhere_in_any_rows(seed, rows, columns, room, heads):
    """Few pages are read where they lie, by several queries each; many are copied."""
    generator = torch.Generator().manual_seed(seed)
    query_heads, key_heads = heads
    keys, values = torch.randn(2, 100, 4, key_heads, 8, generator=generator, dtype=torch.float64)
    table = torch.randint(room, (rows, columns), generator=generator)
    lengths = torch.randint(4 * columns + 1, (rows,), generator=generator)
    query = torch.randn(rows, query_heads, 8, generator=generator, dtype=torch.float64)
    found = kernels.decode_attention(query, keys, values, table, lengths, scale=0.3)
    expected = reference.decode_attention(query, keys, values, table, lengths, scale=0.3)
    torch.testing.assert_close(found, expected)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, rows=st.integers(1, 8), columns=st.integers(1, 3), room=st.integers(1, 60))
def test_one_plan_serves_every_layer(seed, rows, columns, room):
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(room, (rows, columns), generator=generator)
    lengths = torch.randint(4 * columns + 1, (rows,), generator=generator)
    layers = torch.randn(2, 2, 60, 4, 2, 8, generator=generator)
    plan = kernels.plan_decode(layers[0, 0], table, lengths)
    for keys, values in layers:
        query = torch.randn(rows, 4, 8, generator=generator)
        alone = kernels.decode_attention(query, keys, values, table, lengths)
        planned = kernels.decode_attention(query, keys, values, table, lengths, plan=plan)
        assert torch.equal(planned, alone)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@few
@given(
    seed=seeds,
    spans=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=5),
    heads=heads,
    page_size=st.sampled_from([4, 16, 50]),
)
def test_new_tokens_attend_to_all_before_them_and_themselves(dtype, seed, spans, heads, page_size):
    generator = torch.Generator().manual_seed(seed)
    query_heads, key_heads = heads
    pages = torch.full((2, 80, page_size, key_heads, 8), 7.0, dtype=dtype)
    counts = [start + new for start, new in spans]
    tokens, table = sequences(generator, counts, 1, pages)
    widest = max(new for _, new in spans)
    query = torch.randn(len(spans), widest, query_heads, 8, generator=generator).to(dtype)
    starts = torch.tensor([start for start, _ in spans])
    found = kernels.prefill_attention(
        query.to(DEVICE),
        pages[0].to(DEVICE),
        pages[1].to(DEVICE),
        table.to(DEVICE),
        starts.to(DEVICE),
    ).cpu()
    for row, (start, new) in enumerate(spans):
        for column in range(new):
            expected = plain_attention(query[row, column], tokens[row][: start + column + 1])
            torch.testing.assert_close(
                found[row, column].double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
            )


@few
@given(seed=seeds, heads=heads)
def test_prefill_is_what_decoding_token_by_token_finds(seed, heads):
    """Of both references, and of the turns that CUDA takes for a group's heads."""
    generator = torch.Generator().manual_seed(seed)
    query_heads, key_heads = heads
    keys, values = torch.randn(2, 20, 4, key_heads, 8, generator=generator, dtype=torch.float64)
    table = torch.randperm(20, generator=generator)[:12].view(3, 4)
    query = torch.randn(3, 5, query_heads, 8, generator=generator, dtype=torch.float64)
    starts = torch.tensor([11, 0, 6])
    found = kernels.prefill_attention(query, keys, values, table, starts, scale=0.3)
    expected = reference.prefill_attention(query, keys, values, table, starts, scale=0.3)
    torch.testing.assert_close(found, expected)
    mask = torch_paged.additive_mask(starts[:, None] + torch.arange(5) + 1, 16, torch.float64)
    keys, values = (torch_paged.gather(pages, table, 16) for pages in (keys, values))
    in_turns = torch_paged.attend_in_turns(query, keys, values, mask[:, None], 0.3)
    torch.testing.assert_close(in_turns, expected)


@few
@given(seed=seeds, keep=st.integers(1, 4))
def test_a_sequences_attention_is_bitwise_the_same_in_any_batch(seed, keep):
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 30, 8, 1, 16, generator=generator).to(DEVICE)
    table = torch.randperm(30, generator=generator).view(5, 6).to(DEVICE)
    lengths = torch.tensor([48, 3, 17, 40, 33], device=DEVICE)
    query = torch.randn(5, 4, 16, generator=generator).to(DEVICE)
    whole = kernels.decode_attention(query, keys, values, table, lengths, backend="triton")
    rows = torch.randperm(5, generator=generator)[:keep].to(DEVICE)
    part = kernels.decode_attention(
        query[rows], keys, values, table[rows], lengths[rows], backend="triton"
    )
    assert torch.equal(part, whole[rows])
