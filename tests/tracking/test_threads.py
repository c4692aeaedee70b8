"""What a run computes with is settled before torch is there to read it."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, os, sys
from dataclasses import dataclass, field
from genagent_tracking import Flat, RunConfig, run_experiment

@dataclass(frozen=True, kw_only=True)
class Config:
    run: Flat[RunConfig] = field(default_factory=RunConfig)

def main(config, run):
    assert "torch" not in sys.modules
    import torch
    print(json.dumps([torch.get_num_threads(), os.environ.get("OMP_WAIT_POLICY")]))

run_experiment("job", main, Config, {"plain": Config()})
"""


def settled(*options: str, **environment: str) -> list[object]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *options],
        capture_output=True,
        text=True,
        timeout=100,
        env=kept | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_option_goes_before_the_environment():
    # Two at most: torch takes no more than there are cores.
    assert settled("--threads", "1", OMP_NUM_THREADS="2") == [1, "PASSIVE"]
    assert settled("--threads", "2", OMP_NUM_THREADS="1") == [2, "PASSIVE"]
    assert settled(OMP_NUM_THREADS="1") == [1, "PASSIVE"]


@pytest.mark.parametrize(
    ("environment", "policy"),
    [({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "1000"}, None)],
)
def test_how_threads_wait_is_the_users_choice_where_there_is_one(environment, policy):
    assert settled("--threads", "1", **environment) == [1, policy]
