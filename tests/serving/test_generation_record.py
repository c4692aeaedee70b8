"""What a folder of answers comes to: its summary, and one run in a real MLflow store."""

import json
from pathlib import Path

import mlflow
import pytest
from tests.serving.answers import answered

from genagent_data import Request
from genagent_serving import Answered, GenerationFolder, generation_record, record_generation
from genagent_serving.generation_record import generation_figures
from genagent_tracking import TrackerConfig

GONE = {"answer": None, "ending": "tool_failure", "error": "no paint"}
BROKEN = {"answer": None, "ending": "format_error", "error": "no_action"}


def requests(*ids: str) -> list[Request]:
    return [Request(id=id, prompt="two red circles", task="count") for id in ids]


def answering(path: Path, *answers: Answered) -> GenerationFolder:
    """The folder, with these answers as well."""
    folder = GenerationFolder(path, "{}", about={})
    folder.left(requests(*(one.request.id for one in answers)))
    for one in answers:
        for picture in one.trajectory.pictures:
            folder.store.put(picture.image)
        folder.keep(one)
    return folder


def record(folder: GenerationFolder, asked: list[Request]) -> dict[str, object]:
    config = TrackerConfig(uri=f"sqlite:///{folder.path.parent}/mlflow.db")
    options = {"document": TrackerConfig(), "changes": "seed 3", "seed": 3, "words": 77}
    record_generation(folder, asked, config, **options)
    folder.close()
    return json.loads(folder.summary.read_text())


def test_requests_pictures_endings_and_what_an_average_one_took(tmp_path: Path):
    folder = answering(
        tmp_path,
        answered(id="right"),
        answered(id="late", shades=(5, None), **GONE),
        answered(id="failed", shades=(None,), **GONE),
        answered(id="broken", shades=(), **BROKEN),
    )
    assert generation_figures(folder.rows.values()) == {
        "requests": 4,
        "with_picture": 2,
        "without_picture/no_action": 1,
        "without_picture/tool_failure": 1,
        "ended/answer": 1,
        "ended/format_error": 1,
        "ended/tool_failure": 2,
        "pictures": 3,
        "mean_rounds": 1.25,
        "mean_seconds": 2.0,
    }


def test_a_folder_that_grows_is_one_run_whose_trajectories_are_those_of_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(generation_record, "TRACES", 2)
    asked, out = requests("failed", "right", "third"), tmp_path / "out"
    first = record(
        answering(out, answered(id="right"), answered(id="failed", shades=(), **GONE)), asked
    )
    again = record(answering(out, answered(id="failed", shades=(9,)), answered(id="third")), asked)
    assert (first["experiment"], first["seed"], first["changed"]) == ("generate", 3, "seed 3")
    assert (first["requests"], first["with_picture"]) == (2, 1)
    assert (again["requests"], again["with_picture"]) == (3, 3)
    assert again["mlflow_run"] == first["mlflow_run"]

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    found = client.get_experiment_by_name("generate")
    assert found is not None
    [run] = client.search_runs([found.experiment_id])
    assert (run.info.run_id, run.info.status) == (first["mlflow_run"], "FINISHED")
    assert run.info.run_name == "seed 3 · out"
    assert "3 of 3 requests have a picture" in run.data.tags["mlflow.note.content"]
    drawn = client.get_metric_history(run.info.run_id, "with_picture")
    assert {point.step: point.value for point in drawn} == {2: 1.0, 3: 3.0}
    assert "summary.json" in [file.path for file in client.list_artifacts(run.info.run_id)]
    traces = client.search_traces(locations=[found.experiment_id])
    tags = {trace.info.tags["request"]: trace.info.tags for trace in traces}
    assert {id: (one["ending"], one["rounds"]) for id, one in tags.items()} == {
        "right": ("answer", "2"),
        "failed": ("answer", "1"),
    }
    assert (len(traces), tags["right"]["task"]) == (2, "count")
    shown = json.dumps([trace.data.spans[0].inputs for trace in traces])
    assert shown.count("77 words") == 2
    replies = [trace.data.spans[0].outputs for trace in traces]
    assert json.dumps(replies).count('"type": "image_url"') == 3
