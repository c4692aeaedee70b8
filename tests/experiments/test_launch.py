"""The scripts in experiments/launch, to the letter, on the miniature: processes where GPUs would
be, and something that takes vLLM's options and is no vLLM."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.experiments.running import ENVIRONMENT, EXPERIMENTS, only_run, wait_for

ROOT = EXPERIMENTS.parent
NODE = EXPERIMENTS / "launch" / "node.sh"
REQUESTS = (
    {"prompt": "two red circles", "hints": ["exactly 2 red circles"]},
    {"prompt": "one blue square", "hints": ["exactly 1 blue square"]},
)
SMALL = [
    *("--requests-per-step", "2", "--samples", "4", "--keep", "3", "--held-out", "2"),
    *("--grpo.updates-per-batch", "1"),
]


def free_port() -> int:
    """One that is free now, and that no connection is given before a server takes it."""
    while True:
        port = random.randrange(20_000, 32_000)  # Linux gives connections 32768 and above
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Two processes train; three more are servers. GPUs are numbers that nobody looks for."""
    requests = folder / "requests.jsonl"
    requests.write_text("\n".join(map(json.dumps, REQUESTS)))
    settings = {
        "RUN": "",
        "VLLM": f"{sys.executable} -m tests.experiments.stand_in_vllm",
        "PRESET": "smoke",
        "POLICY": "sft",
        "TRAIN": str(requests),
        "HELD_OUT": str(requests),
        "MEMORY": "--distributed.zero 2",
        "DEVICE": "cpu",
        "IMAGE_PROFILE": "flux-mini",
        "TRAIN_GPUS": "0 1",
        "IMAGE_GPUS": "4",
        "JUDGE_GPUS": "6 7",
        "IMAGE_PORT": str(free_port() - 4),
        "ROLLOUT_PORT": str(free_port() - 3),
        "JUDGE_PORT": str(free_port()),
        "GRACE_SECONDS": "50",
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | ENVIRONMENT | settings | more | {"PATH": path, "PYTHONPATH": str(ROOT)}


@contextmanager
def node(folder: Path, *options: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [str(NODE), *SMALL, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder, **more) | {"STARTED_FOR": str(folder)},
    ) as process:
        try:
            yield process
        finally:
            for left in started_for(folder):
                os.kill(left, signal.SIGKILL)


def started_for(folder: Path) -> list[int]:
    """Processes that still are there of all that a node has started in a folder."""
    told = f"STARTED_FOR={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and told in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except (ProcessLookupError, FileNotFoundError, PermissionError):
            continue
    return found


@pytest.mark.slow
def test_a_node_trains_to_the_end_and_one_whose_server_is_killed_ends_and_says_which(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    with node(whole, "--steps", "1") as process:
        output, errors = process.communicate(timeout=280)
        assert process.returncode == 0, output + errors
        assert started_for(whole) == []
    _, logged = only_run(whole)
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["judge/asked"] > 0 and logged.data.metrics["judge/absent"] == 0
    assert logged.data.metrics["rollout/tool_failures"] == 0
    assert logged.data.metrics["policy/trained_trajectories"] > 0
    assert output.count("up: http://127.0.0.1:") == 2
    assert "judge on GPUs 6 7, log logs/judge-on-GPUs-6-7.log" in output
    assert "Setting accelerator" not in output + errors

    with node(broken, "--steps", "500", ROLLOUTS="vllm", ROLLOUT_GPUS="3") as process:
        wait_for("runs/*/state/step-*[1-9]", broken, process)
        [server] = [
            one
            for one in started_for(broken)
            if b"--profile" in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        began = time.monotonic()
        os.kill(server, signal.SIGKILL)
        output, errors = process.communicate(timeout=120)
        assert time.monotonic() - began < 60
        assert process.returncode == 1, output + errors
        assert f"error: image server on GPU 4 (process {server}) has died" in errors
        assert started_for(broken) == []
    # Both ranks are told to end. The first one of them may see the other's end before its own.
    assert only_run(broken)[1].info.status in ("KILLED", "FAILED")


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        (("--stepz", "5"), {}, "Unrecognized options: --stepz, 5"),
        (("--steps", "0"), {}, "steps is 0; wants 1 or more"),
        ((), {"POLICY": "./nowhere"}, "error: ./nowhere is not there; POLICY, TRAIN and"),
        ((), {"TRAIN": "train.jsonl"}, "error: train.jsonl is not there; POLICY, TRAIN and"),
        (
            (),
            {"POLICY": str(ROOT)},
            f"error: {ROOT}: no readable config.json; give a checkpoint folder",
        ),
        ((), {"TRAIN": str(ROOT / "docs/images/charts.png")}, "charts.png"),
        (
            ("--lora-rank", "2", "--distributed.zero", "3"),
            {},
            "error: --distributed.zero is 3, which",
        ),
        (
            (),
            {"NODES": "a b c d", "TOKEN_ENV": "HOME"},
            "JUDGE_GPUS are for one node; for 4 change",
        ),
    ],
)
def test_what_training_would_not_take_is_said_before_servers_start(tmp_path, options, more, said):
    with node(tmp_path, *options, **more) as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said in errors
    assert output == ""
    assert not (tmp_path / "logs").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", ["--check", "--help", "--plan", "--plan.gpus 8"])
def test_what_runs_nothing_starts_no_server(tmp_path, words):
    with node(tmp_path, *words.split()) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    said = {"--check": "all options are valid", "--help": "usage: ", "--plan": "none loaded"}
    assert said[words.partition(".")[0]] in output
    assert not (tmp_path / "logs").exists() and started_for(tmp_path) == []


def settled(**variables: str) -> subprocess.CompletedProcess[str]:
    """What settings.sh makes of variables: GPUs to train, sample, draw and judge; logs."""
    settings = EXPERIMENTS / "launch" / "settings.sh"
    said = 'source "$0"; echo "$train|$rollout|$image|$judge|$LOGS"'
    return subprocess.run(
        ["bash", "-c", said, str(settings)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], **variables},
    )


