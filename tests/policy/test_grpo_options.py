"""Each option of the update against a loss that is written out, one token at a time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.attempts import gradient_of, logits_of, sampled_attempt, sampled_groups
from tests.policy.ranks_in_threads import Thread, as_ranks

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, TokenTrajectory
from genagent_policy.reference_kl import kl_estimate, with_reference_logprobs
from genagent_policy.sequence_ratio import sequence_old_logprobs

SEQUENCE = GRPOConfig(importance_sampling_level="sequence", clip_low=0.05, clip_high=0.08)


@pytest.fixture(scope="module")
def policy(tiny_policy_path: Path) -> Policy:
    """For tests that fill in gradients but take no step."""
    return Policy.load(tiny_policy_path)


@pytest.fixture(scope="module")
def reference(tiny_policy_path: Path) -> Policy:
    """The same, somewhat off."""
    other = Policy.load(tiny_policy_path)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in other.model.model.language_model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return other


def groups_with_cut_off(policy: Policy) -> list[GRPOGroup]:
    """Two groups far off the policy, of which four trajectories were cut off; the trainer's
    log-probs are others than the engine's."""
    groups = sampled_groups(policy, drift=0.6, temperatures=(0.8, 1.0))
    generator = torch.Generator().manual_seed(1)

    def trained(trajectory: TokenTrajectory) -> torch.Tensor:
        noise = torch.randn(len(trajectory), generator=generator)
        return trajectory.logprobs + 0.5 * noise * trajectory.policy_mask

    return [
        replace(
            group,
            trajectories=tuple(
                replace(one, truncated=place in (0, 2), trainer_logprobs=trained(one))
                for place, one in enumerate(group.trajectories)
            ),
        )
        for group in groups
    ]


def chosen(policy: Policy, trajectory: TokenTrajectory) -> list[torch.Tensor]:
    """Log-prob of each token that the policy chose, from the model's own logits."""
    scores = torch.log_softmax(logits_of(policy, trajectory) / trajectory.temperature, dim=-1)
    places = trajectory.policy_mask.nonzero().flatten().tolist()
    return [scores[place - 1, trajectory.ids[place]] for place in places]


def loss_by_hand(
    policy: Policy, groups: Sequence[GRPOGroup], config: GRPOConfig, reference: Policy
) -> torch.Tensor:
    counts = [
        [
            0 if trajectory.truncated and config.mask_truncated else trajectory.num_policy_tokens
            for trajectory in group.trajectories
        ]
        for group in groups
    ]
    total = torch.zeros(())
    for group, tokens in zip(groups, counts, strict=True):
        mean = sum(group.rewards) / len(group.rewards)
        spread = math.sqrt(sum((r - mean) ** 2 for r in group.rewards) / len(group.rewards))
        for trajectory, reward, own in zip(group.trajectories, group.rewards, tokens, strict=True):
            if own == 0:
                continue
            advantage = reward - mean
            if config.scale_rewards == "group":
                advantage /= spread + 1e-6
            divisor = {
                "sequence": len(groups) * len(group.rewards) * own,
                "token": sum(map(sum, counts)),
                "constant": len(groups) * len(group.rewards) * (config.constant_length or 0),
            }[config.normalization]
            new = chosen(policy, trajectory)
            with torch.no_grad():
                frozen = [float(value) for value in chosen(reference, trajectory)]
            engine = trajectory.logprobs[trajectory.policy_mask].tolist()
            old = engine
            if config.truncate_at is not None:
                assert trajectory.trainer_logprobs is not None
                old = trajectory.trainer_logprobs[trajectory.policy_mask].tolist()
            together = torch.stack([now - before for now, before in zip(new, old, strict=True)])
            for now, before, sampled, there in zip(new, old, engine, frozen, strict=True):
                log_ratio = now - before
                if config.importance_sampling_level == "sequence":
                    log_ratio = together.mean()
                    if config.truncate_at is not None:
                        # A token's weight is that of its own slope: GSPO's token-level form.
                        log_ratio = log_ratio.detach() + now - now.detach()
                ratio = log_ratio.exp()
                clipped = ratio.clamp(1 - config.clip_low, 1 + config.clip_high)
                surrogate = torch.minimum(ratio * advantage, clipped * advantage)
                if config.dual_clip is not None and advantage < 0:
                    surrogate = surrogate.clamp(min=config.dual_clip * advantage)
                if config.truncate_at is not None:
                    surrogate = surrogate * min(math.exp(before - sampled), config.truncate_at)
                total = total - surrogate / divisor
                kl = {
                    "k1": now - there,
                    "k2": (now - there) ** 2 / 2,
                    "k3": (there - now).exp() - 1 - (there - now),
                }[config.kl_estimator]
                total = total + config.kl_beta * kl / divisor
    return total


