"""From a profile's name to tools on devices.

Profiles come from ``PROFILES`` and from other packages, through entry points:

    [project.entry-points."genagent_tools.profiles"]
    flux-mini = "genagent_miniworld:load_tool"

The entry point's name is the profile's; the object it points to is called with that name and
returns a ``DiffusersTool`` of its own, in memory of the CPU.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genagent_tools.devices import device_problem
from genagent_tools.profiles import PROFILES
from genagent_tools.tool_profile import TRAITS, Lora, ToolProfile

if TYPE_CHECKING:
    from genagent_tools.diffusers_tool import DiffusersTool

ENTRY_POINTS = "genagent_tools.profiles"


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """What is to differ from a profile; None leaves it."""

    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    steps: int | None = None
    guidance: float | None = None
    text_tokens: int | None = None
    """Tokens of a prompt that the model reads; its words are as many fewer or more."""
    dtype: Literal["bfloat16", "float32"] | None = None
    lora: Path | None = None
    """Local file or folder of the profile's LoRA, at the profile's scale; 1 where it has none."""
    max_batch: int | None = None
    """Pictures drawn at once."""

    def apply(self, profile: ToolProfile) -> ToolProfile:
        """The profile as overridden. Raises ValueError where that makes no profile."""
        given = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) is not None
        }
        if "guidance" in given:
            given[profile.traits.guidance] = given.pop("guidance")
        if self.lora is not None:
            given["lora"] = (profile.lora or Lora(repository=str(self.lora))).at(self.lora)
        if self.text_tokens is not None:
            given["words"] = max(1, profile.words * self.text_tokens // profile.text_tokens)
        return replace(profile, **given)


def known_profiles() -> list[str]:
    """Names of all profiles, those of other packages included."""
    return [*PROFILES, *_offered()]


def folder_profile(folder: Path, overrides: Overrides) -> ToolProfile:
    """A profile for a pipeline folder that none is known for.

    Raises:
        ValueError: no pipeline of a known class, or not enough is said about it.
    """
    index = folder / "model_index.json"
    try:
        pipeline = json.loads(index.read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{index} does not say which pipeline it is ({error})") from error
    if pipeline not in TRAITS:
        raise ValueError(f"{folder} holds a {pipeline}; known: {', '.join(TRAITS)}")
    traits = TRAITS[pipeline]
    needed = ("width", "height", "steps", "guidance")
    missing = [name for name in needed if getattr(overrides, name) is None]
    if missing:
        raise ValueError(
            f"{folder} does not say how it is to be called; give --{' --'.join(missing)}, or a "
            "--profile"
        )
    assert overrides.steps and overrides.width and overrides.height
    tokens = overrides.text_tokens or traits.text_tokens
    guidance: dict[str, Any] = {traits.guidance: overrides.guidance}
    if traits.guidance == "true_cfg_scale":
        guidance["negative_prompt"] = " "
    options = {"use_resolution_binning": False} if pipeline == "SanaPipeline" else {}
    return ToolProfile(
        name=folder.resolve().name,
        pipeline=pipeline,
        repository=str(folder),
        steps=overrides.steps,
        width=overrides.width,
        height=overrides.height,
        text_tokens=tokens,
        words=max(1, tokens * 3 // 4),
        dtype=overrides.dtype or "bfloat16",
        lora=overrides.lora and Lora(repository=str(overrides.lora)).at(overrides.lora),
        max_batch=overrides.max_batch or 4,
        options=options,
        **guidance,
    )


def load_tools(
    name: str | None, folder: Path | None, overrides: Overrides, devices: Sequence[str]
) -> "list[DiffusersTool]":
    """One tool for each device, all of one profile.

    Args:
        name: of a profile; None for a folder that comes without one.
        folder: weights to load instead of the profile's own.
        devices: none stands for the first GPU, or the CPU where there is none.

    Raises:
        ValueError: an unknown profile or device, or weights that cannot be read.
    """
    if name is None and folder is None:
        raise ValueError(f"give a --profile, one of {', '.join(known_profiles())}, or a --model")
    if name is not None and name not in known_profiles():
        raise ValueError(f"no profile {name!r}; known: {', '.join(known_profiles())}")
    offered = _offered()
    if name in offered and folder is not None:
        raise ValueError(f"{name} brings its own weights; leave --model out, or --profile")
    if name in offered and overrides.lora is not None:
        raise ValueError(f"{name} brings its own weights; leave --lora out")
    # Before torch is loaded, which takes seconds.
    profile = None
    if name in PROFILES:
        profile = overrides.apply(PROFILES[name])
    elif folder is not None:
        profile = folder_profile(folder, overrides)

    from genagent_tools.diffusers_tool import DiffusersTool

    devices = _choose_devices(devices)
    if profile is not None:
        return [DiffusersTool.from_profile(profile, path=folder, device=each) for each in devices]
    assert name is not None
    tools = [_load_offered(offered[name], each) for each in devices]
    return [DiffusersTool(tool.pipeline, overrides.apply(tool.profile)) for tool in tools]


def _choose_devices(given: Sequence[str]) -> list[str]:
    if not given:
        import torch

        return ["cuda:0" if torch.cuda.is_available() else "cpu"]
    for name in given:
        problem = device_problem(name)
        if problem is not None:
            raise ValueError(f"no device {problem}")
    return list(given)


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load_offered(entry: EntryPoint, device: str) -> "DiffusersTool":
    from genagent_tools.diffusers_tool import DiffusersTool

    tool = entry.load()(entry.name)
    if not isinstance(tool, DiffusersTool):
        raise ValueError(f"profile {entry.name}: {entry.value} gave no DiffusersTool")
    tool.pipeline.to(device)
    return tool
