from dataclasses import dataclass, field, replace

import pytest

from genagent_tracking import Flat, RunConfig
from genagent_tracking.run_name import changed_options, run_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    learning_rate: float = 3e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    samples: int = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    steps: int = 40
    groups: Flat[Groups] = field(default_factory=Groups)
    update: Update = field(default_factory=Update)
    tool: str = "flux-mini"
    run: Flat[RunConfig] = field(default_factory=RunConfig)


PRESETS = {
    "miniature": Job(),
    "smoke": Job(steps=2, run=RunConfig(trial=True)),
    "large": Job(steps=200, tool="http://gpu1:8000", update=Update(learning_rate=1e-6)),
}


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Job(), ""),
        (Job(steps=8, update=Update(learning_rate=1e-4)), "steps 8, update.learning-rate 0.0001"),
        (PRESETS["smoke"], "smoke"),
        (replace(PRESETS["large"], steps=100), "large, steps 100"),
        (Job(run=RunConfig(seed=3, threads=2)), "seed 3"),
        (Job(groups=Groups(samples=8)), "samples 8"),
        (Job(tool="a/long/path/that/nobody/reads/to/its/end/mine"), "tool …/mine"),
        (Job(tool="x" * 40), f"tool {'x' * 29}…"),
    ],
)
def test_changes_are_against_the_nearest_preset(job: Job, said: str):
    assert changed_options(job, PRESETS) == said


def test_a_name_begins_with_the_folders():
    assert run_name("job-20261129-0912", "steps 8") == "steps 8 · job-20261129-0912"
    assert run_name("job-20261129-0912", "") == "job-20261129-0912"
