"""Threads that draw: one a tool, so that a pipeline never runs twice at a time.

Pictures are encoded by other threads while the next batch is drawn.
"""

import base64
import io
import logging
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from genagent_endpoints import clean
from genagent_tools.server.batch_queue import BatchQueue, Job
from genagent_tools.server.metrics import ServerMetrics
from genagent_tools.tool import DrawingTool, ToolError

_LOG = logging.getLogger(__name__)

_SAID = 300
"""Characters of an error that are worth a line."""

ENCODERS = 2
"""Threads that encode, each a share of a batch."""

SPEED_MEMORY = 0.8
"""Weight of the past in the running mean of a worker's pictures a second."""


class Workers:
    """One thread a tool, all pulling from one queue."""

    def __init__(
        self, queue: BatchQueue, tools: Sequence[DrawingTool], metrics: ServerMetrics
    ) -> None:
        self._queue = queue
        self._metrics = metrics
        self._encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encode")
        self._speeds = dict.fromkeys(range(len(tools)), 0.0)
        # Daemons: a pipeline in mid-picture must not keep a server alive that was told to stop.
        self._threads = [
            threading.Thread(
                target=self._work, args=(index, tool), name=f"draw-{index}", daemon=True
            )
            for index, tool in enumerate(tools)
        ]

    def start(self) -> None:
        """Begin to draw."""
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Wait for the threads to end, which they do once the queue is closed and empty."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        self._encoders.shutdown(wait=False)

    @property
    def alive(self) -> bool:
        """Every worker is at work."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def at_rest(self) -> bool:
        """Every worker has ended."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def pictures_per_second(self) -> float:
        """What all workers together have lately drawn; 0 before the first batch."""
        return sum(self._speeds.values())

    def _work(self, index: int, tool: DrawingTool) -> None:
        while batch := self._queue.take():
            started = time.monotonic()
            for job in batch:
                self._metrics.queue_seconds.observe(started - job.arrived)
            self._draw(tool, batch)
            speed = len(batch) / max(time.monotonic() - started, 1e-6)
            past = self._speeds[index] or speed
            self._speeds[index] = SPEED_MEMORY * past + (1 - SPEED_MEMORY) * speed

    def _draw(self, tool: DrawingTool, batch: Sequence[Job]) -> None:
        started = time.monotonic()
        config = self._queue.config
        spare = config.most(batch[0].pixels) - len(batch) if config.fixed_batch else 0
        rows = [*batch, *[batch[-1]] * spare]
        try:
            pictures = tool.draw(
                [job.prompt for job in rows], [job.seed for job in rows], batch[0].settings
            )
            if len(pictures) != len(rows):
                raise ToolError(f"{len(pictures)} pictures for {len(rows)} prompts")
        # Whatever one prompt makes a pipeline raise may cost that prompt's picture, but neither its
        # neighbours' nor the worker. SystemExit would end this thread without a word, and whoever
        # asks from then on would wait for ever.
        except BaseException as error:
            if len(batch) > 1:
                said = clean(str(error))[:_SAID]
                _LOG.warning("a batch of %d failed (%s); drawing one by one", len(batch), said)
                for job in batch:
                    self._draw(tool, [job])
                return
            self._metrics.pictures.labels(outcome="failed").inc()
            if not isinstance(error, ToolError):
                # A pipeline's error may quote the prompt, which comes from anybody.
                trace = "".join(traceback.format_exception(error)).splitlines()
                _LOG.error("a picture failed\n%s", "\n".join(map(clean, trace)))
                error = ToolError(f"{type(error).__name__}: {error}")
            batch[0].picture.set_exception(error)
            return
        self._metrics.pipeline_seconds.observe(time.monotonic() - started)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.pictures.labels(outcome="drawn").inc(len(batch))
        drawn = list(zip(batch, pictures[: len(batch)], strict=True))
        for share in range(min(ENCODERS, len(drawn))):
            self._encoders.submit(_encode, drawn[share::ENCODERS])


def encode_picture(picture: Image.Image) -> str:
    """Base64 of a PNG; the fastest compression, since 6 takes several times as long as 1."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=1)
    return base64.b64encode(buffer.getbuffer()).decode("ascii")


def _encode(drawn: Sequence[tuple[Job, Image.Image]]) -> None:
    for job, picture in drawn:
        try:
            encoded = encode_picture(picture)
        # One picture's trouble, whatever it is, must not leave the next one's client waiting.
        except Exception as error:
            job.picture.set_exception(error)
        else:
            job.picture.set_result(encoded)
