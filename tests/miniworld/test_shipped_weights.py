"""What ships: real pipelines and models, loaded as anyone would, that do what their table says."""

import random

import pytest
import torch
from diffusers import FluxPipeline
from PIL import ImageChops
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from genagent_data import PictureStore
from genagent_miniworld import (
    evaluate,
    load_policy,
    load_tool,
    paired_p_value,
    read,
    sample_requests,
    summarize,
    weights,
)
from genagent_miniworld.building.report import tool_figures, turn_errors
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
    ids = model.generate(**inputs, max_new_tokens=48, do_sample=False)
    assert "generate_image" in processor.decode(ids[0])


def test_a_picture_depends_on_prompt_and_seed_and_not_on_its_batch(tool):
    prompts = ["red circle top-left", "blue square center", "green triangle bottom"]
    alone = [tool.generate([p], [seed])[0] for seed, p in enumerate(prompts)]
    together = tool.generate(prompts[::-1], [2, 1, 0])[::-1]
    for one, other in zip(alone, together, strict=True):
        # Sums run in another order in another batch: at most one step of 256.
        assert max(high for _, high in ImageChops.difference(one, other).getextrema()) <= 1
    other_seed = tool.generate(prompts[:1], [99])[0]
    assert ImageChops.difference(alone[0], other_seed).getbbox() is not None


def test_an_explicit_prompt_is_obeyed_and_a_bare_request_seldom(tool):
    figures = {f.what: f.rate for f in tool_figures("flux-mini", tool, count=90, seed=77)}
    # The table has them above .75 and below .45 on 400; these bounds leave room for 90.
    assert figures["explicit prompt, up to 4 items"].value > 0.7
    assert figures["bare request, up to 4 items"].value < 0.5


def test_one_seed_each_draws_what_was_spelt_out(tool):
    rng = random.Random(0)
    requests = sample_requests(18, seed=5, split="held-out", tasks=("color",))
    specs = [parse_hints(request.hints) for request in requests]
    prompts = [caption(solve(spec, rng), sizes=False) for spec in specs]
    pictures = tool.generate(prompts, list(range(len(prompts))))
    passed = [spec.met(read(p)) for spec, p in zip(specs, pictures, strict=True)]
    assert sum(passed) >= 13


@pytest.mark.slow
def test_base_breaks_the_protocol_and_sft_does_not(tool, tmp_path):
    requests = sample_requests(90, seed=5, split="held-out")
    store = PictureStore(tmp_path)
    results = {
        name: evaluate(load_policy(name), tool, requests, seed=0, max_rounds=3, store=store)
        for name in ("base", "sft")
    }
    base, sft = (turn_errors(results[name]) for name in ("base", "sft"))
    assert 0.04 < sum(base) / len(base) < 0.25
    assert sum(sft) / len(sft) < 0.03
    figures = summarize(results["sft"])
    assert figures["success"] > figures["first_success"]
    assert figures["judgement_agreement"] > 0.8
    assert paired_p_value(results["base"], results["sft"]) < 0.001


def test_a_folder_or_name_that_is_no_policy_is_named(tmp_path):
    with pytest.raises(ValueError, match="no policy 'nonsense'"):
        load_policy("nonsense")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match="llama"):
        load_policy(str(tmp_path))
    with pytest.raises(ValueError, match="no tool 'dall-e'"):
        load_tool("dall-e")


def test_sft_weights_are_finite_and_of_one_dtype():
    model = load_policy("sft").model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())
