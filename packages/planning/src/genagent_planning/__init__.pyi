from .assumptions import MINIATURE, PlanConfig
from .memory import Memory, Training, memory_of
from .placement import Placement, best_placement
from .plan_rl import plan_rl
from .plan_sft import plan_sft
from .planned_model import PlannedModel, planned_model
from .traffic import StepTraffic

__all__ = [
    "MINIATURE",
    "Memory",
    "Placement",
    "PlanConfig",
    "PlannedModel",
    "StepTraffic",
    "Training",
    "best_placement",
    "memory_of",
    "plan_rl",
    "plan_sft",
    "planned_model",
]
