"""Synthesis of trajectories: a teacher writes, the tool draws, judges and rules filter."""

from genagent_data.synthesis.chat_teacher import ChatTeacher, read_teacher_prompts
from genagent_data.synthesis.funnel import Funnel, StageFigures
from genagent_data.synthesis.intake import pooled
from genagent_data.synthesis.so_far import funnel_so_far
from genagent_data.synthesis.synthesize import SynthesisConfig, SynthesisServices, synthesize
from genagent_data.synthesis.teacher import Call, Failure, Judgement, PartialTrajectory, Teacher

__all__ = [
    "Call",
    "ChatTeacher",
    "Failure",
    "Funnel",
    "Judgement",
    "PartialTrajectory",
    "StageFigures",
    "SynthesisConfig",
    "SynthesisServices",
    "Teacher",
    "funnel_so_far",
    "pooled",
    "read_teacher_prompts",
    "synthesize",
]
