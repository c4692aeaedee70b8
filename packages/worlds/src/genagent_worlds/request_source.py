"""What is asked in a synthesis: a world's own requests, or those of files, pooled and added to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from genagent_data import (
    HardRequests,
    PoolConfig,
    Request,
    StageFigures,
    pooled,
    read_pool,
    write_hard_requests,
)
from genagent_worlds.files import FilesAndEndpoints
from genagent_worlds.services import Services
from genagent_worlds.teachers import ChatTeachers, TeacherConfig
from genagent_worlds.world import Requests

Opened = TypeVar("Opened", bound=Services)
STEP = 512
"""Requests that are sampled at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Requests to synthesize of, each read once, in turn."""

    requests: Iterable[Request]
    count: int
    sources: str
    """For the data card. Example: ``"1000 requests of the training split"``"""
    pool: StageFigures | None = None
    """What pooling dropped, where there are files."""
    lines: tuple[str, ...] = ()
    """What a reader may want to know of how they came about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestSource:
    """Where the requests of a synthesis come from.

    Example: ``RequestSource(requests="mine.jsonl", hard_each=50)``
    """

    requests: str = "1000"
    """How many of the world's training requests, or a file of requests (.jsonl, .json, one prompt
    a line; GenEval++'s, WISE's and Imagine's own, an Echo-4o-Image folder)."""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """More such files, and what must not be in them."""
    hard_each: int = 0
    """New requests of each task type that the opening teacher writes after the file's."""

    def __post_init__(self) -> None:
        if self.requests.isdecimal() and int(self.requests) < 1:
            raise ValueError(f"requests is {self.requests}; wants 1 or more, or a file")
        if self.hard_each < 0:
            raise ValueError(f"hard_each is {self.hard_each}; wants 0 or more")

    @property
    def files(self) -> tuple[Path, ...]:
        """All that are pooled; none where the world's own requests are taken."""
        return (() if self.requests.isdecimal() else (Path(self.requests),)) + self.pool.files

    def problems(self, teacher: TeacherConfig) -> list[str]:
        """What keeps the requests from being had, a line each; the files are read."""
        lines = self._pool.problems()
        if self.hard_each and not (self.files and isinstance(teacher, ChatTeachers)):
            lines.append("--hard-each wants a file of requests with hints, and teachers that write")
        return lines

    def within(self, world: Opened) -> Opened:
        """The world with the first file as its training requests. Nothing is held out here, so that
        a world of files needs no file for it."""
        if self.files:
            world = replace(world, train=self.files[0])
        if isinstance(world, FilesAndEndpoints):
            world = replace(world, held_out=world.held_out or world.train)
        return world

    def ask(self, train: Requests, teacher: TeacherConfig, work: Path, *, seed: int) -> Asked:
        """The requests; the same for the same files and seed.

        Args:
            train: of the world.
            work: the words of a teacher that writes requests are kept there.

        Raises:
            ValueError, OSError: as ``prompt_pool`` and ``write_hard_requests``.
        """
        if not self.files:
            total = int(self.requests)
            return Asked(
                requests=_sampled(train, total, seed=seed),
                count=total,
                sources=f"{total} requests of the training split",
            )
        requests = list(read_pool(self.files))
        lines: tuple[str, ...] = ()
        if self.hard_each:
            assert isinstance(teacher, ChatTeachers)
            written = self._written(teacher, requests, work, seed=seed)
            requests += written.requests
            said = f"{len(written.requests)} hard requests written, {written.missing} missing"
            lines = (said, *written.errors)
        kept, figures = pooled(requests, self._pool)
        return Asked(
            requests=kept,
            count=len(kept),
            sources=", ".join(map(str, self.files)),
            pool=figures,
            lines=lines,
        )

    @property
    def _pool(self) -> PoolConfig:
        """With every file; a number of requests is its limit."""
        limit = int(self.requests) if self.requests.isdecimal() else self.pool.limit
        return replace(self.pool, files=self.files, limit=limit)

    def _written(
        self, teacher: ChatTeachers, examples: Sequence[Request], work: Path, *, seed: int
    ) -> HardRequests:
        seeds = [request for request in examples if request.hints]
        return write_hard_requests(
            teacher.writer(work), seeds=seeds, each=self.hard_each, seed=seed
        )


def _sampled(train: Requests, total: int, *, seed: int) -> Iterator[Request]:
    for step, start in enumerate(range(0, total, STEP)):
        # A whole step each time, so that more requests begin with the same ones.
        yield from train.sample(STEP, seed=seed, step=step)[: total - start]
