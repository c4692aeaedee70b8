"""A run of a learner that counts its steps, in a world where what is red is right."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Trace
from PIL import Image

from genagent_data import PictureStore, Request, Round, Trajectory
from genagent_rewards import RewardRecord, Verdict
from genagent_tracking import Run, RunConfig, TrackerConfig
from genagent_tracking.run_note import NOTE
from genagent_worlds import (
    AttemptRecord,
    Judges,
    Outcome,
    World,
)

REQUESTS = [Request(id=str(number), prompt="a red circle", task="color") for number in range(4)]


class Learner:
    """Counts its steps, in a file."""

    def __init__(self) -> None:
        self.steps = 0

    def save(self, folder: Path) -> None:
        (folder / "policy").mkdir()
        (folder / "policy" / "weights").write_text(str(self.steps))
        (folder / "optimizer").write_text(str(self.steps))

    def restore(self, folder: Path) -> None:
        self.steps = int((folder / "optimizer").read_text())


class RedIsRight:
    """Passes what is red."""

    def judge(self, questions) -> list[Verdict | None]:
        return [
            Verdict(
                choice="yes" if q.picture.image.getpixel((0, 0)) == (255, 0, 0) else "no",
                reason="",
                judge="red",
            )
            for q in questions
        ]

    def compare(self, questions):
        raise AssertionError("nobody asks for pairs here")


class NoTool:
    def generate(self, prompts, seeds):
        raise AssertionError("nothing is drawn here")


def world(*, truth: bool = True) -> World:
    judges = Judges(point=RedIsRight(), pair=RedIsRight())
    return World(
        train=None,  # pyright: ignore[reportArgumentType] (nobody samples here)
        held_out=tuple(REQUESTS),
        tool=NoTool(),
        judges=judges,
        truth=judges if truth else None,
    )


def config(folder: Path) -> RunConfig:
    tracker = TrackerConfig(uri=f"sqlite:///{folder / 'mlflow.db'}", system_seconds=0)
    return RunConfig(runs=folder / "runs", tracker=tracker, trajectories_every=2)


def make_run(folder: Path, *, resumed: Path | None = None) -> Run:
    return Run("job", config(folder), config(folder), folder=resumed)


def attempt(request: Request, color: str, pictures: PictureStore) -> Trajectory:
    picture = pictures.put(Image.new("RGB", (8, 8), color))
    rounds = (Round(thinking="t", tool_prompt="p", picture=picture),)
    return Trajectory(request=request, rounds=rounds, ending="answer", answer="done")


def outcomes(run: Run, *colors: str) -> list[Outcome]:
    return [
        Outcome(
            trajectory=attempt(request, color, run.pictures),
            passed=(color == "red",),
            source="truth",
        )
        for request, color in zip(REQUESTS, colors, strict=True)
    ]


def logged(run: Run, name: str) -> list[tuple[int, float]]:
    points = MlflowClient(run.tracker.uri).get_metric_history(run.tracker.run_id, name)
    return [(point.step, point.value) for point in points]


def take_steps(
    run: Run, learner: Learner, total: int, *, broken_at: int | None = None, in_update: bool = False
) -> None:
    for step in run.steps(total):
        with run.update():
            learner.steps += 1
            if in_update and step == broken_at:
                raise KeyboardInterrupt
        run.log({"loss": float(step)}, {"extra": 1.0})
        if step == broken_at:
            raise KeyboardInterrupt


def status(run: Run) -> str:
    return MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).info.status


def note(run: Run) -> str:
    return MlflowClient(run.tracker.uri).get_run(run.tracker.run_id).data.tags[NOTE]


def attempt_record(run: Run) -> AttemptRecord:
    return AttemptRecord(
        trajectory=attempt(REQUESTS[0], "red", run.pictures),
        turns=("<think>t</think>", "<judge>j</judge>"),
        record=RewardRecord(breakdown=None, point_verdict=None),
    )


def traces_of(run: Run) -> list[Trace]:
    client = MlflowClient(run.tracker.uri)
    return list(
        client.search_traces(locations=[run.tracker.experiment_id], run_id=run.tracker.run_id)
    )
