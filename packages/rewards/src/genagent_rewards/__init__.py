"""Pointwise and shuffled-pairwise judges, and the hybrid reward of the paper."""

from genagent_rewards.audit import audit_metrics, reward_metrics
from genagent_rewards.chat import AsyncChatModel, ChatModel, ChatReply, ChatRequest
from genagent_rewards.formula import hybrid_reward
from genagent_rewards.hybrid import HybridReward
from genagent_rewards.judges import JudgeCounts, PairwiseJudge, PointwiseJudge
from genagent_rewards.kept_answers import KeptAnswers, KeptChat, answer_key
from genagent_rewards.kept_file import KeptFile
from genagent_rewards.local_chat import LocalChat
from genagent_rewards.openai_chat import ChatCounts, OpenAIChat, OpenAIChatConfig
from genagent_rewards.picture import Picture, is_picture_name
from genagent_rewards.picture_file import BROKEN, FORMATS, MAX_PIXELS, open_picture
from genagent_rewards.prompts import NO_HINTS, parse_verdict, spoken_words
from genagent_rewards.reward_config import Credit, RewardConfig, SingleRound
from genagent_rewards.reward_record import (
    PairRecord,
    Reward,
    RewardBreakdown,
    RewardCase,
    RewardRecord,
)
from genagent_rewards.verdict import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    PointQuestion,
    Verdict,
)
from genagent_rewards.verdict_cache import VerdictCache

__all__ = [
    "BROKEN",
    "FORMATS",
    "MAX_PIXELS",
    "NO_HINTS",
    "AsyncChatModel",
    "ChatCounts",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ComparesPictures",
    "Credit",
    "HybridReward",
    "JudgeCounts",
    "JudgesPictures",
    "KeptAnswers",
    "KeptChat",
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
    "Reward",
    "RewardBreakdown",
    "RewardCase",
    "RewardConfig",
    "RewardRecord",
    "SingleRound",
    "Verdict",
    "VerdictCache",
    "answer_key",
    "audit_metrics",
    "hybrid_reward",
    "is_picture_name",
    "open_picture",
    "parse_verdict",
    "reward_metrics",
    "spoken_words",
]
