"""What keeps processes from learning together is said before anything is loaded."""

import pytest

from genagent_policy import DistributedConfig
from genagent_policy.distributed import TOLD


def test_sampling_a_step_ahead_is_for_one_process(monkeypatch: pytest.MonkeyPatch):
    given = {"device": "cpu", "freeze_vision": True}
    for name in TOLD:
        monkeypatch.delenv(name, raising=False)
    assert DistributedConfig().problems(**given, one_step_off=True) == []
    for name in TOLD:
        monkeypatch.setenv(name, "1")
    assert DistributedConfig().problems(**given, one_step_off=True) == []
    [line] = DistributedConfig(zero=3).problems(**given, one_step_off=True)
    assert line.startswith("--distributed.zero is 3, which gathers the weights to sample with")
    assert DistributedConfig(zero=2).problems(**given, one_step_off=True) == []
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert DistributedConfig().problems(**given) == []
    [line] = DistributedConfig().problems(**given, one_step_off=True)
    assert line.startswith("--one-step-off samples on a thread beside the update")
