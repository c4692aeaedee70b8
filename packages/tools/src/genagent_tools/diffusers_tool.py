"""A diffusers text-to-image pipeline as a tool, in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from PIL import Image

from genagent_tools.tool import ToolError

if TYPE_CHECKING:
    from diffusers import FluxPipeline
    from diffusers.pipelines.flux.pipeline_output import FluxPipelineOutput


@dataclass(frozen=True, kw_only=True, slots=True)
class DiffusersConfig:
    """How a pipeline is called."""

    steps: int = 8
    """Denoising steps."""
    guidance: float = 3.5
    """Distilled guidance of FLUX.1-dev; a model without guidance embeddings ignores it."""
    side: int = 1024
    """Width and height, pixels."""
    text_tokens: int = 512
    """Tokens of a prompt that the model reads; the rest is cut off."""
    max_batch: int = 64
    """Pictures drawn at once."""

    def __post_init__(self) -> None:
        for name in ("steps", "side", "text_tokens", "max_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wants 1 or more")
        if self.guidance < 0:
            raise ValueError(f"guidance is {self.guidance}; wants 0 or more")


class DiffusersTool:
    """A ``FluxPipeline``, drawn from with one seed a picture."""

    def __init__(self, pipeline: "FluxPipeline", config: DiffusersConfig) -> None:
        self.pipeline = pipeline
        self.config = config
        pipeline.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls, path: Path | str, config: DiffusersConfig, *, device: str = "cpu"
    ) -> "DiffusersTool":
        """Load a pipeline folder. Raises ValueError where it cannot be read."""
        from diffusers import FluxPipeline

        try:
            # Without accelerate, which diffusers would advise at length, there is no other way.
            pipeline = FluxPipeline.from_pretrained(
                path, local_files_only=True, low_cpu_mem_usage=False
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{path}: the image pipeline cannot be read ({reason})") from error
        return cls(pipeline.to(device), config)

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture a prompt; noise comes from its own seed, on the CPU, so that neither the
        batch nor the device changes it.

        Raises:
            ValueError: prompts and seeds differ in number.
            ToolError: the pipeline fails, by want of memory for instance.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds; give one a prompt")
        pictures: list[Image.Image] = []
        for start in range(0, len(prompts), self.config.max_batch):
            part = slice(start, start + self.config.max_batch)
            pictures += self._draw(list(prompts[part]), seeds[part])
        return pictures

    def _draw(self, prompts: list[str], seeds: Sequence[int]) -> list[Image.Image]:
        try:
            output = self.pipeline(
                prompts,
                height=self.config.side,
                width=self.config.side,
                num_inference_steps=self.config.steps,
                guidance_scale=self.config.guidance,
                max_sequence_length=self.config.text_tokens,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            )
        except (RuntimeError, ValueError) as error:
            raise ToolError(f"the pipeline failed on {len(prompts)} prompts: {error}") from error
        images = cast("FluxPipelineOutput", output).images
        return [picture for picture in images if isinstance(picture, Image.Image)]
