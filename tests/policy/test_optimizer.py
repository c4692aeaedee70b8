"""Weights narrower than float32 learn in float32; float32 ones as torch's AdamW moves them."""

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from tests.policy.attempts import sampled_groups
from torch import Tensor, nn

from genagent_policy import GRPOConfig, GRPOUpdate, Policy, SFTConfig, SFTUpdate
from genagent_policy.optimizer import AdamWConfig, Optimizer

DONE = "<judge>j</judge><answer>done</answer>"


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Numbers that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(one.shape, generator=generator).bfloat16() for one in parameters]


def loss_with(gradients: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """A loss with exactly these gradients."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.stack([(one.to(own.dtype) * own).sum().float() for one, own in pairs]).sum()


def test_steps_too_small_for_bfloat16_are_those_of_a_float32_run(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path, dtype=torch.bfloat16)
    narrow = policy.trainable_parameters()
    wide = [nn.Parameter(parameter.detach().float()) for parameter in narrow]
    before = flat(wide)
    runs = [(Optimizer(own, AdamWConfig(weight_decay=0.1)), own) for own in (narrow, wide)]
    given = gradients(narrow)
    for _ in range(20):
        norms = []
        for optimizer, parameters in runs:
            optimizer.backward(loss_with(given, parameters))
            norms.append(optimizer.step(1e-6))
        assert norms[0] == norms[1] > 100
    masters = flat(runs[0][0].state_dict()["masters"])
    assert masters.dtype == torch.float32
    assert (masters != before).float().mean() > 0.9
    assert torch.equal(masters, flat(wide))
    assert torch.equal(flat(narrow), masters.bfloat16())
    assert not torch.equal(flat(narrow), before.bfloat16())


def test_micro_batches_are_added_and_clipped_in_float32():
    """In bfloat16 the sum would stop at 256, where adding 1 no longer changes it."""
    narrow = nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
    wide = nn.Parameter(torch.zeros(1))
    optimizer = Optimizer([narrow, wide], AdamWConfig(max_grad_norm=2.5))
    optimizer.backward((256 * narrow).sum())
    for _ in range(44):
        optimizer.backward((narrow + 10 * wide).sum().float())
    assert narrow.grad is None
    assert wide.grad is not None and wide.grad.item() == 440
    # The hypotenuse over 300 and 440 is 532.5410...
    assert optimizer.step(0.5) == pytest.approx(532.54107, abs=1e-4)
    assert wide.grad is None
    first, second = (optimizer.state_dict()["state"][index]["exp_avg"] for index in range(2))
    assert first.item() == pytest.approx(0.1 * 2.5 * 300 / 532.54107)
    assert second.item() == pytest.approx(0.1 * 2.5 * 440 / 532.54107)
    # Adam's first step is the learning rate, against the gradient's sign.
    assert (narrow.item(), wide.item()) == (-0.5, pytest.approx(-0.5))


def test_float32_weights_move_as_fused_adamw_moves_them():
    torch.manual_seed(0)
    own = [nn.Parameter(torch.randn(shape)) for shape in ((7, 5), (5,))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in own]
    optimizer = Optimizer(own, AdamWConfig(weight_decay=0.1, max_grad_norm=0.5))
    adamw = torch.optim.AdamW(theirs, lr=0.0, weight_decay=0.1, fused=True)
    for step in range(5):
        inputs = torch.randn(3, 7)
        for rows in inputs.split(2):
            optimizer.backward((rows @ own[0] + own[1]).square().sum())
            (rows @ theirs[0] + theirs[1]).square().sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        adamw.param_groups[0]["lr"] = 0.01 * step
        adamw.step()
        adamw.zero_grad()
        assert optimizer.step(0.01 * step) == norm.item()
        assert torch.equal(flat(own), flat(theirs))
    state = optimizer.state_dict()
    assert state["masters"] == []
    for index, values in adamw.state_dict()["state"].items():
        assert torch.equal(state["state"][index]["exp_avg"], values["exp_avg"])


def test_an_optimizer_leaves_the_gradients_of_another_alone():
    weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    first, second = Optimizer([weight], AdamWConfig()), Optimizer([weight], AdamWConfig())
    first.backward((3 * weight[0]).float())
    second.backward((4 * weight[1]).float())
    assert (first.step(0.0), second.step(0.0)) == (3.0, 4.0)
    weight.sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [1.0, 1.0]


def test_a_bfloat16_run_goes_on_bit_for_bit(tiny_policy_path: Path, tmp_path: Path):
    config = SFTConfig(learning_rate=1e-4, micro_batch_tokens=1)

    def learn(update: SFTUpdate, steps: range) -> dict:
        for step in steps:
            words = [f"request {step}", f"another {step}"]
            update.step([update.policy.chat.render([DONE], prompt, []) for prompt in words])
        update.save(tmp_path / f"after {steps.stop}")
        return torch.load(tmp_path / f"after {steps.stop}" / "optimizer.pt", weights_only=True)

    policy = Policy.load(tiny_policy_path, dtype=torch.bfloat16)
    update = SFTUpdate(policy, config, total_steps=4)
    learn(update, range(2))
    unbroken = learn(update, range(2, 4))["optimizer"]

    resumed = Policy.load(tmp_path / "after 2" / "policy")
    assert resumed.dtype == torch.bfloat16
    again = SFTUpdate(resumed, config, total_steps=4)
    again.restore(tmp_path / "after 2")
    found = learn(again, range(2, 4))["optimizer"]
    masters = flat(found["masters"])
    assert (masters.bfloat16() != masters).float().mean() > 0.5  # or rounded ones would do as well
    assert torch.equal(masters, flat(unbroken["masters"]))
    assert torch.equal(flat(resumed.trainable_parameters()), flat(policy.trainable_parameters()))
    for index, values in unbroken["state"].items():
        assert torch.equal(found["state"][index]["exp_avg_sq"], values["exp_avg_sq"])


def test_what_was_written_to_a_weight_outside_does_not_outlive_a_restore():
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimizer = Optimizer([weight], AdamWConfig())
    weight.data.fill_(7)
    optimizer.load_state_dict(optimizer.state_dict())
    assert weight.item() == 1


@pytest.mark.parametrize(
    ("saved", "own", "complaint"),
    [
        (torch.zeros(2), torch.zeros(2).bfloat16(), "0 float32 masters, and 1 parameters"),
        (torch.zeros(2).bfloat16(), torch.zeros(2), "1 float32 masters, and 0 parameters"),
        (torch.zeros(1).bfloat16(), torch.zeros(2).bfloat16(), "of their shape"),
    ],
)
def test_a_state_of_other_weights_is_refused(saved: Tensor, own: Tensor, complaint: str):
    state = Optimizer([nn.Parameter(saved)], AdamWConfig()).state_dict()
    with pytest.raises(ValueError, match=f"{complaint}.*load the policy in the dtype"):
        Optimizer([nn.Parameter(own)], AdamWConfig()).load_state_dict(state)


def test_a_state_says_where_learning_stands_and_not_how_it_goes_on():
    own = nn.Parameter(torch.ones(3))
    saved = Optimizer([own], AdamWConfig(weight_decay=0.3)).state_dict()
    # As ZeRO writes it, from an AdamW of torch's defaults.
    saved["param_groups"] = torch.optim.AdamW([nn.Parameter(torch.ones(0))]).state_dict()[
        "param_groups"
    ]
    optimizer = Optimizer([own], AdamWConfig(weight_decay=0.0))
    optimizer.load_state_dict(saved)
    own.grad = torch.zeros(3)
    optimizer.step(0.1)
    assert own.tolist() == [1.0, 1.0, 1.0]  # the other's decay would make it .999
    assert optimizer.state_dict()["param_groups"][0]["fused"] is True


def reinforce(policy: Policy, **options: float) -> None:
    config = GRPOConfig(learning_rate=1e-3, **options)  # pyright: ignore[reportArgumentType]
    GRPOUpdate(policy, config).update(sampled_groups(policy, drift=0.1))


def fine_tune(policy: Policy, **options: float) -> None:
    config = SFTConfig(learning_rate=1e-3, warmup_fraction=0, **options)  # pyright: ignore[reportArgumentType]
    SFTUpdate(policy, config, total_steps=1).step([policy.chat.render([DONE], "red", [])])


@pytest.mark.parametrize("learn", [reinforce, fine_tune])
def test_updates_cut_gradients_and_let_weights_decay_as_they_are_told(
    tiny_policy_path: Path, learn: Callable[..., None]
):
    policy = Policy.load(tiny_policy_path)
    before = policy.head_weight.detach().clone()
    # So little that Adam's epsilon, 1e-8, is ten thousand times as much.
    learn(policy, max_grad_norm=1e-12)
    assert (policy.head_weight.detach() - before).abs().max() < 1e-6
    # The rate times the decay is a tenth of each weight; Adam adds no more than the rate.
    learn(policy, weight_decay=100.0)
    expected = 0.9 * before
    assert (before - expected).abs().max() > 1e-2
    torch.testing.assert_close(policy.head_weight.detach(), expected, rtol=0, atol=1.1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_offloaded_it_learns_the_same_bit_for_bit(tiny_policy_path: Path, dtype: torch.dtype):
    policies = [Policy.load(tiny_policy_path, dtype=dtype) for _ in range(2)]
    owns = [policy.trainable_parameters() for policy in policies]
    here = Optimizer(owns[0], AdamWConfig(weight_decay=0.1))
    away = Optimizer(owns[1], AdamWConfig(weight_decay=0.1), offload=True)
    given = gradients(owns[0])
    for step in range(3):
        norms = []
        for optimizer, parameters in ((here, owns[0]), (away, owns[1])):
            for _ in range(2):
                optimizer.backward(loss_with(given, parameters))
            # Where they are away, nothing of a gradient stays with the parameters.
            if optimizer is away:
                assert all(parameter.grad is None for parameter in parameters)
            norms.append(optimizer.step(1e-3))
        assert norms[0] == norms[1] > 100
        assert torch.equal(flat(owns[0]), flat(owns[1]))
        if step == 1:  # Each goes on from what the other has saved.
            states = copy.deepcopy([here.state_dict(), away.state_dict()])
            here.load_state_dict(states[1])
            away.load_state_dict(states[0])
    assert len(away.state_dict()["masters"]) == (0 if dtype == torch.float32 else len(owns[1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_moves_nothing_and_the_next_step_does(dtype, bad):
    def steps(*given: float) -> tuple[Tensor, list[float]]:
        weights = nn.Parameter(torch.ones(3, dtype=dtype))
        optimizer = Optimizer([weights], AdamWConfig())
        norms = []
        for one in given:
            optimizer.backward((one * weights).sum().float())
            norms.append(optimizer.step(0.1))
        return weights.detach().clone(), norms

    spoilt, norms = steps(1.0, bad, 2.0)
    whole, finite = steps(1.0, 2.0)
    assert torch.equal(spoilt, whole) and not torch.equal(whole, torch.ones(3, dtype=dtype))
    assert not math.isfinite(norms[1]) and [norms[0], norms[2]] == finite
