"""A frozen vision tower is asked once for each picture of a batch."""

from pathlib import Path

import pytest
import torch
from tests.policy.attempts import sampled_groups

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy
from genagent_policy.adapter import LoRA


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Patches that a vision tower ran over, call by call."""
    calls: list[int] = []
    run = Policy.picture_features

    def watched(self, pixel_values, grids):
        calls.append(len(pixel_values))
        return run(self, pixel_values, grids)

    monkeypatch.setattr(Policy, "picture_features", watched)
    return calls


def patches(groups: list[GRPOGroup]) -> int:
    return sum(len(each.pixel_values) for group in groups for each in group.trajectories)


@pytest.mark.parametrize(
    ("options", "frozen", "times"),
    [
        ({"epochs": 3}, True, 1),
        ({"truncate_at": 2.0, "updates_per_batch": 2}, True, 1),
        ({"epochs": 2, "truncate_at": 2.0, "micro_batch_tokens": 1}, True, 1),
        ({"kl_beta": 0.1, "epochs": 2}, True, 2),  # and once by the reference's own eyes
        ({"epochs": 2}, False, 2),
    ],
)
def test_each_picture_is_seen_once_a_batch(
    each_path: Path, seen: list[int], options: dict, frozen: bool, times: int
):
    policy = Policy.load(each_path)
    groups = sampled_groups(policy)[:1]
    reference = Policy.load(each_path) if "kl_beta" in options else None
    seen.clear()
    config = GRPOConfig(freeze_vision=frozen, **options)
    GRPOUpdate(policy, config, reference=reference).update(groups)
    assert sum(seen) == times * patches(groups) > 0


def test_a_policy_with_an_adapter_is_its_own_reference_and_sees_once(
    each_path: Path, seen: list[int]
):
    adapters = (
        (LoRA(rank=2, alpha=4, part="language"), 1),
        (LoRA(rank=2, alpha=4, part="vision"), 2),
    )
    for lora, times in adapters:
        policy = Policy.load(each_path, lora=lora)
        groups = sampled_groups(policy)[:1]
        seen.clear()
        GRPOUpdate(policy, GRPOConfig(kl_beta=0.1)).update(groups)
        assert sum(seen) == times * patches(groups)


def test_what_was_seen_is_kept_beside_an_attempt_without_a_picture(
    tiny_policy_path: Path, seen: list[int]
):
    policy = Policy.load(tiny_policy_path)
    [group] = sampled_groups(policy)[:1]
    plain = policy.chat.render(["done"], "red", [])
    mixed = GRPOGroup(trajectories=(*group.trajectories, plain), rewards=(*group.rewards, 0.5))
    seen.clear()
    GRPOUpdate(policy, GRPOConfig(epochs=2, micro_batch_tokens=4000)).update([mixed])
    assert sum(seen) == patches([mixed]) > 0


def test_what_teaches_nothing_is_not_looked_at(tiny_policy: Policy, seen: list[int]):
    groups = [
        GRPOGroup(trajectories=group.trajectories, rewards=(0.7,) * len(group.rewards))
        for group in sampled_groups(tiny_policy)
    ]
    seen.clear()
    GRPOUpdate(tiny_policy, GRPOConfig(epochs=2)).update(groups)
    assert seen == []


def test_what_is_learnt_is_the_same(each_path: Path):
    policies = [Policy.load(each_path) for _ in range(2)]
    groups = sampled_groups(policies[0])
    GRPOUpdate(policies[0], GRPOConfig(epochs=2, learning_rate=1e-3)).update(groups)
    once = GRPOUpdate(policies[1], GRPOConfig(learning_rate=1e-3))
    for _ in range(2):
        once.update(groups)
    pairs = zip(*(policy.model.parameters() for policy in policies), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
