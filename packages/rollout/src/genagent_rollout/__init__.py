"""Acting: batched multi-turn generation with the KV cache kept across rounds, the agent loop."""

from genagent_rollout.agents import Rollout, RolloutBatch, RolloutTimings, run_agents
from genagent_rollout.endings import ending_metrics
from genagent_rollout.engine import Conversations, RolloutEngine, SampledTurn
from genagent_rollout.resample import resample_by_rounds
from genagent_rollout.sampling import SamplingConfig, SeededSampler, TokenSampler
from genagent_rollout.seeds import derive_seed

__all__ = [
    "Conversations",
    "Rollout",
    "RolloutBatch",
    "RolloutEngine",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "TokenSampler",
    "derive_seed",
    "ending_metrics",
    "resample_by_rounds",
    "run_agents",
]
