"""Which policy is loaded: every fault is a line before a weight is read."""

import json
from pathlib import Path

import pytest
import torch

from genagent_policy import Policy, PolicyConfig


def test_a_policy_ships_by_name_or_is_a_folder(tiny_policy_path: Path):
    shipped = {"sft": tiny_policy_path}
    for name in ("sft", str(tiny_policy_path)):
        config = PolicyConfig(policy=name)
        assert config.problems(shipped) == []
        loaded = config.load(shipped)
        assert loaded.head_weight.equal(Policy.load(tiny_policy_path).head_weight)
        assert loaded.device == torch.device("cpu")


def test_what_an_earlier_part_of_the_run_left_goes_before_the_name(
    tiny_policy_path: Path, tmp_path: Path
):
    changed = Policy.load(tiny_policy_path)
    with torch.no_grad():
        changed.head_weight.zero_()
    changed.save(tmp_path / "saved")
    loaded = PolicyConfig(policy="sft").load({"sft": tiny_policy_path}, saved=tmp_path / "saved")
    assert not loaded.head_weight.any()


def test_dtype_and_word_limit_reach_the_policy(tiny_policy_path: Path):
    plain = PolicyConfig(policy=str(tiny_policy_path)).load({})
    told = PolicyConfig(policy=str(tiny_policy_path), dtype="bfloat16", word_limit=77).load({})
    assert (plain.dtype, told.dtype) == (torch.float32, torch.bfloat16)
    words = told.chat.decode(told.chat.prompt_ids("a red circle"))
    assert "77 words" in words
    assert "words" not in plain.chat.decode(plain.chat.prompt_ids("a red circle"))


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"policy": ""}, ["--policy is missing"]),
        ({"policy": "nowhere"}, ["no policy 'nowhere'; give sft, or a checkpoint folder"]),
        ({"policy": "empty"}, ["empty: no readable config.json"]),
        ({"policy": "llama"}, ["architecture 'llama'"]),
        pytest.param(
            {"policy": "", "device": "cuda"},
            ["--policy is missing", "--device is 'cuda'"],
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_each_fault_is_a_line(tmp_path: Path, monkeypatch, options, lines):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("llama").mkdir()
    Path("llama/config.json").write_text(json.dumps({"model_type": "llama"}))
    found = PolicyConfig(**options).problems({"sft": tmp_path / "gone"})
    assert len(found) == len(lines)
    for line, wanted in zip(found, lines, strict=True):
        assert wanted in line


def test_a_shipped_policy_whose_weights_are_not_there_is_named(tmp_path: Path):
    [line] = PolicyConfig(policy="sft").problems({"sft": tmp_path / "gone"})
    assert "gone: no readable config.json" in line
