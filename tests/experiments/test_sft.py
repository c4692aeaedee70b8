"""The cold start in the miniature: a process of its own, its outputs, its errors."""

import json
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.experiments.running import history, only_run, run, start, summary_of, wait_for

from genagent_data import Picture, PictureStore, Record, Turn, render_turn, write_records
from genagent_miniworld import Teacher, parse_hints, render, sample_requests, solve, weights
from genagent_policy import Policy
from genagent_worlds import read_outcomes

SCRIPT = "sft.py"
CALL = Turn(thinking="one cat", tool_prompt="a cat")
QUICK = ("--held-out", "6", "--sft.batch-size", "16")


def taught(count: int) -> Iterator[Record]:
    """Conversations of the scripted teacher over rendered scenes, which all succeed at once."""
    rng, teacher = random.Random(0), Teacher()
    for request in sample_requests(count, seed=5, split="train"):
        picture = render(solve(parse_hints(request.hints), rng), seed=1)
        turns = (teacher.open(request, rng), teacher.react(request, picture, rng))
        yield Record(
            request=request,
            turns=tuple(render_turn(turn) for turn in turns),
            pictures=(Picture.of(picture),),
        )


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "data"
    assert write_records(folder, taught(80)) == 80
    return folder


def options(records: Path) -> list[str]:
    return ["smoke", "--no-trial", "--data", str(records), *QUICK]


@pytest.mark.slow
def test_a_plan_counts_the_steps_of_the_records_that_are_there(tmp_path, records):
    done = run(SCRIPT, tmp_path, *options(records), "--keep-every", "2", "--plan")
    assert done.returncode == 0, done.stderr
    # 67 of the 80 records are learnt from: 5 steps of 16.
    assert "2 policies to go back to" in done.stdout


@pytest.mark.slow
def test_a_short_run_learns_measures_and_leaves_a_policy(tmp_path, records):
    done = run(SCRIPT, tmp_path, *options(records), "--out", "learnt", "--lr", "1e-3")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    summary, folder = summary_of(done.stdout, tmp_path)
    steps = summary["steps"]
    assert (summary["status"], summary["held_out"]) == ("finished", 6)
    held_out = json.loads((folder / "config.json").read_text())["held_out_share"]
    assert held_out == 0.2
    client, logged = only_run(tmp_path, "sft")
    assert logged.info.status == "FINISHED"
    losses = history(client, logged, "sft/loss")
    assert list(losses) == list(range(1, steps + 1))
    assert losses[steps] < losses[1]
    for name in ("sft/token_accuracy", "sft/grad_norm", "throughput/micro_batch_fill"):
        assert list(history(client, logged, name)) == list(losses), name
    assert list(history(client, logged, "held_out/loss")) == list(range(2, steps + 1, 2))
    rates = history(client, logged, "sft/learning_rate")
    assert rates[1] == 1e-3
    assert rates[steps] < 3e-4
    assert set(history(client, logged, "eval/success")) == {0, *range(2, steps + 1, 2), steps}
    before, after = summary["conduct_before"], summary["conduct_after"]
    assert history(client, logged, "eval/broken_turns")[0] == before["broken_turns"]["value"]
    assert set(before) == set(after)
    assert before["reflection_gain"]["n"] == 6
    # base hands the request on as it is, by construction.
    assert before["first_prompt_near"]["value"] == 1
    learnt = Policy.load(tmp_path / "learnt").head_weight
    assert learnt.equal(Policy.load(tmp_path / summary["policy"]).head_weight)
    assert not learnt.equal(Policy.load(weights("base")).head_weight)
    assert "conduct.json" in [
        artifact.path for artifact in client.list_artifacts(logged.info.run_id)
    ]


