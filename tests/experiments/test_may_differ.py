"""Which options make another run of one: real presets, held against what may differ."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from experiments import rl_flux, sft

from genagent_tracking.config import config_to_json
from genagent_tracking.run_folder import MAY_DIFFER, MAY_MOVE, config_leaves, same_run

SERVED = replace(
    rl_flux.FLUX_AND_QWEN,
    tool="http://gpu1:8000",
    judge="http://gpu2:8000/v1,http://gpu3:8000/v1",
    tool_model="flux",
)
LEARNING = (rl_flux.PRESETS["flux-7b"], sft.PRESETS["qwen2.5-vl-7b"])
"""What the experiments that learn have as options, files and endpoints among them."""


def changed(config: object, name: str, value: object) -> str:
    found = json.loads(config_to_json(config))
    *parts, last = name.split(".")
    inner = found
    for part in parts:
        inner = inner[part]
    assert last in inner
    inner[last] = value
    return json.dumps(found)


def leaves(config: object) -> Mapping[str, Any]:
    return config_leaves(json.loads(config_to_json(config)))


def begin(runs: Path, config: object) -> None:
    (runs / "job-1").mkdir(exist_ok=True)
    (runs / "job-1" / "config.json").write_text(config_to_json(config))


@pytest.mark.parametrize(
    ("name", "value", "is_same"),
    [
        # What docs/scale.md advises after a full memory, a full disk, a lost server.
        ("policy.checkpoint_activations", True, True),
        ("grpo.micro_batch_tokens", 4096, True),
        ("engine.cache_gib", 8.0, True),
        ("engine.urls", "http://gpu4:8000", True),
        ("run.checkpoint_every", 5, True),
        ("world.judge_concurrency", 8, True),
        ("world.judge_tokens", 4096, True),
        ("world.tool", "http://gpu7:8000,http://gpu8:8000", True),
        ("world.judge", "https://judge.example.com/v1", True),
        # What learns something else.
        ("world.tool", "flux-8step", False),
        ("world.judge", "judge-folder", False),
        ("world.tool_model", "qwen", False),
        ("policy.policy", "http://not-a-server", False),
        ("grpo.clip_low", 0.3, False),
        ("run.seed", 1, False),
        ("grpo.learning_rate", 0.2, False),
    ],
)
def test_what_costs_time_or_room_may_change_and_what_is_learnt_may_not(
    tmp_path, name, value, is_same
):
    config = replace(rl_flux.FLUX, world=SERVED)
    begin(tmp_path, config)
    found = same_run(tmp_path, "job", changed(config, name, value))
    assert (found is not None) == is_same


def test_a_run_that_began_before_there_was_an_option_goes_on(tmp_path):
    config = replace(rl_flux.FLUX, world=SERVED)
    begin(tmp_path, config)
    path = tmp_path / "job-1" / "config.json"
    old = json.loads(path.read_text())
    del old["world"]["judge_body"], old["grpo"]["clip_low"]
    path.write_text(json.dumps(old))
    assert same_run(tmp_path, "job", config_to_json(config))
    assert same_run(tmp_path, "job", changed(config, "run.seed", 1)) is None


@pytest.mark.parametrize("name", MAY_DIFFER)
def test_each_option_that_may_differ_is_a_real_one_and_may(tmp_path, name):
    cases = [
        (config, leaf)
        for config in LEARNING
        for leaf in leaves(config)
        if leaf == name or leaf.startswith(f"{name}.")
    ]
    assert cases
    for config, leaf in cases:
        begin(tmp_path, config)
        assert same_run(tmp_path, "job", changed(config, leaf, "another")), leaf


@pytest.mark.parametrize("name", MAY_MOVE)
def test_each_server_that_may_move_is_a_real_option(name):
    assert [config for config in LEARNING if name in leaves(config)]
