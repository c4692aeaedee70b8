"""The one thing an agent needs of an image generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

MAX_PROMPT = 8000
"""Characters of a prompt that image servers take, unless they are told otherwise."""


class ToolError(RuntimeError):
    """A picture could not be had; the message says why."""


class PartialFailure(ToolError):
    """Some pictures of a batch could not be had; the others are not lost."""

    def __init__(self, results: "Sequence[Image.Image | ToolError]") -> None:
        failed = [result for result in results if isinstance(result, ToolError)]
        super().__init__(f"{len(failed)} of {len(results)} pictures failed; the first: {failed[0]}")
        self.results = tuple(results)
        """For each prompt its picture or what went wrong."""


class ImageTool(Protocol):
    """Text in, picture out. The same prompt and seed give the same picture, whatever the batch."""

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture for each prompt. Raises ToolError where the tool fails."""
        ...


@runtime_checkable
class AsyncImageTool(Protocol):
    """A tool whose pictures are asked for one by one, as servers want it that batch themselves."""

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        """One picture, from any event loop. Raises ToolError where the tool fails."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawSettings:
    """How pictures are drawn; what is None is as the tool's profile has it.

    Pictures of equal settings may share a batch.
    """

    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    steps: int | None = None
    """Denoising steps."""
    guidance: float | None = None
    """What the profile means by guidance: distilled guidance or classifier-free guidance."""
    negative_prompt: str | None = None

    def __post_init__(self) -> None:
        for name in ("width", "height", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wants 1 or more")
        if self.guidance is not None and not 0 <= self.guidance < float("inf"):
            raise ValueError(f"guidance is {self.guidance}; wants a number of 0 or more")


class DrawingTool(Protocol):
    """A tool whose settings may differ from call to call."""

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], settings: DrawSettings
    ) -> list[Image.Image]:
        """One picture for each prompt. Raises ToolError where the tool fails."""
        ...