@pytest.mark.slow
def test_held_out_requests_are_of_all_kinds_though_their_file_is_sorted(tmp_path, records):
    every = sample_requests(100, seed=9, split="held-out")
    kinds = [[one for one in every if one.task == task][:7] for task in ("color", "count")]
    rows = [json.dumps(asdict(one)) for kind in kinds for one in kind]
    assert len(rows) == 14
    (tmp_path / "sorted.jsonl").write_text("\n".join(rows))
    process = start(SCRIPT, tmp_path, *options(records), "--world.held-out", "sorted.jsonl")
    wait_for("runs/*/evaluation-000000.jsonl", tmp_path, process)
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors
    [path] = tmp_path.glob("runs/*/evaluation-000000.jsonl")
    asked_of = read_outcomes(path, PictureStore(path.parent / "pictures"))
    assert [one.request.task for one in asked_of] == ["color"] * 3 + ["count"] * 3


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, records):
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    unbroken.mkdir()
    killed.mkdir()
    process = start(SCRIPT, killed, *options(records))
    wait_for("runs/*/state/step-000001", killed, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    policies = []
    for folder, said in ((unbroken, "nothing to go on with"), (killed, "going on with")):
        done = run(SCRIPT, folder, *options(records), "--resume")
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        summary, home = summary_of(done.stdout, folder)
        policies.append(Policy.load(folder / summary["policy"]).model.state_dict())
    assert policies[0].keys() == policies[1].keys()
    assert all(policies[0][name].equal(policies[1][name]) for name in policies[0])
    client, logged = only_run(killed, "sft")
    assert set(history(client, logged, "sft/loss")) == set(range(1, summary["steps"] + 1))
    again = run(SCRIPT, killed, *options(records), "--resume")
    assert again.returncode == 0
    assert "has finished" in again.stdout
    # One that has not finished does not go on with other records under the same path.
    (home / "summary.json").unlink()
    moved = records.rename(records.with_name("moved"))
    write_records(records, taught(81))
    try:
        refused = run(SCRIPT, killed, *options(records), "--resume")
    finally:
        shutil.rmtree(records)
        moved.rename(records)
    assert refused.returncode == 2
    [line] = [line for line in refused.stderr.splitlines() if line.startswith("error:")]
    assert "was made with another records" in line


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_and_what_was_learnt_is_kept(tmp_path, records):
    process = start(SCRIPT, tmp_path, *options(records), "--sft.epochs", "500")
    wait_for("runs/*/state/step-*[1-9]", tmp_path, process)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    summary, folder = summary_of(output, tmp_path)
    assert summary["status"] == "killed"
    state = max(folder.glob("state/step-*"))
    assert int(state.name.removeprefix("step-")) == summary["steps"] >= 1
    saved = Policy.load(state / "policy").head_weight
    assert Policy.load(tmp_path / summary["policy"]).head_weight.equal(saved)
    assert only_run(tmp_path, "sft")[1].info.status == "KILLED"


def one_record(turn: str) -> str:
    return json.dumps({"id": "a", "prompt": "a red circle", "turns": [turn], "pictures": []})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--data", "nowhere"], "no folder nowhere; make it with uv run experiments/synthesize.py"),
        (["--data", "empty"], "empty holds no records.parquet"),
        (["--data", "cut"], "records.jsonl:1"),
        (["--data", "foreign"], "format error 'no_action'"),
        (["--data", "RECORDS", "--sft.batch-size", "500"], "sft.batch_size is 500, and there are"),
        (["--data", "single"], "1 records of 1 requests; wants two requests or more"),
        (["--data", "RECORDS", "--policy", "nowhere"], "no policy 'nowhere'"),
        (["--data", "RECORDS", "--out", "full"], "full exists and is no policy"),
        (["--data", "RECORDS", "--out", "run"], "run exists and is no policy"),
        (
            ["--data", "RECORDS", "--policy", "began", "--out", "full/../began"],
            "--out: full/../began is what it begins with",
        ),
        (
            ["--data", "RECORDS", "--world.tool-words", "23"],
            "of 80 requests, 'train-5-0' first",
        ),
        (["--data", "RECORDS", "--sft.max-record-tokens", "9"], "are longer than 9 tokens"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path, records, given, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"policy": {"policy": "base"}}')
    (tmp_path / "full" / "thesis.txt").write_text("the only copy")
    shutil.copytree(weights("base"), tmp_path / "began")
    lines = {"cut": one_record("x")[:-9], "foreign": one_record("draw: a cat")}
    for name, line in (lines | {"single": one_record(render_turn(CALL))}).items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text(line)
    named = [str(records) if word == "RECORDS" else word for word in given]
    done = run(SCRIPT, tmp_path, "smoke", *QUICK, *named)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "full" / "thesis.txt").exists()
