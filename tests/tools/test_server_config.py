"""What is decided before anything listens: servers and models as their profiles and folders say."""

import json

import pytest
from tests.tools.painting import SERVED, TOKEN, serving

from genagent_tools import PROFILES, DrawSettings, ServedModel, ServerConfig, ToolProfile
from genagent_tools.loading import Overrides, folder_profile


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host": "0.0.0.0"}, "host 0.0.0.0 can be reached from other machines; give a token"),
        ({"host": "my-machine"}, "host my-machine can be reached"),
        ({"host": "::"}, "host :: can be reached"),
        ({"port": 65536}, "port is 65536"),
        ({"token": "short"}, "the token has 5 characters; wants 16 or more"),
        ({"token": "ä" * 16}, "plain ASCII"),
        ({"drain_seconds": -1.0}, "drain_seconds is -1.0"),
        ({"max_body": 0}, "max_body is 0"),
    ],
)
def test_unsafe_and_impossible_configurations_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        ServerConfig(**changes)


def test_other_machines_may_be_served_with_a_token():
    assert not ServerConfig(host="0.0.0.0", token=TOKEN).is_loopback
    assert ServerConfig(host="::1").is_loopback
    assert TOKEN not in repr(ServerConfig(token=TOKEN))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "no name"),
        ({"width": 0}, "width is 0"),
        ({"width": None}, "width and height go together"),
        (
            {"width": None, "height": None, "extensions": frozenset({"size"})},
            "give the default width and height too",
        ),
        ({"steps": 200}, "steps is 200; wants 1 to max_steps, 100"),
        ({"extensions": frozenset({"magic"})}, r"unknown extensions \['magic'\]"),
        ({"extensions": frozenset({"guidance_scale", "true_cfg_scale"})}, "keep the one"),
    ],
)
def test_models_that_cannot_be_served_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        ServedModel(**{"name": "m", "width": 16, "height": 16, **changes})


def test_no_tool_no_server():
    with pytest.raises(ValueError, match="no tool to draw with"), serving([], SERVED):
        pass


@pytest.mark.parametrize(
    ("name", "extensions"),
    [
        ("flux-8step", {"guidance_scale"}),
        ("flux-schnell", set()),
        ("qwen-image", {"true_cfg_scale", "negative_prompt"}),
        ("sana-1.5-1.6b", {"guidance_scale", "negative_prompt"}),
    ],
)
def test_a_profile_decides_what_requests_may_change(name, extensions):
    served = ServedModel.from_profile(PROFILES[name])
    assert served.extensions == {"size", "num_inference_steps"} | extensions


def test_supersampling_allows_finer_sizes():
    profile = ToolProfile(
        name="fine",
        pipeline="FluxPipeline",
        repository="",
        steps=4,
        guidance_scale=3.5,
        words=10,
        width=40,
        height=24,
        supersampling=2,
    )
    served = ServedModel.from_profile(profile)
    assert (served.width, served.height, served.size_multiple) == (40, 24, 8)


def folder_of(tmp_path, pipeline):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    return tmp_path


def test_a_folder_is_called_as_its_pipeline_wants_and_as_is_said(tmp_path):
    said = Overrides(width=64, height=32, steps=3, guidance=4.0, max_batch=7)
    qwen = folder_profile(folder_of(tmp_path, "QwenImagePipeline"), said)
    assert qwen.call(DrawSettings()) == {
        "width": 64,
        "height": 32,
        "num_inference_steps": 3,
        "max_sequence_length": 1024,
        "true_cfg_scale": 4.0,
    }
    assert (qwen.negative(), qwen.dtype, qwen.max_batch) == (" ", "bfloat16", 7)
    sana = folder_profile(folder_of(tmp_path, "SanaPipeline"), said)
    assert sana.call()["use_resolution_binning"] is False
    with pytest.raises(ValueError, match="holds a StableFlow; known: FluxPipeline"):
        folder_profile(folder_of(tmp_path, "StableFlow"), said)


def test_what_is_said_goes_before_the_profile_and_the_rest_stays():
    profile = Overrides(guidance=2.0, steps=9, dtype="float32").apply(PROFILES["qwen-image"])
    assert (profile.true_cfg_scale, profile.steps, profile.dtype) == (2.0, 9, "float32")
    assert (profile.width, profile.max_batch) == (1328, 2)
