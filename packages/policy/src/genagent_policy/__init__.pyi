from .advantages import group_advantages
from .batching import Batch, plan_micro_batches
from .chat import ChatFormat
from .checkpoint import check_architecture
from .config import PolicyConfig
from .distributed import DistributedConfig
from .grpo import GRPOUpdate
from .grpo_config import GRPOConfig, RewardScale, linear_rate
from .grpo_report import GRPOReport
from .job import Job
from .late_credit import late_advantages
from .model import Policy
from .positions import mrope_positions, picture_mask, picture_tokens
from .ranks import ALONE, FirstRankFailed, Ranks
from .sft import SFTReport, SFTUpdate
from .sft_batches import BatchPlan
from .sft_config import SFTConfig
from .sft_data import RecordSplit, split_records
from .sft_loss import HeldOutLoss, evaluate_loss
from .sft_records import RecordSet, RecordSize, record_size, render_record
from .tokens import TokenTrajectory, no_pictures
from .trained_config import TrainedPolicyConfig
from .weighting import GRPOGroup

__all__ = [
    "ALONE",
    "Batch",
    "BatchPlan",
    "ChatFormat",
    "DistributedConfig",
    "FirstRankFailed",
    "GRPOConfig",
    "GRPOGroup",
    "GRPOReport",
    "GRPOUpdate",
    "HeldOutLoss",
    "Job",
    "Policy",
    "PolicyConfig",
    "Ranks",
    "RecordSet",
    "RecordSize",
    "RecordSplit",
    "RewardScale",
    "SFTConfig",
    "SFTReport",
    "SFTUpdate",
    "TokenTrajectory",
    "TrainedPolicyConfig",
    "check_architecture",
    "evaluate_loss",
    "group_advantages",
    "late_advantages",
    "linear_rate",
    "mrope_positions",
    "no_pictures",
    "picture_mask",
    "picture_tokens",
    "plan_micro_batches",
    "record_size",
    "render_record",
    "split_records",
]
