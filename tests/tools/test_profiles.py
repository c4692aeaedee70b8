"""Tool profiles: what the real pipelines accept, and settings that would silently do nothing."""

import dataclasses
import inspect

import diffusers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_tools import PROFILES, DrawSettings, ToolProfile
from genagent_tools.tool_profile import TRAITS

EVERY = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))


def profile(**changes) -> ToolProfile:
    fields = {"name": "some", "pipeline": "FluxPipeline", "repository": "some/where", "steps": 4}
    return ToolProfile(**{**fields, "guidance_scale": 3.5, "words": 10} | changes)


def qwen(**changes) -> ToolProfile:
    fields = {"pipeline": "QwenImagePipeline", "guidance_scale": None, "true_cfg_scale": 4.0}
    return profile(**fields | {"negative_prompt": " "} | changes)


def sana(**changes) -> ToolProfile:
    return profile(
        **{"pipeline": "SanaPipeline", "text_tokens": 300}
        | {"options": {"use_resolution_binning": False}}
        | changes
    )


@EVERY
def test_the_pipeline_takes_every_argument_of_the_call(profile):
    pipeline = getattr(diffusers, profile.pipeline)
    signature = inspect.signature(pipeline.__call__)
    arguments = profile.call()
    if profile.negative() is not None:
        arguments["negative_prompt"] = [profile.negative()]
    signature.bind(None, prompt=["a cat"], generator=[], **arguments)


@EVERY
def test_no_default_of_the_pipeline_decides_guidance_or_length(profile):
    pipeline = getattr(diffusers, profile.pipeline)
    names = {"guidance_scale", "true_cfg_scale", "max_sequence_length"}
    expected = names & set(inspect.signature(pipeline.__call__).parameters)
    if profile.pipeline == "FluxPipeline":
        expected.discard("true_cfg_scale")  # off by default
    if profile.pipeline == "QwenImagePipeline":
        expected.discard("guidance_scale")  # ignored
    assert expected <= set(profile.call())


@EVERY
def test_the_word_budget_fits_the_tokens_that_are_read(profile):
    assert 0.5 * profile.text_tokens < profile.words < 0.75 * profile.text_tokens


@EVERY
def test_a_profile_says_its_licence(profile):
    assert "licen" in profile.note or "Apache" in profile.note


def test_settings_of_the_model_cards():
    calls = {name: profile.call() for name, profile in PROFILES.items()}
    steps = {name: call["num_inference_steps"] for name, call in calls.items()}
    assert steps == {
        "flux-8step": 8,
        "flux-hyper-8step": 8,
        "flux-dev": 50,
        "flux-schnell": 4,
        "flux2-klein": 4,
        "qwen-image": 50,
        "qwen-image-lightning": 8,
        "sana-1.5-1.6b": 20,
        "z-image-turbo": 8,
    }
    guidance = {name: profile.guidance for name, profile in PROFILES.items()}
    assert guidance == {
        "flux-8step": 3.5,
        "flux-hyper-8step": 3.5,
        "flux-dev": 3.5,
        "flux-schnell": 0.0,
        "flux2-klein": 1.0,
        "qwen-image": 4.0,
        "qwen-image-lightning": 1.0,
        "sana-1.5-1.6b": 4.5,
        "z-image-turbo": 0.0,
    }
    assert calls["flux-schnell"]["max_sequence_length"] == 256
    hyper = PROFILES["flux-hyper-8step"].lora
    assert hyper is not None
    assert hyper.scale == 0.125
    assert PROFILES["flux-dev"].lora is None


def test_only_classifier_free_guidance_has_a_negative_prompt():
    negatives = {name: profile.negative() for name, profile in PROFILES.items()}
    guided = {name: text for name, text in negatives.items() if text is not None}
    assert guided == {"qwen-image": " ", "sana-1.5-1.6b": " "}


