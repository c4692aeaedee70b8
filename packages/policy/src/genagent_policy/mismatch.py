"""An engine whose log-probs are not the trainer's: how far they are apart, and what to do about it.

Another kernel, another precision or another machine gives the same weights other log-probs: in
bfloat16 a token's may be .1 apart. Then the tokens come from another distribution than the one the
ratio is taken against. The correction (truncated importance sampling, Yao et al. 2025) takes the
ratio against the trainer's own log-probs from before the update and weighs each token by
``min(p_trainer / p_engine, truncate_at)``, which has no gradient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from genagent_kernels import logprob_ratio
from genagent_policy.lockstep import LockStep
from genagent_policy.model import Policy
from genagent_policy.scoring import score
from genagent_policy.tokens import TokenTrajectory


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineMismatch:
    """Differences between trainer and engine in the log-probs of sampled tokens, turn by turn.

    Example: tokens of the first turn .01 and .03 apart and one of the second .2 give ``tokens``
    (2, 1), ``total`` (.04, .2) and ``largest`` .2.
    """

    tokens: tuple[int, ...] = ()
    total: tuple[float, ...] = ()
    """Sums of absolute differences."""
    largest: float = 0.0
    truncated: int | None = None
    """Tokens whose importance weight was cut. None: none is weighed."""

    @classmethod
    def of(
        cls,
        trainer: Float[Tensor, " chosen"],
        engine: Float[Tensor, " chosen"],
        turns: Int64[Tensor, " chosen"],
        *,
        truncate_at: float | None = None,
    ) -> "EngineMismatch":
        """
        Args:
            turns: of its trajectory that each token belongs to, from 0.
            truncate_at: of the importance weights. None: there are none.
        """
        apart = (trainer - engine).abs()
        return cls(
            tokens=tuple(torch.bincount(turns).tolist()),
            total=tuple(torch.bincount(turns, weights=apart.double()).tolist()),
            largest=float(apart.max()) if len(apart) else 0.0,
            truncated=None
            if truncate_at is None
            else int((trainer - engine > math.log(truncate_at)).sum()),
        )

    @classmethod
    def pool(cls, parts: Sequence["EngineMismatch"]) -> "EngineMismatch":
        """That of all tokens together."""
        tokens = zip_longest(*(part.tokens for part in parts), fillvalue=0)
        total = zip_longest(*(part.total for part in parts), fillvalue=0.0)
        cut = [part.truncated for part in parts if part.truncated is not None]
        return cls(
            tokens=tuple(sum(counts) for counts in tokens),
            total=tuple(math.fsum(sums) for sums in total),
            largest=max((part.largest for part in parts), default=0.0),
            truncated=sum(cut) if cut else None,
        )

    def metrics(self) -> dict[str, float]:
        """The mean over all tokens and over each turn's, and the largest, in nats, and the share
        of tokens whose weight was cut; nothing where there is no token."""
        tokens = sum(self.tokens)
        if not tokens:
            return {}
        by_turn = enumerate(zip(self.total, self.tokens, strict=True), start=1)
        cut = {} if self.truncated is None else {"mismatch/truncated": self.truncated / tokens}
        return {
            **cut,
            "mismatch/logprob": math.fsum(self.total) / tokens,
            "mismatch/logprob_max": self.largest,
            **{f"mismatch/logprob_turn_{n}": s / tokens for n, (s, tokens) in by_turn if tokens},
        }


def with_trainer_logprobs(
    policy: Policy,
    trajectories: Sequence[TokenTrajectory],
    *,
    max_tokens: int,
    lockstep: LockStep | None = None,
) -> list[TokenTrajectory]:
    """The same trajectories, each of which knows what the policy, as it is now, makes of its
    tokens.

    Args:
        max_tokens: tokens run through the model at once.
        lockstep: of the ranks that run the policy together.
    """
    scored = score(policy, trajectories, max_tokens=max_tokens, lockstep=lockstep)
    pairs = zip(trajectories, scored, strict=True)
    return [replace(trajectory, trainer_logprobs=own) for trajectory, own in pairs]


def importance_weights(
    trainer: Float[Tensor, " chosen"], engine: Float[Tensor, " chosen"], *, truncate_at: float
) -> Float[Tensor, " chosen"]:
    """``min(p_trainer / p_engine, truncate_at)`` of each token; exactly 1 where they agree."""
    everywhere = torch.ones_like(trainer, dtype=torch.bool)
    found = logprob_ratio(trainer, engine, everywhere, truncate_at=truncate_at)
    assert found.importance_weight is not None
    return found.importance_weight
