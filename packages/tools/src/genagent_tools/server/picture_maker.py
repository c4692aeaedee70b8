"""What makes the pictures of a request: pipelines by batches, or an agent by rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from genagent_tools.server.image_request import ImageRequest
from genagent_tools.tool import DrawSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class MadePicture:
    """One picture of an answer."""

    encoded: str
    """Base64 of a PNG."""
    size: tuple[int, int] | None = None
    """Pixels; None: as it was asked for."""
    revised_prompt: str | None = None
    """The prompt it was drawn from, where that is not the request's."""
    extensions: Mapping[str, object] = field(default_factory=dict)
    """Fields beyond OpenAI's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How busy a maker is."""

    alive: bool
    """It can make pictures."""
    waiting: int
    """Pictures whose turn has not come."""


class PictureMaker(Protocol):
    """Makes pictures for many requests at once; called from one event loop."""

    @property
    def load(self) -> Load: ...

    def start(self) -> None:
        """Begin."""
        ...

    async def make(
        self, body: ImageRequest, seeds: Sequence[int], settings: DrawSettings
    ) -> list[MadePicture]:
        """A picture for each seed. Cancelled, it gives them up.

        Raises:
            ApiError: the request cannot be served, or not now.
            ToolError: a picture failed.
        """
        ...

    def stop(self, seconds: float) -> bool:
        """Take no more work and wait so long for what is in hand; whether all is at rest.
        Idempotent."""
        ...
