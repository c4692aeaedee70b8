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
    whole = path.read_bytes()
    other = tmp_path / "other.pt"
    torch.save([1, 2], other)
    for content, reason in (
        (whole[:1000], "cannot be read"),
        (b"", "cannot be read"),
        (b"not a pickle", "cannot be read"),
        (whole[:3000] + b"\xff" * 4000 + whole[7000:], "cannot be read"),
        (other.read_bytes(), "holds no optimizer's state, but a list"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=reason) as raised:
            update.restore(tmp_path)
        assert str(raised.value).startswith(f"{path}") and "\n" not in str(raised.value)
