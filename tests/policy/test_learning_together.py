"""Two processes learn what one learns: SFT and GRPO, ZeRO 0 to 3, on gloo, as torchrun starts them.

The sum over ranks adds the same numbers in another order, so that a gradient differs by some 1e-7
of its norm. Adam divides each by its own size: where a gradient is no more than such noise, its
sign, and so a whole step of the learning rate, is chance. Weights are held to a part of one step in
the mean, losses and norms to float accuracy.
"""

import json
from pathlib import Path

import pytest
import torch
from tests.launching import launch
from tests.policy.learning_together import fine_tune, reinforce

from genagent_policy import ALONE, DistributedConfig, Policy

STAGES = ("0", "2", "3", "2b")
"""Of ZeRO; b: in bfloat16."""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, tiny_policy_path: Path) -> Path:
    out = tmp_path_factory.mktemp("together")
    script = "tests.policy.learning_together"
    done = launch(2, "-m", script, str(tiny_policy_path), str(out), *STAGES)
    assert done.returncode == 0, done.stderr
    return out


def flat(policy: Policy) -> torch.Tensor:
    parameters = policy.model.parameters()
    return torch.cat([parameter.detach().float().flatten() for parameter in parameters])


@pytest.mark.slow
@pytest.mark.parametrize("learn", [fine_tune, reinforce])
@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_learn_what_one_learns(
    together: Path, tiny_policy_path: Path, tmp_path: Path, learn, stage: str
):
    dtype = torch.bfloat16 if stage.endswith("b") else torch.float32
    alone = DistributedConfig()
    frozen = stage == "3"
    expected = learn(tiny_policy_path, ALONE, alone, tmp_path, dtype, frozen=frozen)
    folder = together / f"{learn.__name__}-{stage}"
    found = json.loads((folder / "found.json").read_text())
    close = 2e-2 if stage.endswith("b") else 1e-4
    for own, theirs in zip(found["reports"], expected["reports"], strict=True):
        for name in ("loss", "grad_norm", "entropy", "ratio_mean", "token_accuracy"):
            if name in theirs:
                assert own[name] == pytest.approx(theirs[name], rel=close, abs=close), name
        for name in ("policy_tokens", "optimizer_steps", "trained_trajectories"):
            assert own.get(name) == theirs.get(name), name
    before = flat(Policy.load(tiny_policy_path, dtype=dtype))
    one, two = flat(Policy.load(tmp_path / "policy")), flat(Policy.load(folder / "policy"))
    moved = (one - before).abs().mean()
    assert moved > 1e-4
    assert (two - one).abs().mean() < (0.2 if stage.endswith("b") else 0.01) * moved
