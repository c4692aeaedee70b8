"""How an agent that people wait for gets its pictures.

A tool behind servers is asked at once, as in training. One in this process draws whatever was asked
for while it drew the last batch. In training a batch begins when no turn is being sampled, so that
a run repeats bit for bit; where people come and go, that moment need never come.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from genagent_data import Picture, PictureStore
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import Drawing, Drawn, ServedDrawing, draw_and_store
from genagent_tools import AsyncImageTool, ImageTool


def live_drawing(tool: ImageTool | AsyncImageTool, store: PictureStore, *, batch: int) -> Drawing:
    """The way of the tool.

    Args:
        batch: pictures that a tool in this process draws at once, at most.
    """
    if isinstance(tool, AsyncImageTool):
        return ServedDrawing(tool, store, Activity())
    return LiveDrawing(tool, store, batch=batch)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Asked:
    prompt: str
    seed: int
    picture: "asyncio.Future[Picture]"


class LiveDrawing:
    """A ``Drawing`` by a tool in this process, of one event loop."""

    def __init__(self, tool: ImageTool, store: PictureStore, *, batch: int) -> None:
        self._tool = tool
        self._store = store
        self._batch = batch
        self.activity = Activity()
        """Of nobody's interest here: what is drawn when depends on the painter alone."""
        self._waiting: list[_Asked] = []
        self._drawing: asyncio.Task[None] | None = None
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="drawing")

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        """See ``Drawing``. Cancelled before its batch begins, the picture is not drawn."""
        loop = asyncio.get_running_loop()
        asked = _Asked(prompt=prompt, seed=seed, picture=loop.create_future())
        self._waiting.append(asked)
        if self._drawing is None or self._drawing.done():
            self._drawing = loop.create_task(self._draw_all())
        return await asked.picture

    async def _draw_all(self) -> None:
        while waiting := [asked for asked in self._waiting if not asked.picture.done()]:
            batch, self._waiting = waiting[: self._batch], waiting[self._batch :]
            await self._draw_batch(batch)
        self._waiting = []

    async def _draw_batch(self, batch: Sequence[_Asked]) -> None:
        prompts, seeds = [one.prompt for one in batch], [one.seed for one in batch]
        drawing: Future[Drawn] = self._painter.submit(
            draw_and_store, self._tool, self._store, prompts, seeds
        )
        await asyncio.wait((asyncio.wrap_future(drawing),))
        error = drawing.exception()
        if error is not None and len(batch) > 1:
            # What one prompt makes a tool raise may not cost the neighbours their pictures.
            for one in batch:
                await self._draw_batch([one])
            return
        results = [error] if error is not None else drawing.result()
        for one, result in zip(batch, results, strict=True):
            if one.picture.done():
                continue
            if isinstance(result, Picture):
                one.picture.set_result(result)
            else:
                one.picture.set_exception(result)
