"""Experiments as people run them: processes of their own, and what they leave in MLflow."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from tests.ctrl_c import as_in_a_terminal

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
# A variable of the shell's must not lead a test to somebody's store.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}


def run(
    script: str, folder: Path, *options: str, under: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """The script in ``folder``, to its end, started by the command ``under``."""
    return subprocess.run(
        [*under, sys.executable, str(EXPERIMENTS / script), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ | ENVIRONMENT,
    )


def start(script: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    """The script in ``folder``, begun."""
    with as_in_a_terminal():
        return subprocess.Popen(
            [sys.executable, str(EXPERIMENTS / script), *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        )


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> None:
    """Until a file of that pattern is there or the process has ended.

    Not by looking into MLflow: a second process that opens a store in the making breaks it.
    """
    deadline = time.monotonic() + 300
    while not list(folder.glob(pattern)) and process.poll() is None:
        assert time.monotonic() < deadline, f"no {pattern} within 300 s"
        time.sleep(0.05)


def summary_of(output: str, folder: Path) -> tuple[dict[str, Any], Path]:
    """The summary whose path is the last line, and its folder."""
    path = folder / output.strip().splitlines()[-1]
    return json.loads(path.read_text()), path.parent


def only_run(folder: Path, experiment: str = "rl_flux") -> tuple[MlflowClient, Run]:
    """The one run in the folder's store."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    [logged] = client.search_runs([found.experiment_id])
    return client, logged


def history(client: MlflowClient, run: Run, name: str) -> dict[int, float]:
    """A metric's values by step."""
    return {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}
