"""Experiments by several processes on one machine, as torchrun starts them, over gloo."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.experiments.running import ENVIRONMENT, EXPERIMENTS, only_run, run, summary_of, wait_for

from genagent_policy import Policy

SMALL = [
    *("smoke", "--held-out", "6", "--requests-per-step", "4", "--samples", "4", "--keep", "3"),
    *("--steps", "2", "--grpo.updates-per-batch", "2"),
]


def command(processes: int, script: str, *options: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, *launcher, str(EXPERIMENTS / script), *options]


def together(processes: int, script: str, folder: Path, *options: str):
    return subprocess.run(
        command(processes, script, *options),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | ENVIRONMENT,
    )


def process_of_rank(rank: int, launcher: int) -> int:
    """That the launcher has started for it."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    told = f"RANK={rank}".encode()
    [found] = [
        int(child)
        for child in children
        if told in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    ]
    return found


def figures(folder: Path, name: str) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row[name] for row in map(json.loads, lines) if name in row]


@pytest.mark.slow
def test_two_processes_make_the_run_of_one_and_another_number_goes_on_with_it(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    alone = run("rl_flux.py", one, *SMALL)
    assert alone.returncode == 0, alone.stderr
    done = together(2, "rl_flux.py", two, *SMALL, "--distributed.zero", "2")
    assert done.returncode == 0, done.stderr
    expected, folder = summary_of(alone.stdout, one)
    found, other = summary_of(done.stdout, two)
    assert found["steps"] == 2 and found["status"] == "finished"
    assert found["before"]["success"] == expected["before"]["success"]
    for name in ("policy/loss", "policy/grad_norm", "policy/entropy", "agent/reward"):
        assert figures(other, name) == pytest.approx(figures(folder, name), rel=2e-3, abs=2e-4)
    heads = [Policy.load(place / "policy").head_weight for place in (folder, other)]
    start = Policy.load(Path(expected["policy"])).head_weight
    assert start.shape == heads[0].shape
    torch.testing.assert_close(*heads, atol=2e-4, rtol=0)
    # One folder, one MLflow run, and only rank 0 speaks.
    assert len(list((two / "runs").iterdir())) == 1
    assert only_run(two)[1].info.status == "FINISHED"
    assert done.stdout.count("evaluating after 0 steps: ") == 1
    more = run("rl_flux.py", two, *SMALL, "--steps", "3", "--resume")
    assert more.returncode == 0, more.stderr
    assert f"going on with {other.relative_to(two)}" in more.stdout
    assert summary_of(more.stdout, two)[0]["steps"] == 3


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_job_and_is_named(tmp_path):
    process = subprocess.Popen(
        command(2, "rl_flux.py", *SMALL, "--steps", "500"),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    )
    try:
        wait_for("runs/*/state/step-*[1-9]", tmp_path, process)
        rank = process_of_rank(1, process.pid)
        began = time.monotonic()
        os.kill(rank, signal.SIGKILL)
        output, errors = process.communicate(timeout=90)
    finally:
        process.kill()
    assert time.monotonic() - began < 60
    assert process.returncode != 0
    assert f"rank 1 (process {rank} on {socket.gethostname()}) has died" in errors, output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--distributed.zero", "2"], "start it with torchrun --nproc-per-node N"),
        (["--distributed.zero", "4"], "distributed.zero"),
        (["--distributed.offload-optimizer"], "wants distributed.zero of 1 or more"),
    ],
)
def test_what_processes_cannot_share_is_refused_in_a_line(tmp_path, options, message):
    done = run("rl_flux.py", tmp_path, "smoke", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
