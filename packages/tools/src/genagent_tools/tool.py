"""The one thing an agent needs of an image generator."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image


class ToolError(RuntimeError):
    """A picture could not be had; the message says why."""


class ImageTool(Protocol):
    """Text in, picture out. The same prompt and seed give the same picture, whatever the batch."""

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture for each prompt. Raises ToolError where the tool fails."""
        ...
