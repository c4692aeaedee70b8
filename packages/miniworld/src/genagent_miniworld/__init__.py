"""The miniature: simple scenes, an exact verifier, and tiny real models trained in that world."""

from genagent_miniworld.conditions import Spec, parse_hints
from genagent_miniworld.grammar import TASKS, sample_requests, split_of
from genagent_miniworld.load import POLICIES, TOOLS, load_judge, load_tool, weights
from genagent_miniworld.reading import Reading, read
from genagent_miniworld.scene import (
    SIZES,
    Item,
    Scene,
    caption,
    parse_caption,
    random_scene,
    render,
)
from genagent_miniworld.scripted import ScriptedTeacher
from genagent_miniworld.scripted_models import ScriptedModel
from genagent_miniworld.teacher import Teacher, solve
from genagent_miniworld.verifier import Verifier
from genagent_miniworld.world import Miniature

__all__ = [
    "POLICIES",
    "SIZES",
    "TASKS",
    "TOOLS",
    "Item",
    "Miniature",
    "Reading",
    "Scene",
    "ScriptedModel",
    "ScriptedTeacher",
    "Spec",
    "Teacher",
    "Verifier",
    "caption",
    "load_judge",
    "load_tool",
    "parse_caption",
    "parse_hints",
    "random_scene",
    "read",
    "render",
    "sample_requests",
    "solve",
    "split_of",
    "weights",
]
