"""Paged attention, page writing, M-RoPE and the sampler: both backends against plain arithmetic."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import SharedPrefix, reference

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


def paged(
    keys: list[Tensor], page_size: int, pages: Tensor, free: list[int]
) -> tuple[Tensor, Tensor]:
    """Page table and lengths of sequences, written into pages taken from ``free``."""
    most = max([1, *(-(-len(key) // page_size) for key in keys)])
    table = torch.full((len(keys), most), -1)
    for row, key in enumerate(keys):
        for place in range(0, len(key), page_size):
            page = free.pop()
            table[row, place // page_size] = page
            part = key[place : place + page_size]
            pages[page, : len(part)] = part
    return table, torch.tensor([len(key) for key in keys])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@few
@given(
    seed=seeds,
    lengths=st.lists(st.integers(0, 70), min_size=1, max_size=5),
    prefix=st.sampled_from([0, 1, 33, 64]),
    heads=st.sampled_from([(2, 1), (7, 1), (4, 4), (6, 2)]),
    width=st.sampled_from([8, 16, 24]),
    page_size=st.sampled_from([4, 16]),
)
def test_attention_over_pages_is_attention(dtype, seed, lengths, prefix, heads, width, page_size):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    query_heads, key_heads = heads
    pages = torch.full((2, 110, page_size, key_heads, width), torch.nan, dtype=dtype)
    free = torch.randperm(110, generator=generator).tolist()
    # Key and value of a token are one tensor here, so that both land on the same pages.
    own = [normal(length, 2, key_heads, width) for length in lengths]
    common = normal(prefix, 2, key_heads, width)
    begins = [row for row in range(len(lengths)) if row % 3 != 2]
    both = pages.permute(1, 2, 0, 3, 4)
    table, counts = paged(own, page_size, both, free)
    prefix_table, prefix_counts = paged([common], page_size, both, free)
    shared = SharedPrefix(
        page_table=prefix_table.to(DEVICE),
        lengths=prefix_counts.to(DEVICE),
        members=torch.tensor([[*begins, -1]], device=DEVICE),
    )
    query = normal(len(lengths), query_heads, width)
    stored = pages.to(DEVICE).nan_to_num(7.0) if seed % 2 else pages.to(DEVICE)
    found = kernels.decode_attention(
        query.to(DEVICE),
        stored[0],
        stored[1],
        table.to(DEVICE),
        counts.to(DEVICE),
        shared=shared if prefix else None,
        backend="triton",
    ).cpu()
    by_reference = kernels.decode_attention(
        query.double(),
        pages[0].double(),
        pages[1].double(),
        table,
        counts,
        shared=None
        if not prefix
        else SharedPrefix(
            page_table=prefix_table, lengths=prefix_counts, members=torch.tensor([[*begins, -1]])
        ),
    )
    for row, tokens in enumerate(own):
        whole = torch.cat([common, tokens]) if prefix and row in begins else tokens
        if len(whole) == 0:
            expected = torch.zeros(query_heads, width, dtype=torch.float64)
        else:
            key, value = (
                whole[:, index].double().repeat_interleave(query_heads // key_heads, dim=1)
                for index in range(2)
            )
            expected = torch.nn.functional.scaled_dot_product_attention(
                query[row, :, None].double(), key.transpose(0, 1), value.transpose(0, 1)
            ).squeeze(1)
        torch.testing.assert_close(by_reference[row], expected, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(
            found[row].double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
        )


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


def test_philox_gives_the_published_numbers():
    """Random123's known answers for philox4x32-10: counter 0 and key 0; all bits set."""
    first = reference.philox_uniforms(torch.tensor([0]), 1, 0).item()
    assert first == (0x6627E8D5 + 0.5) / 2**32


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@few
@given(
    seed=seeds,
    rows=st.integers(0, 5),
    vocabulary=st.sampled_from([3, 64, 130, 300]),
    draw=st.integers(0, 2**31 - 1),
    temperature=st.sampled_from([1.0, 0.7, 3.0]),
    excluded=st.sampled_from([(), (0,), (1, 2)]),
)
def test_both_samplers_draw_the_same_token(
    dtype, seed, rows, vocabulary, draw, temperature, excluded
):
    generator = torch.Generator().manual_seed(seed)
    logits = (3 * torch.randn(rows, vocabulary, generator=generator)).to(dtype)
    seeds_of_rows = torch.randint(2**62, (rows,), generator=generator)
    options = {"draw": draw, "temperature": temperature, "excluded": excluded}
    expected = kernels.sample_tokens(logits.double(), seeds_of_rows, **options)
    found = kernels.sample_tokens(
        logits.to(DEVICE), seeds_of_rows.to(DEVICE), backend="triton", **options
    )
    assert found.token.tolist() == expected.token.tolist()
    torch.testing.assert_close(found.logprob.cpu().double(), expected.logprob, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.log_kept.cpu().double(), expected.log_kept, atol=1e-5, rtol=0)
    assert not set(found.token.tolist()) & set(excluded)


