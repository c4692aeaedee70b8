"""What ships: real pipelines and models, loaded as anyone would, that draw what they are told."""

import json
import random

import pytest
import torch
from diffusers import FluxPipeline
from PIL import ImageChops
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from genagent_miniworld import TOOLS, load_tool, read, sample_requests, weights
from genagent_miniworld.conditions import parse_hints
from genagent_miniworld.scene import caption
from genagent_miniworld.teacher import solve


@pytest.fixture(scope="module")
def tool():
    return load_tool("flux-mini")


def test_all_weights_together_are_under_30_megabytes():
    sizes = [path.stat().st_size for path in weights("").rglob("*") if path.is_file()]
    assert 5e6 < sum(sizes) < 30e6


def test_the_tool_is_a_flux_pipeline_of_safetensors():
    pipeline = FluxPipeline.from_pretrained(weights("flux-mini"), local_files_only=True)
    assert pipeline.vae_scale_factor == 8
    files = {path.suffix for path in weights("flux-mini").rglob("*") if path.is_file()}
    assert files == {".json", ".safetensors"}


def test_a_policy_and_its_processor_load_with_the_librarys_own_classes():
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        weights("sft"), local_files_only=True
    )
    processor = AutoProcessor.from_pretrained(weights("sft"), local_files_only=True)
    messages = [{"role": "user", "content": [{"type": "text", "text": "two red circles"}]}]
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = processor(text=[text], return_tensors="pt")
    ids = model.generate(  # pyright: ignore[reportAttributeAccessIssue] (a protocol's strictness)
        **inputs, max_new_tokens=48, do_sample=False
    )
    assert "generate_image" in processor.decode(ids[0])


def test_a_picture_depends_on_prompt_and_seed_and_not_on_its_batch(tool):
    prompts = ["red circle top-left", "blue square center", "green triangle bottom"]
    alone = [tool.generate([p], [seed])[0] for seed, p in enumerate(prompts)]
    together = tool.generate(prompts[::-1], [2, 1, 0])[::-1]
    for one, other in zip(alone, together, strict=True):
        # Sums run in another order in another batch: at most one step of 256.
        assert max(ImageChops.difference(one, other).tobytes()) <= 1
    other_seed = tool.generate(prompts[:1], [99])[0]
    assert ImageChops.difference(alone[0], other_seed).getbbox() is not None


def test_one_seed_each_draws_what_was_spelt_out(tool):
    rng = random.Random(0)
    requests = sample_requests(18, seed=5, split="held-out", tasks=("color",))
    specs = [parse_hints(request.hints) for request in requests]
    prompts = [caption(solve(spec, rng), sizes=False) for spec in specs]
    pictures = tool.generate(prompts, list(range(len(prompts))))
    passed = [spec.met(read(p)) for spec, p in zip(specs, pictures, strict=True)]
    assert sum(passed) >= 13


def test_a_name_that_is_no_tool_is_named():
    with pytest.raises(ValueError, match="no tool 'dall-e'"):
        load_tool("dall-e")


@pytest.mark.parametrize("name", list(TOOLS))
def test_shipped_weights_name_no_folder_of_the_machine_they_were_made_on(name):
    for path in weights(name).rglob("*.json"):
        loaded = json.loads(path.read_text())
        assert loaded.get("_name_or_path", "").count("/") <= 1
        assert not loaded.get("_name_or_path", "").startswith("/")


def test_weights_stored_in_half_precision_are_computed_with_in_float32():
    pipeline = load_tool("qwen-image-mini").pipeline
    parts = (pipeline.vae, pipeline.text_encoder, pipeline.transformer)
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.float32}
