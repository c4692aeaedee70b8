"""The models that ship with the package, by name."""

from importlib.resources import files
from pathlib import Path

from genagent_miniworld.scene import SIDE
from genagent_policy import Policy
from genagent_tools import DiffusersConfig, DiffusersTool

POLICIES = ("base", "sft")
TOOLS = {
    "flux-mini": DiffusersConfig(steps=4, guidance=0.0, side=SIDE, text_tokens=24, max_batch=128)
}


def _quietly() -> None:
    """No bar for each of a pipeline's parts, which load in milliseconds, and no page of padding
    tokens for each prompt that is longer than the tool reads."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def weights(name: str) -> Path:
    """Folder of a shipped model; it exists once the miniature is built."""
    return Path(str(files("genagent_miniworld"))) / "weights" / name


def load_policy(name: str) -> Policy:
    """``"base"``, ``"sft"``, or a checkpoint folder.

    Raises:
        ValueError: neither a shipped policy nor a readable checkpoint of one.
    """
    _quietly()
    if name in POLICIES:
        return Policy.load(weights(name))
    if not Path(name).is_dir():
        raise ValueError(f"no policy {name!r}; give {' or '.join(POLICIES)} or a checkpoint folder")
    return Policy.load(Path(name))


def load_tool(name: str) -> DiffusersTool:
    """``"flux-mini"``. Raises ValueError for another name."""
    if name not in TOOLS:
        raise ValueError(f"no tool {name!r}; known: {', '.join(TOOLS)}")
    _quietly()
    return DiffusersTool.load(weights(name), TOOLS[name])
