"""Many trajectories at once, from ordinary code, whoever acts in them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from genagent_data import PictureStore, Request
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import Drawing, drawing_by
from genagent_tools import AsyncImageTool, ImageTool

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutTimings:
    """Seconds, as the clock on the wall has them."""

    total: float
    """From the first request to the last rollout."""
    policy: float
    """In which a turn was waited for."""
    tool: float
    """In which a picture was waited for; with servers both go on at the same time."""
    reward: float = 0.0
    """In which verdicts were waited for, after the last rollout."""
    anchors: float | None = None
    """In which anchors were drawn, before the first one; None: there are none."""

    @classmethod
    def together(cls, parts: Sequence["RolloutTimings"]) -> "RolloutTimings":
        """Of one after the other."""
        anchors = [part.anchors for part in parts if part.anchors is not None]
        return cls(
            total=sum(part.total for part in parts),
            policy=sum(part.policy for part in parts),
            tool=sum(part.tool for part in parts),
            reward=sum(part.reward for part in parts),
            anchors=sum(anchors) if anchors else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """Places that come to this process a few at a time, because others take some as well."""

    blocks: Iterator[Sequence[int]]
    """What is taken at once."""
    at_once: int
    """Blocks under way side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SideBySide(Generic[Result]):
    """What became of each request, in order, and where the time went."""

    results: tuple[Result, ...]
    timings: RolloutTimings


def side_by_side(
    answer: Callable[[Request, int, Drawing], Awaitable[Result]],
    tool: ImageTool | AsyncImageTool,
    requests: Sequence[Request],
    *,
    seeds: Sequence[int],
    store: PictureStore,
    batch: int | None = None,
    ended: Callable[[int, Result], None] | None = None,
    drawn: Callable[[int, int], None] | None = None,
    handed: Handed | None = None,
) -> SideBySide[Result]:
    """Answer each request once, all at the same time.

    Args:
        answer: one request's trajectory, from the request, its seed and what draws.
        seeds: one for each request.
        batch: pictures that a tool in this process draws at once, see ``BatchedDrawing``.
        ended: told of each result as it comes, by its place among the requests, while others still
            run.
        drawn: told of pictures as they come, see ``Activity``.
        handed: the places of the requests that are answered here, as they come; None: all of them
            at once. ``ended`` is told which they were.

    Raises:
        ValueError: not one seed for each request.
        OSError: a picture cannot be stored.
    """
    if len(seeds) != len(requests):
        raise ValueError(f"{len(requests)} requests and {len(seeds)} seeds; wants one for each")
    activity = Activity(drawn)

    async def one(place: int, request: Request, seed: int) -> Result:
        result = await answer(request, seed, drawing)
        if ended is not None:
            ended(place, result)
        return result

    async def block(places: Sequence[int]) -> list[Result]:
        return await asyncio.gather(
            *(one(place, requests[place], seeds[place]) for place in places)
        )

    async def taking(blocks: Iterator[Sequence[int]]) -> list[Result]:
        return [result for places in blocks for result in await block(places)]

    async def everyone() -> list[Result]:
        if handed is None:
            return await block(range(len(requests)))
        takers = (taking(handed.blocks) for _ in range(handed.at_once))
        return [result for taken in await asyncio.gather(*takers) for result in taken]

    drawing = drawing_by(tool, store, activity, batch=batch)
    started = time.perf_counter()
    with activity.watched():
        results = _run(everyone())
    timings = RolloutTimings(
        total=time.perf_counter() - started,
        policy=activity.turns.seconds,
        tool=activity.pictures.seconds,
    )
    return SideBySide(results=tuple(results), timings=timings)


def _run(everyone: Coroutine[Any, Any, Result]) -> Result:
    """``asyncio.run``, which a notebook's cell may not call: its kernel has a loop of its own on
    this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(everyone)
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(asyncio.run, everyone).result()
