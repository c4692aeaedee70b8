"""Which family a checkpoint is of."""

import json
from pathlib import Path

import pytest

from genagent_policy import Policy, PolicyConfig
from genagent_policy.families import SUPPORTED, family_of

SAID = "the policy wants a 'qwen2_5_vl' or 'qwen3_vl' checkpoint"


@pytest.mark.parametrize("model_type", SUPPORTED)
def test_a_family_is_that_of_its_models(model_type: str):
    model, processor = family_of(model_type).classes()
    assert model.config_class.model_type == model_type
    assert processor.__name__.endswith("VLProcessor")


@pytest.mark.parametrize("model_type", ["qwen3_5", "qwen3_vl_moe", "family", None, ["qwen3_vl"]])
def test_another_architecture_is_named_before_anything_loads(tmp_path: Path, model_type: object):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    line = f"{tmp_path}: architecture {model_type!r}; {SAID}"
    assert PolicyConfig(policy=str(tmp_path)).problems({}) == [line]
    with pytest.raises(ValueError) as caught:
        Policy.load(tmp_path)
    assert str(caught.value) == line


def test_layers_are_asked_for_what_is_theirs(tiny_policy: Policy, tiny_qwen3_path: Path):
    other = Policy.load(tiny_qwen3_path)
    assert (tiny_policy.head_width, other.head_width) == (32, 24)
    assert (tiny_policy.family.interleaved, other.family.interleaved) == (False, True)
    assert (tiny_policy.chat.tool_syntax, other.chat.tool_syntax) == ("hermes", "hermes")
