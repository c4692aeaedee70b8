"""Acting: batched multi-turn generation with the KV cache kept across rounds, the agent loop."""

from genagent_rollout.agents import Rollout, RolloutBatch, RolloutTimings, run_agents
from genagent_rollout.engine import Conversations, RolloutEngine, SampledTurn
from genagent_rollout.evaluation import EvaluationConfig, evaluate
from genagent_rollout.groups import GroupConfig, cases_of, groups_of, keep_even, sample_groups
from genagent_rollout.metrics import ending_metrics, rollout_metrics
from genagent_rollout.resample import resample_by_rounds
from genagent_rollout.sampling import SamplingConfig, SeededSampler, TokenSampler

__all__ = [
    "Conversations",
    "EvaluationConfig",
    "GroupConfig",
    "Rollout",
    "RolloutBatch",
    "RolloutEngine",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "TokenSampler",
    "cases_of",
    "ending_metrics",
    "evaluate",
    "groups_of",
    "keep_even",
    "resample_by_rounds",
    "rollout_metrics",
    "run_agents",
    "sample_groups",
]