EACH_ALONE = {
    "clip-higher": GRPOConfig(clip_low=0.2, clip_high=0.28),
    "dual clip": GRPOConfig(dual_clip=1.3),
    "no spread": GRPOConfig(scale_rewards="none"),
    "constant": GRPOConfig(normalization="constant", constant_length=40),
    "sequence": SEQUENCE,
    "masked": GRPOConfig(mask_truncated=True),
    "masked, by token": GRPOConfig(mask_truncated=True, normalization="token"),
    "k1": GRPOConfig(kl_beta=0.5, kl_estimator="k1"),
    "k2": GRPOConfig(kl_beta=0.5, kl_estimator="k2"),
    "k3": GRPOConfig(kl_beta=0.5, kl_estimator="k3"),
    "corrected": GRPOConfig(truncate_at=1.5),
}
LIMIT = {"max_tokens": 500}
TOGETHER = {
    "Dr. GRPO": replace(EACH_ALONE["constant"], scale_rewards="none"),
    "sequence, by token, dual clip": replace(SEQUENCE, normalization="token", dual_clip=1.1),
    "most": replace(
        SEQUENCE, kl_beta=0.5, scale_rewards="none", mask_truncated=True, dual_clip=1.1
    ),
    "sequence, corrected": replace(SEQUENCE, truncate_at=1.5),
    "k3, corrected": replace(EACH_ALONE["k3"], truncate_at=1.5),
}


@pytest.mark.parametrize("name", [*EACH_ALONE, *TOGETHER])
def test_loss_and_gradient_are_those_of_the_formula(policy: Policy, reference: Policy, name: str):
    config = (EACH_ALONE | TOGETHER)[name]
    groups = groups_with_cut_off(policy)
    known = [
        replace(group, trajectories=tuple(with_reference_logprobs(reference, attempts, **LIMIT)))
        for group in groups
        for attempts in [group.trajectories]
    ]
    found = GRPOUpdate(policy, config, reference=reference).accumulate(known)
    gradient = gradient_of(policy)
    policy.model.zero_grad(set_to_none=True)
    expected = loss_by_hand(policy, groups, config, reference)
    expected.backward()
    assert found.loss == pytest.approx(expected.item(), abs=2e-5)
    assert gradient.norm() > 0.01
    torch.testing.assert_close(gradient, gradient_of(policy), rtol=1e-3, atol=5e-5)
    # The option does something here.
    plain = GRPOUpdate(policy, GRPOConfig()).accumulate(groups)
    assert plain.loss != pytest.approx(found.loss, abs=1e-4)


log_probs = st.lists(
    st.tuples(st.floats(-6, 0), st.floats(-6, 0)), min_size=1, max_size=6
)  # now and before, of one trajectory's tokens


@given(st.lists(log_probs, min_size=1, max_size=4))
def test_every_token_has_its_trajectorys_ratio(trajectories):
    rows = [row for row, tokens in enumerate(trajectories) for _ in tokens]
    now, before = (
        torch.tensor([pair[side] for tokens in trajectories for pair in tokens]).double()
        for side in (0, 1)
    )
    found = now - sequence_old_logprobs(now, before, torch.tensor(rows))
    expected = [sum(a - b for a, b in tokens) / len(tokens) for tokens in trajectories]
    assert found.tolist() == pytest.approx([expected[row] for row in rows], abs=1e-5)


@given(
    st.lists(st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)), min_size=2, max_size=6),
)
def test_estimates_of_the_divergence_are_unbiased_as_schulman_has_them(weights):
    policy = [a / sum(a for a, _ in weights) for a, _ in weights]
    reference = [b / sum(b for _, b in weights) for _, b in weights]
    exact = sum(p * math.log(p / q) for p, q in zip(policy, reference, strict=True))
    now, there = (torch.tensor(each, dtype=torch.float64).log() for each in (policy, reference))
    estimates = {name: kl_estimate(now, there, name).tolist() for name in ("k1", "k2", "k3")}
    for name in ("k1", "k3"):
        mean = sum(p * k for p, k in zip(policy, estimates[name], strict=True))
        assert mean == pytest.approx(exact, abs=1e-9)
    assert min(estimates["k2"] + estimates["k3"]) >= 0
    # Of k2 the mean gradient is the KL's: sum p' log(p / q), in each probability.
    logits = now.clone().requires_grad_()
    scores = torch.log_softmax(logits, dim=0)
    (scores.detach().exp() * kl_estimate(scores, there, "k2")).sum().backward()
    direct = now.clone().requires_grad_()
    scores = torch.log_softmax(direct, dim=0)
    (scores.exp() * (scores - there)).sum().backward()
    assert logits.grad is not None and direct.grad is not None
    assert logits.grad.tolist() == pytest.approx(direct.grad.tolist(), abs=1e-9)


def test_what_is_cut_off_teaches_nothing_but_its_group_still_knows_its_reward(policy: Policy):
    groups = groups_with_cut_off(policy)
    update = GRPOUpdate(policy, GRPOConfig(mask_truncated=True))
    found = update.accumulate(groups)
    # Of four and three, of which the first and the third were cut off.
    assert found.trajectories == 3
    loss, gradient = found.loss, gradient_of(policy)
    words = sampled_attempt(policy, 99, drift=0.6)
    others = [
        replace(
            group,
            trajectories=tuple(
                replace(words, truncated=True) if one.truncated else one
                for one in group.trajectories
            ),
        )
        for group in groups
    ]
    assert update.accumulate(others).loss == pytest.approx(loss, abs=1e-7)
    torch.testing.assert_close(gradient_of(policy), gradient, rtol=1e-5, atol=1e-7)


