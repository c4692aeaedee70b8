"""The chunked kernels in PyTorch: the laws the trainer relies on."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import DEVICE, assert_close, make_case
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import fused_grpo, head, reference, torch_head

seeds = st.integers(0, 2**31)
row_counts = st.sampled_from([1, 2, 7, 8, 9, 30])


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """Chunks of 8 rows in blocks of 3, so that small cases have several and a ragged last one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "CHUNK_ROWS", {"cuda": 8, "cpu": 8})
        patch.setattr(torch_head, "BLOCK_ROWS", 3)
        yield


def test_entropy_alone_carries_a_gradient():
    case = make_case(4, rows=9)
    hidden = case.hidden.nan_to_num(0.5).requires_grad_()
    target = case.target.clamp(min=0)
    expected = reference.linear_logprob(hidden, case.weight, target, with_entropy=True).entropy
    actual = kernels.linear_logprob(hidden, case.weight, target, with_entropy=True).entropy
    assert expected is not None and actual is not None
    (wanted,) = torch.autograd.grad(expected.sum(), hidden)
    (grad,) = torch.autograd.grad(actual.sum(), hidden)
    assert_close(grad, wanted, 1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rows=row_counts)
def test_rows_outside_the_mask_have_exactly_no_gradient_and_no_say(seed, rows):
    case = make_case(seed, rows=rows)
    result, grad_hidden, grad_weight = case.run()
    assert result.loss.isfinite() and grad_weight.isfinite().all()
    assert (grad_hidden[~case.mask] == 0).all()
    assert (result.logprob[~case.mask] == 0).all()
    assert (result.logprob[case.mask] < 0).all()
    kept, kept_hidden, kept_weight = case.rows(case.mask).run()
    assert torch.equal(result.loss, kept.loss)
    assert torch.equal(grad_hidden[case.mask], kept_hidden)
    assert torch.equal(grad_weight, kept_weight)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rows=row_counts)
def test_rows_without_advantage_have_a_log_prob_and_no_gradient(seed, rows):
    case = make_case(seed, rows=rows)
    expected, _, _ = case.run(reference.grpo_loss)
    result, grad_hidden, _ = case.run()
    idle = case.mask & (case.advantage == 0)
    assert (grad_hidden[idle] == 0).all()
    assert_close(result.logprob[idle], expected.logprob[idle], 1e-10)


def test_only_rows_with_a_gradient_reach_the_products_of_the_gradient(monkeypatch):
    case = make_case(3, rows=30)
    seen = []

    def counted(gradient, weight):
        seen.append(len(gradient))
        return gradient @ weight

    monkeypatch.setattr("genagent_kernels.fused_grpo.hidden_gradient", counted)
    case.run()
    live = int((case.mask & (case.advantage != 0)).sum())
    assert 0 < live < int(case.mask.sum()) < 30
    assert sum(seen) == live
    assert max(seen) == 8


@settings(max_examples=25, deadline=None)
@given(seed=seeds, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_micro_batches_add_up_to_the_whole(seed, cuts):
    case = make_case(seed, rows=30)
    whole, whole_hidden, whole_weight = case.run()
    edges = [0, *sorted(cuts), 30]
    parts = [case.rows(slice(start, stop)).run() for start, stop in pairwise(edges)]
    assert_close(sum(part[0].loss for part in parts) + torch.zeros(()), whole.loss, 1e-12)
    assert_close(torch.cat([part[1] for part in parts]), whole_hidden, 1e-12)
    assert_close(torch.stack([part[2] for part in parts]).sum(0), whole_weight, 1e-12)
    combined = sum(part[0].stats.ratio_mean * part[0].stats.tokens for part in parts)
    assert_close(combined + torch.zeros(()), whole.stats.ratio_mean * case.mask.sum(), 1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, keep=st.integers(1, 29))
def test_a_row_does_not_depend_on_how_many_others_there_are(seed, keep):
    case = replace(make_case(seed, rows=30), mask=torch.ones(30, dtype=torch.bool))
    case = case.without_holes()
    case = case.to(torch.float32)
    many = kernels.linear_logprob(case.hidden, case.weight, case.target).logprob
    few = kernels.linear_logprob(case.hidden[:keep], case.weight, case.target[:keep]).logprob
    assert_close(few, many[:keep], 2e-6)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rows=row_counts)
def test_on_policy_the_ratio_is_one(seed, rows):
    case = make_case(seed, rows=rows).to(torch.float32)
    clean = case.without_holes()
    old = kernels.linear_logprob(
        clean.hidden, clean.weight, clean.target, temperature=clean.temperature
    ).logprob
    stats = replace(case, old_logprob=old).run()[0].stats
    assert stats.ratio_mean.item() == pytest.approx(1.0, abs=5e-6)
    assert stats.ratio_max.item() == pytest.approx(1.0, abs=5e-6)
    assert stats.clip_low_fraction.item() == stats.clip_high_fraction.item() == 0.0
    assert stats.kl_k3.item() == pytest.approx(0.0, abs=1e-9)


