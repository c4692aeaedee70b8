"""What a run that has ended says to do next, in lines that can be copied: nothing in them is cut,
and a command that is longer than 80 columns goes on in a second line."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from genagent_endpoints import public_url
from genagent_tracking.mlflow_experiment import runs_page

_PAGES = "http://127.0.0.1:5000"
"""Where ``mlflow ui`` answers by default."""
_COLUMNS = 80


class Recorded(Protocol):
    """Where a run is recorded, as ``MlflowTracker`` has it."""

    uri: str
    experiment_id: str
    run_id: str

    @property
    def ui_command(self) -> str: ...


def trial_line(name: str, steps: int = 0) -> str:
    """All that a trial of an experiment ends with: its figures would be taken for more."""
    what = f"{steps} steps" if steps else "so few requests"
    return f"it works; {what} prove nothing; next: uv run experiments/{name}.py"


def mlflow_lines(tracker: Recorded) -> list[str]:
    """The command that opens the store's pages, where one is needed, this run's page, and all runs
    with success before and after.

    Example: ``["uv run mlflow ui    # then this run and all are at",
    "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef",
    "http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=results"]``
    """
    is_server = tracker.uri.startswith(("http://", "https://"))
    pages = public_url(tracker.uri).rstrip("/") if is_server else _PAGES
    page = f"{pages}/#/experiments/{tracker.experiment_id}/runs/{tracker.run_id}"
    lines = [page, runs_page(pages, tracker.experiment_id)]
    return (
        lines if is_server else [f"{tracker.ui_command}    # then this run and all are at", *lines]
    )


def ask_lines(policy: Path, prompt: str, options: Sequence[str]) -> list[str]:
    """The command that asks a policy.

    Args:
        options: preset and options with which ``generate.py`` draws as the policy has learnt to.
    """
    preset = [word for word in options[:1] if not word.startswith("-")]
    words = ["uv", "run", "experiments/generate.py", *preset, prompt]
    rest = ["--policy", str(policy), *options[len(preset) :]]
    command = shlex.join([*words, *rest])
    if len(command) <= _COLUMNS - 2:
        return [command]
    return [f"{shlex.join(words)} \\", f"    {shlex.join(rest)}"]
