from .command_line import parse
from .comparison import record_cell, show_cells
from .config import config_from_json, config_to_json, flatten_config
from .console import print_error, print_line, print_table, quiet_libraries
from .experiment import Flat, read_config, refuse, run_experiment, set_threads, stop
from .failure import error_line
from .figure import draw_outcomes
from .interrupt import exit_code, quit_on_interrupt, raise_on_interrupt
from .made_with import note_made_with
from .messages import Message, chat_messages
from .mlflow_tracker import MlflowTracker, TrackerConfig
from .pages import Pages
from .pictures import picture_grid
from .printable import one_line, printable
from .progress import answer_progress, counted, funnel_progress, step_progress, waiting
from .record import PersonFeedback, RunStatus, TrackingError, TrajectoryRecord
from .report import write_report
from .run import Run
from .run_config import RunConfig
from .run_folder import first_difference, lock_folder, make_run_folder
from .states import Learner

__all__ = [
    "Flat",
    "Learner",
    "Message",
    "MlflowTracker",
    "Pages",
    "PersonFeedback",
    "Run",
    "RunConfig",
    "RunStatus",
    "TrackerConfig",
    "TrackingError",
    "TrajectoryRecord",
    "answer_progress",
    "chat_messages",
    "config_from_json",
    "config_to_json",
    "counted",
    "draw_outcomes",
    "error_line",
    "exit_code",
    "first_difference",
    "flatten_config",
    "funnel_progress",
    "lock_folder",
    "make_run_folder",
    "note_made_with",
    "one_line",
    "parse",
    "picture_grid",
    "print_error",
    "print_line",
    "print_table",
    "printable",
    "quiet_libraries",
    "quit_on_interrupt",
    "raise_on_interrupt",
    "read_config",
    "record_cell",
    "refuse",
    "run_experiment",
    "set_threads",
    "show_cells",
    "step_progress",
    "stop",
    "waiting",
    "write_report",
]
