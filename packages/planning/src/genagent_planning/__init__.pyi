from .assumptions import MINIATURE, PlanConfig
from .memory import Memory, Training, memory_of
from .placement import Placement, best_placement
from .plan_rl import plan_rl
from .plan_sft import plan_sft
from .plan_synthesis import plan_synthesis
from .planned_model import PlannedModel, planned_model
from .synthesis_traffic import (
    MINIATURE_SYNTHESIS,
    SynthesisPlanConfig,
    counted_shares,
    synthesis_traffic,
)
from .traffic import StepTraffic

__all__ = [
    "MINIATURE",
    "MINIATURE_SYNTHESIS",
    "Memory",
    "Placement",
    "PlanConfig",
    "PlannedModel",
    "StepTraffic",
    "SynthesisPlanConfig",
    "Training",
    "best_placement",
    "counted_shares",
    "memory_of",
    "plan_rl",
    "plan_sft",
    "plan_synthesis",
    "planned_model",
    "synthesis_traffic",
]
