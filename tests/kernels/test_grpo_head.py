"""The loss as part of a model: a module, under torch.compile, under activation checkpointing."""

import pytest
import torch
from tests.kernels.cases import DUAL_CLIP, Case, assert_close, make_case
from torch import nn
from torch.utils.checkpoint import checkpoint

import genagent_kernels as kernels
from genagent_kernels import reference


def options(case: Case) -> dict[str, torch.Tensor]:
    names = ("old_logprob", "advantage", "mask", "token_weight")
    return {name: getattr(case, name) for name in names}


class Model(nn.Module):
    """A linear body and a head that owns its weight."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.weight.shape[1]
        self.body = nn.Linear(width, width, dtype=case.hidden.dtype)
        self.head = kernels.GRPOHead(
            nn.Parameter(case.weight.clone()), temperature=case.temperature
        )

    def forward(
        self,
        inputs: torch.Tensor,
        target: torch.Tensor,
        dual_clip: float | None = None,
        **rows: torch.Tensor,
    ):
        hidden = self.body(inputs).tanh()
        clips = {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": dual_clip}
        return self.head(hidden, target, **clips, **rows)


def gradients(model: Model, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def build(seed: int, rows: int = 20) -> tuple[Case, Model, torch.Tensor]:
    case = make_case(seed, rows=rows)
    torch.manual_seed(seed)
    return case, Model(case), case.hidden.nan_to_num(0.5)


def test_the_head_is_the_reference_with_the_modules_weight():
    case, model, inputs = build(1)
    loss, result = model(inputs, case.target, dual_clip=DUAL_CLIP, **options(case))
    assert torch.equal(loss, result.loss) and loss.requires_grad
    hidden = model.body(inputs).tanh()
    expected = reference.grpo_loss(
        hidden,
        model.head.weight,
        case.target,
        clip_low=0.2,
        clip_high=0.28,
        dual_clip=DUAL_CLIP,
        temperature=case.temperature,
        **options(case),
    )
    assert_close(result.loss, expected.loss, 1e-12)
    for found, wanted in zip(gradients(model, loss), gradients(model, expected.loss), strict=True):
        assert_close(found, wanted, 1e-12)
    logprobs = model.head.logprob(hidden[case.mask], case.target[case.mask], with_entropy=True)
    assert_close(logprobs.logprob, expected.logprob[case.mask], 1e-12)
    assert logprobs.entropy is not None and not logprobs.logprob.requires_grad


def test_activation_checkpointing_around_the_head_changes_nothing():
    case, model, inputs = build(2)
    plain, _ = model(inputs, case.target, **options(case))
    again = checkpoint(
        lambda rows: model(rows, case.target, **options(case))[0], inputs, use_reentrant=False
    )
    assert isinstance(again, torch.Tensor)
    assert torch.equal(plain, again)
    for found, wanted in zip(gradients(model, again), gradients(model, plain), strict=True):
        assert torch.equal(found, wanted)


def test_a_compiled_model_calls_the_head_and_learns_the_same():
    case, model, inputs = build(3)
    plain, details = model(inputs, case.target, **options(case))
    expected = gradients(model, plain)
    compiled = torch.compile(model, backend="aot_eager")
    loss, result = compiled(inputs, case.target, **options(case))
    assert_close(loss, plain, 1e-12)
    for found, wanted in zip(gradients(model, loss), expected, strict=True):
        assert_close(found, wanted, 1e-12)
    assert result.stats.entropy.item() == pytest.approx(details.stats.entropy.item())
