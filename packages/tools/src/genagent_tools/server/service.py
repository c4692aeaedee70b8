"""Requests in, pictures out: the queue, the workers, and the order in which they stop."""

import asyncio
import math
import time
from collections.abc import Sequence

from starlette.requests import Request

from genagent_tools.server.batch_queue import BatchQueue, Job, QueueFull
from genagent_tools.server.config import ServerConfig
from genagent_tools.server.errors import ApiError
from genagent_tools.server.metrics import ServerMetrics
from genagent_tools.server.workers import Workers
from genagent_tools.tool import DrawingTool, DrawSettings, ToolError

LONGEST_WAIT = 600
"""Seconds that a client is told to wait at most."""


class ImageService:
    """Draws for HTTP requests, all on one event loop."""

    def __init__(self, tools: Sequence[DrawingTool], config: ServerConfig) -> None:
        self.config = config
        self.queue = BatchQueue(config.batching)
        self.metrics = ServerMetrics()
        self.metrics.watch_queue(lambda: len(self.queue))
        self.workers = Workers(self.queue, tools, self.metrics)
        self._drain_until: float | None = None
        self._active: set[asyncio.Task[list[str]]] = set()

    def start(self) -> None:
        """Begin to draw."""
        self.workers.start()

    def stop(self) -> None:
        """Turn away whoever still waits for a picture; workers end after the batch in hand."""
        for pictures in self._active:
            pictures.cancel()
        self.queue.close()

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

    async def draw(
        self, prompt: str, seeds: Sequence[int], settings: DrawSettings, request: Request
    ) -> list[str] | None:
        """A base64 PNG for each seed; None where the client has gone away.

        Raises:
            ApiError: 429 when the queue is full, 500 when a picture fails, 503 when stopping.
        """
        if self.draining:
            raise self._stopping()
        jobs = [Job(prompt=prompt, seed=seed, settings=settings) for seed in seeds]
        try:
            self.queue.put(jobs)
        except QueueFull as full:
            raise ApiError(
                429,
                f"{full}; come back later",
                code="queue_full",
                retry_after=self._seconds_to_draw(len(self.queue)),
            ) from None
        pictures = asyncio.create_task(_all_of(jobs))
        gone = asyncio.create_task(_disconnected(request))
        self._active.add(pictures)
        try:
            await asyncio.wait((pictures, gone), return_when=asyncio.FIRST_COMPLETED)
            if not pictures.done():
                return None
            return pictures.result()
        except asyncio.CancelledError:
            if not pictures.cancelled():
                raise
            raise self._stopping() from None
        except ToolError as error:
            raise ApiError(500, f"the picture failed: {error}", code="tool_failed") from error
        finally:
            self._active.discard(pictures)
            gone.cancel()
            pictures.cancel()
            self.queue.drop(jobs)

    def _stopping(self) -> ApiError:
        left = (self._drain_until or 0.0) - time.monotonic()
        return ApiError(
            503,
            "this server is about to stop; ask another one, or this one again later",
            code="draining",
            retry_after=max(1, math.ceil(left)),
        )

    def _seconds_to_draw(self, pictures: int) -> int:
        speed = self.workers.pictures_per_second
        return max(1, min(LONGEST_WAIT, math.ceil(pictures / speed))) if speed else 1


async def _all_of(jobs: Sequence[Job]) -> list[str]:
    return await asyncio.gather(*(asyncio.wrap_future(job.picture) for job in jobs))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
