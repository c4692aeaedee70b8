"""Pictures by pipelines in this process: one queue, a thread a pipeline."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

from genagent_tools.server.batch_queue import BatchConfig, BatchQueue, Job, QueueFull
from genagent_tools.server.errors import ApiError
from genagent_tools.server.image_request import ImageRequest
from genagent_tools.server.metrics import ServerMetrics
from genagent_tools.server.picture_maker import Load, MadePicture
from genagent_tools.server.served_model import ServedModel
from genagent_tools.server.workers import Workers
from genagent_tools.tool import DrawingTool, DrawSettings

LONGEST_WAIT = 600
"""Seconds that a client is told to wait at most."""


class Pipelines:
    """A ``PictureMaker`` by micro-batches."""

    def __init__(
        self,
        tools: Sequence[DrawingTool],
        served: ServedModel,
        batching: BatchConfig,
        metrics: ServerMetrics,
    ) -> None:
        self._size = served.width or 0, served.height or 0
        usual = batching.max_batch * self._size[0] * self._size[1]
        # What one request may ask for is what is drawn at once, however many requests it is for.
        most = max(served.pixel_limit, usual)
        self._queue = BatchQueue(replace(batching, max_pixels=most))
        self._workers = Workers(self._queue, tools, metrics)

    @property
    def load(self) -> Load:
        return Load(alive=self._workers.alive, waiting=len(self._queue))

    def start(self) -> None:
        self._workers.start()

    async def make(
        self, body: ImageRequest, seeds: Sequence[int], settings: DrawSettings
    ) -> list[MadePicture]:
        """See ``PictureMaker``; 429 when the queue is full."""
        pixels = (settings.width or self._size[0]) * (settings.height or self._size[1])
        jobs = [
            Job(prompt=body.prompt, seed=seed, settings=settings, pixels=pixels) for seed in seeds
        ]
        try:
            self._queue.put(jobs)
        except QueueFull as full:
            raise queue_full(
                str(full), waiting=len(self._queue), speed=self._workers.pictures_per_second
            ) from None
        try:
            encoded = await asyncio.gather(*(asyncio.wrap_future(job.picture) for job in jobs))
        finally:
            self._queue.drop(jobs)
        return [MadePicture(encoded=each) for each in encoded]

    def stop(self, seconds: float) -> bool:
        self._queue.close()
        self._workers.join(seconds)
        return self._workers.at_rest


def queue_full(message: str, *, waiting: int, speed: float) -> ApiError:
    """The answer to a request that finds no room.

    Args:
        waiting: pictures whose turn has not come.
        speed: of them a second; 0 where none is known.
    """
    seconds = max(1, min(LONGEST_WAIT, math.ceil(waiting / speed))) if speed else 1
    return ApiError(429, f"{message}; come back later", code="queue_full", retry_after=seconds)
