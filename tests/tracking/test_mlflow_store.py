"""The store around the tracker: broken, absent, shared, or none at all."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genagent_tracking import MlflowTracker, TrackerConfig, TrackingError
from genagent_tracking.provenance import source_tags


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    seed: int = 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [("sqlite:///{}/junk.db", "file is not a database"), ("sqlite:///{}/junk.db/a.db", "junk.db")],
)
def test_a_broken_store_is_one_clear_line(tmp_path: Path, name: str, reason: str):
    (tmp_path / "junk.db").write_text("no database " * 100)
    uri = name.format(tmp_path)

    with pytest.raises(TrackingError, match=reason) as caught:
        MlflowTracker(TrackerConfig(uri=uri), run_config=RunConfig())

    assert str(caught.value).startswith(f"cannot use the MLflow store {uri}: ")


def test_a_server_that_does_not_answer_fails_within_seconds(monkeypatch):
    start = time.monotonic()
    # From the environment: a configuration is written down.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")

    with pytest.raises(TrackingError, match=r"store http://127.0.0.1:9: .*refused") as caught:
        MlflowTracker(TrackerConfig(), run_config=RunConfig())

    assert time.monotonic() - start < 10
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://user:secret@host", "postgresql://u:secret@host/runs"])
def test_a_store_with_a_password_is_no_part_of_a_configuration(uri: str):
    with pytest.raises(ValueError, match="put it into the environment variable MLFLOW_TRACK") as e:
        TrackerConfig(uri=uri)
    assert "secret" not in str(e.value)


def test_commit_and_dirty_flag_come_from_the_repository(tmp_path: Path):
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", *who, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert "mlflow.source.git.commit" not in source_tags(tmp_path)
    git("init", "-q")
    assert "git.dirty" not in source_tags(tmp_path)
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    tags = source_tags(tmp_path)
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["git.dirty"] == "false"
    (tmp_path / "a").write_text("2")
    assert source_tags(tmp_path)["git.dirty"] == "true"


def test_importing_the_package_does_not_import_mlflow():
    code = "import sys, genagent_tracking; sys.exit('mlflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_processes_share_a_quiet_store_in_the_working_directory(tmp_path: Path):
    code = """
from dataclasses import dataclass
from genagent_data import Request, Trajectory
from genagent_tracking import MlflowTracker, TrackerConfig, TrajectoryRecord
@dataclass(frozen=True)
class Config:
    seed: int = 0
trajectory = Trajectory(request=Request(id="a", prompt="b"), rounds=(), ending="format_error")
record = TrajectoryRecord(trajectory=trajectory, turns=("c",))
tracker = MlflowTracker(TrackerConfig(), run_config=Config())
tracker.log({"a": 1.0}, 0)
tracker.trajectories([record], 0)
tracker.close()
print(tracker.ui_command)
"""
    # Two at once: both find no store and both want to make it.
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]

    for process in processes:
        assert process.communicate(timeout=300) == ("uv run mlflow ui\n", "")
    runs = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(["1"])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "mlruns").is_dir()


def test_config_is_checked():
    with pytest.raises(ValueError, match="experiment is empty"):
        TrackerConfig(experiment=" ")
    with pytest.raises(ValueError, match="system_seconds is -1"):
        TrackerConfig(system_seconds=-1)
