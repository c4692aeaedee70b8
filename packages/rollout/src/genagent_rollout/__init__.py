"""Acting: one coroutine a trajectory, over an engine that computes every token once."""

import importlib
from typing import TYPE_CHECKING

from genagent_rollout.config import EngineConfig, EvaluationConfig, GroupConfig, SamplingConfig
from genagent_rollout.resample import fill_by_rounds, resample_by_rounds

if TYPE_CHECKING:
    from genagent_rollout.act import Rollout, act
    from genagent_rollout.agents import RolloutBatch, RolloutTimings, run_agents
    from genagent_rollout.conversation import Conversation, Engine, SampledTurn
    from genagent_rollout.evaluation import evaluate
    from genagent_rollout.groups import KeptAttempts, keep_rewarded, sample_groups
    from genagent_rollout.local_engine import EngineCounts, LocalEngine
    from genagent_rollout.metrics import ending_metrics, rollout_metrics
    from genagent_rollout.sampling import SeededSampler, TokenSampler

# Loaded at first use: torch alone takes seconds, and a command line's --help needs none of it.
_HOMES = {
    "Conversation": "conversation",
    "Engine": "conversation",
    "EngineCounts": "local_engine",
    "KeptAttempts": "groups",
    "LocalEngine": "local_engine",
    "Rollout": "act",
    "RolloutBatch": "agents",
    "RolloutTimings": "agents",
    "SampledTurn": "conversation",
    "SeededSampler": "sampling",
    "TokenSampler": "sampling",
    "act": "act",
    "ending_metrics": "metrics",
    "evaluate": "evaluation",
    "keep_rewarded": "groups",
    "rollout_metrics": "metrics",
    "run_agents": "agents",
    "sample_groups": "groups",
}

__all__ = [
    "Conversation",
    "Engine",
    "EngineConfig",
    "EngineCounts",
    "EvaluationConfig",
    "GroupConfig",
    "KeptAttempts",
    "LocalEngine",
    "Rollout",
    "RolloutBatch",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "TokenSampler",
    "act",
    "ending_metrics",
    "evaluate",
    "fill_by_rounds",
    "keep_rewarded",
    "resample_by_rounds",
    "rollout_metrics",
    "run_agents",
    "sample_groups",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
