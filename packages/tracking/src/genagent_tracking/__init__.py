"""Runs, metrics and trajectories with their pictures in MLflow."""

from genagent_tracking.config import config_from_json, config_to_json, flatten_config
from genagent_tracking.console import print_error, print_line, print_table, step_progress
from genagent_tracking.experiment import Flat, refuse, run_experiment
from genagent_tracking.figure import draw_trajectories
from genagent_tracking.messages import Message, chat_messages
from genagent_tracking.mlflow_tracker import MlflowTracker, TrackerConfig
from genagent_tracking.pictures import picture_grid
from genagent_tracking.record import RunStatus, TrackingError, TrajectoryRecord
from genagent_tracking.run import Run, RunConfig
from genagent_tracking.run_folder import write_text
from genagent_tracking.states import Learner

__all__ = [
    "Flat",
    "Learner",
    "Message",
    "MlflowTracker",
    "Run",
    "RunConfig",
    "RunStatus",
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
    "refuse",
    "run_experiment",
    "step_progress",
    "write_text",
]
