"""Trajectories in one row are what they are alone: no token sees another trajectory's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.policy.attempts import gradient_of

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory
from genagent_policy.scoring import score
from genagent_policy.sft_loss import negative_log_likelihood

SIZES = [(32, 32), (48, 48), (32, 64), (96, 32), (64, 80)]
"""Of pictures: of 4 to 20 tokens."""

Shape = tuple[list[int], int]
"""Which sizes a trajectory's pictures have, and how many letters its turns."""
shapes = st.lists(
    st.tuples(st.lists(st.integers(0, len(SIZES) - 1), max_size=3), st.integers(1, 40)),
    min_size=2,
    max_size=6,
)


@pytest.fixture(scope="module")
def policy(each_path: Path) -> Policy:
    """One that fills in gradients and takes no step, of each family."""
    return Policy.load(each_path)


def attempt(policy: Policy, shape: Shape, seed: int) -> TokenTrajectory:
    """A trajectory, with log-probs near the policy's own, and the trainer's nearer."""
    rng = np.random.default_rng(seed)
    sizes, letters = shape
    pictures = [
        Image.fromarray(rng.integers(0, 256, (*SIZES[size], 3), dtype=np.uint8)) for size in sizes
    ]
    turns = ["".join(rng.choice(list("abc {}"), size=letters)) for _ in range(len(sizes) + 1)]
    trajectory = policy.chat.render(turns, "red", pictures)
    (own,) = score(policy, [trajectory], max_tokens=1)
    noise, drift = (
        torch.from_numpy(rng.normal(0, scale, len(trajectory))).float() for scale in (0.3, 0.1)
    )
    # Of one token at least the weight is cut.
    noise[trajectory.policy_mask.nonzero()[0]] = -1.0
    return replace(
        trajectory,
        logprobs=(own + noise) * trajectory.policy_mask,
        trainer_logprobs=(own + drift) * trajectory.policy_mask,
    )


@settings(max_examples=5)
@given(shapes=shapes, budget=st.integers(50, 2000), is_sequence=st.booleans())
@pytest.mark.parametrize("frozen", [True, False])
def test_an_update_equals_that_of_trajectories_one_at_a_time(
    policy: Policy, frozen: bool, shapes: list[Shape], budget: int, is_sequence: bool
):
    attempts = tuple(attempt(policy, shape, seed) for seed, shape in enumerate(shapes))
    groups = [GRPOGroup(trajectories=attempts, rewards=tuple(np.linspace(0, 1, len(attempts))))]
    config = GRPOConfig(
        freeze_vision=frozen,
        truncate_at=2.0,
        importance_sampling_level="sequence" if is_sequence else "token",
    )

    def run(micro_batch_tokens: int):
        update = GRPOUpdate(policy, replace(config, micro_batch_tokens=micro_batch_tokens))
        policy.model.zero_grad(set_to_none=True)
        return update.accumulate(groups), gradient_of(policy)

    alone, expected = run(1)
    packed, gradient = run(budget)
    assert len(alone.micro_batches) == sum(item != 0.5 for item in groups[0].rewards)
    assert len(packed.micro_batches) <= len(alone.micro_batches)
    assert sum(packed.micro_batches) == sum(alone.micro_batches)
    assert packed.loss == pytest.approx(alone.loss, abs=2e-6)
    assert expected.norm() > 1e-3
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=2e-6)
    for name in ("tokens", "ratio_mean", "ratio_max", "kl_k1", "kl_k3", "entropy"):
        found = getattr(packed.statistics, name)
        assert found == pytest.approx(getattr(alone.statistics, name), rel=1e-4, abs=1e-6)
    assert packed.mismatch.tokens == alone.mismatch.tokens
    assert packed.mismatch.total == pytest.approx(alone.mismatch.total, rel=1e-4)
    assert packed.mismatch.truncated == alone.mismatch.truncated
    assert packed.mismatch.truncated is not None and packed.mismatch.truncated > 0


@settings(max_examples=5)
@given(shapes=shapes, budget=st.integers(50, 2000))
def test_scores_equal_those_of_trajectories_one_at_a_time(
    policy: Policy, shapes: list[Shape], budget: int
):
    attempts = [attempt(policy, shape, seed) for seed, shape in enumerate(shapes)]
    alone = score(policy, attempts, max_tokens=1)
    for found, expected in zip(score(policy, attempts, max_tokens=budget), alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    nats, right = negative_log_likelihood(policy, attempts)
    assert nats.item() == pytest.approx(-sum(float(part.sum()) for part in alone), rel=1e-5)
    assert right == sum(negative_log_likelihood(policy, [each])[1] for each in attempts)
