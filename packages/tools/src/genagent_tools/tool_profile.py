"""How an image generator wants to be called, as data, with the traps of its pipeline as checks.

What a pipeline does with its arguments was read in diffusers 0.42.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from genagent_tools.tool import DrawSettings
from genagent_weights import fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineTraits:
    """What of a diffusers pipeline class its signature does not say."""

    multiple: int
    """Sides are multiples of this; others are refused by Sana and Z-Image, and by the rest rounded
    without an error."""
    text_tokens: int
    """Most tokens of a prompt it accepts."""
    guidance: Literal["guidance_scale", "true_cfg_scale"] = "guidance_scale"
    """The argument that steers how literally a prompt is taken."""
    guided_above: float | None = None
    """Guidance above this is classifier-free and costs a second pass; None: it is distilled."""


TRAITS = {
    "FluxPipeline": PipelineTraits(multiple=16, text_tokens=512),
    # Classifier-free only where the checkpoint is no distilled one; there is no negative prompt.
    "Flux2KleinPipeline": PipelineTraits(multiple=16, text_tokens=512),
    "QwenImagePipeline": PipelineTraits(
        multiple=16, text_tokens=1024, guidance="true_cfg_scale", guided_above=1.0
    ),
    "SanaPipeline": PipelineTraits(multiple=32, text_tokens=300, guided_above=1.0),
    # Unlike the others Z-Image doubles its work from 0 on, not from 1.
    "ZImagePipeline": PipelineTraits(multiple=16, text_tokens=512, guided_above=0.0),
}


_DRAWN_BY = (
    *("pipeline", "steps", "guidance_scale", "true_cfg_scale", "negative_prompt"),
    *("width", "height", "supersampling", "text_tokens", "dtype"),
)
"""What pictures depend on, besides weights. A field added later joins this list only if pictures of
old profiles change: otherwise every kept picture would count as another model's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """A low-rank adapter on top of the repository."""

    repository: str
    """On the hub, or a local folder."""
    weight_name: str | None = None
    """Its file there; without it the hub is asked which, and there is none offline."""
    scale: float = 1.0
    fused: bool = True
    """Merged into the weights, which is faster; otherwise it stays switchable."""

    @property
    def source(self) -> str:
        """Where it is."""
        return "/".join(part for part in (self.repository, self.weight_name) if part)

    def at(self, path: Path) -> "Lora":
        """The same from a local file, or from a folder that holds the file or no other one.

        Raises:
            ValueError: there is no such file.
        """
        if path.is_file():
            return replace(self, repository=str(path.parent), weight_name=path.name)
        if self.weight_name and (path / self.weight_name).is_file():
            return replace(self, repository=str(path))
        names = sorted(found.name for found in path.glob("*.safetensors"))
        if len(names) != 1:
            holds = ", ".join(names) or "no .safetensors file"
            said = f"the folder holds {holds}" if path.is_dir() else "no such file or folder"
            wanted = f", {self.weight_name} as published" if self.weight_name else ""
            raise ValueError(f"{path}: {said}; give the LoRA's file itself{wanted}")
        return replace(self, repository=str(path), weight_name=names[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolProfile:
    """One image generator.

    Example: ``PROFILES["qwen-image"].call(DrawSettings(steps=20))`` are the arguments of its
    pipeline's call, all but prompts and generators.
    """

    name: str
    pipeline: str
    """Class in diffusers."""
    repository: str
    steps: int
    guidance_scale: float | None = None
    """Distilled guidance of FLUX; classifier-free guidance of Sana and Z-Image."""
    true_cfg_scale: float | None = None
    """Classifier-free guidance where ``guidance_scale`` means something else; 1 is off."""
    steerable: bool = True
    """False: guidance was distilled away, and a request for another is an error."""
    negative_prompt: str | None = None
    width: int = 1024
    height: int = 1024
    sizes: tuple[tuple[int, int], ...] = ()
    """Widths and heights it was trained for, beside its own; empty: near its own area."""
    supersampling: int = 1
    """The pipeline draws this many times larger, and the picture is averaged down."""
    text_tokens: int = 512
    """Tokens of a prompt that it reads; the rest is cut off without a word."""
    words: int
    """How long a prompt the agent should write at most, about three words to four tokens."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    lora: Lora | None = None
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    """Replaces entries of the scheduler's configuration."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the call."""
    max_batch: int = 4
    """Pictures drawn at once."""
    note: str = ""
    """Licence, and what is easily got wrong."""

    def __post_init__(self) -> None:
        if self.pipeline not in TRAITS:
            raise ValueError(f"pipeline is {self.pipeline!r}; known: {', '.join(TRAITS)}")
        for name in ("steps", "supersampling", "text_tokens", "words", "max_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if self.text_tokens > self.traits.text_tokens:
            most = self.traits.text_tokens
            raise ValueError(f"text_tokens is {self.text_tokens}; {self.pipeline} reads {most}")
        for width, height in ((self.width, self.height), *self.sizes):
            self._check_size(width, height)
        self._check_guidance()
        if self.pipeline == "SanaPipeline" and "use_resolution_binning" not in self.options:
            raise ValueError(
                "SanaPipeline draws the nearest of its own sizes and crops unless told otherwise; "
                "say use_resolution_binning in options"
            )

    def digest(self) -> str:
        """Eight hex digits over what its pictures depend on: settings, and weights by what the
        files hold, or by the repository's name. Raises OSError for files that cannot be read."""
        told = {name: getattr(self, name) for name in _DRAWN_BY}
        told |= {"scheduler": dict(self.scheduler), "options": dict(self.options)}
        told["weights"] = _which(self.repository)
        if self.lora is not None:
            told["lora"] = [_which(self.lora.source), self.lora.scale]
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def traits(self) -> PipelineTraits:
        return TRAITS[self.pipeline]

    @property
    def guidance(self) -> float:
        """Value of the argument that steers this pipeline."""
        return getattr(self, self.traits.guidance)

    def call(self, settings: DrawSettings | None = None) -> dict[str, Any]:
        """Arguments of the pipeline's call, all but prompts, negative prompts and generators.

        Raises:
            ValueError: settings that the pipeline would ignore, or round.
        """
        settings = settings or DrawSettings()
        width, height = settings.width or self.width, settings.height or self.height
        self._check_size(width, height)
        guidance = self.guidance if settings.guidance is None else settings.guidance
        if guidance != self.guidance and not self.steerable:
            raise ValueError(f"guidance is {guidance}; {self.name} was distilled without any")
        arguments = {
            **self.options,
            "width": width * self.supersampling,
            "height": height * self.supersampling,
            "num_inference_steps": settings.steps or self.steps,
            "max_sequence_length": self.text_tokens,
        }
        for name in ("guidance_scale", "true_cfg_scale"):
            if getattr(self, name) is not None:
                arguments[name] = getattr(self, name)
        return arguments | {self.traits.guidance: guidance}

    def negative(self, settings: DrawSettings | None = None) -> str | None:
        """The negative prompt of a call, None where the pipeline takes one pass.

        Raises:
            ValueError: a negative prompt that nothing would come of, or guidance without one.
        """
        settings = settings or DrawSettings()
        wanted = settings.negative_prompt
        guidance = self.guidance if settings.guidance is None else settings.guidance
        above = self.traits.guided_above
        if above is None or guidance <= above:
            if wanted is not None:
                raise ValueError(
                    f"negative_prompt is {wanted!r}; {self.name} heeds none at guidance {guidance}"
                )
            return None
        # " " and not "": with an empty text QwenImage has no token to attend to but its template's.
        return wanted if wanted is not None else self.negative_prompt or " "

    def _check_size(self, width: int, height: int) -> None:
        for name, side in (("width", width), ("height", height)):
            drawn = side * self.supersampling
            if side < 1 or drawn % self.traits.multiple:
                raise ValueError(
                    f"{name} is {side}; {self.name} draws multiples of "
                    f"{self.traits.multiple // math.gcd(self.traits.multiple, self.supersampling)}"
                )

    def _check_guidance(self) -> None:
        if getattr(self, self.traits.guidance) is None:
            raise ValueError(
                f"{self.name}: {self.traits.guidance} is not given, and the default of "
                f"{self.pipeline} is seldom the model's"
            )
        for name in ("guidance_scale", "true_cfg_scale"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}; wants a number of 0 or more")
        scale = self.true_cfg_scale
        if scale is not None and scale > 1 and self.negative_prompt is None:
            raise ValueError(
                f"true_cfg_scale is {scale} without negative_prompt; {self.pipeline} would leave "
                'classifier-free guidance off and only log it; give negative_prompt=" "'
            )
        if self.pipeline == "QwenImagePipeline" and self.guidance_scale is not None:
            raise ValueError(
                f"guidance_scale is {self.guidance_scale}; QwenImagePipeline ignores it, "
                "its guidance is true_cfg_scale"
            )


def _which(weights: str) -> str:
    """The same weights are the same in another folder too."""
    here = Path(weights)
    return fingerprint(here) if here.exists() else weights
