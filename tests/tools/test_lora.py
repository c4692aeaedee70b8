"""Adapters from files, folders and a hub that is not there: a picture as with them, or one line."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers.loaders.lora_base
import huggingface_hub.constants
import pytest
import torch
from diffusers import FluxPipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tests.tools.tiny_tools import build, differs, load, red, tiny

import genagent_tools.loading
from genagent_tools import PROFILES, DiffusersTool, Lora
from genagent_tools.loading import Overrides, load_tools

TURBO = "alimama-creative/FLUX.1-Turbo-Alpha"
PUBLISHED = "diffusion_pytorch_model.safetensors"
"""What Turbo-Alpha's file is called on its hub."""
LORA_REMEDY = "download it, or give a local file or folder (genagent-tools serve --lora)"
SMALL = Overrides(width=32, height=32, steps=2, text_tokens=8, dtype="float32")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """As HF_HUB_OFFLINE=1 and an empty HF_HOME have it, for what has long been imported."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(diffusers.loaders.lora_base, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    build("flux-8step").pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, torch.Tensor]:
    """Of an adapter that changes pictures."""
    folder = tmp_path_factory.mktemp("lora")
    transformer = build("flux-8step").pipeline.transformer
    torch.manual_seed(1)
    transformer.add_adapter(
        LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
    )
    FluxPipeline.save_lora_weights(folder, {**get_peft_model_state_dict(transformer)})
    loaded = load_file(folder / "pytorch_lora_weights.safetensors")
    return {name: 8 * weight for name, weight in loaded.items()}


@pytest.fixture
def folder(weights, tmp_path) -> Path:
    """The adapter as its hub has it."""
    return saved(weights, tmp_path / "turbo")


def saved(weights: dict[str, torch.Tensor], folder: Path, name: str = PUBLISHED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / name)
    return folder


def turbo(base: Path, lora: Path, **changes: Any) -> DiffusersTool:
    """flux-8step from local folders, as the command line loads it."""
    [tool] = load_tools(
        "flux-8step", base, dataclasses.replace(SMALL, lora=lora, **changes), ["cpu"]
    )
    return tool


def line(attempt: Callable[[], object]) -> str:
    """What it says instead."""
    with pytest.raises(ValueError) as raised:
        attempt()
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def test_every_shipped_lora_names_its_file_for_offline_nobody_can_be_asked():
    named = {name: each.lora.weight_name for name, each in PROFILES.items() if each.lora}
    assert named == {
        "flux-8step": PUBLISHED,
        "flux-hyper-8step": "Hyper-FLUX.1-dev-8steps-lora.safetensors",
        "qwen-image-lightning": "Qwen-Image-Lightning-8steps-V2.0.safetensors",
    }


def test_a_local_lora_changes_pictures_from_its_folder_and_from_its_file(base, folder):
    plain = red(load(tiny("flux-8step"), base))
    of_folder, of_file = red(turbo(base, folder)), red(turbo(base, folder / PUBLISHED))
    assert differs(plain, of_folder) > 8
    assert differs(of_folder, of_file) == 0


def test_the_profiles_scale_stays_and_a_folder_without_a_profile_has_1(base, folder):
    by_profile = turbo(base, folder)
    assert by_profile.profile.lora == Lora(repository=str(folder), weight_name=PUBLISHED)
    [by_folder] = load_tools(
        None, base, dataclasses.replace(SMALL, guidance=3.5, lora=folder), ["cpu"]
    )
    assert differs(red(by_profile), red(by_folder)) == 0
    hyper = Overrides(lora=folder / PUBLISHED).apply(PROFILES["flux-hyper-8step"])
    assert hyper.lora == Lora(repository=str(folder), weight_name=PUBLISHED, scale=0.125)
    added = Overrides(lora=folder).apply(PROFILES["flux-schnell"])
    assert added.lora == Lora(repository=str(folder), weight_name=PUBLISHED)


def test_of_several_files_the_published_one_is_meant_and_else_the_only_one(weights, tmp_path):
    lora = Lora(repository=TURBO, weight_name=PUBLISHED, scale=0.5)
    several, other = saved(weights, tmp_path / "several"), tmp_path / "other"
    saved(weights, several, "a.safetensors")
    saved(weights, other, "mine.safetensors")
    found = {each.name: lora.at(each) for each in (several, other, other / "mine.safetensors")}
    assert {name: (each.weight_name, each.scale) for name, each in found.items()} == {
        "several": (PUBLISHED, 0.5),
        "other": ("mine.safetensors", 0.5),
        "mine.safetensors": ("mine.safetensors", 0.5),
    }


def test_a_local_lora_that_is_not_there_is_named_before_anything_is_loaded(weights, tmp_path):
    missing, empty, several = (tmp_path / name for name in ("missing", "empty", "several"))
    empty.mkdir()
    for name in ("b.safetensors", "a.safetensors"):
        saved(weights, several, name)
    nowhere = tmp_path / "no pipeline"
    wanted = f"; give the LoRA's file itself, {PUBLISHED} as published"
    assert line(lambda: turbo(nowhere, missing)) == f"{missing}: no such file or folder{wanted}"
    assert line(lambda: turbo(nowhere, empty)) == (
        f"{empty}: the folder holds no .safetensors file{wanted}"
    )
    assert line(lambda: turbo(nowhere, several)) == (
        f"{several}: the folder holds a.safetensors, b.safetensors{wanted}"
    )


def without_prefix(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("transformer."): each for name, each in weights.items()}


def larger(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: each.repeat(3, 3) for name, each in weights.items()}


def of_other_layers(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("blocks.0", "blocks.7"): each for name, each in weights.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # diffusers passes over these with a warning, and the pictures would be as without it.
        (without_prefix, "none of its weights is of a FluxPipeline"),
        (larger, "size mismatch"),
        (of_other_layers, "not found in the base model"),
        (lambda weights: {"a": torch.zeros(1)}, "Invalid LoRA checkpoint"),
    ],
)
def test_a_lora_of_another_model_is_one_line(base, weights, tmp_path, change, said):
    folder = saved(change(weights), tmp_path / "odd")
    found = line(lambda: turbo(base, folder))
    assert found.startswith(f"{folder / PUBLISHED}: the LoRA cannot be read (")
    assert said in found and found.endswith(f"; {LORA_REMEDY}")


@pytest.mark.parametrize("kept", [0, 100, 400])
def test_a_lora_cut_off_is_one_line(base, folder, kept):
    file = folder / PUBLISHED
    file.write_bytes(file.read_bytes()[:kept])
    found = line(lambda: turbo(base, file))
    # And not what a second try as a pickle would say.
    assert found.startswith(f"{file}: the LoRA cannot be read (Error while deserializing header: ")
    assert found.endswith(f"; {LORA_REMEDY}")


def test_a_profile_whose_lora_nothing_finds_is_one_line(base, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    lora = Lora(repository=str(tmp_path))  # diffusers: IndexError
    found = line(lambda: load(dataclasses.replace(tiny("flux-8step"), lora=lora), base))
    assert found.startswith(f"{tmp_path}: the LoRA cannot be read (")


def test_offline_a_lora_of_the_hub_is_one_line_that_says_how_to_give_it(base, monkeypatch):
    lora = PROFILES["flux-8step"].lora
    profile = dataclasses.replace(tiny("flux-8step"), lora=lora)
    # It is known before the pipeline is loaded.
    monkeypatch.setattr(FluxPipeline, "from_pretrained", None)
    found = line(lambda: load(profile, base))
    assert found.startswith(f"{TURBO}/{PUBLISHED}: the LoRA cannot be read (")
    assert "connection" in found and found.endswith(f"; {LORA_REMEDY}")


def test_offline_a_lora_that_was_fetched_before_is_found(base, folder, weights, tmp_path):
    cached = tmp_path / "hub" / f"models--{TURBO.replace('/', '--')}"
    commit = "0" * 40
    saved(weights, cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    profile = dataclasses.replace(tiny("flux-8step"), lora=PROFILES["flux-8step"].lora)
    assert differs(red(load(profile, base)), red(turbo(base, folder))) == 0


def test_a_profile_that_brings_its_own_weights_takes_no_lora(folder, monkeypatch):
    monkeypatch.setattr(genagent_tools.loading, "_offered", lambda: {"other-mini": None})
    assert line(lambda: load_tools("other-mini", None, Overrides(lora=folder), ["cpu"])) == (
        "other-mini brings its own weights; leave --lora out"
    )
