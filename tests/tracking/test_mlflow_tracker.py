"""A real SQLite store, written through the tracker and read back through MLflow's own client."""

import json
import logging
import math
import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Assessment, Trace
from PIL import Image

from genagent_data import PictureStore, Request, Round, Trajectory, Turn, render_turn
from genagent_rewards import PairRecord, RewardRecord, Verdict, hybrid_reward
from genagent_tracking import (
    MlflowTracker,
    TrackerConfig,
    TrackingError,
    TrajectoryRecord,
    config_from_json,
)
from genagent_tracking.pictures import presentable


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    group_size: int = 8
    clip: tuple[float, float] = (0.2, 0.28)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    update: Update = Update()
    resume: Path | None = None
    note: str = ""


RUN_CONFIG = RunConfig(note="x" * 6500)
CALL_1 = render_turn(Turn(thinking="one", tool_prompt="red circle left"))
CALL_2 = render_turn(Turn(judgement="one missing", thinking="both", tool_prompt="red circles"))
DONE = render_turn(Turn(judgement="two", answer="here"))


@dataclass(frozen=True)
class Recorded:
    folder: Path
    uri: str
    client: MlflowClient
    tracker: MlflowTracker
    pictures: tuple[Image.Image, Image.Image]
    log: str


def records(
    store: PictureStore, pictures: tuple[Image.Image, Image.Image]
) -> tuple[TrajectoryRecord, TrajectoryRecord]:
    first, second = (store.put(picture) for picture in pictures)
    request = Request(
        id="train-7", prompt="two red circles", task="count", hints=("exactly 2 red circles",)
    )
    rounds = (
        Round(
            thinking="one", tool_prompt="red circle left", picture=first, judgement="one missing"
        ),
        Round(thinking="both", tool_prompt="red circles", picture=second, judgement="two", seed=18),
    )
    verdict = Verdict(choice="yes", reason="2 red circles", judge="verifier")
    compared = Verdict(choice="first", reason="2 of 2 against 1", judge="qwen", raw="… first")
    answered = TrajectoryRecord(
        trajectory=Trajectory(request=request, rounds=rounds, answer="here", ending="answer"),
        turns=(CALL_1, CALL_2, DONE),
        record=RewardRecord(
            breakdown=hybrid_reward(point_passed=True, pair_wins=[True], format_error=False),
            point_verdict=verdict,
            pair_verdicts=(PairRecord(index=0, verdict=compared, swapped=True, win=True),),
        ),
        true_success=False,
    )
    absent = TrajectoryRecord(
        trajectory=Trajectory(request=request, rounds=rounds[:1], ending="out_of_rounds"),
        turns=(CALL_1, CALL_2),
        record=RewardRecord(breakdown=None, point_verdict=None),
    )
    return answered, absent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = PictureStore(folder / "pictures")
    pictures = (Image.new("RGB", (48, 48), "red"), Image.new("RGB", (48, 48), "blue"))
    heard = _Heard()
    logging.getLogger("genagent_tracking").addHandler(heard)
    tracker = MlflowTracker(
        TrackerConfig(experiment="rl flux", run_name="seed 3", uri=uri, system_seconds=0.2),
        run_config=RUN_CONFIG,
        seed=3,
        changes="seed 3",
    )
    for step in range(3):
        tracker.log({"agent/reward": step / 2, "policy/ratio_max": math.inf}, step)
    tracker.trajectories(records(store, pictures), step=2)
    tracker.images("evaluation/pictures", pictures[0], step=0)
    tracker.images("evaluation/pictures", list(pictures), step=2)
    (folder / "notes.txt").write_text("hello")
    tracker.artifact(folder / "notes.txt")
    tracker.table("by_task", [{"task": "count", "after": 0.5}, {"task": "color", "after": 1.0}])
    client = MlflowClient(uri)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not _system_metrics(client, tracker.run_id):
        time.sleep(0.1)
    tracker.close()
    logging.getLogger("genagent_tracking").removeHandler(heard)
    return Recorded(folder, uri, client, tracker, pictures, "\n".join(heard.lines))


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _system_metrics(client: MlflowClient, run_id: str) -> list[str]:
    return [name for name in client.get_run(run_id).data.metrics if name.startswith("system/")]


def _artifact(recorded: Recorded, name: str) -> str:
    path = recorded.client.download_artifacts(recorded.tracker.run_id, name)
    return Path(path).read_text(encoding="utf-8")


