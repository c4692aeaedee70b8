"""Many requests side by side in one engine."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from genagent_data import PictureStore, Request, derive_seed
from genagent_rollout import Engine, Watcher
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import drawing_by
from genagent_serving.answered import Answered
from genagent_serving.answering import answer
from genagent_serving.drawn_pictures import DrawnPictures
from genagent_tools import AsyncImageTool, ImageTool, ToolError

PATIENCE = 16
"""Requests that may fail for want of a picture before the first one is drawn."""


def generate(
    engine: Engine,
    tool: ImageTool | AsyncImageTool,
    requests: Iterable[Request],
    *,
    seed: int,
    max_rounds: int,
    store: PictureStore,
    drawn: Path,
    at_once: int,
    keep: Callable[[Answered], object],
    ended: Callable[[Answered], object] | None = None,
    watcher: Callable[[Request], Watcher | None] = lambda request: None,
) -> None:
    """Let the agent answer each request, so many of them at a time.

    A request's tokens and pictures follow from ``seed`` and its id alone, up to float noise, in
    whatever company it is answered.

    Args:
        drawn: file that remembers what was drawn, see ``DrawnPictures``.
        at_once: requests under way; pictures of so many are in memory.
        keep: called with each on a thread of its own while others go on; a request has ended when
            this returns.
        ended: told of it afterwards, on this thread.
        watcher: hears of a request as it happens.

    Raises:
        ToolError: the tool draws nothing at all.
        OSError: a picture cannot be stored or remembered, or ``keep`` cannot keep.
        ValueError: the engine has no room for such a conversation, or ``drawn`` is damaged.
    """
    waiting = iter(requests)
    activity = Activity()
    drawing = DrawnPictures(drawn, drawing_by(tool, store, activity), store)
    pictures = failed = 0

    async def one_after_another() -> None:
        nonlocal pictures, failed
        for request in waiting:
            answered = await answer(
                engine,
                drawing,
                request,
                seed=derive_seed(seed, "generation", request.id),
                max_rounds=max_rounds,
                activity=activity,
                watcher=watcher(request),
            )
            await asyncio.to_thread(keep, answered)
            if ended is not None:
                ended(answered)
            pictures += len(answered.trajectory.pictures)
            failed += answered.trajectory.ending == "tool_failure"
            if failed >= PATIENCE and not pictures:
                raise ToolError(
                    f"the tool drew nothing for {failed} requests; the last: "
                    f"{answered.trajectory.error}"
                )

    async def everyone() -> None:
        await asyncio.gather(*(one_after_another() for _ in range(at_once)))

    try:
        with activity.watched():
            asyncio.run(everyone())
    finally:
        drawing.close()
