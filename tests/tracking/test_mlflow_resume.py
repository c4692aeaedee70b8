"""Going on with an MLflow run that an earlier process began."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genagent_tracking import MlflowTracker, TrackerConfig, TrackingError


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    seed: int = 0


def tracker(folder: Path, run_id: str | None = None) -> MlflowTracker:
    config = TrackerConfig(uri=f"sqlite:///{folder / 'mlflow.db'}", system_seconds=0)
    return MlflowTracker(config, run_config=RunConfig(), run_id=run_id)


def test_a_resumed_run_is_one_run_with_one_history(tmp_path: Path):
    first = tracker(tmp_path)
    first.log({"agent/reward": 0.1}, 1)
    first.close("killed")
    client = MlflowClient(first.uri)
    again = tracker(tmp_path, first.run_id)
    assert client.get_run(first.run_id).info.status == "RUNNING"
    again.log({"agent/reward": 0.2}, 2)
    again.close()
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(first.run_id, "agent/reward")
    assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.2)]
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_run_that_is_not_in_the_store_is_named(tmp_path: Path):
    tracker(tmp_path).close()
    with pytest.raises(TrackingError, match="0123456789abcdef0123456789abcdef"):
        tracker(tmp_path, "0123456789abcdef0123456789abcdef")
