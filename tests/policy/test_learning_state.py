"""A learner's state on disk: going on from it is the same as never having stopped."""

from pathlib import Path

import pytest
import torch

from genagent_policy import GRPOConfig, GRPOGroup, GRPOUpdate, Policy, SFTConfig, SFTUpdate

DONE = "<judge>j</judge><answer>done</answer>"


def lessons(policy: Policy, step: int):
    return [policy.chat.render([DONE], f"request {step}", [])]


def weights(policy: Policy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])


def learner(kind: str, policy: Policy):
    """An update and what one step of it is."""
    if kind == "sft":
        sft = SFTUpdate(policy, SFTConfig(learning_rate=1e-3), total_steps=4)
        return sft, lambda step: sft.step(lessons(policy, step))
    grpo = GRPOUpdate(policy, GRPOConfig(learning_rate=1e-3))

    def learn(step: int) -> None:
        pair = [policy.chat.render([text], f"request {step}", []) for text in (DONE, "<judge>")]
        grpo.update([GRPOGroup(trajectories=tuple(pair), rewards=(1.0, 0.0))])

    return grpo, learn


@pytest.mark.parametrize("kind", ["sft", "grpo"])
def test_going_on_gives_the_weights_of_an_unbroken_run_bit_for_bit(
    tiny_policy_path: Path, tmp_path: Path, kind: str
):
    unbroken = Policy.load(tiny_policy_path)
    update, learn = learner(kind, unbroken)
    for step in range(4):
        learn(step)
        if step == 1:
            update.save(tmp_path)
    resumed = Policy.load(tmp_path / "policy")
    assert not weights(resumed).equal(weights(unbroken))
    update, learn = learner(kind, resumed)
    update.restore(tmp_path)
    for step in range(2, 4):
        learn(step)
    assert weights(resumed).equal(weights(unbroken))


def test_a_failed_write_is_an_oserror_that_names_the_file(
    tiny_policy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    update, _ = learner("sft", Policy.load(tiny_policy_path))

    def full(*_):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"cannot write .*optimizer\.pt"):
        update.save(tmp_path)


def test_a_damaged_optimizer_is_named(tiny_policy_path: Path, tmp_path: Path):
    update, learn = learner("sft", Policy.load(tiny_policy_path))
    learn(0)
    update.save(tmp_path)
    path = tmp_path / "optimizer.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"optimizer\.pt: the optimizer's state cannot be read"):
        update.restore(tmp_path)
