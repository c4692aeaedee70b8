"""The policy over tokens: rendering, positions, log-probs, SFT and GRPO updates, checkpoints."""

from genagent_policy.advantages import group_advantages
from genagent_policy.batching import Batch, collate, plan_micro_batches
from genagent_policy.chat import ChatFormat
from genagent_policy.config import PolicyConfig
from genagent_policy.grpo import GRPOConfig, GRPOUpdate, linear_rate
from genagent_policy.grpo_report import GRPOReport
from genagent_policy.model import KeyValueCache, Policy
from genagent_policy.positions import mrope_positions, picture_mask, picture_tokens
from genagent_policy.sft import SFTConfig, SFTReport, SFTUpdate
from genagent_policy.tokens import TokenTrajectory, no_pictures
from genagent_policy.weighting import GRPOGroup

__all__ = [
    "Batch",
    "ChatFormat",
    "GRPOConfig",
    "GRPOGroup",
    "GRPOReport",
    "GRPOUpdate",
    "KeyValueCache",
    "Policy",
    "PolicyConfig",
    "SFTConfig",
    "SFTReport",
    "SFTUpdate",
    "TokenTrajectory",
    "collate",
    "group_advantages",
    "linear_rate",
    "mrope_positions",
    "no_pictures",
    "picture_mask",
    "picture_tokens",
    "plan_micro_batches",
]
