"""The Triton kernels of the loss, on a GPU or interpreted."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import DEVICE, assert_close, make_case

import genagent_kernels as kernels
from genagent_kernels import head, reference

LOGPROB_TOLERANCE = 2e-5
grpo_loss = partial(kernels.grpo_loss, backend="triton")
linear_logprob = partial(kernels.linear_logprob, backend="triton")
seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """Chunks of 8 rows, and spans of 128 columns, so that small cases have several of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "CHUNK_ROWS", {"cuda": 8, "cpu": 8})
        patch.setattr("genagent_kernels.gpu.head_logprob.SPAN", 128)
        yield


@few
@given(seed=seeds, keep=st.integers(1, 39), shift=st.integers(0, 17))
def test_a_row_is_bitwise_the_same_in_any_batch(seed, keep, shift):
    case = make_case(seed, rows=40, vocabulary=150).without_holes().to(torch.bfloat16).on(DEVICE)
    if DEVICE == "cpu":
        # The interpreter multiplies with the CPU's BLAS, whose rows do depend on their place. Sums
        # of multiples of 1/64 are exact in any order; all that follows the product is tested.
        hidden, weight = ((8 * x).round() / 8 for x in (case.hidden, case.weight))
        case = replace(case, hidden=hidden, weight=weight)
    many = linear_logprob(case.hidden, case.weight, case.target, with_entropy=True)
    rows = torch.arange(40).roll(shift)[:keep].to(DEVICE)
    few_rows = linear_logprob(case.hidden[rows], case.weight, case.target[rows], with_entropy=True)
    assert torch.equal(few_rows.logprob, many.logprob[rows])
    assert many.entropy is not None and few_rows.entropy is not None
    assert torch.equal(few_rows.entropy, many.entropy[rows])


