"""What a folder of weights may hold, by its files alone: nothing is loaded here."""

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_weights import ATTENTION, WeightsError, check_weights

SETTINGS = {"model_type": "m", "text_config": {"hidden_size": 8}}


def tensors(*, size: int = 8) -> bytes:
    """A whole file of one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}})
    return struct.pack("<Q", len(header)) + header.encode() + bytes(size)


def folder_of(path: Path, **files: object) -> Path:
    """A whole checkpoint, but for what is given: bytes, settings, or None for no such file."""
    path.mkdir(exist_ok=True)
    whole = {"config.json": SETTINGS, "model.safetensors": tensors()}
    for name, content in {**whole, **files}.items():
        if content is not None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (path / name).write_bytes(data)
    return path


def test_a_whole_folder_passes(tmp_path):
    check_weights(folder_of(tmp_path))
    shards = {"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors"}}
    many = {"model.safetensors": None, "model.safetensors.index.json": shards}
    parts = {"x-1.safetensors": tensors(), "x-2.safetensors": tensors(size=0)}
    # What published folders hold beside is not read, and not minded.
    beside = {"pytorch_model.bin": b"pickle", "pytorch_model.bin.index.json": b"{"}
    check_weights(folder_of(tmp_path / "sharded", **many, **parts, **beside))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config.json": None}, "no readable config.json"),
        ({"config.json": b"\xff"}, "config.json: is not JSON"),
        ({"config.json": b"[" * 100_000}, "config.json: is nested too deeply"),
        ({"config.json": b'{"a": ' + b"9" * 5000 + b"}"}, "config.json: is not JSON"),
        ({"config.json": []}, "config.json: holds a list; wants an object"),
        ({"model.safetensors": None}, "holds no .safetensors file; save"),
        (
            {"model.safetensors": None, "pytorch_model.bin": b"x"},
            "holds no .safetensors file, only pytorch_model.bin, and pickles are not read",
        ),
        ({"model.safetensors": tensors()[:-1]}, "model.safetensors: has 76 bytes of 77"),
        ({"model.safetensors": tensors() + b"x"}, "has 78 bytes of 77; copy it again"),
        ({"model.safetensors": b"\xff" * 8}, "cut off or no safetensors"),
        (
            {"model.safetensors": b"version https://git-lfs.github.com/spec/v1"},
            "pointer of Git LFS",
        ),
        ({"adapter_config.json": {}}, "an adapter, whose base model is elsewhere"),
        ({"config.json": {"transformers_weights": "adapter_model.bin"}}, "transformers_weights is"),
        ({"config.json": {"transformers_weights": "../x.safetensors"}}, "transformers_weights is"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, files, says):
    with pytest.raises(WeightsError) as raised:
        check_weights(folder_of(tmp_path, **files))
    assert says in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "shard",
    [
        "model.bin",
        "../model.safetensors",
        "/etc/model.safetensors",
        "sub/model.safetensors",
        "..\\model.safetensors",
        "model.safetensors\0",
        7,
        None,
    ],
)
def test_an_index_names_safetensors_beside_it_and_nothing_else(tmp_path, shard):
    folder_of(tmp_path, **{"model.safetensors.index.json": {"weight_map": {"w": shard}}})
    with pytest.raises(WeightsError, match=r"names .*; wants .safetensors files beside it"):
        check_weights(tmp_path)


def test_a_shard_that_is_not_there_is_named(tmp_path):
    folder_of(tmp_path, **{"model.safetensors.index.json": {"weight_map": {"w": "b.safetensors"}}})
    with pytest.raises(WeightsError, match=r"names 'b.safetensors', which is not there"):
        check_weights(tmp_path)


@settings(max_examples=30)
@given(st.text(max_size=20) | st.sampled_from(["someone/kernel", "hub:kernel", "SDPA", "eager "]))
def test_attention_comes_from_a_short_list_wherever_it_is_said(tmp_path_factory, asked):
    for said in (
        {"_attn_implementation": asked},
        {"text_config": {"attn_implementation": asked}},
        {"attn_implementation": {"": "sdpa", "vision_config": asked}},
    ):
        folder = folder_of(tmp_path_factory.mktemp("w"), **{"config.json": said})
        if asked in ATTENTION:
            check_weights(folder)
        else:
            with pytest.raises(WeightsError, match=r"wants eager, sdpa, .* or flex_attention"):
                check_weights(folder)


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(0, 90))
def test_damaged_tensors_are_whole_or_named(tmp_path_factory, noise, cut):
    folder = folder_of(
        tmp_path_factory.mktemp("t"), **{"model.safetensors": tensors()[:cut] + noise}
    )
    try:
        check_weights(folder)
    except WeightsError as error:
        assert str(error).startswith(str(folder / "model.safetensors"))
