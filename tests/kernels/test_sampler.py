"""The sampler: both backends draw the same tokens, as often as they are likely."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
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


LOGITS = torch.zeros(2, 5)
EXCLUDED = torch.tensor([[0.0, 1.0], [-torch.inf, -torch.inf]])
SEEDS = torch.tensor([1, 2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": SEEDS.int()}, "seeds wants int64"),
        ({"draws": SEEDS[:1]}, "draws wants int64"),
        ({"draws": -SEEDS}, "draws reaches from -2 to -1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"logits": EXCLUDED}, "logits of row 1 hold nan, inf or no number at all"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_the_sampler_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        kernels.sample_tokens(**({"logits": LOGITS, "seeds": SEEDS, "draws": SEEDS} | wrong))
