"""Requests, the agent's text protocol, trajectories as messages, and pictures by content."""

from genagent_data.jsonl import read_jsonl, write_jsonl
from genagent_data.judging import reward_case
from genagent_data.pictures import PictureStore
from genagent_data.protocol import (
    FORMAT_ERRORS,
    OBSERVATION,
    SYSTEM_MESSAGE,
    TOOL_NAME,
    Turn,
    parse_turn,
    render_turn,
    system_message,
)
from genagent_data.record import Record
from genagent_data.request import Request
from genagent_data.request_files import read_requests
from genagent_data.seeds import derive_seed
from genagent_data.synthesis import (
    ChatTeacher,
    Funnel,
    Services,
    SynthesisConfig,
    Teacher,
    synthesize,
)
from genagent_data.trajectory import (
    Ending,
    Round,
    Trajectory,
    trajectory_from_row,
    trajectory_to_row,
)
from genagent_rewards import Picture

__all__ = [
    "FORMAT_ERRORS",
    "OBSERVATION",
    "SYSTEM_MESSAGE",
    "TOOL_NAME",
    "ChatTeacher",
    "Ending",
    "Funnel",
    "Picture",
    "PictureStore",
    "Record",
    "Request",
    "Round",
    "Services",
    "SynthesisConfig",
    "Teacher",
    "Trajectory",
    "Turn",
    "derive_seed",
    "parse_turn",
    "read_jsonl",
    "read_requests",
    "render_turn",
    "reward_case",
    "synthesize",
    "system_message",
    "trajectory_from_row",
    "trajectory_to_row",
    "write_jsonl",
]
