from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genagent_policy import Policy, TokenTrajectory


def _trajectories(policy: Policy) -> list[TokenTrajectory]:
    """Zero to three pictures of two sizes, so that each has another length."""
    rng = np.random.default_rng(3)
    sizes = [(48, 48), (32, 64), (48, 48)]
    pictures = [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]
    return [
        policy.chat.render(
            ["turn one"] + ["again"] * count, "p" * (3 * count + 1), pictures[:count]
        )
        for count in (2, 0, 3, 1)
    ]


def _plain_logits(policy: Policy, trajectory: TokenTrajectory) -> torch.Tensor:
    """Logits [T, V] of the model's own forward on one unpadded sequence."""
    has_pictures = len(trajectory.grids) > 0
    with torch.no_grad():
        return policy.model(
            input_ids=trajectory.ids[None],
            mm_token_type_ids=(trajectory.ids == policy.chat.image_token_id)[None].int(),
            pixel_values=policy.chat.expand_pictures(trajectory.pixel_values)
            if has_pictures
            else None,
            image_grid_thw=trajectory.grids if has_pictures else None,
        ).logits[0]


def test_hidden_states_of_a_packed_batch_equal_the_plain_forward(each_policy: Policy):
    trajectories = _trajectories(each_policy)
    with torch.no_grad():
        states = each_policy.hidden_states(each_policy.collate(trajectories))
        logits = (states @ each_policy.head_weight.T).split([len(each) for each in trajectories])
    for trajectory, found in zip(trajectories, logits, strict=True):
        expected = _plain_logits(each_policy, trajectory)
        assert expected.std() > 0.5
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_stale_rope_deltas_are_never_used(each_policy: Policy):
    batch = each_policy.collate(_trajectories(each_policy))
    with torch.no_grad():
        before = each_policy.hidden_states(batch)
        each_policy.model.model.rope_deltas = torch.full((4, 1), 1000)
        after = each_policy.hidden_states(batch)
    each_policy.model.model.rope_deltas = None
    assert torch.equal(before, after)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_logprobs_stand_at_the_tokens_they_are_of(each_policy: Policy, temperature: float):
    trajectories = _trajectories(each_policy)
    batch = each_policy.collate(trajectories)
    with torch.no_grad():
        logprobs = each_policy.logprobs(batch, temperature)
    assert logprobs.dtype == torch.float32
    assert logprobs[~batch.policy_mask].abs().sum() == 0
    for trajectory, found in zip(trajectories, logprobs.split(batch.lengths), strict=True):
        log_softmax = torch.log_softmax(_plain_logits(each_policy, trajectory) / temperature, -1)
        for place in trajectory.policy_mask.nonzero().flatten().tolist():
            expected = log_softmax[place - 1, trajectory.ids[place]]
            torch.testing.assert_close(found[place], expected, rtol=0, atol=2e-5)


def test_a_sampled_image_token_is_embedded_as_text(each_policy: Policy):
    image = each_policy.chat.image_token_id
    (trajectory,) = _trajectories(each_policy)[3:]
    place = int(trajectory.policy_mask.nonzero()[0])
    ids = trajectory.ids.clone()
    ids[place] = image
    with torch.no_grad():
        states = each_policy.hidden_states(each_policy.collate([replace(trajectory, ids=ids)]))
        whole = each_policy.hidden_states(each_policy.collate([trajectory]))
    assert torch.equal(states[:place], whole[:place])
    assert not torch.allclose(states[place:], whole[place:])


def test_frozen_vision_gets_no_gradient(each_path: Path):
    policy = Policy.load(each_path)
    batch = policy.collate(_trajectories(policy))
    visual = list(policy.model.model.visual.parameters())
    for frozen in (True, False):
        policy.model.zero_grad(set_to_none=True)
        policy.freeze_vision(frozen)
        policy.logprobs(batch).sum().backward()
        assert [parameter.grad is None for parameter in visual] == [frozen] * len(visual)
        assert policy.head_weight.grad is not None


@pytest.mark.parametrize("frozen", [True, False])
def test_the_vision_tower_sees_the_same_in_portions(
    each_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
):
    policy = Policy.load(each_path)
    policy.freeze_vision(frozen)
    batch = policy.collate(_trajectories(policy))
    assert batch.grids.prod(dim=-1).tolist() == [36, 32, 36, 32, 36, 36]
    calls: list[int] = []
    run = policy.model.model.get_image_features

    def watched(pixels: torch.Tensor, grids: torch.LongTensor):
        calls.append(len(pixels))
        return run(pixels, grids)

    monkeypatch.setattr(policy.model.model, "get_image_features", watched)
    whole = policy.picture_features(batch.pixel_values, batch.grids)
    assert calls == [208]
    monkeypatch.setattr("genagent_policy.model.PORTION", 70)
    parts = policy.picture_features(batch.pixel_values, batch.grids)
    assert calls == [208, 68, 68, 36, 36]
    assert whole.std() > 0.1
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)
    assert whole.requires_grad == parts.requires_grad == (not frozen)


def test_sliding_window_attention_is_refused(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    layer_types = policy.text_config.layer_types
    assert layer_types is not None
    layer_types[0] = "sliding_attention"
    with pytest.raises(ValueError, match="sliding_attention"):
        Policy(policy.model, policy.processor)