def _trace(recorded: Recorded, ending: str) -> Trace:
    experiment, run = recorded.tracker.experiment_id, recorded.tracker.run_id
    traces = recorded.client.search_traces(locations=[experiment], run_id=run)
    (trace,) = [trace for trace in traces if trace.info.tags["ending"] == ending]
    return trace


def _value(assessment: Assessment) -> object:
    assert assessment.feedback is not None
    return assessment.feedback.value


def test_the_run_says_what_it_is(recorded: Recorded):
    run = recorded.client.get_run(recorded.tracker.run_id)

    assert run.info.run_name == "seed 3"
    assert run.info.status == "FINISHED"
    assert (run.data.tags["seed"], run.data.tags["changed"]) == ("3", "seed 3")
    assert recorded.client.get_experiment(run.info.experiment_id).name == "rl flux"
    artifacts = recorded.folder / "mlruns" / "rl flux" / run.info.run_id / "artifacts"
    assert (artifacts / "config.json").exists()


def test_parameters_are_flat_and_the_json_gives_the_config_back(recorded: Recorded):
    parameters = recorded.client.get_run(recorded.tracker.run_id).data.params

    assert parameters["update.group_size"] == "8"
    assert parameters["update.clip"] == "[0.2, 0.28]"
    assert parameters["resume"] == "None"
    assert parameters["note"].endswith("(cut; 6500 characters, whole in config.json)")
    assert config_from_json(RunConfig, _artifact(recorded, "config.json")) == RUN_CONFIG


def test_metrics_have_a_history_and_infinities_are_left_out_once_said(recorded: Recorded):
    history = recorded.client.get_metric_history(recorded.tracker.run_id, "agent/reward")

    assert [(metric.step, metric.value) for metric in history] == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert "policy/ratio_max" not in recorded.client.get_run(recorded.tracker.run_id).data.metrics
    assert recorded.log == "policy/ratio_max is inf at step 0 and is left out of MLflow"


def test_a_short_run_has_system_metrics(recorded: Recorded):
    names = _system_metrics(recorded.client, recorded.tracker.run_id)

    assert "system/cpu_utilization_percentage" in names


def test_files_of_the_run(recorded: Recorded):
    assert _artifact(recorded, "notes.txt") == "hello"
    table = json.loads(_artifact(recorded, "by_task.json"))
    assert table == {"columns": ["task", "after"], "data": [["count", 0.5], ["color", 1.0]]}


def test_images_are_kept_by_step(recorded: Recorded):
    sizes = {}
    for step in (0, 2):
        path = f"evaluation/pictures/step-{step:06d}.png"
        with Image.open(recorded.client.download_artifacts(recorded.tracker.run_id, path)) as image:
            sizes[step] = image.size
    assert sizes == {0: (192, 192), 2: (2 * 210 + 6, 210 + 6)}


def test_a_trace_shows_the_conversation_with_its_pictures(recorded: Recorded):
    trace = _trace(recorded, "answer")

    (span,) = trace.data.spans
    assert span.inputs["hints"] == ["exactly 2 red circles"]
    answers = [choice["message"] for choice in span.outputs["choices"]]
    messages = [*span.inputs["messages"], *answers]
    assert len(span.inputs["messages"]) == 2
    assert [message["role"] for message in messages] == [
        *("system", "user"),
        *("assistant", "assistant", "tool", "user"),
        *("assistant", "assistant", "tool", "user"),
        "assistant",
    ]
    answer = {"role": "assistant", "content": "**Judge:** two\n\n**Answer:** here"}
    assert answers[-1] == answer
    assert span.attributes["turns"] == [CALL_1, CALL_2, DONE]
    for index, picture in zip((5, 9), recorded.pictures, strict=True):
        url = messages[index]["content"][0]["image_url"]["url"]
        name = url.removeprefix("mlflow-attachment://").split("?")[0]
        (path,) = recorded.folder.rglob(f"*{name}*")
        with Image.open(path) as image:
            assert image.convert("RGB").tobytes() == presentable(picture).tobytes()


def test_a_trace_can_be_found_by_its_tags(recorded: Recorded):
    info = _trace(recorded, "answer").info

    told = {name: info.tags[name] for name in ("step", "request", "task", "rounds", "reward")}
    assert told == {
        "step": "2",
        "request": "train-7",
        "task": "count",
        "rounds": "2",
        "reward": "1.000",
    }
    assert info.request_preview == "two red circles"
    assert info.response_preview == "answer, 2 rounds, reward 1.00"