def test_the_gradient_follows_what_comes_from_above():
    case = make_case(5, rows=9)
    _, single, _ = case.run()
    hidden = case.hidden.clone().requires_grad_()
    weight = case.weight.clone()
    arguments = {
        name: getattr(case, name)
        for name in ("old_logprob", "advantage", "mask", "token_weight", "temperature")
    }
    result = kernels.grpo_loss(hidden, weight, case.target, clip_high=0.28, **arguments)
    (3 * result.loss).backward(retain_graph=True)
    result.loss.backward()
    assert hidden.grad is not None
    assert_close(hidden.grad, 4 * single, 1e-12)
    assert weight.grad is None


def test_a_kept_graph_gives_the_same_weight_gradient_again():
    case = make_case(5, rows=20)
    _, _, single = case.to(torch.float32).run()
    weight = case.weight.float().requires_grad_()
    loss = kernels.grpo_loss(
        case.hidden.float(),
        weight,
        case.target,
        old_logprob=case.old_logprob,
        advantage=case.advantage,
        mask=case.mask,
        token_weight=case.token_weight,
        temperature=case.temperature,
        clip_high=0.28,
    ).loss
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    (3 * loss).backward()
    assert weight.grad is not None
    assert_close(weight.grad, 5 * single, 1e-6)


def test_whatever_fresh_memory_holds_stays_out_of_the_weight_gradient(monkeypatch):
    def poisoned(weight: Tensor, rows: int) -> Tensor:
        return torch.full_like(weight, float("nan") if rows else 0.0)

    monkeypatch.setattr(fused_grpo, "weight_gradient", poisoned)
    case = make_case(8, rows=30)
    _, _, expected = case.run(reference.grpo_loss)
    assert_close(case.run()[2], expected, 1e-10)
    idle = replace(case, advantage=torch.zeros(30, dtype=torch.float64))
    assert not idle.run()[2].any()


# Interpreted, an eighth of it has four spans and a ragged fifth, and takes an eighth of the time.
@pytest.mark.parametrize(
    ("backend", "vocabulary", "tolerance"),
    [
        ("torch", 152_064, 2e-6),
        ("triton", 152_064, 2e-6) if DEVICE == "cuda" else ("triton", 19_008, 5e-7),
    ],
)
def test_half_precision_inputs_at_full_vocabulary_cost_no_accuracy(backend, vocabulary, tolerance):
    """Logits rounded to bfloat16 would be 5e-3 off, a row of 152,064 summed one by one 2e-4, of an
    eighth of that 2e-5; 15 times the tolerance is allowed, for the logprobs are about -15."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 64, generator=generator).bfloat16()
    weight = (3 / 8 * torch.randn(vocabulary, 64, generator=generator)).bfloat16()
    target = torch.tensor([0, vocabulary // 2 + 1745, vocabulary - 1])
    expected = reference.linear_logprob(
        hidden.double(), weight.double(), target, temperature=1.0, with_entropy=True
    )
    actual = kernels.linear_logprob(hidden, weight, target, with_entropy=True, backend=backend)
    assert actual.entropy is not None and expected.entropy is not None
    assert_close(actual.logprob, expected.logprob, tolerance)
    assert_close(actual.entropy, expected.entropy, tolerance)


def test_without_grad_mode_only_values_are_computed(monkeypatch):
    case = make_case(6, rows=9)
    monkeypatch.setattr("genagent_kernels.torch_head._Block.gradient_", None)
    with torch.no_grad():
        result = kernels.grpo_loss(
            case.hidden.requires_grad_(),
            case.weight.requires_grad_(),
            case.target,
            old_logprob=case.old_logprob,
            advantage=case.advantage,
            mask=case.mask,
            token_weight=case.token_weight,
            temperature=case.temperature,
        )
    assert not result.loss.requires_grad
    assert result.loss.item() != 0


def test_autocast_does_not_round_the_products():
    case = make_case(7, rows=9)
    expected, expected_hidden, expected_weight = case.run(reference.grpo_loss)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result, grad_hidden, grad_weight = case.to(torch.float32).run()
        plain = kernels.linear_logprob(
            case.hidden[case.mask].float(),
            case.weight.float(),
            case.target[case.mask],
            temperature=case.temperature,
        )
    assert_close(result.logprob, expected.logprob, 2e-5)
    assert_close(grad_weight, expected_weight, 2e-5)
    assert_close(grad_hidden, expected_hidden, 2e-5)
    assert_close(plain.logprob, expected.logprob[case.mask], 2e-5)


def test_the_weight_gradient_is_summed_in_float32():
    """In bfloat16 the sum would stop at 256, where adding 1 no longer changes it."""
    rows = 512
    result = kernels.grpo_loss(
        torch.ones(rows, 1, dtype=torch.bfloat16),
        weight := torch.zeros(2, 1, dtype=torch.bfloat16, requires_grad=True),
        torch.zeros(rows, dtype=torch.int64),
        old_logprob=torch.full((rows,), 0.5).log(),
        advantage=torch.ones(rows),
        mask=torch.ones(rows, dtype=torch.bool),
        token_weight=torch.full((rows,), 2.0),
    )
    result.loss.backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [-512.0, 512.0]


def test_an_empty_mask_has_no_loss_and_no_gradient():
    case = make_case(8, rows=9)
    case = replace(case, mask=torch.zeros(9, dtype=torch.bool))
    result, grad_hidden, grad_weight = case.run()
    assert result.loss.item() == 0.0
    assert (grad_hidden == 0).all() and (grad_weight == 0).all()
    assert (result.stats.tokens.item(), result.stats.ratio_mean.item()) == (0, 1.0)
