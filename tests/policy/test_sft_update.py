from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genagent_policy import Policy, SFTConfig, SFTUpdate, TokenTrajectory
from genagent_policy.sft import cosine_rate

CALL = "<think>t</think>"
DONE = "<judge>j</judge><answer>done</answer>"


def _trajectories(policy: Policy) -> list[TokenTrajectory]:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    return [
        policy.chat.render([CALL, DONE], "one", [picture]),
        policy.chat.render([DONE], "another", []),
        policy.chat.render([CALL, CALL, DONE], "a third", [picture, picture]),
    ]


def _weights(policy: Policy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])


def _gradient_by_labels(policy: Policy, trajectories: list[TokenTrajectory]) -> tuple[float, float]:
    """Loss and gradient norm from the model's own loss, with the environment's labels at -100."""
    tokens = sum(trajectory.num_policy_tokens for trajectory in trajectories)
    total = torch.zeros(())
    for trajectory in trajectories:
        has_pictures = len(trajectory.grids) > 0
        output = policy.model(
            input_ids=trajectory.ids[None],
            mm_token_type_ids=(trajectory.ids == policy.chat.image_token_id)[None].int(),
            pixel_values=policy.chat.expand_pictures(trajectory.pixel_values)
            if has_pictures
            else None,
            image_grid_thw=trajectory.grids if has_pictures else None,
            labels=torch.where(trajectory.policy_mask, trajectory.ids, -100)[None],
        )
        total = total + output.loss * trajectory.num_policy_tokens / tokens
    total.backward()
    squares = [
        parameter.grad.square().sum()
        for parameter in policy.model.parameters()
        if parameter.grad is not None
    ]
    return total.item(), torch.stack(squares).sum().sqrt().item()


@pytest.mark.parametrize("micro_batch_tokens", [1, 1000, 100_000])
def test_loss_is_the_mean_over_the_agent_tokens(each_path: Path, micro_batch_tokens: int):
    policy = Policy.load(each_path)
    trajectories = _trajectories(policy)
    loss, norm = _gradient_by_labels(policy, trajectories)
    update = SFTUpdate(policy, SFTConfig(micro_batch_tokens=micro_batch_tokens), total_steps=1)
    report = update.step(trajectories)
    assert report.loss == pytest.approx(loss, rel=1e-5)
    assert report.grad_norm == pytest.approx(norm, rel=1e-4)
    assert report.policy_tokens == sum(item.num_policy_tokens for item in trajectories)


def test_learns_the_turns_by_heart(each_path: Path):
    policy = Policy.load(each_path)
    trajectories = _trajectories(policy)
    config = SFTConfig(learning_rate=3e-3, warmup_fraction=0.1)
    update = SFTUpdate(policy, config, total_steps=25)
    reports = [update.step(trajectories) for _ in range(25)]
    assert reports[0].loss > 3
    assert reports[0].token_accuracy < 0.3
    assert reports[-1].loss < 0.5
    assert reports[-1].token_accuracy > 0.9


def test_vision_learns_unless_frozen(each_path: Path):
    for frozen in (False, True):
        policy = Policy.load(each_path)
        before = policy.model.model.visual.patch_embed.proj.weight.clone()
        config = SFTConfig(learning_rate=1e-3, freeze_vision=frozen)
        SFTUpdate(policy, config, total_steps=1).step(_trajectories(policy))
        after = policy.model.model.visual.patch_embed.proj.weight
        assert torch.equal(before, after) == frozen


def test_resumed_is_uninterrupted(each_path: Path, tmp_path: Path):
    config = SFTConfig(learning_rate=1e-3, warmup_fraction=0.5)
    policy = Policy.load(each_path)
    trajectories = _trajectories(policy)
    update = SFTUpdate(policy, config, total_steps=4)
    before = _weights(policy)
    update.step(trajectories)
    # The first of two warm-up steps, and Adam's first step is the rate itself.
    assert (_weights(policy) - before).abs().max().item() == pytest.approx(5e-4, rel=1e-2)
    update.save(tmp_path)
    update.step(trajectories)

    resumed = Policy.load(tmp_path / "policy")
    again = SFTUpdate(resumed, config, total_steps=4)
    again.restore(tmp_path)
    report = again.step(trajectories)
    assert torch.equal(_weights(resumed), _weights(policy))
    assert report.learning_rate == 1e-3  # the second of two warm-up steps


def test_the_rate_rises_and_falls():
    config = SFTConfig(learning_rate=1.0, warmup_fraction=0.2, final_fraction=0.1)
    rates = [cosine_rate(step, 10, config) for step in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[6] == pytest.approx(0.55)
    assert rates[10] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in pairwise(rates[2:]))
    assert cosine_rate(99, 10, config) == pytest.approx(0.1)


def test_steps_of_the_paper_preset():
    assert SFTConfig().total_steps(1000) == 12
    assert SFTConfig(batch_size=32, epochs=0.5).total_steps(100) == 2


def test_a_batch_without_the_agent(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    with pytest.raises(ValueError, match="holds no token"):
        SFTUpdate(policy, SFTConfig(), total_steps=1).step([])


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0},
        {"batch_size": 0},
        {"epochs": 0},
        {"warmup_fraction": 1.5},
        {"final_fraction": -0.1},
        {"micro_batch_tokens": 0},
        {"weight_decay": -1},
        {"max_grad_norm": 0},
    ],
)
def test_settings_that_make_no_sense(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        SFTConfig(**changes)
