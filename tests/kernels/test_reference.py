"""The plain PyTorch version: values by hand, gradients by finite differences."""

import math

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from genagent_kernels import reference

# Two tokens whose logits are [0, 0] and [log 3, 0]: probabilities 1/2, 1/2 and 3/4, 1/4.
HIDDEN = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]], dtype=torch.float64)
WEIGHT = torch.eye(2, dtype=torch.float64)
TARGET = torch.tensor([1, 0])


def test_log_probs_and_entropy_are_those_of_the_softmax():
    result = reference.linear_logprob(HIDDEN, WEIGHT, TARGET, with_entropy=True)
    assert result.logprob.tolist() == pytest.approx([math.log(0.5), math.log(0.75)])
    assert result.entropy is not None
    assert result.entropy.tolist() == pytest.approx(
        [math.log(2), -0.75 * math.log(0.75) - 0.25 * math.log(0.25)]
    )


def test_temperature_divides_the_logits():
    cold = reference.linear_logprob(HIDDEN, WEIGHT, TARGET, temperature=0.5)
    assert cold.logprob.tolist() == pytest.approx([math.log(0.5), math.log(0.9)])
    assert cold.entropy is None


def test_half_precision_input_has_float32_statistics():
    result = reference.linear_logprob(HIDDEN.bfloat16(), WEIGHT.bfloat16(), TARGET)
    assert result.logprob.dtype == torch.float32


@pytest.mark.parametrize(
    ("ratio", "advantage", "surrogate", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.2),
        (1.5, 2.0, 2.6, 0.0),  # clipped at 1 + 0.3
        (1.5, -2.0, -3.0, -3.0),  # worse than the clipped value: not clipped
        (0.5, 2.0, 1.0, 1.0),
        (0.5, -2.0, -1.6, 0.0),  # clipped at 1 - 0.2
        (1.5, 0.0, 0.0, 0.0),
    ],
)
def test_surrogate_and_its_slope_in_each_case_of_the_clip(ratio, advantage, surrogate, slope):
    hidden = HIDDEN[1:].clone().requires_grad_()
    old = torch.tensor([math.log(0.75 / ratio)], dtype=torch.float64)
    result = reference.grpo_loss(
        hidden,
        WEIGHT,
        TARGET[1:],
        old_logprob=old,
        advantage=torch.tensor([advantage], dtype=torch.float64),
        mask=torch.tensor([True]),
        token_weight=torch.tensor([0.5], dtype=torch.float64),
        clip_low=0.2,
        clip_high=0.3,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-0.5 * surrogate)
    # d log p(target) / d logits = onehot - p = [1/4, -1/4]
    assert hidden.grad is not None
    assert hidden.grad[0].tolist() == pytest.approx([-0.5 * slope / 4, 0.5 * slope / 4])
    assert result.stats.effective_rows.item() == (slope != 0)


def test_entropy_of_the_loss_is_the_mean_over_its_tokens():
    ones = torch.ones(2, dtype=torch.float64)
    result = reference.grpo_loss(
        HIDDEN,
        WEIGHT,
        TARGET,
        old_logprob=-ones,
        advantage=ones,
        mask=torch.tensor([True, True]),
        token_weight=ones,
    )
    # In nats: log 2 = 0.69315 and -3/4 log 3/4 - 1/4 log 1/4 = 0.56234.
    assert result.stats.entropy.item() == pytest.approx(0.62774, abs=5e-6)


def by_hand(ratio: float, advantage: float, dual_clip: float | None) -> tuple[float, float]:
    """Surrogate of one token and its slope in the log-prob, after Ye et al. 2020, Eq. 5."""
    clipped = min(max(ratio, 0.8), 1.3)
    surrogate = min(ratio * advantage, clipped * advantage)
    slope = ratio * advantage if ratio * advantage <= clipped * advantage else 0.0
    if dual_clip is not None and advantage < 0 and surrogate < dual_clip * advantage:
        return dual_clip * advantage, 0.0
    return surrogate, slope


