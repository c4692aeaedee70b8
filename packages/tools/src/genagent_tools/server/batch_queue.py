"""The queue that turns requests into batches.

Pictures of equal settings stand in one line. A line is ready when it fills a batch or when its
first picture has waited long enough; among ready lines the one whose first picture came first goes
next, so that no settings starve others. What one picture looks like does not depend on the batch.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from genagent_tools.tool import DrawSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """How requests are put together."""

    max_batch: int = 16
    """Pictures drawn at once."""
    max_pixels: int | None = None
    """Of a batch together: large pictures are drawn fewer at once. None: as many as of others."""
    max_wait_ms: float = 20.0
    """Milliseconds that a picture waits for company while the pipeline is idle."""
    max_queue: int = 512
    """Pictures that may wait; more are turned away with 429."""
    fixed_batch: bool = False
    """Fill every batch up to max_batch with copies. Products of matrices are rounded differently
    for another number of rows, so that a picture's last bit otherwise depends on its company."""

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch is {self.max_batch}; wants 1 or more")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise ValueError(f"max_pixels is {self.max_pixels}; wants 1 or more, or None")
        if not 0 <= self.max_wait_ms < float("inf"):
            raise ValueError(f"max_wait_ms is {self.max_wait_ms}; wants a number of 0 or more")
        if self.max_queue < 1:
            raise ValueError(f"max_queue is {self.max_queue}; wants 1 or more")

    def most(self, pixels: int) -> int:
        """How many pictures of so many pixels are drawn at once; one of any size is."""
        if self.max_pixels is None or pixels < 1:
            return self.max_batch
        return max(1, min(self.max_batch, self.max_pixels // pixels))


@dataclass(kw_only=True, slots=True, eq=False)
class Job:
    """One picture to draw: what decides it, and the promise of its base64 PNG."""

    prompt: str
    seed: int
    settings: DrawSettings
    pixels: int = 0
    """It will have; equal settings give equally many."""
    picture: Future[str] = field(default_factory=Future)
    number: int = -1
    """Place in the order of arrival."""
    arrived: float = 0.0
    """On the monotonic clock, seconds."""


class QueueFull(Exception):
    """More pictures are waiting than the queue takes."""


class BatchQueue:
    """Takes jobs from any thread, gives batches to any worker."""

    def __init__(self, config: BatchConfig) -> None:
        self.config = config
        self._lines: dict[DrawSettings, dict[int, Job]] = {}
        self._numbers = itertools.count()
        self._waiting = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Pictures waiting."""
        return self._waiting

    def put(self, jobs: Sequence[Job]) -> None:
        """Line up all jobs or none. Raises QueueFull where there is no room for them."""
        with self._changed:
            if self._waiting + len(jobs) > self.config.max_queue:
                raise QueueFull(
                    f"{self._waiting} pictures are waiting, {self.config.max_queue} may"
                )
            now = time.monotonic()
            news = False
            for job in jobs:
                job.number, job.arrived = next(self._numbers), now
                line = self._lines.setdefault(job.settings, {})
                line[job.number] = job
                news = news or len(line) in (1, self.config.most(job.pixels))
            self._waiting += len(jobs)
            # Between a line's first picture and a full batch a worker would wake for nothing, and
            # take the interpreter from the requests that still come in.
            if news:
                self._changed.notify_all()

    def take(self) -> list[Job]:
        """Wait for the next batch; an empty one means that the queue was closed and is empty.

        The promises of its jobs can no longer be cancelled.
        """
        with self._changed:
            while True:
                line, pause = self._ready_line()
                if line is None:
                    if self._closed and not self._lines:
                        return []
                    self._changed.wait(pause)
                    continue
                first = next(iter(line.values()))
                batch = list(itertools.islice(line.values(), self.config.most(first.pixels)))
                self._remove(batch)
                batch = [job for job in batch if job.picture.set_running_or_notify_cancel()]
                if batch:
                    return batch

    def drop(self, jobs: Sequence[Job]) -> None:
        """Forget those of the jobs that still wait, and cancel their promises."""
        with self._changed:
            waiting = [job for job in jobs if job.number in self._lines.get(job.settings, ())]
            self._remove(waiting)
        for job in waiting:
            job.picture.cancel()

    def close(self) -> None:
        """No job comes any more; workers end when the queue is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ready_line(self) -> tuple[dict[int, Job] | None, float | None]:
        """The line to serve now, or the seconds until there may be one (None: not before a put)."""
        now = time.monotonic()
        pause = None
        for line in sorted(self._lines.values(), key=lambda line: next(iter(line))):
            first = next(iter(line.values()))
            ready_in = first.arrived + self.config.max_wait_ms / 1000 - now
            if len(line) >= self.config.most(first.pixels) or ready_in <= 0 or self._closed:
                return line, None
            pause = ready_in if pause is None else min(pause, ready_in)
        return None, pause

    def _remove(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            line = self._lines[job.settings]
            del line[job.number]
            if not line:
                del self._lines[job.settings]
        self._waiting -= len(jobs)
