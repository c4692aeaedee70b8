"""Page writing and M-RoPE: both backends against plain arithmetic."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import genagent_kernels as kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


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
    layout=st.sampled_from(
        [
            *((False, sections) for sections in [(2, 3, 3), (4, 6, 6), (16, 24, 24), (1, 1, 1)]),
            *((True, sections) for sections in [(6, 5, 5), (24, 20, 20), (1, 1, 1), (4, 0, 0)]),
        ]
    ),
)
def test_rotation_turns_each_pair_by_its_axis_position(backend, seed, tokens, heads, layout):
    interleaved, sections = layout
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
        interleaved=interleaved,
        backend=backend,
    )
    if interleaved:
        turns = sections[1]
        axes = [0, 1, 2] * turns + [0] * (sections[0] - turns)
    else:
        axes = [0] * sections[0] + [1] * sections[1] + [2] * sections[2]
    for before, after in zip((query, key), turned, strict=True):
        as_complex = torch.complex(before[..., :half].double(), before[..., half:].double())
        angle = positions[axes].T.double() * frequencies.double()
        expected = as_complex * torch.polar(torch.ones_like(angle), angle)[:, None]
        found = torch.complex(after[..., :half].double(), after[..., half:].double()).cpu()
        # A float32 angle of 2,000 is known to 1e-4.
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("interleaved", "sections"), [(False, (4, 6, 6)), (True, (6, 5, 5))])
def test_angles_worked_out_once_turn_as_the_positions_do(interleaved, sections):
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 5, 3, 32, generator=generator).unbind()
    positions = torch.randint(2000, (3, 5), generator=generator)
    rotation = (positions, 1e4 ** -(torch.arange(16) / 16), sections)
    angles = kernels.plan_rotation(*rotation, torch.float32, interleaved=interleaved)
    alone = kernels.rotate_multimodal(query, key, *rotation, interleaved=interleaved)
    planned = kernels.rotate_multimodal(query, key, *rotation, angles=angles)
    assert torch.equal(torch.stack(planned), torch.stack(alone))


def call(function: Callable, *arguments, **options) -> Callable[[], object]:
    return lambda: function(*arguments, **options)


PAGES = torch.zeros(3, 4, 2, 8)
TOKENS = torch.zeros(2, 2, 8)


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
                torch.zeros(3, 2).long(),
                torch.ones(4),
                (0, 2, 2),
                interleaved=True,
            ),
            "interleaved, the last two want 1 at most",
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
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_writing_and_rotation_name_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
