"""A learner's state on disk, where it cannot be written or read."""

from pathlib import Path

import pytest
import torch

from genagent_policy import Policy, SFTConfig, SFTUpdate


def learner(path: Path) -> SFTUpdate:
    """An update that has taken a step."""
    policy = Policy.load(path)
    update = SFTUpdate(policy, SFTConfig(learning_rate=1e-3), total_steps=4)
    update.step([policy.chat.render(["<judge>j</judge><answer>done</answer>"], "request", [])])
    return update


def test_a_failed_write_is_an_oserror_that_names_the_file(
    tiny_policy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    update = learner(tiny_policy_path)

    def full(*_):
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"cannot write .*optimizer\.pt"):
        update.save(tmp_path)


def test_a_damaged_optimizer_is_named(tiny_policy_path: Path, tmp_path: Path):
    update = learner(tiny_policy_path)
    update.save(tmp_path)
    path = tmp_path / "optimizer.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"optimizer\.pt: the optimizer's state cannot be read"):
        update.restore(tmp_path)
