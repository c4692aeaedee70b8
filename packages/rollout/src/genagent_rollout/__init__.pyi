from .act import Rollout, Watcher, act
from .agents import RolloutBatch, require_pictures, run_agents
from .anchors import anchor_metrics, draw_anchors
from .answer_folder import AnswerFolder, answer_kept
from .config import EvaluationConfig, GroupConfig, SamplingConfig
from .conversation import Conversation, Engine, SampledTurn
from .dynamic_sampling import DynamicSample, sample_dynamically
from .engine_config import EngineConfig
from .evaluation import evaluate
from .given_pictures import given_answers
from .groups import KeptAttempts, RewardedGroups, sample_groups
from .local_engine import LocalEngine
from .metrics import ending_metrics, rollout_metrics
from .over_ranks import total_counts
from .passes import EngineCounts
from .resample import fill_by_rounds, resample_by_rounds
from .rewarded import sample_step
from .sampling import SeededSampler, TokenSampler
from .scoring import score_answers, score_cell, scoring_ahead
from .served_policy import ServedPolicy, StartedPolicy
from .side_by_side import RolloutTimings
from .step_samples import StepSamples
from .strategies.agent import Agent
from .strategies.asking import Asking, asking_by
from .strategies.attempt import Attempt
from .strategies.best_of import BestOfN
from .strategies.chat_models import ChatReflector, ChatRewriter, ChatVerifier
from .strategies.config import StrategyConfig
from .strategies.first_prompt import FirstPrompt
from .strategies.plain import Plain
from .strategies.rewrite import Rewrite
from .strategies.selection import Selection, select
from .strategies.strategy import (
    Answered,
    Strategy,
    answer_all,
    answered_from_row,
    answered_to_row,
)
from .strategies.workflow import Workflow
from .vllm_config import VllmConfig
from .vllm_engine import VllmEngine

__all__ = [
    "Agent",
    "AnswerFolder",
    "Answered",
    "Asking",
    "Attempt",
    "BestOfN",
    "ChatReflector",
    "ChatRewriter",
    "ChatVerifier",
    "Conversation",
    "DynamicSample",
    "Engine",
    "EngineConfig",
    "EngineCounts",
    "EvaluationConfig",
    "FirstPrompt",
    "GroupConfig",
    "KeptAttempts",
    "LocalEngine",
    "Plain",
    "RewardedGroups",
    "Rewrite",
    "Rollout",
    "RolloutBatch",
    "RolloutTimings",
    "SampledTurn",
    "SamplingConfig",
    "SeededSampler",
    "Selection",
    "ServedPolicy",
    "StartedPolicy",
    "StepSamples",
    "Strategy",
    "StrategyConfig",
    "TokenSampler",
    "VllmConfig",
    "VllmEngine",
    "Watcher",
    "Workflow",
    "act",
    "anchor_metrics",
    "answer_all",
    "answer_kept",
    "answered_from_row",
    "answered_to_row",
    "asking_by",
    "draw_anchors",
    "ending_metrics",
    "evaluate",
    "fill_by_rounds",
    "given_answers",
    "require_pictures",
    "resample_by_rounds",
    "rollout_metrics",
    "run_agents",
    "sample_dynamically",
    "sample_groups",
    "sample_step",
    "score_answers",
    "score_cell",
    "scoring_ahead",
    "select",
    "total_counts",
]
