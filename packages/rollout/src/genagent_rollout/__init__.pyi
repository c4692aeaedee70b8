from .act import Rollout, Watcher, act
from .agents import RolloutBatch, RolloutTimings, run_agents
from .config import EvaluationConfig, GroupConfig, SamplingConfig
from .conversation import Conversation, Engine, SampledTurn
from .engine_config import EngineConfig
from .evaluation import evaluate
from .groups import KeptAttempts, RewardedGroups, sample_groups
from .local_engine import LocalEngine
from .metrics import ending_metrics, rollout_metrics
from .passes import EngineCounts
from .resample import fill_by_rounds, resample_by_rounds
from .sampling import SeededSampler, TokenSampler
from .served_policy import ServedPolicy

__all__ = [
    "Conversation",
    "Engine",
    "EngineConfig",
    "EngineCounts",
    "EvaluationConfig",
    "GroupConfig",
    "KeptAttempts",
    "LocalEngine",
    "RewardedGroups",
    "Rollout",
    "RolloutBatch",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "ServedPolicy",
    "TokenSampler",
    "Watcher",
    "act",
    "ending_metrics",
    "evaluate",
    "fill_by_rounds",
    "resample_by_rounds",
    "rollout_metrics",
    "run_agents",
    "sample_groups",
]
