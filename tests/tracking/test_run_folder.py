"""Which options make another run of one."""

import json

import pytest

from genagent_tracking.run_folder import same_run

CONFIG = {
    "steps": 40,
    "lr": 0.1,
    "policy": {"policy": "p", "checkpoint_activations": False, "device": "cuda"},
    "grpo": {"micro_batch_tokens": 16384, "clip_low": 0.2},
    "engine": {"urls": "", "cache_gib": None},
    "run": {"seed": 0, "checkpoint_every": 1, "keep_checkpoints": 2, "threads": 1},
    "world": {
        "tool": "http://gpu1:8000",
        "judge": "http://gpu2:8000/v1,http://gpu3:8000/v1",
        "tool_model": "flux",
        "judge_concurrency": 32,
        "judge_tokens": 2048,
    },
}


def changed(name: str, value: object) -> str:
    config = json.loads(json.dumps(CONFIG))
    *parts, last = name.split(".")
    inner = config
    for part in parts:
        inner = inner[part]
    assert last in inner
    inner[last] = value
    return json.dumps(config)


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
        ("lr", 0.2, False),
    ],
)
def test_what_costs_time_or_room_may_change_and_what_is_learnt_may_not(
    tmp_path, name, value, is_same
):
    (tmp_path / "job-1").mkdir()
    (tmp_path / "job-1" / "config.json").write_text(json.dumps(CONFIG))
    assert (same_run(tmp_path, "job", changed(name, value)) is not None) == is_same
