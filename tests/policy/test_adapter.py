"""LoRA: what is learnt, what is written, and what the policy is without it."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.policy.attempts import sampled_groups

from genagent_policy import (
    GRPOConfig,
    GRPOUpdate,
    Policy,
    SFTConfig,
    SFTUpdate,
    TrainedPolicyConfig,
)
from genagent_policy.adapter import LoRA
from genagent_policy.scoring import score

LANGUAGE = LoRA(rank=4, alpha=8.0, part="language")
BOTH = LoRA(rank=2, alpha=8.0, part="both")


def moved(path: Path, lora: LoRA) -> Policy:
    """A policy whose adapter says something."""
    policy = Policy.load(path, lora=lora)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.05)
    return policy


def logprobs(policy: Policy) -> torch.Tensor:
    groups = sampled_groups(Policy(policy.model, policy.processor))
    every = [trajectory for group in groups for trajectory in group.trajectories]
    return torch.cat(score(policy, every, max_tokens=1000))


def owners(policy: Policy) -> dict[str, int]:
    """How many matrices are learnt of which layers."""
    names = [name for name, each in policy.model.named_parameters() if each.requires_grad]
    assert all(".lora_A." in name or ".lora_B." in name for name in names)
    kinds = [name.split(".lora_")[0].rpartition(".")[2] for name in names]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def test_a_part_is_all_products_of_its_layers(tiny_policy_path: Path, tiny_qwen3_path: Path):
    language = dict.fromkeys(
        ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"], 2 * 4
    )
    one, three = (
        {
            part: owners(Policy.load(path, lora=LoRA(rank=2, alpha=4, part=part)))
            for part in ("language", "vision", "both")
        }
        for path in (tiny_policy_path, tiny_qwen3_path)
    )
    assert one["language"] == three["language"] == language
    towers = ["down_proj", "gate_proj", "proj", "qkv", "up_proj"]
    assert one["vision"] == dict.fromkeys(towers, 2 * 2)
    assert three["vision"] == dict.fromkeys(["linear_fc1", "linear_fc2", "proj", "qkv"], 2 * 3)
    assert sum(one["both"].values()) == sum(one["language"].values()) + sum(one["vision"].values())


@pytest.mark.parametrize("lora", [LANGUAGE, BOTH])
def test_gradients_are_those_of_the_weights_beside_them(each_path: Path, lora: LoRA):
    """Of ``W + s B A`` the slope in B is ``s G A^T`` and in A ``s B^T G``, where G is that in W."""
    adapted = moved(each_path, lora)
    groups = sampled_groups(adapted, drift=0.4)
    found = GRPOUpdate(adapted, GRPOConfig()).accumulate(groups)
    merged = Policy.load(each_path)
    merged.model.load_state_dict(dict(adapted.weights()), strict=False)
    expected = GRPOUpdate(merged, GRPOConfig(freeze_vision=lora.part == "language")).accumulate(
        groups
    )
    assert found.loss == pytest.approx(expected.loss, abs=1e-5)
    scale, checked = lora.alpha / lora.rank, 0
    weights = dict(adapted.model.named_parameters())
    for name, weight in merged.model.named_parameters():
        owner = name.removesuffix(".weight")
        if (a := weights.get(f"{owner}.lora_A.default.weight")) is None:
            continue
        b = weights[f"{owner}.lora_B.default.weight"]
        assert a.grad is not None and b.grad is not None and weight.grad is not None
        slopes = (b.grad, scale * weight.grad @ a.T), (a.grad, scale * b.T @ weight.grad)
        for own, expected_slope in slopes:
            torch.testing.assert_close(own, expected_slope, rtol=1e-3, atol=1e-4)
        checked += 1
    assert 2 * checked == len(adapted.trainable_parameters())
    assert adapted.head_weight.grad is None and merged.head_weight.grad is not None


def test_an_update_moves_nothing_else_and_begins_where_the_policy_is(each_path: Path):
    plain, policy = Policy.load(each_path), Policy.load(each_path, lora=LANGUAGE)
    assert torch.equal(logprobs(policy), logprobs(plain))
    before = {name: weight.clone() for name, weight in policy.model.named_parameters()}
    GRPOUpdate(policy, GRPOConfig(learning_rate=1e-2)).update(sampled_groups(plain))
    same = {n for n, weight in policy.model.named_parameters() if torch.equal(weight, before[n])}
    assert {name for name in before if ".lora_" not in name} <= same
    assert not any(".lora_B." in name for name in same)
    assert not torch.allclose(logprobs(policy), logprobs(plain), atol=1e-3)
    assert policy.adapter is not None
    with policy.adapter.disabled():
        assert torch.equal(logprobs(policy), logprobs(plain))
    assert owners(policy) == owners(Policy.load(each_path, lora=LANGUAGE))


@pytest.mark.parametrize("lora", [LANGUAGE, BOTH])
def test_a_checkpoint_is_a_plain_one_and_has_the_adapter_beside_it(
    each_path: Path, tmp_path: Path, lora: LoRA
):
    from peft import PeftModel

    policy = moved(each_path, lora)
    said = logprobs(policy)
    policy.save(tmp_path / "policy")
    assert torch.equal(logprobs(policy), said)
    plain = Policy.load(tmp_path / "policy")
    assert owners_are_all(plain)
    torch.testing.assert_close(logprobs(plain), said, rtol=0, atol=1e-4)
    other = Policy.load(each_path)
    PeftModel.from_pretrained(other.model, str(tmp_path / "policy" / "adapter"))  # pyright: ignore[reportArgumentType]
    assert torch.equal(logprobs(other), said)


def owners_are_all(policy: Policy) -> bool:
    return all(each.requires_grad for each in policy.model.parameters())


def test_resumed_is_uninterrupted(each_path: Path, tmp_path: Path):
    config = TrainedPolicyConfig(policy=str(each_path), lora_rank=4)
    policy = config.load({})
    groups = sampled_groups(Policy.load(each_path))
    update = GRPOUpdate(policy, GRPOConfig(learning_rate=1e-3))
    update.update(groups)
    update.save(tmp_path)
    update.update(groups, learning_rate=5e-4)

    resumed = config.load({}, saved=tmp_path / "policy")
    again = GRPOUpdate(resumed, GRPOConfig(learning_rate=1e-3))
    again.restore(tmp_path)
    again.update(groups, learning_rate=5e-4)
    expected = policy.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("lora", [LANGUAGE, BOTH])
def test_the_reference_is_the_policy_without_it(each_path: Path, lora: LoRA):
    config = GRPOConfig(kl_beta=0.5, learning_rate=1e-2)
    groups = sampled_groups(Policy.load(each_path), drift=0.4)
    policies = [moved(each_path, lora) for _ in range(2)]
    references = None, Policy.load(each_path)
    reports = [
        GRPOUpdate(policy, config, reference=reference).update(groups)
        for policy, reference in zip(policies, references, strict=True)
    ]
    assert reports[0].reference_kl == pytest.approx(reports[1].reference_kl, rel=1e-4)
    assert (reports[0].reference_kl or 0) > 0.01
    pairs = zip(*(policy.trainable_parameters() for policy in policies), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-3)
    with pytest.raises(ValueError, match="wants a reference"):
        GRPOUpdate(Policy.load(each_path), config)


def test_fine_tuning_learns_it_alone(each_path: Path):
    policy = Policy.load(each_path, lora=BOTH, checkpoint_activations=True)
    picture = Image.new("RGB", (48, 48), (200, 30, 90))
    records = [policy.chat.render(["draw", "done"], "red", [picture])]
    update = SFTUpdate(policy, SFTConfig(learning_rate=1e-2), total_steps=3)
    losses = [update.step(records).loss for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
    assert owners(policy) == owners(Policy.load(each_path, lora=BOTH))


def test_another_adapter_than_asked_for_is_refused(tiny_policy_path: Path, tmp_path: Path):
    Policy.load(tiny_policy_path, lora=LANGUAGE).save(tmp_path / "policy")
    config = TrainedPolicyConfig(policy=str(tiny_policy_path), lora_rank=8)
    with pytest.raises(ValueError, match="r is 4 there"):
        config.load({}, saved=tmp_path / "policy")
    with pytest.raises(ValueError, match="no adapter to go on with"):
        config.load({}, saved=tiny_policy_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"lora_rank": -1}, "lora_rank is -1"), ({"lora_alpha": 0.0}, "lora_alpha is 0.0")],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        TrainedPolicyConfig(**options)


def test_a_rate_for_whole_weights_is_warned_of_where_an_adapter_learns(
    tiny_policy_path: Path, caplog: pytest.LogCaptureFixture
):
    adapted = Policy.load(tiny_policy_path, lora=LANGUAGE)
    GRPOUpdate(adapted, GRPOConfig(learning_rate=1e-5))
    SFTUpdate(adapted, SFTConfig(learning_rate=1e-4), total_steps=1)
    GRPOUpdate(Policy.load(tiny_policy_path), GRPOConfig(learning_rate=1e-6))
    assert caplog.messages == []
    GRPOUpdate(adapted, GRPOConfig(learning_rate=1e-6))
    SFTUpdate(adapted, SFTConfig(), total_steps=1)
    first, second = caplog.messages
    assert first.startswith("learning rate 1e-06 is one for whole weights; ")
    assert first.endswith(": give --lr 1e-05")
    assert second.startswith("learning rate 1e-05 is") and second.endswith(": give --lr 0.0001")
