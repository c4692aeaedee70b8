"""Requests in, pictures out, and the order in which a server stops."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import ApiError
from genagent_tools.server.image_request import ImageRequest
from genagent_tools.server.metrics import RequestMetrics
from genagent_tools.server.picture_maker import MadePicture, PictureMaker
from genagent_tools.tool import DrawSettings, ToolError

Made = TypeVar("Made")


class ImageService:
    """Answers HTTP requests with what a maker makes, all on one event loop."""

    def __init__(self, maker: PictureMaker, config: ServerConfig, metrics: RequestMetrics) -> None:
        self.config = config
        self.maker = maker
        self.metrics = metrics
        self.metrics.watch_queue(lambda: maker.load.waiting)
        self.when_stopping: list[Callable[[], None]] = []
        """Called when requests have had their time, before connections are closed."""
        self._drain_until: float | None = None
        self._active: set[asyncio.Task[Any]] = set()

    def stop(self) -> None:
        """Turn away whoever still waits for a picture."""
        for making in self._active:
            making.cancel()
        for call in self.when_stopping:
            call()

    def drain(self) -> None:
        """Take no more requests; those taken have the configured time to be finished."""
        if self._drain_until is None:
            self._drain_until = time.monotonic() + self.config.drain_seconds

    @property
    def draining(self) -> bool:
        """The server is about to stop."""
        return self._drain_until is not None

    @property
    def drained(self) -> bool:
        """It may stop now: nobody waits any more, or the time is up."""
        if self._drain_until is None:
            return False
        return not self._active or time.monotonic() >= self._drain_until

    @contextmanager
    def taken(self, making: Coroutine[Any, Any, Made]) -> Iterator[asyncio.Task[Made]]:
        """Work that draining waits for, and that is given up when the block ends before it.

        Raises:
            ApiError: 503 when stopping, also from within the block.
        """
        if self.draining:
            making.close()
            raise self._stopping()
        task = asyncio.create_task(making)
        self._active.add(task)
        try:
            yield task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise self._stopping() from None
        finally:
            self._active.discard(task)
            task.cancel()

    async def draw(
        self, body: ImageRequest, seeds: Sequence[int], settings: DrawSettings, request: Request
    ) -> list[MadePicture] | None:
        """A picture for each seed; None where the client has gone away.

        Raises:
            ApiError: as the maker has it, 500 when a picture fails, 503 when stopping.
        """
        with self.taken(self.maker.make(body, seeds, settings)) as pictures:
            gone = asyncio.create_task(_disconnected(request))
            try:
                await asyncio.wait((pictures, gone), return_when=asyncio.FIRST_COMPLETED)
                return pictures.result() if pictures.done() else None
            except ToolError as error:
                raise ApiError(500, f"the picture failed: {error}", code="tool_failed") from error
            finally:
                gone.cancel()

    def _stopping(self) -> ApiError:
        left = (self._drain_until or 0.0) - time.monotonic()
        return ApiError(
            503,
            "this server is about to stop; ask another one, or this one again later",
            code="draining",
            retry_after=max(1, math.ceil(left)),
        )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
