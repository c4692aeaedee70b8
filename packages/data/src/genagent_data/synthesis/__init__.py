"""Synthesis of trajectories: a teacher writes, the tool draws, judges and rules filter."""

from genagent_data.synthesis.chat_teacher import ChatTeacher, read_teacher_prompts
from genagent_data.synthesis.funnel import Funnel, StageFigures
from genagent_data.synthesis.intake import pooled
from genagent_data.synthesis.synthesize import SynthesisConfig, SynthesisServices, synthesize
from genagent_data.synthesis.teacher import Attempt, Call, Failure, Judgement, Teacher

__all__ = [
    "Attempt",
    "Call",
    "ChatTeacher",
    "Failure",
    "Funnel",
    "Judgement",
    "StageFigures",
    "SynthesisConfig",
    "SynthesisServices",
    "Teacher",
    "pooled",
    "read_teacher_prompts",
    "synthesize",
]
