"""A training state on disk: going on from it is the same as never having stopped."""

from pathlib import Path

import pytest
import torch

from genagent_policy import (
    Policy,
    SFTConfig,
    SFTUpdate,
    latest_training_state,
    save_training_state,
)

DONE = "<judge>j</judge><answer>done</answer>"
CONFIG = SFTConfig(learning_rate=1e-3)


def lessons(policy: Policy, step: int):
    return [policy.chat.render([DONE], f"request {step}", [])]


def weights(policy: Policy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in policy.model.parameters()])


def test_going_on_gives_the_weights_of_an_unbroken_run_bit_for_bit(
    tiny_policy_path: Path, tmp_path: Path
):
    unbroken = Policy.load(tiny_policy_path)
    update = SFTUpdate(unbroken, CONFIG, total_steps=4)
    for step in range(4):
        update.step(lessons(unbroken, step))
        if step == 1:
            save_training_state(tmp_path, 2, unbroken, update, {"seconds": 1.5})
    state = latest_training_state(tmp_path)
    assert state is not None
    assert (state.step, state.notes) == (2, {"seconds": 1.5})
    resumed = Policy.load(state.policy_path)
    update = SFTUpdate(resumed, CONFIG, total_steps=4)
    assert not weights(resumed).equal(weights(unbroken))
    state.restore(update)
    for step in range(2, 4):
        update.step(lessons(resumed, step))
    assert weights(resumed).equal(weights(unbroken))


def test_only_the_latest_state_is_kept_and_a_half_written_one_is_no_state(
    tiny_policy_path: Path, tmp_path: Path
):
    assert latest_training_state(tmp_path / "none") is None
    policy = Policy.load(tiny_policy_path)
    update = SFTUpdate(policy, CONFIG, total_steps=4)
    for step in (9, 10):
        save_training_state(tmp_path, step, policy, update, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000010"]
    # What a process killed while writing leaves behind.
    (tmp_path / ".123.partial" / "policy").mkdir(parents=True)
    state = latest_training_state(tmp_path)
    assert state is not None and state.step == 10


def test_a_failed_write_leaves_the_state_before(
    tiny_policy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = Policy.load(tiny_policy_path)
    update = SFTUpdate(policy, CONFIG, total_steps=4)
    save_training_state(tmp_path, 1, policy, update, {})

    def full(*_):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="cannot write"):
        save_training_state(tmp_path, 2, policy, update, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


def test_a_damaged_optimizer_is_named(tiny_policy_path: Path, tmp_path: Path):
    policy = Policy.load(tiny_policy_path)
    update = SFTUpdate(policy, CONFIG, total_steps=4)
    save_training_state(tmp_path, 1, policy, update, {})
    state = latest_training_state(tmp_path)
    assert state is not None
    path = state.path / "optimizer.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"optimizer\.pt: the optimizer's state cannot be read"):
        state.restore(update)
