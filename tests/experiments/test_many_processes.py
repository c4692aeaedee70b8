"""Experiments by several processes on one machine, as torchrun starts them, over gloo."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.experiments.running import ENVIRONMENT, EXPERIMENTS, only_run, run, summary_of, wait_for

ZERO = ("--distributed.zero", "2")
SMALL = [
    *("smoke", "--held-out", "6", "--requests-per-step", "4", "--samples", "4", "--keep", "3"),
    *("--grpo.updates-per-batch", "2"),
]


def start_together(processes: int, script: str, folder: Path, *options: str):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *launcher, str(EXPERIMENTS / script), *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
        start_new_session=True,  # so that the ranks can be ended with their launcher
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


def first_step(folder: Path) -> dict[str, float]:
    """Figures of the first step, rewards and losses."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if "policy/loss" in row]
    names = ("policy/loss", "policy/grad_norm", "policy/entropy", "agent/reward", "agent/rounds")
    return {name: rows[0][name] for name in names}


@pytest.mark.slow
def test_two_processes_make_the_run_of_one_name_who_dies_and_one_goes_on_with_it(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    alone = run("rl_flux.py", one, *SMALL, "--steps", "1")
    assert alone.returncode == 0, alone.stderr
    process = start_together(2, "rl_flux.py", two, *SMALL, "--steps", "500", *ZERO)
    try:
        wait_for("runs/*/state/step-*[1-9]", two, process)
        rank = process_of_rank(1, process.pid)
        began = time.monotonic()
        os.kill(rank, signal.SIGKILL)
        output, errors = process.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert time.monotonic() - began < 60
    assert process.returncode != 0
    assert f"rank 1 (process {rank} on {socket.gethostname()}) has died" in errors, output
    # Only rank 0 speaks, and what both have learnt from is what one would have.
    assert output.count("evaluating after 0 steps: ") == 1
    [folder] = (two / "runs").iterdir()
    expected, reference = summary_of(alone.stdout, one)
    assert first_step(folder) == pytest.approx(first_step(reference), rel=2e-3, abs=2e-4)
    [state] = folder.glob("state/step-*")
    steps = int(state.name.removeprefix("step-")) + 1
    more = run("rl_flux.py", two, *SMALL, "--steps", str(steps), "--resume")
    assert more.returncode == 0, more.stderr
    assert f"going on with {folder.relative_to(two)}" in more.stdout
    summary, _ = summary_of(more.stdout, two)
    assert (summary["steps"], summary["status"]) == (steps, "finished")
    assert summary["before"]["success"] == expected["before"]["success"]
    assert only_run(two)[1].info.status == "FINISHED"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--distributed.zero", "2"], "start it with torchrun --nproc-per-node N"),
        (["--distributed.zero", "4"], "distributed.zero"),
        (["--distributed.zero", "3", "--lora-rank", "4"], "leave out --lora-rank, or take 0, 1"),
    ],
)
def test_what_processes_cannot_share_is_refused_in_a_line(tmp_path, options, message):
    done = run("rl_flux.py", tmp_path, "smoke", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
