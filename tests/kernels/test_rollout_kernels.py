"""Paged attention, page writing, M-RoPE and the sampler: both backends against plain arithmetic."""

import math
from collections.abc import Callable

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
    generator: torch.Generator, counts: list[int], prefix_pages: int, room: int, pages: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Keys and values of sequences, ``[tokens, 2, key_heads, width]`` each, written into ``pages``
    ``[2, pages, page_size, key_heads, width]``, and their page table.

    All but every third sequence of those that are long enough begin with the same pages; the pages
    are the first ``room`` ones in random order, and the table ends in -1.
    """
    _, _, page_size, key_heads, width = pages.shape
    free = torch.randperm(room, generator=generator).tolist()
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
    is_dense=st.booleans(),
)
def test_attention_over_pages_is_attention(
    backend, dtype, seed, counts, prefix_pages, heads, width, page_size, is_dense
):
    generator = torch.Generator().manual_seed(seed)
    query_heads, key_heads = heads
    needed = prefix_pages + sum(-(-count // page_size) for count in counts)
    room = needed if is_dense else 120
    # Triton reads no place without a token; PyTorch gives them no weight.
    pages = torch.full((2, 120, page_size, key_heads, width), 7.0, dtype=dtype)
    if backend == "triton":
        pages.fill_(torch.nan)
    tokens, table = sequences(generator, counts, prefix_pages, room, pages)
    query = torch.randn(len(counts), query_heads, width, generator=generator).to(dtype)
    lengths = torch.tensor(counts)
    found = kernels.decode_attention(
        *(x.to(DEVICE) for x in (query, pages[0], pages[1], table, lengths)), backend=backend
    ).cpu()
    exact = reference.decode_attention(query.double(), *pages.double(), table, lengths)
    for row, own in enumerate(tokens):
        expected = plain_attention(query[row], own)
        torch.testing.assert_close(exact[row], expected, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(
            found[row].double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
        )


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
    tokens, table = sequences(generator, counts, 1, 80, pages)
    widest = max(new for _, new in spans)
    query = torch.randn(len(spans), widest, query_heads, 8, generator=generator).to(dtype)
    starts = torch.tensor([start for start, _ in spans])
    found = kernels.prefill_attention(
        *(x.to(DEVICE) for x in (query, pages[0], pages[1], table, starts))
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
    gathered = (torch_paged.gather(pages, table, 16) for pages in (keys, values))
    in_turns = torch_paged.attend_in_turns(query, *gathered, mask[:, None], 0.3)
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


@pytest.mark.parametrize("backend", ["torch", "triton"])
@few
@given(seed=seeds, tokens=st.integers(0, 12), page_size=st.sampled_from([1, 4, 6]))
def test_written_tokens_are_where_their_slots_say_and_nowhere_else(
    backend, seed, tokens, page_size
):
    generator = torch.Generator().manual_seed(seed)
    key, value = torch.randn(2, tokens, 3, 5, generator=generator).to(DEVICE)
    slots = torch.randperm(12 * page_size, generator=generator)[:tokens]
    dropped = torch.rand(tokens, generator=generator) < 0.3
    slots[dropped] = -1
    pages = torch.zeros(2, 12, page_size, 3, 5, dtype=torch.float16, device=DEVICE)
    kernels.write_pages(key, value, pages[0], pages[1], slots.to(DEVICE), backend=backend)
    flat = pages.view(2, 12 * page_size, 3, 5).cpu()
    for token, slot in enumerate(slots.tolist()):
        if slot >= 0:
            assert torch.equal(flat[0, slot], key[token].half().cpu())
            assert torch.equal(flat[1, slot], value[token].half().cpu())
    untouched = torch.ones(12 * page_size, dtype=torch.bool)
    untouched[slots[slots >= 0]] = False
    assert (flat[:, untouched] == 0).all()


@pytest.mark.parametrize("backend", ["torch", "triton"])
@few
@given(
    seed=seeds,
    tokens=st.integers(0, 6),
    heads=st.sampled_from([(1, 1), (7, 1), (4, 2)]),
    sections=st.sampled_from([(2, 3, 3), (4, 6, 6), (16, 24, 24), (1, 1, 1)]),
)
def test_rotation_turns_each_pair_by_its_axis_position(backend, seed, tokens, heads, sections):
    generator = torch.Generator().manual_seed(seed)
    half = sum(sections)
    query = torch.randn(tokens, heads[0], 2 * half, generator=generator)
    key = torch.randn(tokens, heads[1], 2 * half, generator=generator)
    positions = torch.randint(2000, (3, tokens), generator=generator)
    frequencies = 1e4 ** -(torch.arange(half) / half)
    turned = kernels.rotate_multimodal(
        query.to(DEVICE),
        key.to(DEVICE),
        positions.to(DEVICE),
        frequencies.to(DEVICE),
        sections,
        backend=backend,
    )
    axes = [0] * sections[0] + [1] * sections[1] + [2] * sections[2]
    for before, after in zip((query, key), turned, strict=True):
        as_complex = torch.complex(before[..., :half].double(), before[..., half:].double())
        angle = positions[axes].T.double() * frequencies.double()
        expected = as_complex * torch.polar(torch.ones_like(angle), angle)[:, None]
        found = torch.complex(after[..., :half].double(), after[..., half:].double()).cpu()
        # A float32 angle of 2,000 is known to 1e-4.
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_philox_gives_the_published_number():
    """Random123's known answer for philox4x32-10, counter 0 and key 0."""
    first = reference.philox_uniforms(torch.tensor([0]), torch.tensor([0])).item()
    assert first == (0x6627E8D5 + 0.5) / 2**32


