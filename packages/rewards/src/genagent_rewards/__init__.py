"""Pointwise and shuffled-pairwise judges, and the hybrid reward of the paper."""

from genagent_rewards.hybrid import (
    HybridReward,
    PairRecord,
    RewardBreakdown,
    RewardCase,
    RewardConfig,
    RewardRecord,
    SingleRound,
    hybrid_reward,
)
from genagent_rewards.verdict import (
    PairQuestion,
    PairwiseJudge,
    PointQuestion,
    PointwiseJudge,
    Verdict,
)

__all__ = [
    "HybridReward",
    "PairQuestion",
    "PairRecord",
    "PairwiseJudge",
    "PointQuestion",
    "PointwiseJudge",
    "RewardBreakdown",
    "RewardCase",
    "RewardConfig",
    "RewardRecord",
    "SingleRound",
    "Verdict",
    "hybrid_reward",
]