def test_guidance_without_a_negative_prompt_would_be_silently_off():
    with pytest.raises(ValueError, match="classifier-free guidance off"):
        qwen(negative_prompt=None)
    assert qwen(negative_prompt=None, true_cfg_scale=1.0).negative() is None


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (profile, {"pipeline": "StableFlow"}, "pipeline is 'StableFlow'; known: FluxPipeline"),
        (profile, {"steps": 0}, "steps is 0"),
        (profile, {"words": 0}, "words is 0"),
        (profile, {"guidance_scale": -0.5}, "guidance_scale is -0.5"),
        (profile, {"guidance_scale": None}, "guidance_scale is not given"),
        (profile, {"text_tokens": 1024}, "text_tokens is 1024; FluxPipeline reads 512"),
        (profile, {"width": 1000}, "width is 1000; some draws multiples of 16"),
        (profile, {"sizes": ((1472, 1140),)}, "height is 1140; some draws multiples of 16"),
        (qwen, {"guidance_scale": 3.5}, "QwenImagePipeline ignores it"),
        (qwen, {"true_cfg_scale": None}, "true_cfg_scale is not given"),
        (sana, {"options": {}}, "say use_resolution_binning"),
        (sana, {"width": 48}, "width is 48; some draws multiples of 32"),
        (sana, {"supersampling": 2, "width": 40}, "width is 40; some draws multiples of 16"),
    ],
)
def test_impossible_profiles_are_named(make, changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("flux-schnell", DrawSettings(guidance=3.5), "distilled without any"),
        ("flux2-klein", DrawSettings(guidance=4.0), "distilled without any"),
        ("qwen-image", DrawSettings(width=1000), "width is 1000"),
        ("sana-1.5-1.6b", DrawSettings(height=1008), "height is 1008"),
    ],
)
def test_settings_that_would_be_ignored_or_rounded_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        PROFILES[name].call(settings)


@pytest.mark.parametrize("name", ["flux-8step", "qwen-image-lightning", "z-image-turbo"])
def test_a_negative_prompt_without_guidance_is_refused(name):
    with pytest.raises(ValueError, match="negative_prompt is 'blurry'"):
        PROFILES[name].negative(DrawSettings(negative_prompt="blurry"))


def test_guidance_of_one_request_turns_the_second_pass_on_and_off():
    lightning, full = PROFILES["qwen-image-lightning"], PROFILES["qwen-image"]
    assert lightning.negative(DrawSettings(guidance=3.0)) == " "
    assert full.negative(DrawSettings(guidance=1.0)) is None
    blurry = DrawSettings(negative_prompt="blurry")
    assert full.negative(blurry) == "blurry"


@EVERY
@given(
    steps=st.none() | st.integers(1, 60),
    guidance=st.none() | st.floats(0, 20),
    side=st.none() | st.integers(1, 64).map(lambda n: 32 * n),
)
def test_a_setting_changes_its_argument_and_no_other(profile, steps, guidance, side):
    if not profile.steerable:
        guidance = None
    before = profile.call()
    after = profile.call(DrawSettings(steps=steps, guidance=guidance, width=side))
    expected = dict(before)
    for name, value in (
        ("num_inference_steps", steps),
        (profile.traits.guidance, guidance),
        ("width", side),
    ):
        if value is not None:
            expected[name] = value
    assert after == expected


def test_every_known_pipeline_has_a_profile():
    assert {profile.pipeline for profile in PROFILES.values()} == set(TRAITS)
    assert dataclasses.replace(PROFILES["flux-8step"], steps=9).steps == 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("height", -16),
        ("steps", 0),
        ("guidance", -0.1),
        ("guidance", float("inf")),
        ("guidance", float("nan")),
    ],
)
def test_impossible_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}"):
        DrawSettings(**{field: value})


def test_no_guidance_is_a_setting():
    assert PROFILES["flux-8step"].call(DrawSettings(guidance=0.0))["guidance_scale"] == 0.0
