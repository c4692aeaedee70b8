"""The models that ship with the package, by name."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from genagent_miniworld.scene import SIDE
from genagent_rewards import LocalChat
from genagent_tools import ToolProfile

if TYPE_CHECKING:
    from genagent_tools import DiffusersTool

POLICIES = ("base", "sft")
"""Policies that ship; ``weights`` has their folders."""
REPLY_TOKENS = 320
"""Room for a reply of judge-mini: two pictures of nine items take 170."""
TOOLS = {
    profile.name: profile
    for profile in (
        ToolProfile(
            name="flux-mini",
            pipeline="FluxPipeline",
            repository="flux-mini",
            steps=4,
            guidance_scale=0.0,
            steerable=False,
            width=SIDE,
            height=SIDE,
            text_tokens=24,
            words=23,
            dtype="float32",
            max_batch=128,
        ),
        ToolProfile(
            name="sana-mini",
            pipeline="SanaPipeline",
            repository="sana-mini",
            steps=4,
            guidance_scale=1.0,
            width=SIDE,
            height=SIDE,
            supersampling=2,
            text_tokens=25,
            words=24,
            dtype="float32",
            # Its encoder has never read the instruction that Sana puts before a prompt.
            options={"use_resolution_binning": False, "complex_human_instruction": None},
            max_batch=128,
            note="Sana draws multiples of 32, so 96 for 48: 3x3 latents at its factor of 32.",
        ),
        ToolProfile(
            name="qwen-image-mini",
            pipeline="QwenImagePipeline",
            repository="qwen-image-mini",
            steps=8,
            true_cfg_scale=3.0,
            negative_prompt=" ",
            width=SIDE,
            height=SIDE,
            text_tokens=40,
            words=30,
            dtype="float32",
            max_batch=128,
            note="Guidance is worth 20 points of explicit prompts obeyed, and doubles the passes.",
        ),
    )
}
"""Profiles of the miniature's tools, by name."""


def quietly() -> None:
    """No bar for each of a pipeline's parts, which load in milliseconds, and no page of padding
    tokens for each prompt that is longer than the tool reads."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def weights(name: str) -> Path:
    """Folder of a shipped model; it exists once the miniature is built."""
    return Path(str(files("genagent_miniworld"))) / "weights" / name


def load_judge(folder: Path | None = None) -> LocalChat:
    """The miniature's MLLM judge as a chat model, the one that ships unless another is given."""
    quietly()
    return LocalChat.load(folder or weights("judge-mini"), max_tokens=REPLY_TOKENS, batch_size=64)


def load_tool(name: str) -> "DiffusersTool":
    """``"flux-mini"``, ``"sana-mini"`` or ``"qwen-image-mini"``.

    Raises:
        ValueError: another name.
    """
    if name not in TOOLS:
        raise ValueError(f"no tool {name!r}; known: {', '.join(TOOLS)}")
    from genagent_tools import DiffusersTool

    quietly()
    return DiffusersTool.from_profile(TOOLS[name], path=weights(name), device="cpu")