def test_gpus_may_have_commas_between_and_none_has_two_things_to_do():
    found = settled(TRAIN_GPUS="0,1,2", JUDGE_GPUS="6,7")
    assert (found.returncode, found.stdout) == (0, "0 1 2||4 5|6 7|logs\n")
    for gpus in ("0 1 2 3 4", "0 1 1", "0-3", "cuda:0"):
        refused = settled(TRAIN_GPUS=gpus)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "is no number, or has two things to do" in refused.stderr


def test_nodes_of_one_file_system_have_logs_of_their_own():
    several = {"NODES": "a b c d", "TOKEN_ENV": "TOKEN", "TOKEN": "secret"}
    assert settled(**several, NODE="2").stdout.endswith("|logs/node-2\n")
    assert settled(**several, NODE="2", LOGS="mine").stdout.endswith("|mine\n")


@pytest.mark.slow
def test_servers_stand_where_the_plan_puts_them():
    """The table in settings.sh is what ``--plan`` prints for 8 and 32 GPUs."""
    settings = EXPERIMENTS / "launch" / "settings.sh"
    names = {"training": "train", "rollouts": "rollout", "pictures": "image", "judge": "judge"}
    for rollouts, urls in (("here", ()), ("vllm", ("--engine.urls", "http://gpu1:8000"))):
        planned = subprocess.run(
            [
                *(sys.executable, str(EXPERIMENTS / "rl_flux.py"), "flux-7b", "--plan"),
                *("--distributed.zero", "2", "--checkpoint-activations", *urls),
            ],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | ENVIRONMENT,
        ).stdout
        for gpus, nodes in ((8, "127.0.0.1"), (32, "n1 n2 n3 n4")):
            for number, _ in enumerate(nodes.split(), start=1):
                [line] = re.findall(rf"of {gpus}, machine {number}: (.*)", planned)
                expected = dict.fromkeys(names.values(), "")
                for part in line.split(", "):
                    name, span = part.split(" ")
                    first, last = span.split("-")[0], span.split("-")[-1]
                    expected[names[name]] = " ".join(map(str, range(int(first), int(last) + 1)))
                said = subprocess.run(
                    [
                        *("bash", "-c", 'source "$0"; echo "$train|$rollout|$image|$judge"'),
                        str(settings),
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                    env={
                        "PATH": os.environ["PATH"],
                        "NODES": nodes,
                        "NODE": str(number),
                        "ROLLOUTS": rollouts,
                        "TOKEN_ENV": "TOKEN",
                        "TOKEN": "secret",
                    },
                ).stdout.strip()
                assert said == "|".join(expected.values()), (gpus, number, rollouts)


@pytest.mark.slow
def test_deepspeed_s_launcher_starts_ranks_that_find_each_other(tmp_path):
    """As docs/distributed.md has it for one machine; what ranks do is held by torchrun's tests."""
    (tmp_path / "hosts").write_text("localhost slots=2\n")
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "deepspeed"), "--hostfile", "hosts"),
            *("--no_ssh_check", "--master_addr", "127.0.0.1", "--master_port", str(free_port())),
            *("--log_level", "error", str(EXPERIMENTS / "rl_flux.py"), "smoke"),
            *("--distributed.zero", "2", "--policy", "nowhere"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        env=environment(tmp_path) | {"DS_ACCELERATOR": "cpu"},
    )
    # Two ranks have met before the first looks for all of them at what it was given.
    assert done.stderr.count("error: rank 0: no policy 'nowhere'") == 1, done.stderr
    assert "Setting accelerator" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0
