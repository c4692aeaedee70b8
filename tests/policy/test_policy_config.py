"""Which policy is loaded: every fault is a line before a weight is read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from genagent_data import ToolSyntax
from genagent_policy import Policy, PolicyConfig, TrainedPolicyConfig


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
    loaded = TrainedPolicyConfig(policy="sft").load(
        {"sft": tiny_policy_path}, saved=tmp_path / "saved"
    )
    assert not loaded.head_weight.any()


def test_dtype_and_words_reach_the_policy(tiny_policy_path: Path):
    plain = PolicyConfig(policy=str(tiny_policy_path)).load({})
    told = PolicyConfig(policy=str(tiny_policy_path), dtype="bfloat16").load({}, words=77)
    assert (plain.dtype, told.dtype) == (torch.float32, torch.bfloat16)
    words = told.chat.decode(told.chat.prompt_ids("a red circle"))
    assert "77 words" in words
    assert "words" not in plain.chat.decode(plain.chat.prompt_ids("a red circle"))


def test_pictures_attention_and_activations_reach_the_policy(tiny_policy_path: Path):
    name = str(tiny_policy_path)
    plain = PolicyConfig(policy=name).load({})
    other = TrainedPolicyConfig(
        policy=name, max_pixels=32 * 32, attention="eager", checkpoint_activations=True
    ).load({})
    picture = [Image.new("RGB", (64, 64))]
    assert plain.chat.encode_pictures(picture)[1].tolist() == [[1, 8, 8]]
    assert other.chat.encode_pictures(picture)[1].tolist() == [[1, 4, 4]]
    kernels = [policy.model.config._attn_implementation for policy in (plain, other)]
    assert kernels == ["sdpa", "eager"]
    assert [policy.checkpoint_activations for policy in (plain, other)] == [False, True]


def test_the_chat_without_the_weights_is_that_of_the_policy(each_path: Path, tmp_path: Path):
    config = PolicyConfig(policy=str(each_path), max_pixels=32 * 32)
    policy, picture = config.load({}, words=77), [Image.new("RGB", (128, 128))]
    shutil.copytree(each_path, tmp_path / "bare", ignore=lambda *_: ["model.safetensors"])
    bare = replace(config, policy=str(tmp_path / "bare"))
    chat = bare.load_chat({}, words=77)
    assert chat.prompt_ids("a red circle") == policy.chat.prompt_ids("a red circle")
    (levels,), grids = chat.encode_pictures(picture)
    (same,), same_grids = policy.chat.encode_pictures(picture)
    assert levels.equal(same) and grids.equal(same_grids) and int(grids.prod()) < 64
    assert chat.tool_syntax == policy.chat.tool_syntax
    assert bare.vocabulary({}) == policy.head_weight.shape[0]
    too_small = replace(bare, max_pixels=255)
    with pytest.raises(ValueError, match="bare: max_pixels is 255; a picture of one token has"):
        too_small.load_chat({})


@pytest.mark.parametrize("max_pixels", [0, -1])
def test_pixels_that_make_no_sense(max_pixels: int):
    with pytest.raises(ValueError, match=f"max_pixels is {max_pixels}"):
        PolicyConfig(max_pixels=max_pixels)


def test_a_picture_has_at_least_a_token(tiny_policy_path: Path):
    config = PolicyConfig(policy=str(tiny_policy_path), max_pixels=255)
    [line] = config.problems({})
    assert line == "--max-pixels is 255, and a picture of one token has 256; give that or more"
    with pytest.raises(ValueError, match="max_pixels is 255; a picture of one token has 256"):
        config.load({})
    assert PolicyConfig(policy=str(tiny_policy_path), max_pixels=256).problems({}) == []


def test_flash_attention_wants_its_package_a_cuda_device_and_half_precision(
    tiny_policy_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("genagent_policy.config.flash_is_installed", lambda: False)
    name = str(tiny_policy_path)
    found = PolicyConfig(policy=name, attention="flash_attention_2", dtype="float32").problems({})
    missing, device, dtype = found
    assert "run uv sync --extra flash" in missing
    assert "--device is 'cpu'" in device
    assert "--dtype is 'float32'" in dtype
    assert PolicyConfig(policy=name).problems({}) == []
    monkeypatch.setattr("genagent_policy.config.flash_is_installed", lambda: True)
    assert PolicyConfig(policy=name, attention="flash_attention_2").problems({}) == [device]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"policy": ""}, ["--policy is missing"]),
        ({"policy": "nowhere"}, ["no policy 'nowhere'; give sft, or a checkpoint folder"]),
        ({"policy": "empty"}, ["empty: no readable config.json"]),
        ({"policy": "llama"}, ["architecture 'llama'"]),
        ({"policy": "", "device": "cudo"}, ["--policy is missing", "--device is 'cudo'; give cpu"]),
        (
            {"policy": "", "device": "cuda:99"},
            ["--policy is missing", "--device is 'cuda:99'; this machine has"],
        ),
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


def test_a_runs_folder_stands_for_its_policy(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    assert PolicyConfig(policy=str(tmp_path)).folder({}) == tmp_path
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    assert PolicyConfig(policy=str(tmp_path)).folder({}) == tmp_path / "policy"


def test_a_shipped_policy_whose_weights_are_not_there_is_named(tmp_path: Path):
    [line] = PolicyConfig(policy="sft").problems({"sft": tmp_path / "gone"})
    assert "gone: no readable config.json" in line


def test_a_second_gpu_is_made_the_first_one_that_is_seen(
    tiny_policy_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shipped = {"p": tiny_policy_path}
    monkeypatch.setattr("genagent_policy.config.device_problem", lambda name: None)
    [line] = PolicyConfig(policy="p", device="cuda:1").problems(shipped)
    assert line.startswith("--device is 'cuda:1'; ")
    assert "CUDA_VISIBLE_DEVICES=1" in line
    for device in ("cpu", "cuda", "cuda:0"):
        assert PolicyConfig(policy="p", device=device).problems(shipped) == []


def test_a_name_holds_how_the_tool_is_called(tiny_policy_path: Path):
    def name(syntax: ToolSyntax | None) -> str:
        return PolicyConfig(policy=str(tiny_policy_path), tool_syntax=syntax).name({})

    usual = name(None)
    assert name("qwen3.5") == f"{usual} qwen3.5"


def test_float16_is_refused_where_something_is_to_be_learnt(tiny_policy_path: Path, tmp_path: Path):
    folder = tmp_path / "half"
    shutil.copytree(tiny_policy_path, folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("dtype", None)
    for named in ("dtype", "torch_dtype"):
        (folder / "config.json").write_text(json.dumps(config | {named: "float16"}))
        [line] = TrainedPolicyConfig(policy=str(folder)).problems({})
        assert "is saved in float16" in line and "--dtype bfloat16" in line
        assert TrainedPolicyConfig(policy=str(folder), dtype="bfloat16").problems({}) == []
        assert PolicyConfig(policy=str(folder)).problems({}) == []  # it may sample
