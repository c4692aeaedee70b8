"""The main job as people run it: a process of its own, its outputs, its errors."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genagent_miniworld import weights
from genagent_policy import Policy

SCRIPT = Path(__file__).parents[2] / "experiments" / "rl_flux.py"


def run(
    folder: Path, *options: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "2", "MLFLOW_TRACKING_URI": ""}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=before,
        env=environment,
    )


def limit_files() -> None:
    """Writing past 3 MB fails from here on, as on a full disk: a policy has 5 MB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))


def only_run(folder: Path):
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("rl_flux")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1
    return client, runs[0]


@pytest.mark.slow
def test_a_short_run_learns_logs_and_can_be_run_again_from_its_config(tmp_path):
    done = run(tmp_path, "smoke", "--seed", "3")
    assert done.returncode == 0, done.stderr
    summary_path = tmp_path / done.stdout.strip().splitlines()[-1]
    summary = json.loads(summary_path.read_text())
    assert (summary["seed"], summary["steps"], summary["held_out"]) == (3, 2, 20)
    client, logged = only_run(tmp_path)
    assert logged.info.status == "FINISHED"
    assert logged.data.params["grpo.clip_low"] == "0.2"
    for name in (
        "reward/total",
        "reward/pair",
        "rollout/success",
        "rollout/first_success",
        "rollout/rounds",
        "policy/ratio_max",
        "policy/entropy",
        "policy/grad_norm",
        "seconds/tool",
        "throughput/trained_tokens_per_second",
    ):
        history = client.get_metric_history(logged.info.run_id, name)
        assert [point.step for point in history] == [1, 2], name
    # On-policy: one update a batch, so the ratio is 1 up to float32.
    ratios = client.get_metric_history(logged.info.run_id, "policy/ratio_max")
    assert all(abs(point.value - 1) < 1e-3 for point in ratios)
    evaluations = client.get_metric_history(logged.info.run_id, "eval/success")
    assert [point.value for point in evaluations] == [
        summary["before"]["success"],
        summary["after"]["success"],
    ]
    learnt = Policy.load(tmp_path / summary["policy"]).head_weight
    assert not learnt.equal(Policy.load(weights("sft")).head_weight)

    again = run(tmp_path, str(summary_path.parent / "config.json"))
    assert again.returncode == 0, again.stderr
    repeated = json.loads((tmp_path / again.stdout.strip().splitlines()[-1]).read_text())
    assert repeated["before"] == summary["before"]
    assert repeated["after"] == summary["after"]


@pytest.mark.slow
def test_ctrl_c_ends_it_cleanly_with_what_was_learnt(tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "smoke", "--steps", "500"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": ""},
        # A shell's background jobs, and what they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 200
    # Not by looking into MLflow: a second process that opens a store in the making breaks it.
    while time.monotonic() < deadline and not list(tmp_path.glob("runs/*/state/step-*[1-9]")):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    summary = json.loads((tmp_path / output.strip().splitlines()[-1]).read_text())
    assert 1 <= summary["steps"] < 500
    Policy.load(tmp_path / summary["policy"])
    assert only_run(tmp_path)[1].info.status == "KILLED"


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights_in_the_same_mlflow_run(tmp_path):
    options = ["smoke", "--steps", "4", "--held-out", "10"]
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    unbroken.mkdir()
    killed.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *options],
        cwd=killed,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "2", "MLFLOW_TRACKING_URI": ""},
    )
    while process.poll() is None and not list(killed.glob("runs/*/state/step-000002")):
        time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    done = {folder: run(folder, *options, "--resume") for folder in (unbroken, killed)}
    heads = []
    for folder, process in done.items():
        assert process.returncode == 0, process.stderr
        summary = json.loads((folder / process.stdout.strip().splitlines()[-1]).read_text())
        assert summary["steps"] == 4
        heads.append(Policy.load(folder / summary["policy"]).head_weight)
        assert not list(folder.glob("runs/*/state"))
    assert "nothing to go on with" in done[unbroken].stdout
    assert "evaluating sft" in done[unbroken].stdout
    assert "evaluating sft" not in done[killed].stdout
    assert heads[0].equal(heads[1])
    client, logged = only_run(killed)
    assert logged.info.status == "FINISHED"
    steps = {point.step for point in client.get_metric_history(logged.info.run_id, "reward/total")}
    assert steps == {1, 2, 3, 4}


@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_leaves_nothing_half_written(tmp_path):
    done = run(tmp_path, "smoke", "--steps", "1", before=limit_files)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "policy" in done.stderr
    assert "Traceback" not in done.stderr
    left = [path.name for path in next((tmp_path / "runs").iterdir()).iterdir()]
    assert sorted(left) == ["before.jsonl", "config.json", "pictures", "state", "verdicts.sqlite"]
    assert not list(tmp_path.glob("runs/*/state/*"))
    assert only_run(tmp_path)[1].info.status == "FAILED"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["flux-9000"], "unknown preset 'flux-9000'"),
        (["--no-such-option", "1"], "no-such-option"),
        (["--samples", "4"], "cannot keep 8 of 4 samples"),
        (["smoke", "--policy", "nowhere"], "no policy 'nowhere'"),
        (["smoke", "--requests", "broken.jsonl"], "broken.jsonl:2: not JSON"),
        (["smoke", "--policy", "damaged"], "damaged: the checkpoint cannot be read"),
        (["missing.json"], "missing.json"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(tmp_path, options, message):
    (tmp_path / "broken.jsonl").write_text('{"prompt": "two red circles"}\n{"prompt": \n')
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in weights("sft").iterdir():
        content = path.read_bytes()
        (damaged / path.name).write_bytes(
            content[: len(content) // 2] if path.suffix == ".safetensors" else content
        )
    done = run(tmp_path, *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mlflow.db").exists()


def test_help_does_not_wait_for_the_heavy_libraries(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(SCRIPT), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "--resume" in done.stdout and "--grpo.learning-rate" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert not {"transformers", "diffusers", "mlflow", "scipy", "matplotlib"} & imported
