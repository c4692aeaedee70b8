from .advantages import group_advantages
from .batching import Batch, collate, plan_micro_batches
from .chat import ChatFormat
from .config import PolicyConfig
from .grpo import GRPOUpdate
from .grpo_config import GRPOConfig, linear_rate
from .grpo_report import GRPOReport
from .model import Policy
from .positions import mrope_positions, picture_mask, picture_tokens
from .sft import SFTReport, SFTUpdate
from .sft_config import SFTConfig
from .tokens import TokenTrajectory, no_pictures
from .weighting import GRPOGroup

__all__ = [
    "Batch",
    "ChatFormat",
    "GRPOConfig",
    "GRPOGroup",
    "GRPOReport",
    "GRPOUpdate",
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
