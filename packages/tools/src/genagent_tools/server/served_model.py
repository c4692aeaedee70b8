"""What a server says of its model, and what it lets a request ask of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from genagent_tools.tool import MAX_PROMPT, DrawSettings
from genagent_tools.tool_profile import ToolProfile

EXTENSIONS = (
    "size",
    "num_inference_steps",
    "guidance_scale",
    "true_cfg_scale",
    "negative_prompt",
    "rounds",
)
"""Fields of a request that change how pictures are drawn or what is said of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """A model by name, its defaults, its limits."""

    name: str
    """What clients call it."""
    width: int | None
    """Of a picture when the request does not say, pixels; None where that is not known, as of an
    agent whose tool does not say."""
    height: int | None
    steps: int | None = None
    """Denoising steps when the request does not say; None where the model has none to tell."""
    guidance: float | None = None
    extensions: frozenset[str] = frozenset()
    """Those of EXTENSIONS that requests may use. Guidance goes by one name at most."""
    size_multiple: int = 16
    """Width and height are multiples of it, pixels."""
    max_pixels: int = 4 * 1024 * 1024
    """Of all pictures of a request together, and ten pictures of the default size at least."""
    max_steps: int = 100
    max_prompt: int = MAX_PROMPT
    """Characters of a prompt."""
    words: int | None = None
    """Words of a prompt that the model reads; None where that is not known."""
    drawn_with: str | None = None
    """Tells apart what goes by one name: weights, LoRA and settings, as ``ToolProfile.digest``."""
    check: Callable[[DrawSettings], object] | None = None
    """Raises ValueError for settings that the model would not follow."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("the served model has no name; give it one")
        for name in ("width", "height", "size_multiple", "max_pixels", "max_steps", "max_prompt"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height go together; give both or none")
        if self.width is None and "size" in self.extensions:
            raise ValueError("size is given as an extension; give the default width and height too")
        if self.words is not None and self.words < 1:
            raise ValueError(f"words is {self.words}; wants 1 or more, or None")
        unknown = self.extensions.difference(EXTENSIONS)
        if unknown:
            raise ValueError(f"unknown extensions {sorted(unknown)}; known: {EXTENSIONS}")
        if {"guidance_scale", "true_cfg_scale"} <= self.extensions:
            raise ValueError(
                "both guidance_scale and true_cfg_scale are given as extensions; keep the one that "
                "the model means by guidance"
            )
        if self.steps is not None and not 1 <= self.steps <= self.max_steps:
            raise ValueError(f"steps is {self.steps}; wants 1 to max_steps, {self.max_steps}")

    @classmethod
    def from_profile(cls, profile: ToolProfile) -> "ServedModel":
        """What a tool of this profile can be asked for."""
        traits = profile.traits
        extensions = {"size", "num_inference_steps"}
        if profile.steerable:
            extensions.add(traits.guidance)
        if traits.guided_above is not None:
            extensions.add("negative_prompt")
        return cls(
            name=profile.name,
            width=profile.width,
            height=profile.height,
            steps=profile.steps,
            guidance=profile.guidance,
            extensions=frozenset(extensions),
            size_multiple=traits.multiple // math.gcd(traits.multiple, profile.supersampling),
            max_steps=max(100, profile.steps),
            words=profile.words,
            drawn_with=profile.digest(),
            check=lambda settings: (profile.call(settings), profile.negative(settings)),
        )

    @property
    def size(self) -> str | None:
        """Of a picture when the request does not say. Example: ``"1024x1024"``"""
        return None if self.width is None else f"{self.width}x{self.height}"

    @property
    def pixel_limit(self) -> int:
        """Pixels that one request may ask for."""
        return max(self.max_pixels, 10 * (self.width or 0) * (self.height or 0))
