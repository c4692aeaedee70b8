"""What is found out about trajectories before anything is learnt from them.

What a frozen vision tower sees in their pictures, what the policy and a reference make of their
tokens: once an update, however often it goes through them, and by the rank that learns from them.
"""

from collections.abc import Sequence

from genagent_policy.grpo_config import GRPOConfig
from genagent_policy.lockstep import LockStep
from genagent_policy.mismatch import with_trainer_logprobs
from genagent_policy.model import Policy
from genagent_policy.reference_kl import with_reference_logprobs
from genagent_policy.seen_pictures import with_picture_features
from genagent_policy.tokens import TokenTrajectory


def with_what_is_known(
    policy: Policy,
    trajectories: Sequence[TokenTrajectory],
    config: GRPOConfig,
    *,
    reference: Policy | None,
    lockstep: LockStep,
) -> list[TokenTrajectory]:
    """The same trajectories with all that an update of this kind asks of them.

    Args:
        reference: for ``kl_beta``; None: the policy without its adapter.
        lockstep: of the ranks that run the policy together, each with its own trajectories.
    """
    found = list(trajectories)
    limit = {"max_tokens": config.micro_batch_tokens}
    has_score, has_reference = config.truncate_at is not None, config.kl_beta > 0
    is_own = has_reference and reference is None
    if has_reference and reference is not None:
        found = with_reference_logprobs(reference, found, **limit)
    if policy.vision_is_frozen and config.epochs + has_score + is_own > 1:
        found = with_picture_features(policy, found)
    if has_score:
        found = with_trainer_logprobs(policy, found, lockstep=lockstep, **limit)
    if is_own and policy.adapter is not None:
        with policy.adapter.disabled():
            found = with_reference_logprobs(policy, found, **limit)
    return found
