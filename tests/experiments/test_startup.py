"""The first seconds of an experiment: what it loads, and Ctrl-C."""

import signal
import subprocess
import sys
import time

import pytest
from tests.experiments.running import EXPERIMENTS, start


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (
            "rl_flux.py",
            ("--resume", "--grpo.learning-rate", "--policy", "--samples", "--seed", "--threads"),
        ),
        (
            "sft.py",
            (
                "--resume",
                "--data",
                "--out",
                "--policy",
                "--sft.batch-size",
                "--lr",
                "--evaluate-every",
            ),
        ),
        (
            "synthesize.py",
            ("--resume", "--requests", "--out", "--teacher.explicit-first", "--seed"),
        ),
        ("generate.py", ("--file", "--out", "--json", "--policy", "--max-rounds", "--seed")),
        (
            "serve_agent.py",
            ("--resume", "--policy", "--port", "--token-env", "--max-rounds", "--no-page"),
        ),
        (
            "build_miniworld.py",
            ("--resume", "--tool.flow-steps", "--judge.steps", "--work", "--threads"),
        ),
        ("convert_records.py", ("--data", "--from", "--to", "--out", "--drop")),
        ("evaluate.py", ("--bench", "--strategy", "--tools", "--policy", "--select", "--seed")),
    ],
)
def test_help_does_not_wait_for_the_heavy_libraries(tmp_path, script, options):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(EXPERIMENTS / script), "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    for option in options:
        assert option in done.stdout, option
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "genagent_data" in imported
    heavy = {"torch", "transformers", "diffusers", "mlflow", "scipy", "matplotlib"}
    assert not heavy & imported


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_ctrl_c_before_anything_has_begun_is_one_line(tmp_path, seconds):
    process = start("rl_flux.py", tmp_path, "smoke")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (130, "error: stopped before anything had begun\n")
