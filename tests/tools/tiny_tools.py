"""The tiny pipelines as tools of shipped profiles, and how to look at what they draw."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageChops
from tests.tools.tiny_pipelines import flux, klein, qwen_image, sana, z_image

from genagent_tools import PROFILES, DiffusersTool, DrawSettings, ToolProfile

FAMILIES = {
    "flux-8step": flux,
    "flux2-klein": klein,
    "qwen-image": qwen_image,
    "sana-1.5-1.6b": sana,
    "z-image-turbo": z_image,
}
TINY_OPTIONS = {
    "flux2-klein": {"text_encoder_out_layers": (1, 2, 3)},
    "sana-1.5-1.6b": {"use_resolution_binning": False, "complex_human_instruction": None},
}


def tiny(name: str) -> ToolProfile:
    """A shipped profile, its text and size cut down to the tiny pipeline's."""
    return dataclasses.replace(
        PROFILES[name],
        width=32,
        height=32,
        sizes=(),
        text_tokens=8,
        steps=2,
        lora=None,
        dtype="float32",
        options=TINY_OPTIONS.get(name, {}),
        max_batch=2,
    )


def build(name: str, seed: int = 0) -> DiffusersTool:
    """The tool of a profile with random weights."""
    torch.manual_seed(seed)
    return DiffusersTool(FAMILIES[name](), tiny(name))


def changed(tool: DiffusersTool, **changes: Any) -> DiffusersTool:
    """The same pipeline under a profile that differs in this."""
    return DiffusersTool(tool.pipeline, dataclasses.replace(tool.profile, **changes))


def load(profile: ToolProfile, folder: Path) -> DiffusersTool:
    return DiffusersTool.from_profile(profile, path=folder, device="cpu")


def red(tool: DiffusersTool, seed: int = 1, **settings: Any) -> Image.Image:
    """One picture of "red"."""
    [picture] = tool.draw(["red"], [seed], DrawSettings(**settings))
    return picture


def rows_of_passes(tool: DiffusersTool) -> list[int]:
    """Rows of each pass through the transformer, a list that grows as the tool draws."""
    rows: list[int] = []

    def note(_module, arguments, keywords):
        hidden = keywords.get("hidden_states", arguments[0] if arguments else None)
        rows.append(len(hidden))

    tool.pipeline.transformer.register_forward_pre_hook(note, with_kwargs=True)
    return rows


def differs(one, other) -> int:
    """Largest difference of two pictures, of 255."""
    return max(ImageChops.difference(one, other).tobytes())