def sampling_case(seed: int, rows: int, vocabulary: int, kept: float) -> tuple[Tensor, ...]:
    """Logits of which about a share ``kept`` is finite, seeds and draws."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, vocabulary, generator=generator)
    is_out = torch.rand(rows, vocabulary, generator=generator) > kept
    # One token at least is left, wherever it lies.
    left = torch.randint(vocabulary, (rows, 1), generator=generator)
    logits = logits.masked_fill(is_out.scatter(1, left, False), -torch.inf)
    seeds_of_rows = torch.randint(2**62, (rows,), generator=generator)
    return logits, seeds_of_rows, torch.randint(2**31, (rows,), generator=generator)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@few
@given(
    seed=seeds,
    rows=st.integers(0, 5),
    vocabulary=st.sampled_from([3, 64, 130, 300]),
    kept=st.sampled_from([1.0, 0.5, 0.0]),
    temperature=st.sampled_from([1.0, 0.7, 3.0]),
)
def test_both_samplers_draw_the_same_token(dtype, seed, rows, vocabulary, kept, temperature):
    logits, seeds_of_rows, draws = sampling_case(seed, rows, vocabulary, kept)
    logits = logits.to(dtype)
    expected = kernels.sample_tokens(
        logits.double(), seeds_of_rows, draws=draws, temperature=temperature
    )
    found = kernels.sample_tokens(
        logits.to(DEVICE),
        seeds_of_rows.to(DEVICE),
        draws=draws.to(DEVICE),
        temperature=temperature,
        backend="triton",
    )
    assert found.token.tolist() == expected.token.tolist()
    torch.testing.assert_close(found.logprob.cpu().double(), expected.logprob, atol=1e-5, rtol=0)
    softmax = (logits.double() / temperature).log_softmax(-1)
    chosen = softmax.gather(1, expected.token[:, None]).squeeze(1)
    assert chosen.isfinite().all()
    torch.testing.assert_close(expected.logprob, chosen, atol=1e-12, rtol=0)


@pytest.mark.parametrize("stream", ["seeds", "draws"])
def test_tokens_are_drawn_as_often_as_they_are_likely(stream):
    """Over many seeds at one draw, and over the draws of one seed."""
    count = 20_000
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.04, 0.01, 0.0])
    many, one = torch.arange(count), torch.full((count,), 7)
    found = kernels.sample_tokens(
        probabilities.log().expand(count, 7),
        many if stream == "seeds" else one,
        draws=one if stream == "seeds" else many,
    )
    shares = torch.bincount(found.token, minlength=7) / count
    # Four standard errors of a share; a token without probability is never drawn.
    margin = 4 * (probabilities * (1 - probabilities) / count).sqrt()
    assert ((shares - probabilities).abs() <= margin).all()


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_largest_number_draws_a_token_that_can_be_drawn(backend):
    """This seed and draw give 1 - 6e-9, which is 1 in float32: no cumulative probability passes
    it."""
    logits = torch.zeros(1, 300, device=DEVICE)
    logits[:, 200:] = -torch.inf
    found = kernels.sample_tokens(
        logits,
        torch.tensor([1], device=DEVICE),
        draws=torch.tensor([27_392_119], device=DEVICE),
        backend=backend,
    )
    assert found.token.tolist() == [199]


@pytest.mark.parametrize("backend", ["torch", "triton"])
@few
@given(seed=seeds, others=st.integers(0, 4))
def test_a_rows_draw_depends_on_its_own_logits_seed_and_draw_alone(backend, seed, others):
    logits, seeds_of_rows, draws = sampling_case(seed, 1 + others, 150, 0.8)
    order = torch.randperm(1 + others, generator=torch.Generator().manual_seed(seed))
    alone, among = (
        kernels.sample_tokens(
            logits[rows].to(DEVICE),
            seeds_of_rows[rows].to(DEVICE),
            draws=draws[rows].to(DEVICE),
            backend=backend,
        )
        for rows in (slice(0, 1), order)
    )
    place = order.tolist().index(0)
    assert alone.token[0] == among.token[place]
    assert alone.logprob[0] == among.logprob[place]


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_seeds_and_draws_are_streams_of_their_own(backend):
    """Seeds that differ in their upper half only, and neighbouring draws."""
    seeds_of_rows = torch.tensor([1, 2, 2**40 + 1, 1, 1, 1], device=DEVICE)
    draws = torch.tensor([0, 0, 0, 1, 2, 0], device=DEVICE)
    found = kernels.sample_tokens(
        torch.zeros(6, 4096, device=DEVICE), seeds_of_rows, draws=draws, backend=backend
    ).token.tolist()
    assert len(set(found[:5])) == 5
    assert found[5] == found[0]


def attention_arguments() -> dict:
    return {
        "query": torch.zeros(2, 4, 8),
        "key_pages": torch.zeros(3, 4, 2, 8),
        "value_pages": torch.zeros(3, 4, 2, 8),
        "page_table": torch.tensor([[0, 1], [2, 0]]),
        "lengths": torch.tensor([8, 3]),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"query": torch.zeros(2, 4, 6)}, r"query wants torch.float32 \[rows, query_heads, 8\]"),
        ({"query": torch.zeros(2, 3, 8)}, "query has 3 heads; wants a multiple of key_pages' 2"),
        ({"query": torch.zeros(2, 4, 8).half()}, "query wants torch.float32"),
        ({"value_pages": torch.zeros(3, 4, 2, 6)}, "value_pages wants"),
        ({"key_pages": torch.zeros(3, 4, 8)}, "key_pages wants floating"),
        ({"lengths": torch.tensor([9, 3])}, "lengths reaches from 3 to 9; wants 0 to 8"),
        ({"lengths": torch.tensor([-1, 3])}, "lengths reaches from -1"),
        ({"lengths": torch.tensor([1.0, 3.0])}, "lengths wants integer"),
        ({"page_table": torch.tensor([[0, 3], [2, 0]])}, "page_table names page 3; wants 0 to 2"),
        ({"page_table": torch.tensor([[0, 1]])}, "page_table wants integer"),
        ({"page_table": torch.tensor([[0, -1], [2, 0]])}, "page_table names page -1"),
        (
            {name: torch.zeros(3, 5, 2, 8)[:, :4] for name in ("key_pages", "value_pages")},
            "key_pages wants one page right after the other",
        ),
        ({"scale": math.nan}, "scale is nan"),
        ({"backend": "cuda"}, "backend is 'cuda'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_attention_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernels.decode_attention(**(attention_arguments() | wrong))


def test_a_page_past_a_sequences_length_may_be_anything():
    arguments = attention_arguments() | {"page_table": torch.tensor([[0, 1], [2, -7]])}
    assert kernels.decode_attention(**arguments).shape == (2, 4, 8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"query": torch.zeros(2, 4, 8)},
            r"query wants torch.float32 \[rows, new, query_heads, 8\]",
        ),
        ({"starts": torch.tensor([8, 3])}, "starts reaches from 3 to 8; wants 0 to 7"),
        ({"page_table": torch.tensor([[0, 1], [3, 0]])}, "page_table names page 3; wants 0 to 2"),
        ({"scale": math.inf}, "scale is inf"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_prefill_names_the_wrong_argument(wrong, message):
    arguments = attention_arguments() | {"query": torch.zeros(2, 3, 4, 8)}
    del arguments["lengths"]
    with pytest.raises(ValueError, match=message):
        kernels.prefill_attention(**(arguments | {"starts": torch.tensor([5, 3])} | wrong))


def call(function: Callable, *arguments, **options) -> Callable[[], object]:
    return lambda: function(*arguments, **options)


PAGES = torch.zeros(3, 4, 2, 8)
TOKENS = torch.zeros(2, 2, 8)
LOGITS = torch.zeros(2, 5)
EXCLUDED = torch.tensor([[0.0, 1.0], [-torch.inf, -torch.inf]])
SEEDS = torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            call(kernels.write_pages, TOKENS, TOKENS, PAGES, PAGES, torch.tensor([0, 12])),
            "slots reaches to 12; the pages end at 11",
        ),
        (
            call(kernels.write_pages, TOKENS, TOKENS, PAGES, PAGES, torch.tensor([3, 3])),
            "slots names a place twice",
        ),
        (
            call(kernels.write_pages, TOKENS[:, :1], TOKENS, PAGES, PAGES, torch.tensor([0, 1])),
            "key wants",
        ),
        (
            call(
                kernels.rotate_multimodal,
                TOKENS,
                TOKENS,
                torch.zeros(3, 2).long(),
                torch.ones(4),
                (1, 1, 1),
            ),
            "sections are",
        ),
        (
            call(
                kernels.rotate_multimodal,
                TOKENS,
                TOKENS,
                torch.zeros(2, 2).long(),
                torch.ones(4),
                (1, 1, 2),
            ),
            "positions wants",
        ),
        (call(kernels.sample_tokens, LOGITS, SEEDS.int(), draws=SEEDS), "seeds wants int64"),
        (call(kernels.sample_tokens, LOGITS, SEEDS, draws=SEEDS[:1]), "draws wants int64"),
        (call(kernels.sample_tokens, LOGITS, SEEDS, draws=-SEEDS), "draws reaches from -2 to -1"),
        (
            call(kernels.sample_tokens, LOGITS, SEEDS, draws=SEEDS, temperature=0.0),
            "temperature is 0.0",
        ),
        (
            call(kernels.sample_tokens, EXCLUDED, SEEDS, draws=SEEDS),
            "logits of row 1 hold nan, inf or no number at all",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_rollout_kernels_name_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