@few
@given(seed=seeds)
def test_the_loss_is_bitwise_the_same_twice(seed):
    case = make_case(seed, rows=20, vocabulary=130).to(torch.bfloat16).on(DEVICE)
    first, second = case.run(grpo_loss), case.run(grpo_loss)
    assert torch.equal(first[0].loss, second[0].loss)
    assert torch.equal(first[1], second[1]) and torch.equal(first[2], second[2])
    assert torch.equal(first[0].stats.entropy, second[0].stats.entropy)
    assert torch.equal(first[0].stats.kl_k3, second[0].stats.kl_k3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("logits", [(1e4, -1e4, 0.0, 9e3), (-1e4, -1e4, -1e4), (5.0, 5.0, 5.0)])
def test_extreme_and_tied_logits(dtype, logits):
    """One hidden unit of value 1, so that the weight's column is the logits."""
    weight = torch.tensor(logits, dtype=dtype, device=DEVICE)[:, None]
    targets = torch.tensor([0, 1, 2, 2], device=DEVICE)  # a repeated one as well
    hidden = torch.ones(4, 1, dtype=dtype, device=DEVICE)
    result = linear_logprob(hidden, weight, targets, with_entropy=True)
    expected = reference.linear_logprob(
        hidden.double(), weight.double(), targets, with_entropy=True
    )
    assert result.entropy is not None and expected.entropy is not None
    torch.testing.assert_close(result.logprob.double(), expected.logprob, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(result.entropy.double(), expected.entropy, atol=1e-6, rtol=1e-6)
    loss = grpo_loss(
        hidden.requires_grad_(),
        weight,
        targets,
        old_logprob=result.logprob,
        advantage=torch.ones(4, device=DEVICE),
        mask=torch.ones(4, dtype=torch.bool, device=DEVICE),
        token_weight=torch.full((4,), 0.25, device=DEVICE),
    )
    loss.loss.backward()
    assert loss.loss.item() == pytest.approx(-1.0)
    assert hidden.grad is not None and hidden.grad.isfinite().all()


def test_offsets_beyond_31_bits():
    """Rows of the weight 2**30 elements apart; only the pages that hold them are ever touched."""
    apart, width = 2**30, 8
    memory = torch.empty(2 * apart + width, dtype=torch.bfloat16, device=DEVICE)
    weight = memory.as_strided((3, width), (apart, 1))
    weight.copy_(torch.arange(24.0).view(3, width) / 8)
    hidden = torch.ones(2, width, dtype=torch.bfloat16, device=DEVICE)
    targets = torch.tensor([2, 0], device=DEVICE)
    found = linear_logprob(hidden, weight, targets).logprob
    expected = reference.linear_logprob(hidden.double(), weight.double(), targets).logprob
    assert_close(found, expected, LOGPROB_TOLERANCE)


def test_no_rows_at_all():
    hidden = torch.empty(0, 4, device=DEVICE, requires_grad=True)
    weight = torch.randn(5, 4, device=DEVICE, requires_grad=True)
    nothing = torch.empty(0, device=DEVICE)
    targets = nothing.long()
    result = linear_logprob(hidden, weight, targets, with_entropy=True)
    assert result.logprob.tolist() == []
    loss = grpo_loss(
        hidden,
        weight,
        targets,
        old_logprob=nothing,
        advantage=nothing,
        mask=nothing.bool(),
        token_weight=nothing,
    )
    loss.loss.backward()
    assert loss.loss.item() == 0.0
    assert weight.grad is not None and (weight.grad == 0).all()


def test_a_frozen_weight_has_no_product_of_its_own(monkeypatch):
    case = make_case(3, rows=9).to(torch.float32).on(DEVICE)
    monkeypatch.setattr("genagent_kernels.fused_grpo.add_weight_gradient", None)
    hidden = case.hidden.clone().requires_grad_()
    arguments = {
        name: getattr(case, name)
        for name in ("old_logprob", "advantage", "mask", "token_weight", "temperature")
    }
    grpo_loss(hidden, case.weight, case.target, **arguments).loss.backward()
    assert hidden.grad is not None and hidden.grad[case.mask].abs().sum() > 0


@few
@given(
    seed=seeds,
    rows=st.sampled_from([0, 1, 127, 128, 300]),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    spread=st.sampled_from([1e-4, 0.3, 3.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_ratios_and_their_statistics_equal_the_reference(seed, rows, share, spread, dtype):
    generator = torch.Generator().manual_seed(seed)
    old = -torch.rand(rows, generator=generator).to(dtype)
    new = (old.float() + spread * torch.randn(rows, generator=generator)).to(dtype)
    mask = torch.rand(rows, generator=generator) < share
    new[~mask] = torch.nan
    options = {"clip_low": 0.2, "clip_high": 0.28, "truncate_at": 2.0}
    expected = kernels.logprob_ratio(new.double(), old.double(), mask, backend="torch", **options)
    found = kernels.logprob_ratio(
        new.to(DEVICE), old.to(DEVICE), mask.to(DEVICE), backend="triton", **options
    )
    for name in ("ratio_mean", "ratio_max", "kl_k1", "ratio", "importance_weight"):
        assert_close(getattr(found, name).cpu(), getattr(expected, name), 2e-5)
    # Its own size at a spread of 1e-4 is 5e-9: nothing is left of it unless small terms survive.
    torch.testing.assert_close(found.kl_k3.cpu().double(), expected.kl_k3, atol=1e-12, rtol=1e-3)
    for name in ("clip_low_fraction", "clip_high_fraction", "tokens"):
        assert getattr(found, name).item() == pytest.approx(getattr(expected, name).item())


def test_importance_weights_are_cut_and_masked_rows_weigh_one():
    new = torch.tensor([np.log(4.0), np.log(0.5), 7.0]).float().to(DEVICE)
    mask = torch.tensor([True, True, False], device=DEVICE)
    found = kernels.logprob_ratio(
        new, torch.zeros_like(new), mask, truncate_at=2.0, backend="triton"
    )
    assert found.importance_weight is not None
    assert found.importance_weight.tolist() == pytest.approx([2.0, 0.5, 1.0])
    assert found.ratio.tolist() == pytest.approx([4.0, 0.5, 1.0])
    assert found.ratio_max.item() == pytest.approx(4.0)
    assert found.tokens.item() == 2