def test_what_is_cut_off_is_counted_over_all_ranks(tiny_policy_path: Path):
    # One policy each: threads that fill in the gradients of one abort the process.
    policies = [Policy.load(tiny_policy_path) for _ in range(2)]
    groups = [
        replace(group, rewards=(1.0,) * len(group.rewards))
        for group in groups_with_cut_off(policies[0])
    ]

    def work(ranks: Thread) -> int | None:
        held = [replace(one, is_here=place == ranks.rank) for place, one in enumerate(groups)]
        update = GRPOUpdate(policies[ranks.rank], GRPOConfig(mask_truncated=True), ranks=ranks)
        return update.update(held).masked_trajectories

    assert as_ranks(2, work) == [4, 4]


def test_options_are_measured(tiny_policy_path: Path, reference: Policy):
    policy = Policy.load(tiny_policy_path)
    groups = groups_with_cut_off(policy)
    config = GRPOConfig(dual_clip=1.3, mask_truncated=True, kl_beta=0.1)
    metrics = GRPOUpdate(policy, config, reference=reference).update(groups).metrics()
    bounded, tokens, divergence = 0, 0, 0.0
    fresh = Policy.load(tiny_policy_path)
    for group in groups:
        mean = sum(group.rewards) / len(group.rewards)
        for trajectory, reward in zip(group.trajectories, group.rewards, strict=True):
            if trajectory.truncated:
                continue
            with torch.no_grad():
                new = [float(value) for value in chosen(fresh, trajectory)]
                there = [float(value) for value in chosen(reference, trajectory)]
            old = trajectory.logprobs[trajectory.policy_mask].tolist()
            for now, before, frozen in zip(new, old, there, strict=True):
                tokens += 1
                bounded += reward < mean and math.exp(now - before) > 1.3
                divergence += math.exp(frozen - now) - 1 - (frozen - now)
    assert bounded > 0
    assert metrics["policy/dual_clip_fraction"] == pytest.approx(bounded / tokens)
    assert metrics["policy/reference_kl"] == pytest.approx(divergence / tokens, rel=1e-3)
    assert metrics["policy/masked_trajectories"] == 4.0
    plain = GRPOUpdate(policy, GRPOConfig()).update(groups).metrics()
    assert not {"policy/dual_clip_fraction", "policy/reference_kl"} & plain.keys()
    assert "policy/masked_trajectories" not in plain


def test_sequences_are_clipped_by_their_own_ratio_and_diverge_token_by_token(policy: Policy):
    groups = groups_with_cut_off(policy)
    found = GRPOUpdate(policy, SEQUENCE).accumulate(groups).statistics
    plain = GRPOUpdate(policy, GRPOConfig()).accumulate(groups).statistics
    # A mean of many tokens' log-ratios is nearer to 0 than the largest of them.
    assert 1 < found.ratio_max < plain.ratio_max
    assert found.kl_k1 == pytest.approx(plain.kl_k1, rel=1e-4)
    assert found.kl_k3 == pytest.approx(plain.kl_k3, rel=1e-4)


def test_a_reference_holds_the_policy_back(tiny_policy_path: Path, reference: Policy):
    """Equal rewards teach nothing, and the divergence still falls."""
    policy = Policy.load(tiny_policy_path)
    groups = [
        replace(group, rewards=(1.0,) * len(group.rewards)) for group in sampled_groups(policy)
    ]
    update = GRPOUpdate(policy, GRPOConfig(kl_beta=1.0, learning_rate=1e-3), reference=reference)
    frozen = reference.head_weight.clone()
    first, *_, last = [update.update(groups).reference_kl for _ in range(6)]
    assert first is not None and last is not None
    assert last < first / 2
    assert reference.head_weight.equal(frozen)


def test_a_divergence_wants_something_to_diverge_from(policy: Policy, reference: Policy):
    config = GRPOConfig(kl_beta=0.1)
    with pytest.raises(ValueError, match=r"kl_beta is 0\.1; wants a reference"):
        GRPOUpdate(policy, config)
    with pytest.raises(ValueError, match="no reference_logprobs"):
        GRPOUpdate(policy, config, reference=reference).accumulate(sampled_groups(policy))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dual_clip": 1.0}, "dual_clip is 1.0; wants more than 1"),
        ({"dual_clip": math.inf}, "dual_clip is inf"),
        ({"importance_sampling_level": "turn"}, "known: token, sequence"),
        ({"scale_rewards": "batch"}, "known: group, none"),
        ({"kl_estimator": "k4"}, "known: k1, k2, k3"),
        ({"kl_beta": -0.1}, "kl_beta is -0.1; wants 0 or more"),
        ({"normalization": "constant"}, "constant_length None"),
        ({"constant_length": 40}, "'sequence' and constant_length 40"),
        ({"normalization": "constant", "constant_length": 0}, "constant_length is 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_options_that_make_no_sense(changes, message):
    with pytest.raises(ValueError, match=message):
        GRPOConfig(**changes)