def test_attempts_at_one_request_have_the_same_inputs(recorded: Recorded):
    """By which MLflow matches the traces of two runs."""
    asked = [
        _trace(recorded, ending).data.spans[0].inputs for ending in ("answer", "out_of_rounds")
    ]
    assert asked[0] == asked[1]


def test_verdicts_and_reward_parts_are_feedback(recorded: Recorded):
    feedback = {item.name: item for item in _trace(recorded, "answer").info.assessments}

    assert {name: _value(item) for name, item in feedback.items()} == {
        "actual success": False,
        "judge passed": True,
        "judge 2 beats 1": True,
        "reward": 1.0,
        "reward point": 0.7,
        "reward pair": 0.3,
        "reward format": 0.0,
    }
    compared = feedback["judge 2 beats 1"]
    assert compared.rationale == "2 of 2 against 1"
    assert compared.metadata == {"swapped": "true", "choice": "first"}
    assert (compared.source.source_type, compared.source.source_id) == ("LLM_JUDGE", "qwen")
    passed = feedback["judge passed"]
    assert passed.rationale == "2 red circles"
    assert (passed.source.source_type, passed.source.source_id) == ("CODE", "verifier")


def test_an_absent_reward_is_no_zero(recorded: Recorded):
    trace = _trace(recorded, "out_of_rounds")

    (reward,) = trace.info.assessments
    assert (reward.name, _value(reward)) == ("reward", None)
    assert reward.error is not None and reward.error.error_code == "ABSENT"
    assert "reward" not in trace.info.tags
    assert trace.info.response_preview == "out of rounds, 1 round, reward absent"


def _tracker(recorded: Recorded) -> MlflowTracker:
    return MlflowTracker(
        TrackerConfig(uri=recorded.uri, system_seconds=0),
        run_config=RunConfig(),
    )


def test_two_runs_of_one_seed_keep_their_own_traces(recorded: Recorded):
    store = PictureStore(recorded.folder / "pictures")
    items = records(store, recorded.pictures)
    found, states = [], []
    for _ in range(2):
        random.seed(7)
        tracker = _tracker(recorded)
        random.seed(7)
        tracker.trajectories(items, step=0)
        states.append(random.getstate())
        tracker.close("killed")
        found.append(
            recorded.client.search_traces(locations=[tracker.experiment_id], run_id=tracker.run_id)
        )
        assert recorded.client.get_run(tracker.run_id).info.status == "KILLED"
    random.seed(7)

    assert [len(traces) for traces in found] == [2, 2]
    assert states == [random.getstate()] * 2


def test_a_closed_run_takes_nothing_more(recorded: Recorded):
    recorded.tracker.close("failed")

    assert recorded.client.get_run(recorded.tracker.run_id).info.status == "FINISHED"
    with pytest.raises(TrackingError, match="is closed"):
        recorded.tracker.log({"a": 1.0}, 0)


def test_a_missing_picture_is_no_fault_of_the_store(recorded: Recorded, tmp_path: Path):
    tracker = _tracker(recorded)
    store = PictureStore(tmp_path)
    answered, _ = records(store, recorded.pictures)
    unread = tuple(
        replace(round, picture=store.get(picture.name))
        for round, picture in zip(
            answered.trajectory.rounds, answered.trajectory.pictures, strict=True
        )
    )
    items = [replace(answered, trajectory=replace(answered.trajectory, rounds=unread))]
    for picture in answered.trajectory.pictures:
        store.path(picture.name).unlink()

    with pytest.raises(FileNotFoundError, match=r"\.png"):
        tracker.trajectories(items, step=0)
    with pytest.raises(FileNotFoundError, match=r"none\.txt does not exist"):
        tracker.artifact(tmp_path / "none.txt")
    tracker.close("failed")
    assert recorded.client.get_run(tracker.run_id).info.status == "FAILED"


@contextmanager
def _files_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_clear_line(recorded: Recorded):
    tracker = _tracker(recorded)
    size = (recorded.folder / "mlflow.db").stat().st_size

    with _files_at_most(size), pytest.raises(TrackingError) as caught:
        for step in range(20):
            tracker.log({f"figure/{index}": 1.0 for index in range(900)}, step)

    message = str(caught.value)
    assert message.startswith(f"cannot use the MLflow store {recorded.uri}: ")
    assert "\n" not in message
    tracker.close("failed")
