"""A copy that samples has weights of its own where the policy learns, and shares the rest."""

from pathlib import Path

import pytest
import torch

from genagent_policy import Policy
from genagent_policy.adapter import LoRA
from genagent_policy.weight_copy import WeightCopy


def shared(copy: WeightCopy, source: Policy) -> dict[str, bool]:
    theirs = dict(source.model.named_parameters())
    return {name: own is theirs[name] for name, own in copy.policy.model.named_parameters()}


def test_what_does_not_learn_is_there_once(tiny_policy_path: Path):
    policy = Policy.load(tiny_policy_path)
    policy.freeze_vision()
    found = shared(WeightCopy(policy), policy)
    assert {name for name, is_shared in found.items() if is_shared} == {
        name for name in found if name.startswith("model.visual.")
    }

    adapted = Policy.load(tiny_policy_path, lora=LoRA(rank=2, alpha=4, part="language"))
    copy = WeightCopy(adapted)
    found = shared(copy, adapted)
    assert {name for name, is_shared in found.items() if not is_shared} == {
        name for name in found if ".lora_" in name
    }
    assert adapted.adapter is not None
    assert not any(each.requires_grad for each in copy.policy.model.parameters())
    assert all(
        each.requires_grad == (".lora_" in n) for n, each in adapted.model.named_parameters()
    )


def test_it_keeps_its_weights_until_it_follows(tiny_policy_path: Path, tmp_path: Path):
    policy = Policy.load(tiny_policy_path)
    copy, before = WeightCopy(policy), policy.head_weight.detach().clone()
    copy.save(tmp_path / "sampler.pt", 3)
    with torch.no_grad():
        policy.head_weight.add_(1.0)
    assert copy.policy.head_weight.equal(before)
    copy.follow()
    assert copy.policy.head_weight.equal(policy.head_weight)
    assert copy.restore(tmp_path / "sampler.pt") == 3
    assert copy.policy.head_weight.equal(before)
    assert policy.head_weight.equal(before + 1.0)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"updates": 1, "weights": {}}, "another policy"),
        ({"weights": {}}, "no weights that sample"),
        ([1], "no weights that sample"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_not_its_own_is_refused(
    tiny_policy_path: Path, tmp_path: Path, state: object, message: str
):
    path = tmp_path / "sampler.pt"
    path.write_bytes(b"broken")
    if state is not None:
        torch.save(state, path)
    with pytest.raises(ValueError, match=message):
        WeightCopy(Policy.load(tiny_policy_path)).restore(path)
