from .config import config_from_json, config_to_json, flatten_config
from .console import funnel_progress, print_error, print_line, print_table, step_progress
from .experiment import Flat, refuse, run_experiment
from .figure import draw_trajectories
from .interrupt import quit_on_interrupt
from .messages import Message, chat_messages
from .mlflow_tracker import MlflowTracker, TrackerConfig
from .pictures import picture_grid
from .record import RunStatus, TrackingError, TrajectoryRecord
from .run import Run, RunConfig
from .run_folder import lock_folder
from .states import Learner

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
    "funnel_progress",
    "lock_folder",
    "picture_grid",
    "print_error",
    "print_line",
    "print_table",
    "quit_on_interrupt",
    "refuse",
    "run_experiment",
    "step_progress",
]
