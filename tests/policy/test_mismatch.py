"""An engine whose log-probs are not the trainer's: measured, and corrected for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.policy.attempts import logits_of

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory
from genagent_policy.mismatch import (
    EngineMismatch,
    importance_weights,
    with_trainer_logprobs,
)


@pytest.fixture(scope="module")
def policy(tiny_policy_path: Path) -> Policy:
    """For tests that fill in gradients but take no step."""
    return Policy.load(tiny_policy_path)


def spoken(policy: Policy, words: Sequence[str], *, temperature: float = 1.0) -> TokenTrajectory:
    """Turns with a picture between two, and log-probs of 0."""
    pictures = [Image.new("RGB", (32, 32), "red")] * (len(words) - 1)
    return replace(policy.chat.render(words, "red", pictures), temperature=temperature)


def groups_of(policy: Policy, shift: Callable[[torch.Tensor], torch.Tensor]) -> list[GRPOGroup]:
    """Two attempts, with the policy's own log-probs after ``shift``."""
    trajectories = [spoken(policy, ["ab", "c"]), spoken(policy, ["{}"], temperature=1.3)]
    sampled = []
    for trajectory in with_trainer_logprobs(policy, trajectories, max_tokens=4000):
        assert trajectory.trainer_logprobs is not None
        shifted = shift(trajectory.trainer_logprobs) * trajectory.policy_mask
        sampled.append(replace(trajectory, logprobs=shifted))
    return [GRPOGroup(trajectories=tuple(sampled), rewards=(1.0, 0.0))]


def gradient(policy: Policy) -> torch.Tensor:
    parameters = [each.grad for each in policy.model.parameters() if each.grad is not None]
    return torch.cat([each.flatten() for each in parameters])


def test_importance_weights_by_hand():
    trainer = torch.tensor([-1.0, -1.0, -1.0, -3.0])
    engine = torch.tensor([-1.0, -1.5, -3.0, -1.0])
    found = importance_weights(trainer, engine, truncate_at=2.0)
    assert found.tolist() == pytest.approx([1.0, 1.6487213, 2.0, 0.1353353])
    assert found[0] == 1


def test_where_the_engine_agrees_the_correction_changes_nothing(policy: Policy):
    groups = groups_of(policy, lambda own: own)
    plain = GRPOUpdate(policy, GRPOConfig()).accumulate(groups)
    expected = gradient(policy)
    corrected = GRPOUpdate(policy, GRPOConfig(truncate_at=2.0)).accumulate(groups)
    assert corrected.loss == plain.loss
    assert torch.equal(gradient(policy), expected)
    assert corrected.mismatch.largest == pytest.approx(0.0, abs=2e-6)


@pytest.mark.parametrize(
    ("shift", "factor"),
    [
        # The engine found every token half as likely, twice as likely, a tenth as likely.
        (math.log(0.5), 2.0),
        (math.log(2.0), 0.5),
        (math.log(0.1), 3.0),
    ],
)
def test_tokens_count_by_how_likely_the_trainer_finds_them(
    policy: Policy, shift: float, factor: float
):
    agreed = groups_of(policy, lambda own: own)
    GRPOUpdate(policy, GRPOConfig()).accumulate(agreed)
    expected = gradient(policy) * factor
    other = groups_of(policy, lambda own: own + shift)
    found = GRPOUpdate(policy, GRPOConfig(truncate_at=3.0)).accumulate(other)
    torch.testing.assert_close(gradient(policy), expected, rtol=1e-4, atol=1e-6)
    assert found.statistics.ratio_max == pytest.approx(1.0, abs=1e-4)
    # Uncorrected, the ratio is the engine's error, and tokens are clipped for it.
    wrong = GRPOUpdate(policy, GRPOConfig()).accumulate(other)
    assert wrong.statistics.ratio_mean == pytest.approx(math.exp(-shift), rel=1e-4)


def test_each_token_of_a_micro_batch_counts_by_its_own_weight(policy: Policy):
    generator = torch.Generator().manual_seed(0)
    spoken_ones = [spoken(policy, words) for words in (["ab", "c"], ["{}"], ["a bb ccc"])]
    attempts = []
    for one in with_trainer_logprobs(policy, spoken_ones, max_tokens=4000):
        assert one.trainer_logprobs is not None
        noise = torch.randn(len(one), generator=generator) * one.policy_mask
        attempts.append(replace(one, logprobs=one.trainer_logprobs + noise))
    rewards = (1.0, 0.0, 0.2)
    found = GRPOUpdate(policy, GRPOConfig(truncate_at=1.5)).accumulate(
        [GRPOGroup(trajectories=tuple(attempts), rewards=rewards)]
    )
    assert len(found.micro_batches) == 1
    own = gradient(policy)

    policy.model.zero_grad(set_to_none=True)
    mean = sum(rewards) / 3
    spread = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / 3)
    total, cut = torch.zeros(()), 0
    for one, reward in zip(attempts, rewards, strict=True):
        scores = torch.log_softmax(logits_of(policy, one), dim=-1)
        for place in one.policy_mask.nonzero().flatten().tolist():
            new = scores[place - 1, one.ids[place]]
            weight = math.exp(new.item() - one.logprobs[place].item())
            cut += weight > 1.5
            ratio = (new - new.detach()).exp()
            share = (reward - mean) / (spread + 1e-6) / (3 * one.num_policy_tokens)
            total = total - min(weight, 1.5) * ratio * share
    total.backward()
    assert found.loss == pytest.approx(total.item(), abs=1e-5)
    torch.testing.assert_close(own, gradient(policy), rtol=1e-3, atol=2e-5)
    assert own.norm() > 0.1
    assert found.mismatch.truncated == cut > 0


