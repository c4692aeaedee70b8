"""Requests, the agent's text protocol, trajectories as messages, and pictures by content."""

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
from genagent_data.request import Request, read_requests
from genagent_data.trajectory import (
    Ending,
    Round,
    Trajectory,
    read_trajectories,
    write_trajectories,
)

__all__ = [
    "FORMAT_ERRORS",
    "OBSERVATION",
    "SYSTEM_MESSAGE",
    "TOOL_NAME",
    "Ending",
    "PictureStore",
    "Request",
    "Round",
    "Trajectory",
    "Turn",
    "parse_turn",
    "read_requests",
    "read_trajectories",
    "render_turn",
    "reward_case",
    "system_message",
    "write_trajectories",
]