@settings(max_examples=200, deadline=None)
@given(
    ratio=st.floats(0.01, 50),
    advantage=st.floats(-3, 3),
    dual_clip=st.sampled_from([None, 1.1, 3.0, 10.0]),
)
@example(ratio=4.0, advantage=-2.0, dual_clip=3.0)  # bounded at -6
@example(ratio=4.0, advantage=-2.0, dual_clip=None)
@example(ratio=4.0, advantage=2.0, dual_clip=3.0)  # only negative advantages are bounded
@example(ratio=2.9, advantage=-2.0, dual_clip=3.0)
def test_a_dual_clip_bounds_what_a_bad_token_can_cost(ratio, advantage, dual_clip):
    assume(all(abs(ratio - kink) > 1e-6 for kink in (0.8, 1.3, dual_clip or 0)))
    surrogate, slope = by_hand(ratio, advantage, dual_clip)
    hidden = HIDDEN[1:].clone().requires_grad_()
    result = reference.grpo_loss(
        hidden,
        WEIGHT,
        TARGET[1:],
        old_logprob=torch.tensor([math.log(0.75 / ratio)], dtype=torch.float64),
        advantage=torch.tensor([advantage], dtype=torch.float64),
        mask=torch.tensor([True]),
        token_weight=torch.tensor([0.5], dtype=torch.float64),
        clip_low=0.2,
        clip_high=0.3,
        dual_clip=dual_clip,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-0.5 * surrogate)
    assert hidden.grad is not None
    assert hidden.grad[0].tolist() == pytest.approx([-0.5 * slope / 4, 0.5 * slope / 4])


def test_ratio_statistics_by_hand():
    ratios = torch.tensor([1.0, 2.0, 0.5, 1.1, 7.0], dtype=torch.float64)
    old = torch.full((5,), -1.0, dtype=torch.float64)
    mask = torch.tensor([True, True, True, True, False])
    stats = reference.logprob_ratio(old + ratios.log(), old, mask)
    assert stats.ratio_mean.item() == pytest.approx(4.6 / 4)
    assert stats.ratio_max.item() == pytest.approx(2.0)
    assert stats.clip_low_fraction.item() == 0.25
    assert stats.clip_high_fraction.item() == 0.25
    assert stats.kl_k1.item() == pytest.approx(-math.log(1.1) / 4)
    assert stats.kl_k3.item() == pytest.approx((0.6 - math.log(1.1)) / 4)
    assert stats.tokens.item() == 4


def test_an_empty_mask_reads_as_an_unmoved_policy():
    nothing = torch.zeros(3, dtype=torch.bool)
    stats = reference.logprob_ratio(torch.zeros(3), torch.ones(3), nothing)
    assert (stats.ratio_mean.item(), stats.ratio_max.item(), stats.tokens.item()) == (1.0, 1.0, 0)
    assert stats.kl_k1.item() == stats.kl_k3.item() == stats.clip_high_fraction.item() == 0.0


def test_gradients_of_log_prob_and_entropy_by_finite_differences():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 4, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(7, 4, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor([0, 6, 3, 3, 1])

    def both(hidden, weight):
        result = reference.linear_logprob(
            hidden, weight, target, temperature=0.7, with_entropy=True
        )
        assert result.entropy is not None
        return result.logprob, result.entropy

    assert torch.autograd.gradcheck(both, (hidden, weight))


def test_gradient_of_the_loss_by_finite_differences():
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(7, 4, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor([0, 6, 3, 3, 1, 2])
    now = reference.linear_logprob(hidden, weight, target).logprob.detach()
    # Log-ratios well away from the kinks at log 0.8 and log 1.2.
    shift = torch.tensor([0.0, 0.1, -0.1, 0.5, -0.5, 0.3], dtype=torch.float64)

    def loss(hidden, weight):
        return reference.grpo_loss(
            hidden,
            weight,
            target,
            old_logprob=now - shift,
            advantage=torch.tensor([1.0, -2.0, 0.5, 1.0, -1.0, 3.0], dtype=torch.float64),
            mask=torch.tensor([True, True, True, True, True, False]),
            token_weight=torch.full((6,), 0.2, dtype=torch.float64),
        ).loss

    assert torch.autograd.gradcheck(loss, (hidden, weight))
