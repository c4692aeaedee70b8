"""Tools from a folder: the pipeline as it was saved, with its profile's scheduler and LoRA."""

import dataclasses

import huggingface_hub.constants
import pytest
import torch
from diffusers import FluxPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from tests.tools.tiny_tools import build, differs, load, red, tiny

from genagent_tools import PROFILES, DiffusersTool, Lora


def test_a_profile_brings_its_scheduler(tmp_path):
    build("qwen-image").pipeline.save_pretrained(tmp_path)
    lightning = dataclasses.replace(
        tiny("qwen-image"), scheduler=PROFILES["qwen-image-lightning"].scheduler
    )
    tool = load(lightning, tmp_path)
    scheduler = tool.pipeline.scheduler
    assert scheduler.config.shift_terminal is None
    assert scheduler.config.use_dynamic_shifting is True
    red(tool)
    # Shift 3 of one half: 3 * .5 / (1 + 2 * .5).
    assert scheduler.sigmas.tolist() == pytest.approx([1.0, 0.75, 0.0])


@pytest.mark.parametrize("fused", [True, False])
def test_a_profile_brings_its_lora_at_its_scale(tmp_path, fused):
    base = build("flux-8step")
    plain = red(base)
    base.pipeline.save_pretrained(tmp_path / "base")
    transformer = base.pipeline.transformer
    torch.manual_seed(1)
    transformer.add_adapter(
        LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    )
    FluxPipeline.save_lora_weights(tmp_path / "lora", {**get_peft_model_state_dict(transformer)})

    def picture(scale: float):
        lora = Lora(repository=str(tmp_path / "lora"), scale=scale, fused=fused)
        return red(load(dataclasses.replace(base.profile, lora=lora), tmp_path / "base"))

    assert differs(plain, picture(0.0)) <= 1
    assert differs(plain, picture(4.0)) > 1


def test_a_saved_pipeline_draws_the_same(tmp_path):
    tool = build("flux-8step")
    tool.pipeline.save_pretrained(tmp_path)
    assert differs(red(tool, 3), red(load(tool.profile, tmp_path), 3)) <= 1


@pytest.mark.parametrize("folder", [".", "absent"])
def test_a_folder_that_is_no_pipeline_is_named(tmp_path, folder):
    path = tmp_path / folder
    with pytest.raises(ValueError, match=f"{path}: the image pipeline cannot be read"):
        load(tiny("flux-8step"), path)


def test_a_part_cut_off_is_one_line(tmp_path):
    build("flux-8step").pipeline.save_pretrained(tmp_path)
    part = tmp_path / "text_encoder_2" / "model.safetensors"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ValueError) as raised:
        load(tiny("flux-8step"), tmp_path)
    assert str(raised.value) == (
        f"{part}: cut off or no safetensors at all; give the folder of a FluxPipeline"
    )


def test_a_repository_that_nobody_can_fetch_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError) as raised:
        DiffusersTool.from_profile(tiny("flux-8step"), device="cpu")
    [line] = str(raised.value).splitlines()
    assert line.startswith("black-forest-labs/FLUX.1-dev: the image pipeline cannot be read (")
    assert line.endswith("; download it, or give a local folder (genagent-tools serve --model)")


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_every_part_of_a_pipeline_has_the_profiles_dtype(tmp_path, stored, wanted):
    tool = build("flux-8step")
    tool.pipeline.to(stored).save_pretrained(tmp_path)
    loaded = load(dataclasses.replace(tool.profile, dtype=wanted), tmp_path).pipeline
    parts = (loaded.transformer, loaded.vae, loaded.text_encoder, loaded.text_encoder_2)
    assert {str(part.dtype) for part in parts} == {f"torch.{wanted}"}