# An interpreted draw takes 10 ms; that it is the very token torch draws is held above.
@pytest.mark.parametrize(
    ("backend", "draws"), [("torch", 20_000), ("triton", 20_000 if DEVICE == "cuda" else 400)]
)
def test_tokens_are_drawn_as_often_as_they_are_likely(backend, draws):
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.04, 0.01])
    logits = probabilities.log().expand(draws, 5).contiguous().to(DEVICE)
    found = kernels.sample_tokens(
        logits, torch.arange(draws, device=DEVICE), excluded=(1,), backend=backend
    )
    shares = torch.bincount(found.token.cpu(), minlength=5) / draws
    wanted = probabilities.clone()
    wanted[1] = 0
    wanted /= wanted.sum()
    # Five standard errors of a share.
    margin = 5 * (wanted * (1 - wanted) / draws).sqrt()
    assert ((shares - wanted).abs() <= margin).all()
    assert found.log_kept[0].item() == pytest.approx(math.log(0.7), abs=1e-5)
    chosen = probabilities[found.token.cpu()].log()
    torch.testing.assert_close(found.logprob.cpu(), chosen, atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_a_rows_draw_depends_on_its_seed_and_draw_alone(backend):
    logits = torch.zeros(6, 40, device=DEVICE)
    seeds_of_rows = torch.tensor([1, 2, 1, 3, 2**40 + 1, 1], device=DEVICE)

    def tokens(draw: int, rows: slice) -> list[int]:
        return kernels.sample_tokens(
            logits[rows], seeds_of_rows[rows], draw=draw, backend=backend
        ).token.tolist()

    whole = tokens(0, slice(None))
    assert whole[0] == whole[2] == whole[5]
    assert len({whole[0], whole[1], whole[3], whole[4]}) > 1
    assert tokens(0, slice(2, 4)) == whole[2:4]
    assert whole != tokens(1, slice(None))


def attention_arguments() -> dict:
    return {
        "query": torch.zeros(2, 4, 8),
        "key_pages": torch.zeros(3, 4, 2, 8),
        "value_pages": torch.zeros(3, 4, 2, 8),
        "page_table": torch.tensor([[0, 1], [2, 0]]),
        "lengths": torch.tensor([8, 3]),
    }


def prefix(members: list[list[int]], length: int = 4) -> SharedPrefix:
    return SharedPrefix(
        page_table=torch.tensor([[0]] * len(members)),
        lengths=torch.tensor([length] * len(members)),
        members=torch.tensor(members),
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"query": torch.zeros(2, 4, 6)}, r"query wants torch.float32 \[batch, query_heads, 8\]"),
        ({"query": torch.zeros(2, 3, 8)}, "query has 3 heads; wants a multiple of key_pages' 2"),
        ({"query": torch.zeros(2, 4, 8).half()}, "query wants torch.float32"),
        ({"value_pages": torch.zeros(3, 4, 2, 6)}, "value_pages wants"),
        ({"key_pages": torch.zeros(3, 4, 8)}, "key_pages wants floating"),
        ({"lengths": torch.tensor([9, 3])}, "lengths reaches from 3 to 9; wants 0 to 8"),
        ({"lengths": torch.tensor([-1, 3])}, "lengths reaches from -1"),
        ({"lengths": torch.tensor([1.0, 3.0])}, "lengths wants integer"),
        ({"page_table": torch.tensor([[0, 3], [2, 0]])}, "page_table reaches from 0 to 3"),
        ({"page_table": torch.tensor([[0, 1]])}, "page_table wants integer"),
        ({"shared": prefix([[0, 2]])}, "shared.members names row 2 of 2"),
        ({"shared": prefix([[0, 1], [1, -1]])}, "shared.members names a row twice"),
        ({"shared": prefix([[0]], length=5)}, "shared.lengths reaches from 5 to 5"),
        ({"scale": math.nan}, "scale is nan"),
        ({"backend": "cuda"}, "backend is 'cuda'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_attention_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernels.decode_attention(**(attention_arguments() | wrong))


def call(function: Callable, *arguments, **options) -> Callable[[], object]:
    return lambda: function(*arguments, **options)


PAGES = torch.zeros(3, 4, 2, 8)
TOKENS = torch.zeros(2, 2, 8)
LOGITS = torch.zeros(2, 5)
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
        (call(kernels.sample_tokens, LOGITS, SEEDS.int()), "seeds wants int64"),
        (call(kernels.sample_tokens, LOGITS, SEEDS, excluded=(5,)), "excluded names 5"),
        (
            call(kernels.sample_tokens, LOGITS, SEEDS, excluded=(0, 1, 2, 3, 4)),
            "the whole vocabulary",
        ),
        (call(kernels.sample_tokens, LOGITS, SEEDS, draw=-1), "draw is -1"),
        (call(kernels.sample_tokens, LOGITS, SEEDS, temperature=0.0), "temperature is 0.0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_rollout_kernels_name_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
