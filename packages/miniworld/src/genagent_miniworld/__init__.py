"""The miniature: simple scenes, an exact verifier, and tiny real models trained in that world."""

from genagent_miniworld.comparison import compare, result_rows, telling_pair
from genagent_miniworld.conditions import Spec, parse_hints, read_checkable_requests
from genagent_miniworld.evaluation import (
    Outcome,
    Rate,
    evaluate,
    judge_outcomes,
    paired_p_value,
    rate,
    summarize,
)
from genagent_miniworld.grammar import TASKS, sample_requests, split_of
from genagent_miniworld.judge import (
    JudgeConfig,
    Judges,
    audit_outcomes,
    load_judge,
    load_judges,
)
from genagent_miniworld.load import POLICIES, TOOLS, load_policy, load_tool, weights
from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import Item, Scene, caption, random_scene, render
from genagent_miniworld.teacher import Teacher, solve
from genagent_miniworld.tool import ToolConfig, open_tool
from genagent_miniworld.verifier import Verifier

__all__ = [
    "POLICIES",
    "TASKS",
    "TOOLS",
    "Item",
    "JudgeConfig",
    "Judges",
    "Outcome",
    "Rate",
    "Reading",
    "Scene",
    "Spec",
    "Teacher",
    "ToolConfig",
    "Verifier",
    "audit_outcomes",
    "caption",
    "compare",
    "evaluate",
    "judge_outcomes",
    "load_judge",
    "load_judges",
    "load_policy",
    "load_tool",
    "open_tool",
    "paired_p_value",
    "parse_hints",
    "random_scene",
    "rate",
    "read",
    "read_checkable_requests",
    "render",
    "result_rows",
    "sample_requests",
    "solve",
    "split_of",
    "summarize",
    "telling_pair",
    "weights",
]
