"""Two processes learn what one learns: SFT and GRPO, ZeRO 0 to 3, on gloo, as torchrun starts them.

Where an adapter is learnt, its matrices are compared, and GRPO has a term that wants a reference.

The sum over ranks adds the same numbers in another order, so that a gradient differs by some 1e-7
of its norm. Adam divides each by its own size: where a gradient is no more than such noise, its
sign, and so a whole step of the learning rate, is chance. Weights are held to a thousandth of the
way that they have gone, in the mean (3e-7 to 2e-6 of it were found in float32), losses and norms to
float accuracy. In bfloat16 a weight is rounded to one of two neighbours by as little.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tests.launching import launch
from tests.policy.learning_together import Kind, attempts, fine_tune, reinforce, resume

from genagent_policy import ALONE, DistributedConfig, Policy

STAGES = ("0", "0o", "2", "3c", "1b", "2bc", "2l", "1lbo")
"""Of ZeRO; b: in bfloat16, c: activations computed again, l: an adapter alone, o: with the
optimizer in the host's memory. What learns alone beside it has kept its activations."""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, tiny_policy_path: Path) -> Path:
    out = tmp_path_factory.mktemp("together")
    script = "tests.policy.learning_together"
    done = launch(2, "-m", script, str(tiny_policy_path), str(out), *STAGES)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_policy_path: Path):
    """What one process learns, and where it has left it."""

    @cache
    def learnt(learn, kind: Kind):
        out = tmp_path_factory.mktemp("alone")
        keeping = replace(kind, checkpointed=False)
        return learn(tiny_policy_path, ALONE, DistributedConfig(), out, keeping), out

    return learnt


def flat(policy: Policy) -> torch.Tensor:
    """All that can be learnt."""
    parameters = policy.trainable_parameters()
    return torch.cat([parameter.detach().float().flatten() for parameter in parameters])


@pytest.mark.slow
@pytest.mark.parametrize("learn", [fine_tune, reinforce])
@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_learn_what_one_learns(
    together: Path, tiny_policy_path: Path, alone, learn, stage: str
):
    kind = Kind.of(stage)
    expected, reference = alone(learn, kind)
    folder = together / f"{learn.__name__}-{stage}"
    found = json.loads((folder / "found.json").read_text())
    close = 2e-2 if "b" in stage else 1e-4
    for own, theirs in zip(found["reports"], expected["reports"], strict=True):
        for name in ("loss", "grad_norm", "entropy", "ratio_mean", "token_accuracy"):
            if name in theirs:
                assert own[name] == pytest.approx(theirs[name], rel=close, abs=close), name
        for name in ("policy_tokens", "optimizer_steps", "trained_trajectories"):
            assert own.get(name) == theirs.get(name), name
    if learn is reinforce and not stage.startswith("3"):  # engine and graphs hold the addresses
        assert not found["moved"]
    before = flat(kind.load(tiny_policy_path))
    one, two = (flat(kind.load(tiny_policy_path, out / "policy")) for out in (reference, folder))
    moved = (one - before).abs().mean()
    assert moved > 1e-4
    # In bfloat16 up to 3.6 % where the processor multiplies it itself, below 2 % elsewhere.
    assert (two - one).abs().mean() < (6e-2 if "b" in stage else 1e-3) * moved


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_what_two_ranks_have_learnt_goes_on_with_them_and_with_one(
    together: Path, tiny_policy_path: Path, stage: str
):
    """The moments and masters that ZeRO had shared out are there again, and in one process too."""
    folder = together / f"fine_tune-{stage}"
    found = json.loads((folder / "found.json").read_text())
    unbroken, resumed = found["next"]
    for name in ("loss", "grad_norm", "learning_rate"):
        assert resumed[name] == unbroken[name], name
    assert found["apart"] == 0
    alone = resume(tiny_policy_path, folder, ALONE, DistributedConfig(), Kind.of(stage))
    report = alone.step(attempts(Policy.load(tiny_policy_path))[5:])
    close = 1e-2 if "b" in stage else 1e-4
    assert report.loss == pytest.approx(unbroken["loss"], rel=close)
    assert report.grad_norm == pytest.approx(unbroken["grad_norm"], rel=close)
    assert report.learning_rate == unbroken["learning_rate"]
