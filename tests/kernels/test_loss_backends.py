"""Loss, log-probs and their gradients of each backend against the float64 reference."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import DEVICE, DUAL_CLIP, Case, assert_close, make_case
from torch import Tensor

import genagent_kernels as kernels
from genagent_kernels import Backend, LogProbs, head, reference, torch_head

# Error of gradients against float64, in units of the largest gradient or 1: the inputs are exact in
# every dtype, so what is left is the rounding of the factors of sums.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
BACKENDS = [
    (backend, dtype)
    for backend in ("torch", "triton")
    for dtype in TOLERANCE
    if (backend, dtype) != ("triton", torch.float64)  # it accumulates in float32
]

seeds = st.integers(0, 2**31)
sizes = st.sampled_from([1, 2, 5, 8, 9, 20])
vocabularies = st.sampled_from([1, 37, 64, 130, 203])
widths = st.sampled_from([1, 12, 16, 50])
on_each_backend = pytest.mark.parametrize(("backend", "dtype"), BACKENDS, ids=str)
some = settings(max_examples=20, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """Chunks of 8 rows in blocks of 3, and spans of 128 columns, so that small cases have several
    of each and a ragged last one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "CHUNK_ROWS", {"cuda": 8, "cpu": 8})
        patch.setattr(torch_head, "BLOCK_ROWS", 3)
        patch.setattr("genagent_kernels.gpu.head_logprob.SPAN", 128)
        yield


def masked(case: Case, kind: str) -> Case:
    if kind == "ragged":
        return case
    return replace(case.without_holes(), mask=torch.full_like(case.mask, kind == "all"))


def awkward(values: Tensor, layout: str) -> Tensor:
    """The same values in memory that is strided, or that begins at an odd address."""
    if layout == "transposed":
        return values.T.contiguous().T
    if layout == "misaligned":
        flat = torch.empty(values.numel() + 1, dtype=values.dtype)
        return flat[1:].view(values.shape).copy_(values)
    if layout == "sliced":
        wide = torch.zeros(values.shape[0], values.shape[1] + 3, dtype=values.dtype)
        wide[:, 1:-2] = values
        return wide[:, 1:-2]
    return values


def assert_gradient(found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    assert found.dtype == dtype
    scale = max(1.0, expected.abs().max().item())
    assert_close(found.cpu() / scale, expected / scale, TOLERANCE[dtype])


@on_each_backend
@some
@given(
    seed=seeds,
    rows=sizes,
    vocabulary=vocabularies,
    width=widths,
    mask=st.sampled_from(["ragged", "ragged", "all", "none"]),
    dual_clip=st.sampled_from([None, DUAL_CLIP]),
)
def test_loss_and_gradients_equal_the_reference(
    backend: Backend, dtype, seed, rows, vocabulary, width, mask, dual_clip
):
    case = masked(make_case(seed, rows=rows, vocabulary=vocabulary, width=width), mask)
    case = replace(case, dual_clip=dual_clip)
    expected, expected_hidden, expected_weight = case.run(reference.grpo_loss)
    here = case.to(dtype).on(DEVICE if backend == "triton" else "cpu")
    result, grad_hidden, grad_weight = here.run(partial(kernels.grpo_loss, backend=backend))
    assert_gradient(grad_hidden, expected_hidden, dtype)
    assert_gradient(grad_weight, expected_weight, dtype)
    # Only gradients are ever rounded to half precision.
    tolerance = min(TOLERANCE[dtype], 2e-5)
    scale = max(1.0, expected.loss.abs().item())
    assert_close(result.loss.cpu() / scale, expected.loss / scale, tolerance)
    assert_close(result.logprob.cpu(), expected.logprob, tolerance)
    for name in ("ratio_mean", "ratio_max", "kl_k1", "kl_k3", "entropy"):
        found, wanted = getattr(result.stats, name).cpu(), getattr(expected.stats, name)
        assert_close(found, wanted, min(TOLERANCE[dtype], 5e-5))
    for name in ("clip_low_fraction", "clip_high_fraction", "tokens", "effective_rows"):
        wanted = getattr(expected.stats, name).item()
        assert getattr(result.stats, name).item() == pytest.approx(wanted)


@on_each_backend
@some
@given(
    seed=seeds,
    rows=sizes,
    vocabulary=vocabularies,
    width=widths,
    layout=st.sampled_from(["contiguous", "transposed", "misaligned", "sliced"]),
    with_entropy=st.booleans(),
)
def test_log_probs_and_gradients_equal_the_reference(
    backend: Backend, dtype, seed, rows, vocabulary, width, layout, with_entropy
):
    case = make_case(seed, rows=rows, vocabulary=vocabulary, width=width).without_holes()
    weights = torch.linspace(-1, 1, rows, dtype=torch.float64) / rows

    def run(function, hidden: Tensor, weight: Tensor) -> tuple[LogProbs, Tensor, Tensor]:
        hidden, weight = hidden.detach().requires_grad_(), weight.detach().requires_grad_()
        result = function(
            hidden,
            weight,
            case.target.to(hidden.device),
            temperature=case.temperature,
            with_entropy=with_entropy,
        )
        total = (weights.to(hidden.device) * result.logprob).sum()
        if with_entropy:
            total = total + (weights.flip(0).to(hidden.device) * result.entropy).sum()
        total.backward()
        assert hidden.grad is not None and weight.grad is not None
        return result, hidden.grad, weight.grad

    expected, expected_hidden, expected_weight = run(
        reference.linear_logprob, case.hidden, case.weight
    )
    device = DEVICE if backend == "triton" else "cpu"
    found, grad_hidden, grad_weight = run(
        partial(kernels.linear_logprob, backend=backend),
        awkward(case.hidden.to(dtype), layout).to(device),
        awkward(case.weight.to(dtype), layout).to(device),
    )
    tolerance = min(TOLERANCE[dtype], 2e-5)
    assert_close(found.logprob.cpu(), expected.logprob, tolerance)
    assert (found.entropy is not None) == with_entropy
    if found.entropy is not None and expected.entropy is not None:
        assert_close(found.entropy.cpu(), expected.entropy, tolerance)
    assert_gradient(grad_hidden, expected_hidden, dtype)
    assert_gradient(grad_weight, expected_weight, dtype)
