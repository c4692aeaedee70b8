"""Layers that run twice in training: the same gradients from fewer kept tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genagent_policy import (
    Batch,
    GRPOConfig,
    GRPOGroup,
    GRPOUpdate,
    Policy,
    SFTConfig,
    SFTUpdate,
)


@pytest.fixture(scope="module")
def policies(each_path: Path) -> tuple[Policy, Policy]:
    """One that keeps everything, and one that does not."""
    plain = Policy.load(each_path)
    return plain, Policy.load(each_path, checkpoint_activations=True)


def trajectories(policy: Policy):
    rng = np.random.default_rng(5)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)) for _ in range(2)
    ]
    return [
        policy.chat.render(["draw", "again", "done"], "three red circles", pictures),
        policy.chat.render(["draw", "done"], "a blue square", pictures[:1]),
    ]


def batch_of(policy: Policy) -> Batch:
    return policy.collate(trajectories(policy))


def gradients(policy: Policy) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad
        for name, parameter in policy.model.named_parameters()
        if parameter.grad is not None
    }


def kept(policy: Policy, *, frozen: bool) -> tuple[int, int]:
    """Tensors, and bytes besides the weights, that a training pass holds for its backward pass;
    fills in the gradients."""
    weights = {each.untyped_storage().data_ptr() for each in policy.model.parameters()}
    count, sizes = 0, {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    policy.freeze_vision(frozen)
    policy.model.zero_grad(set_to_none=True)
    batch = batch_of(policy)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        states, _ = policy.policy_states(batch)
    states.square().sum().backward()
    return count, sum(sizes.values())


@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_are_the_same_and_less_is_kept(policies: tuple[Policy, Policy], frozen: bool):
    plain, thrifty = policies
    many, large = kept(plain, frozen=frozen)
    few, small = kept(thrifty, frozen=frozen)
    expected, found = gradients(plain), gradients(thrifty)
    assert list(found) == list(expected)
    assert any(name.startswith("model.visual") for name in found) != frozen
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)
    assert 4 * few < many
    assert 4 * small < large


def test_updates_are_the_same(each_path: Path):
    heads = []
    for thrifty in (False, True):
        policy = Policy.load(each_path, checkpoint_activations=thrifty)
        first, second = trajectories(policy)
        SFTUpdate(policy, SFTConfig(learning_rate=1e-3), total_steps=1).step([first, second])
        group = GRPOGroup(trajectories=(first, second), rewards=(1.0, 0.0))
        GRPOUpdate(policy, GRPOConfig(learning_rate=1e-3)).update([group])
        heads.append(policy.head_weight)
    torch.testing.assert_close(*heads, rtol=1e-4, atol=1e-6)


def test_layers_are_checkpointed_within_a_training_pass_only(
    policies: tuple[Policy, Policy], monkeypatch: pytest.MonkeyPatch
):
    _, policy = policies
    runs: list[bool] = []
    layer = policy.model.model.language_model.layers[0].get_submodule("self_attn")
    forward = layer.forward

    def watched(*arguments, **named):
        assert not layer.training  # or there would be dropout
        runs.append(torch.is_grad_enabled())
        return forward(*arguments, **named)

    monkeypatch.setattr(layer, "forward", watched)
    batch = batch_of(policy)
    with torch.no_grad():
        policy.policy_states(batch)
    assert runs == [False]
    states, _ = policy.policy_states(batch)
    assert not any(module.training for module in policy.model.modules())
    states.sum().backward()
    assert runs == [False, True, True]
    policy.text_states(policy.embed(batch), batch.positions, batch.lengths).sum().backward()
    assert runs == [False, True, True, True]
