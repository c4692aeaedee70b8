import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.attempts import gradient_of, logits_of, sampled_attempt, sampled_groups

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory, linear_rate


@pytest.fixture(scope="module")
def policy(tiny_policy_path: Path) -> Policy:
    """For tests that fill in gradients but take no step."""
    return Policy.load(tiny_policy_path)


@pytest.fixture(scope="module")
def each(each_path: Path) -> Policy:
    """The same, of each family."""
    return Policy.load(each_path)


def _loss_by_hand(policy: Policy, groups: list[GRPOGroup], config: GRPOConfig) -> torch.Tensor:
    """Eq. 4 and 5 written out, one token at a time, on the model's own logits."""
    every = sum(
        int(trajectory.policy_mask.sum()) for group in groups for trajectory in group.trajectories
    )
    total = torch.zeros(())
    for group in groups:
        mean = sum(group.rewards) / len(group.rewards)
        spread = (sum((r - mean) ** 2 for r in group.rewards) / len(group.rewards)) ** 0.5
        for trajectory, reward in zip(group.trajectories, group.rewards, strict=True):
            advantage = (reward - mean) / (spread + 1e-6)
            scores = torch.log_softmax(
                logits_of(policy, trajectory) / trajectory.temperature, dim=-1
            )
            places = trajectory.policy_mask.nonzero().flatten().tolist()
            surrogate = torch.zeros(())
            for place in places:
                new = scores[place - 1, trajectory.ids[place]]
                ratio = (new - trajectory.logprobs[place]).exp()
                clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
                surrogate = surrogate + torch.minimum(ratio * advantage, clipped * advantage)
            if config.normalization == "sequence":
                share = len(groups) * len(group.rewards) * len(places)
            else:
                share = every
            total = total - surrogate / share
    return total


@pytest.mark.parametrize("normalization", ["sequence", "token"])
@pytest.mark.parametrize("temperatures", [[1.0], [1.3], [0.6, 1.0, 1.3]])
def test_loss_and_gradient_are_those_of_the_equations(
    each: Policy, normalization, temperatures: list[float]
):
    config = GRPOConfig(normalization=normalization, clip_low=0.3, clip_high=0.5)
    groups = sampled_groups(each, drift=0.4, temperatures=temperatures)
    update = GRPOUpdate(each, config)
    found = update.accumulate(groups)
    gradient = gradient_of(each)
    each.model.zero_grad(set_to_none=True)
    expected = _loss_by_hand(each, groups, config)
    expected.backward()
    assert found.loss == pytest.approx(expected.item(), abs=1e-5)
    assert gradient.norm() > 0.1
    torch.testing.assert_close(gradient, gradient_of(each), rtol=1e-3, atol=2e-5)


@settings(max_examples=8, deadline=None)
@given(
    micro_batch_tokens=st.integers(1, 4000),
    normalization=st.sampled_from(["sequence", "token"]),
    order=st.randoms(use_true_random=False),
)
def test_micro_batches_and_order_change_nothing(
    policy: Policy, micro_batch_tokens: int, normalization, order: random.Random
):
    groups = sampled_groups(policy, drift=0.4)
    config = GRPOConfig(normalization=normalization, micro_batch_tokens=100_000)
    whole = GRPOUpdate(policy, config).accumulate(groups)
    gradient = gradient_of(policy)
    shuffled = []
    for group in order.sample(groups, len(groups)):
        places = order.sample(range(len(group.rewards)), len(group.rewards))
        shuffled.append(
            GRPOGroup(
                trajectories=tuple(group.trajectories[place] for place in places),
                rewards=tuple(group.rewards[place] for place in places),
            )
        )
    cut = replace(config, micro_batch_tokens=micro_batch_tokens)
    parts = GRPOUpdate(policy, cut).accumulate(shuffled)
    assert parts.loss == pytest.approx(whole.loss, abs=1e-6)
    torch.testing.assert_close(gradient_of(policy), gradient, rtol=1e-4, atol=1e-6)
    assert parts.statistics.tokens == whole.statistics.tokens
    names = ("ratio_mean", "ratio_max", "kl_k1", "kl_k3", "entropy", "clip_low_fraction")
    for name in (*names, "effective_fraction"):
        assert getattr(parts.statistics, name) == pytest.approx(
            getattr(whole.statistics, name), rel=1e-4, abs=1e-6
        )


