"""Requests, the agent's text protocol, trajectories as messages, and pictures by content."""

from genagent_data.durable import sync_folder, sync_tree
from genagent_data.hard_requests import HardRequests, write_hard_requests
from genagent_data.jsonl import read_jsonl, write_jsonl
from genagent_data.judging import reward_case
from genagent_data.kept_lines import KeptLines
from genagent_data.light_trajectory import light_trajectory
from genagent_data.openai_messages import read_openai, write_openai
from genagent_data.pictures import PictureStore
from genagent_data.pool import DroppedRequest, PoolConfig, colliding, prompt_pool, read_pool
from genagent_data.prompt_files import PromptFile, read_prompt
from genagent_data.protocol import (
    FORMAT_ERRORS,
    OBSERVATION,
    SYSTEM_MESSAGE,
    Turn,
    parse_turn,
    render_turn,
    system_message,
)
from genagent_data.record import Record
from genagent_data.record_check import RecordError, check_record
from genagent_data.record_files import RecordFolder, read_records, write_records
from genagent_data.request import Request, evenly_by_task, requests_digest
from genagent_data.request_files import read_requests, write_requests
from genagent_data.seeds import derive_seed
from genagent_data.sharegpt import read_sharegpt, write_sharegpt
from genagent_data.synthesis import (
    ChatTeacher,
    Funnel,
    StageFigures,
    SynthesisConfig,
    SynthesisServices,
    Teacher,
    funnel_so_far,
    pooled,
    read_teacher_prompts,
    synthesize,
)
from genagent_data.text_files import write_text
from genagent_data.tool_syntax import TOOL_NAME, ToolSyntax
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
    "DroppedRequest",
    "Ending",
    "Funnel",
    "HardRequests",
    "KeptLines",
    "Picture",
    "PictureStore",
    "PoolConfig",
    "PromptFile",
    "Record",
    "RecordError",
    "RecordFolder",
    "Request",
    "Round",
    "StageFigures",
    "SynthesisConfig",
    "SynthesisServices",
    "Teacher",
    "ToolSyntax",
    "Trajectory",
    "Turn",
    "check_record",
    "colliding",
    "derive_seed",
    "evenly_by_task",
    "funnel_so_far",
    "light_trajectory",
    "parse_turn",
    "pooled",
    "prompt_pool",
    "read_jsonl",
    "read_openai",
    "read_pool",
    "read_prompt",
    "read_records",
    "read_requests",
    "read_sharegpt",
    "read_teacher_prompts",
    "render_turn",
    "requests_digest",
    "reward_case",
    "sync_folder",
    "sync_tree",
    "synthesize",
    "system_message",
    "trajectory_from_row",
    "trajectory_to_row",
    "write_hard_requests",
    "write_jsonl",
    "write_openai",
    "write_records",
    "write_requests",
    "write_sharegpt",
    "write_text",
]
