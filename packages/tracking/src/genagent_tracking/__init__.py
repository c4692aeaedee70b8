"""Runs, metrics and trajectories with their pictures in MLflow."""

from genagent_tracking.config import config_from_json, config_to_json, flatten_config
from genagent_tracking.console import print_error, print_line, print_table, step_progress
from genagent_tracking.experiment import run_experiment, write_text
from genagent_tracking.figure import draw_trajectories
from genagent_tracking.messages import Message, chat_messages
from genagent_tracking.mlflow_tracker import MlflowTracker, TrackerConfig
from genagent_tracking.pictures import picture_grid
from genagent_tracking.tracker import (
    NullTracker,
    RunStatus,
    Tracker,
    TrackingError,
    TrajectoryRecord,
)

__all__ = [
    "Message",
    "MlflowTracker",
    "NullTracker",
    "RunStatus",
    "Tracker",
    "TrackerConfig",
    "TrackingError",
    "TrajectoryRecord",
    "chat_messages",
    "config_from_json",
    "config_to_json",
    "draw_trajectories",
    "flatten_config",
    "picture_grid",
    "print_error",
    "print_line",
    "print_table",
    "run_experiment",
    "step_progress",
    "write_text",
]
