"""Names of devices: those that are there, and a line for those that are not."""

import pytest
import torch

from genagent_tools.devices import device_problem
from genagent_tools.loading import Overrides, load_tools


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_the_cpu_is_always_there(name):
    assert device_problem(name) is None


@pytest.mark.parametrize("name", ["cudo", "gpu0", "cuda:", "cuda:-1", "", "0,1"])
def test_a_misspelt_name_is_told_from_a_device_that_is_not_there(name):
    assert device_problem(name) == f"{name!r}; give cpu, cuda or cuda:1"


@pytest.mark.parametrize(
    ("name", "cards", "problem"),
    [
        ("cuda", 0, "'cuda'; this machine has 0 cuda devices, give another, or cpu"),
        ("cuda", 1, None),
        ("cuda:1", 2, None),
        ("cuda:9", 2, "'cuda:9'; this machine has 2 cuda devices, give another, or cpu"),
        ("cpu:1", 0, "'cpu:1'; this machine has 1 cpu devices, give another, or cpu"),
        ("meta", 0, "'meta'; this machine has 0 meta devices, give another, or cpu"),
    ],
)
def test_a_card_is_there_where_torch_counts_it(monkeypatch, name, cards, problem):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert device_problem(name) == problem


def test_a_tool_for_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"^no device 'cuda:9'; this machine has 1 cuda"):
        load_tools("flux-8step", None, Overrides(), ["cuda:0", "cuda:9"])