def test_an_update_asks_the_policy_before_it_learns(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    groups = [
        replace(group, trajectories=tuple(replace(t, trainer_logprobs=None) for t in attempts))
        for group in groups_of(policy, lambda own: own - 0.25)
        for attempts in [group.trajectories]
    ]
    config = GRPOConfig(truncate_at=5.0)
    report = GRPOUpdate(policy, config).update(groups)
    figures = report.metrics()
    assert figures["mismatch/logprob"] == pytest.approx(0.25, abs=1e-4)
    assert figures["mismatch/logprob_max"] == pytest.approx(0.25, abs=1e-4)
    assert figures["mismatch/logprob_turn_1"] == pytest.approx(0.25, abs=1e-4)
    assert figures["mismatch/logprob_turn_2"] == pytest.approx(0.25, abs=1e-4)
    # Against the engine's log-probs it would be 1.28.
    assert figures["policy/ratio_mean"] == pytest.approx(1.0, abs=1e-4)
    assert figures["policy/ratio_max"] == pytest.approx(1.0, abs=1e-3)


def test_all_parts_are_asked_about_before_the_first_is_learnt(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    [group] = groups_of(policy, lambda own: own)
    asked = tuple(replace(one, trainer_logprobs=None) for one in group.trajectories)
    config = GRPOConfig(truncate_at=5.0, updates_per_batch=2, learning_rate=1e-3)
    report = GRPOUpdate(policy, config).update([replace(group, trajectories=asked)] * 2)
    assert report.optimizer_steps == 2
    # The second part's ratio tells of the first step.
    assert report.metrics()["policy/ratio_max"] > 1.01


def test_groups_of_equal_rewards_are_not_asked_about(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    attempts = (spoken(policy, ["ab"]), spoken(policy, ["c"]))
    groups = [
        GRPOGroup(trajectories=attempts, rewards=(0.7, 0.7)),
        GRPOGroup(trajectories=attempts, rewards=(0.7, 0.0)),
    ]
    run: list[int] = []
    policy.model.model.language_model.register_forward_hook(
        lambda module, given, result: run.append(result.last_hidden_state.shape[1])
    )
    GRPOUpdate(policy, GRPOConfig(truncate_at=2.0)).update(groups)
    # Those of the second group, once to be scored and once to be learnt from.
    assert sum(run) == 2 * sum(map(len, attempts))


def test_mismatch_by_hand():
    found = EngineMismatch.of(
        torch.tensor([-1.0, -2.0, -3.0]),
        torch.tensor([-1.01, -1.97, -3.2]),
        torch.tensor([0, 0, 1]),
    )
    assert found.tokens == (2, 1)
    assert found.metrics() == pytest.approx(
        {
            "mismatch/logprob": 0.08,
            "mismatch/logprob_max": 0.2,
            "mismatch/logprob_turn_1": 0.02,
            "mismatch/logprob_turn_2": 0.2,
        },
        abs=1e-6,
    )
    assert EngineMismatch().metrics() == {}


def test_tokens_whose_weight_is_cut_are_counted():
    trainer, engine = torch.tensor([-1.0, -1.0, -1.0, -3.0]), torch.tensor([-1.0, -1.6, -3.0, -1.0])
    turns = torch.tensor([0, 0, 1, 1])
    found = EngineMismatch.of(trainer, engine, turns, truncate_at=2.0)
    assert found.metrics()["mismatch/truncated"] == 0.25
    none = EngineMismatch.of(trainer, trainer, turns, truncate_at=2.0)
    assert EngineMismatch.pool([found, none]).metrics()["mismatch/truncated"] == 0.125
    assert "mismatch/truncated" not in EngineMismatch.of(trainer, engine, turns).metrics()


@given(
    parts=st.lists(st.lists(st.tuples(st.floats(-9, 0), st.integers(0, 3)), max_size=6), min_size=1)
)
def test_pooled_parts_are_the_whole(parts: list[list[tuple[float, int]]]):
    def of(tokens: list[tuple[float, int]]) -> EngineMismatch:
        scores = torch.tensor([score for score, _ in tokens])
        turns = torch.tensor([turn for _, turn in tokens], dtype=torch.int64)
        return EngineMismatch.of(scores, torch.full_like(scores, -1.0), turns)

    pooled = EngineMismatch.pool([of(part) for part in parts])
    whole = of([token for part in parts for token in part])
    assert pooled.tokens == whole.tokens
    assert pooled.total == pytest.approx(whole.total)
    assert pooled.largest == whole.largest


@pytest.mark.parametrize("value", [0.0, 0.5, float("inf"), -1.0])
def test_a_cap_below_one_or_without_end_is_refused(value: float):
    with pytest.raises(ValueError, match="truncate_at"):
        GRPOConfig(truncate_at=value)