def test_shares_beyond_the_clips_and_divergences_are_those_by_hand(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    groups = sampled_groups(policy, drift=0.4, temperatures=[0.8, 1.0])
    logs: list[float] = []
    effective = 0
    for group in groups:
        for trajectory, reward in zip(group.trajectories, group.rewards, strict=True):
            if reward == sum(group.rewards) / len(group.rewards):
                continue
            with torch.no_grad():
                logits = logits_of(policy, trajectory) / trajectory.temperature
            scores = torch.log_softmax(logits, dim=-1)
            for place in trajectory.policy_mask.nonzero().flatten().tolist():
                new = scores[place - 1, trajectory.ids[place]]
                logs.append(float(new - trajectory.logprobs[place]))
                is_better = reward > sum(group.rewards) / len(group.rewards)
                moved = math.exp(logs[-1])
                effective += moved <= 1.5 if is_better else moved >= 0.9
    ratios = [math.exp(log) for log in logs]
    tokens = len(logs)
    expected = {
        "clip_low_fraction": sum(ratio < 0.9 for ratio in ratios) / tokens,
        "clip_high_fraction": sum(ratio > 1.5 for ratio in ratios) / tokens,
        "effective_fraction": effective / tokens,
        "kl_k1": -sum(logs) / tokens,
        "kl_k3": sum(r - 1 - log for r, log in zip(ratios, logs, strict=True)) / tokens,
    }
    assert 0 < expected["clip_high_fraction"] < expected["clip_low_fraction"]
    clipped = expected["clip_low_fraction"] + expected["clip_high_fraction"]
    assert 1 - clipped < expected["effective_fraction"] < 1
    update = GRPOUpdate(policy, GRPOConfig(clip_low=0.1, clip_high=0.5))
    statistics = update.accumulate(groups).statistics
    found = {name: getattr(statistics, name) for name in expected}
    assert found == pytest.approx(expected, abs=1e-5)
    metrics = update.update(groups).metrics()
    assert {name: metrics[f"policy/{name}"] for name in expected} == pytest.approx(found)


@pytest.mark.parametrize("temperatures", [[1.0], [0.5], [0.5, 1.0, 1.7]])
def test_on_policy_the_ratio_is_one(each: Policy, temperatures: list[float]):
    groups = sampled_groups(each, temperatures=temperatures)
    statistics = GRPOUpdate(each, GRPOConfig()).accumulate(groups).statistics
    assert statistics.ratio_mean == pytest.approx(1, abs=1e-5)
    assert statistics.ratio_max == pytest.approx(1, abs=1e-4)
    assert statistics.clip_low_fraction == statistics.clip_high_fraction == 0
    assert statistics.effective_fraction == 1
    assert statistics.kl_k3 == pytest.approx(0, abs=1e-7)


def test_greedy_trajectories_are_refused_before_anything_is_learnt(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    head = policy.head_weight.clone()
    groups = sampled_groups(policy)
    first, *others = groups[1].trajectories
    greedy = replace(groups[1], trajectories=(replace(first, temperature=0.0), *others))
    update = GRPOUpdate(policy, GRPOConfig(updates_per_batch=2))
    with pytest.raises(ValueError, match="1 of 7 trajectories were sampled at temperature 0"):
        update.update([groups[0], greedy])
    with pytest.raises(ValueError, match="1 of 3 trajectories"):
        update.accumulate([greedy])
    assert torch.equal(policy.head_weight, head)


def test_masked_tokens_have_exactly_nogradient(policy: Policy, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hidden_states = policy.hidden_states

    def watched(batch):
        states = hidden_states(batch)
        states.retain_grad()
        seen.append((states, batch.policy_mask))
        return states

    monkeypatch.setattr(policy, "hidden_states", watched)
    GRPOUpdate(policy, GRPOConfig()).accumulate(sampled_groups(policy, drift=0.1))
    assert seen
    for states, policy_mask in seen:
        assert states.grad is not None
        predicts = torch.zeros_like(policy_mask)
        predicts[:-1] = policy_mask[1:]
        assert (~predicts).sum() > 100
        assert states.grad[~predicts].abs().max() == 0
        assert states.grad[predicts].abs().sum() > 0


def test_what_stands_at_masked_places_is_never_read(policy: Policy):
    groups = sampled_groups(policy, drift=0.4)
    update = GRPOUpdate(policy, GRPOConfig())
    loss, gradient = update.accumulate(groups).loss, gradient_of(policy)
    spoilt = [
        replace(
            group,
            trajectories=tuple(
                replace(
                    trajectory,
                    logprobs=torch.where(trajectory.policy_mask, trajectory.logprobs, torch.nan),
                )
                for trajectory in group.trajectories
            ),
        )
        for group in groups
    ]
    assert update.accumulate(spoilt).loss == loss
    assert torch.equal(gradient_of(policy), gradient)


def test_trajectories_at_the_mean_are_not_run(policy: Policy):
    found = GRPOUpdate(policy, GRPOConfig()).accumulate(sampled_groups(policy))
    assert found.trajectories == 6  # of 7: the reward .5 is the mean of 0, 1 and .5


def test_the_vision_tower_stays(each_path: Path):
    policy = Policy.load(each_path)
    visual = policy.model.model.visual
    before = [parameter.clone() for parameter in visual.parameters()]
    head = policy.head_weight.clone()
    GRPOUpdate(policy, GRPOConfig(learning_rate=1e-2)).update(sampled_groups(policy))
    assert all(torch.equal(old, new) for old, new in zip(before, visual.parameters(), strict=True))
    assert not torch.equal(policy.head_weight, head)


def test_updates_raise_what_was_rewarded(each_path: Path):
    policy = Policy.load(each_path)
    good, bad = sampled_attempt(policy, 1), sampled_attempt(policy, 2)
    groups = [GRPOGroup(trajectories=(good, bad), rewards=(1.0, 0.0))]
    update = GRPOUpdate(policy, GRPOConfig(learning_rate=1e-3))

    def score(trajectory: TokenTrajectory) -> float:
        with torch.no_grad():
            logits = torch.log_softmax(logits_of(policy, trajectory)[:-1], dim=-1)
        chosen = logits.gather(1, trajectory.ids[1:, None])[:, 0]
        return chosen[trajectory.policy_mask[1:]].mean().item()

    before = score(good), score(bad)
    report = update.update(groups)
    assert score(good) > before[0]
    assert score(bad) < before[1]
    assert report.learning_rate == 1e-3
    assert report.policy_tokens == good.num_policy_tokens + bad.num_policy_tokens
    assert report.grad_norm > 0
    assert report.optimizer_steps == 1


def test_equal_rewards_leave_the_policy_as_it_is(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    head = policy.head_weight.clone()
    update = GRPOUpdate(policy, GRPOConfig(learning_rate=1e-2))
    update.update(sampled_groups(policy))  # fills Adam's momentum, which must not move it either
    moved = policy.head_weight.clone()
    assert not torch.equal(moved, head)
    same = [
        GRPOGroup(trajectories=group.trajectories, rewards=(0.7,) * len(group.rewards))
        for group in sampled_groups(policy)
    ]
    report = update.update(same)
    assert torch.equal(policy.head_weight, moved)
    assert (report.optimizer_steps, report.loss, report.grad_norm) == (0, 0.0, 0.0)
    assert update.update([]).optimizer_steps == 0


@pytest.mark.parametrize(
    ("updates", "epochs", "steps"), [(1, 1, 1), (2, 1, 2), (2, 3, 6), (5, 1, 2)]
)
def test_parts_are_wholegroups(tiny_policy_path: Path, updates: int, epochs: int, steps: int):
    policy = Policy.load(tiny_policy_path)
    update = GRPOUpdate(policy, GRPOConfig(updates_per_batch=updates, epochs=epochs))
    report = update.update(sampled_groups(policy))
    assert report.optimizer_steps == steps
    assert report.trained_trajectories == 6 * epochs


@pytest.mark.parametrize("normalization", ["sequence", "token"])
def test_each_part_weighs_as_if_it_were_the_whole(tiny_policy_path: Path, normalization):
    policy = Policy.load(tiny_policy_path)
    config = GRPOConfig(normalization=normalization, updates_per_batch=2, learning_rate=1e-12)
    update = GRPOUpdate(policy, config)
    groups = sampled_groups(policy, drift=0.4)
    losses, norms = [], []
    for group in groups:
        losses.append(update.accumulate([group]).loss)
        norms.append(gradient_of(policy).norm().item())
    assert abs(sum(losses)) > 0.1
    report = update.update(groups)  # whose steps are too small to move what comes after
    assert report.loss == pytest.approx(sum(losses) / 2, rel=1e-4)
    assert report.grad_norm == pytest.approx(sum(norms) / 2, rel=1e-4)


def test_the_rate_that_is_given_is_what_weights_move_by(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    before = policy.head_weight.detach().clone()
    update = GRPOUpdate(policy, GRPOConfig(learning_rate=1e-2))
    update.update(sampled_groups(policy, drift=0.1), learning_rate=1e-4)
    # Adam's first step is the rate itself, against the gradient's sign.
    moved = (policy.head_weight.detach() - before).abs().max().item()
    assert moved == pytest.approx(1e-4, rel=1e-2)


def test_resumed_is_uninterrupted(each_path: Path, tmp_path: Path):
    config = GRPOConfig(learning_rate=1e-3)
    policy = Policy.load(each_path)
    groups = sampled_groups(policy)
    update = GRPOUpdate(policy, config)
    update.update(groups)
    update.save(tmp_path)
    update.update(groups, learning_rate=5e-4)

    resumed = Policy.load(tmp_path / "policy")
    again = GRPOUpdate(resumed, config)
    again.restore(tmp_path)
    again.update(groups, learning_rate=5e-4)
    expected = policy.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0},
        {"clip_low": -0.1},
        {"clip_high": -0.1},
        {"clip_low": 1.1},
        {"normalization": "group"},
        {"updates_per_batch": 0},
        {"epochs": 0},
        {"micro_batch_tokens": 0},
        {"max_grad_norm": 0},
        {"weight_decay": -1},
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_settings_that_make_no_sense(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=name):
        GRPOConfig(**changes)


def test_a_reward_for_each_trajectory(policy: Policy):
    with pytest.raises(ValueError, match="1 trajectories and 2 rewards"):
        GRPOGroup(trajectories=(sampled_attempt(policy, 1),), rewards=(0.0, 1.0))


def test_the_rate_rises_and_then_falls_along_a_line():
    config = GRPOConfig(learning_rate=1.0, warmup_batches=2, final_fraction=0.5)
    rates = [linear_rate(batch, 6, config) for batch in range(7)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1.0, 0.875, 0.75, 0.625, 0.5])
    assert [linear_rate(batch, 3, GRPOConfig(learning_rate=2.0)) for batch in range(3)] == [2.0] * 3


@pytest.mark.parametrize("values", [{"warmup_batches": -1}, {"final_fraction": 1.5}])
def test_a_schedule_that_is_none_is_refused(values):
    with pytest.raises(ValueError, match="warmup_batches"):
        GRPOConfig(**values)
