"""Pointwise and shuffled-pairwise judges, and the hybrid reward of the paper."""

from genagent_rewards.audit import audit_metrics, reward_metrics
from genagent_rewards.chat import ChatModel, ChatReply, ChatRequest
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
from genagent_rewards.judges import JudgeCounts, PairwiseJudge, PointwiseJudge
from genagent_rewards.kept_file import KeptFile
from genagent_rewards.local_chat import LocalChat
from genagent_rewards.openai_chat import ChatCounts, OpenAIChat, OpenAIChatConfig
from genagent_rewards.picture import Picture
from genagent_rewards.prompts import parse_verdict
from genagent_rewards.verdict import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    PointQuestion,
    Verdict,
)
from genagent_rewards.verdict_cache import VerdictCache

__all__ = [
    "ChatCounts",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ComparesPictures",
    "HybridReward",
    "JudgeCounts",
    "JudgesPictures",
    "KeptFile",
    "LocalChat",
    "OpenAIChat",
    "OpenAIChatConfig",
    "PairQuestion",
    "PairRecord",
    "PairwiseJudge",
    "Picture",
    "PointQuestion",
    "PointwiseJudge",
    "RewardBreakdown",
    "RewardCase",
    "RewardConfig",
    "RewardRecord",
    "SingleRound",
    "Verdict",
    "VerdictCache",
    "audit_metrics",
    "hybrid_reward",
    "parse_verdict",
    "reward_metrics",
]
