"""How far the policy has gone from a frozen reference, as a term of the loss.

``kl_beta * mean(k)`` is added to the loss, with the mean that the surrogate has (Shao et al. 2024,
arXiv 2402.03300, Eq. 3 and 4), over all trajectories: those without an advantage drift as well. The
estimators of a token's KL(policy || reference) are Schulman's (Approximating KL Divergence, 2020),
with ``r = p_reference / p_policy`` of a token that the policy chose::

    k1 = -log r               unbiased; as a loss its slope in the log-prob is 1 whatever r is, so
                              that it only adds noise: for comparisons
    k2 = (log r)^2 / 2        biased; its gradient is the KL's, on-policy
    k3 = r - 1 - log r        unbiased and never negative; GRPO's own

It stands outside of the kernel: its slope needs no clip, and it is off unless asked for. It costs
two products with the head and the two of its gradient, and one forward pass of the reference a
batch. The reference takes its weights' memory once more, and no gradient or optimizer state; of a
policy with an adapter it is the policy without it, and takes none.
"""

from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from genagent_policy.grpo_config import KLEstimator
from genagent_policy.model import Policy
from genagent_policy.scoring import score
from genagent_policy.tokens import TokenTrajectory


def kl_estimate(
    logprob: Float[Tensor, " chosen"],
    reference: Float[Tensor, " chosen"],
    estimator: KLEstimator,
) -> Float[Tensor, " chosen"]:
    """Of each token; differentiable in ``logprob``."""
    log_ratio = reference.detach() - logprob
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    # expm1 keeps the digits that r - 1 loses near 1.
    return log_ratio.expm1() - log_ratio


def with_reference_logprobs(
    reference: Policy, trajectories: Sequence[TokenTrajectory], *, max_tokens: int
) -> list[TokenTrajectory]:
    """The same trajectories, each of which knows what the reference makes of its tokens.

    Args:
        max_tokens: tokens run through the model at once.
    """
    pairs = zip(trajectories, score(reference, trajectories, max_tokens=max_tokens), strict=True)
    return [replace(trajectory, reference_logprobs=own) for trajectory, own in pairs]
