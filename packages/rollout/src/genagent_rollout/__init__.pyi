from .agents import Rollout, RolloutBatch, RolloutTimings, run_agents
from .config import EvaluationConfig, GroupConfig, SamplingConfig
from .engine import Conversations, RolloutEngine, SampledTurn
from .evaluation import evaluate
from .groups import KeptAttempts, keep_rewarded, sample_groups
from .metrics import ending_metrics, rollout_metrics
from .resample import fill_by_rounds, resample_by_rounds
from .sampling import SeededSampler, TokenSampler

__all__ = [
    "Conversations",
    "EvaluationConfig",
    "GroupConfig",
    "KeptAttempts",
    "Rollout",
    "RolloutBatch",
    "RolloutEngine",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "TokenSampler",
    "ending_metrics",
    "evaluate",
    "fill_by_rounds",
    "keep_rewarded",
    "resample_by_rounds",
    "rollout_metrics",
    "run_agents",
    "sample_groups",
]
